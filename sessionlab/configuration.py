"""OpenClaw's configuration file as an object: read without waiting, and strictly, whether it is JSON or JSON5.

Knows nothing of what the file says; reads only.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

from sessionlab.errors import SettingsError, UnreadableError

_EXPONENT_FROM: Final = 1e21
"""From here on JavaScript writes a number with an exponent."""


def read_configuration(path: Path) -> object:
    """Return what the file holds; an empty object without one.

    Raises:
        SettingsError: It is neither JSON nor JSON5 (names the line), or gives a key twice in one object.
        UnreadableError: It is there and cannot be read.
    """
    raw = _read(path)
    return {} if raw is None else _parsed(raw, path)


def _read(path: Path) -> bytes | None:
    """Return the file's bytes, `None` without one. Whatever is no regular file is refused: reading a pipe would wait for ever."""
    advice = "make it readable, or move it away"
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableError(path, "cannot be read (it is not a regular file)", advice=advice)
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror})", advice=advice) from error


def _parsed(raw: bytes, path: Path) -> object:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"line {line}", "is not UTF-8: save the file as UTF-8", path=path) from error
    try:
        # Most files are plain JSON, which the standard library reads a thousand times faster than json5 does.
        return json.loads(text, object_pairs_hook=_unique, parse_float=_number)
    except json.JSONDecodeError:
        pass
    except (ValueError, RecursionError) as error:
        raise SettingsError("the whole file", _reason(error), path=path) from error
    import json5

    try:
        return json5.loads(text, object_pairs_hook=_unique, parse_float=_number)
    except (ValueError, RecursionError) as error:
        placed = re.fullmatch(r"<string>:(\d+) (.*)", str(error), re.DOTALL)
        field, reason = (f"line {placed[1]}", f"is not JSON5: {placed[2]}") if placed else ("the whole file", _reason(error))
        raise SettingsError(field, reason, path=path) from error


def _reason(error: ValueError | RecursionError) -> str:
    return "is nested too deeply to be a configuration" if isinstance(error, RecursionError) else str(error)


def _unique(pairs: Any) -> dict[str, Any]:
    fresh: dict[str, Any] = {}
    for key, value in pairs:
        if key in fresh:
            raise ValueError(f"key {key!r} is given twice in one object: keep one of them")
        fresh[key] = value
    return fresh


def _number(text: str) -> int | float:
    # JavaScript has one kind of number: 5.0 is 5, and is allowed wherever an integer is; what it writes with an exponent is none.
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value
