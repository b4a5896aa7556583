"""Opening a mirror's file, and what it says of itself."""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionlab.errors import BusyMirrorError, UsageError

if TYPE_CHECKING:
    import duckdb


def connect(path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a mirror for reading, or with no path an empty one in memory.

    DuckDB may fetch nothing by itself: no extension is installed or loaded behind the user's back.

    Raises:
        UsageError: There is no such file, or it is no DuckDB database.
        BusyMirrorError: Another program holds it, or this one does for writing.
    """
    import duckdb  # 100 ms that a program which only lists stores need not pay

    options: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    if path is None:
        return duckdb.connect(config=options)
    if os.path.isdir(path):  # noqa: PTH112  # of a name that is too long, Path's raises
        raise UsageError(f"{path}: is a folder; a mirror is a file")
    if not os.path.isfile(path):  # noqa: PTH113
        raise UsageError(f"{path}: there is no such mirror; make it with 'sessionlab load'")
    try:
        return duckdb.connect(str(path), read_only=True, config=options)
    except duckdb.ConnectionException as error:
        raise BusyMirrorError(path, "open for writing in this very program") from error
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise BusyMirrorError(path, str(error)) from error
        raise UsageError(f"{path}: is not a mirror that this DuckDB reads ({str(error).splitlines()[0][:120]})") from error
    except duckdb.Error as error:
        raise UsageError(f"{path}: is not a mirror of sessionlab's, or a damaged one; name another file") from error


def fact(con: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Return a fact about the mirror itself, `None` when it does not say.

    Raises:
        UsageError: It is no mirror of sessionlab's.
    """
    import duckdb  # see connect

    try:
        rows = con.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise UsageError("not a mirror of sessionlab's") from error
    return rows[0][0] if rows else None


def schema_version() -> str:
    """Return what identifies the tables' form: a mirror of another form is built anew."""
    text = (resources.files("sessionlab.lab") / "schema.sql").read_bytes()
    return hashlib.sha256(text).hexdigest()[:16]
