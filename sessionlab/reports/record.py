"""The recorded results of a notebook: a few named facts that its last cell leaves for tests and for the report's header.

Owns the MIME type and its form. Adds nothing of its own (no time, no path, no version): nbval compares a record byte for byte.
"""

from __future__ import annotations

import json
import numbers
from pathlib import Path
from typing import Any

import msgspec

from sessionlab.errors import UsageError

MIMETYPE = "application/vnd.sessionlab.record+json"


class Record:
    """What `record` returns: shown by Jupyter as one line of names, and stored in the notebook as JSON."""

    __slots__ = ("results",)

    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results

    def __repr__(self) -> str:
        return f"Recorded results: {', '.join(self.results) or 'none'}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {"text/plain": repr(self), MIMETYPE: self.results}


def record(**results: object) -> Record:
    """Return the named results as an object to be the last expression of a notebook's last cell.

    Values are JSON values, dataclasses, msgspec Structs, dates or numpy numbers, or lists and dicts of these. Names are sorted.

    Raises:
        TypeError: a value has no JSON form.
        ValueError: a number is NaN or infinite.
    """
    plain = msgspec.to_builtins(results, enc_hook=_plain, str_keys=True)
    return Record(json.loads(json.dumps(plain, sort_keys=True, allow_nan=False)))


def read_record(notebook: Any) -> dict[str, Any]:
    """Return the results that an executed notebook recorded; the last record counts.

    Args:
        notebook: a path, or an nbformat notebook node.

    Raises:
        UsageError: the notebook holds no record.
    """
    node, name = notebook, "notebook"
    if isinstance(notebook, str | Path):
        import nbformat

        node, name = nbformat.read(str(notebook), as_version=4), str(notebook)
    for cell in reversed(node.cells):
        for output in reversed(cell.get("outputs", [])):
            if MIMETYPE in output.get("data", {}):
                return dict(output["data"][MIMETYPE])
    raise UsageError(f"{name}: no recorded results; run it, and end it with record(...)")


def _plain(value: object) -> object:
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"a recorded result must have a JSON form, {type(value).__name__} has none")
