"""A directory store's files read and written in another way than the store's: `json`, `base64` and `os` only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path


def file_name(key: str) -> str:
    """Return the name of a key's file, by the specification (C.1, C.2)."""
    data = key.encode()
    prefix, payload = ("session-", data) if len(data) <= 120 else ("session-hash-", hashlib.sha256(data).digest())
    return f"{prefix}{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.json"


def entry_file(path: Path, key: str) -> Path:
    """Return where a key's file lies."""
    return path / "entries" / file_name(key)


def state_of(path: Path) -> dict[str, object]:
    """Return what state.json says to any JSON parser."""
    found: dict[str, object] = json.loads((path / "state.json").read_bytes())
    return found


def version_of(path: Path) -> int:
    """Return the store's version."""
    version = state_of(path)["version"]
    assert isinstance(version, int)
    return version


def around(key: str) -> tuple[bytes, bytes]:
    """Return what stands before and after an entry in its file, as `JSON.stringify` writes it."""
    return b'{\n  "sessionKey": ' + json.dumps(key, ensure_ascii=False).encode() + b',\n  "entry": ', b"\n}"


def read(path: Path) -> dict[str, bytes]:
    """Return key -> the entry's bytes in its file, in the order of the keys."""
    found = {}
    for file in (path / "entries").iterdir():
        data = file.read_bytes()
        key = json.loads(data)["sessionKey"]
        assert file.name == file_name(key)
        start, end = around(key)
        assert data.startswith(start)
        assert data.endswith(end)
        found[key] = data[len(start) : -len(end)]
    return dict(sorted(found.items()))


def write(path: Path, entries: Mapping[str, bytes]) -> None:
    """Write entries as OpenClaw's program does: each file, then state.json with the next version, by rename."""
    for key, raw in entries.items():
        replace(entry_file(path, key), raw.join(around(key)))
    state = state_of(path) | {"version": version_of(path) + 1}
    replace(path / "state.json", json.dumps(state, indent=2).encode())


def replace(file: Path, data: bytes) -> None:
    """Put a file in another's place."""
    temporary = file.with_name(f"{file.name}.1.tmp")
    temporary.write_bytes(data)
    temporary.chmod(0o600)
    temporary.rename(file)
