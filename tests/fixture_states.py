"""Unpacks the state folders of `tests/fixtures/`, each once per test run.

A test that writes takes a copy of its own; `photo` proves that one that only reads left everything as it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

FIXTURES: Final = Path(__file__).parent / "fixtures"
STATES: Final = ("json-2026.3", "sqlite-2026.8", "sqlite-2026.9")
SQLITE_STATES: Final = ("sqlite-2026.8", "sqlite-2026.9")
STORE: Final = Path("agents/main/agent/openclaw-agent.sqlite")

_unpacked: dict[str, Path] = {}


def shared_state(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state folder of one fixture, unpacked once for the whole run: read it, never write it."""
    if name not in _unpacked:
        folder = tmp_path_factory.mktemp(f"fixture-{name}")
        with tarfile.open(FIXTURES / f"openclaw-{name}.tar.xz") as archive:
            # Python before 3.11.4 knows no filters; 3.12 warns without one.
            archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]
        _unpacked[name] = folder / name
    return _unpacked[name]


def own_state(name: str, tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """Return a copy of the fixture below `folder` that the test may change."""
    return Path(shutil.copytree(shared_state(name, tmp_path_factory), folder / name))


def expected(name: str) -> Any:
    """Return one of the JSON files of expected answers, by its file name."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def truth(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the true totals of the fixtures' input, archives left out."""
    return json.loads((shared_state("json-2026.3", tmp_path_factory) / "truth.json").read_text(encoding="utf-8"))


def photo(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Return (inode, mode, mtime in ns, SHA-256) of everything below `folder`, itself included, to compare before and after."""
    seen = {}
    for path in sorted([folder, *folder.rglob("*")]):
        found = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        seen[str(path.relative_to(folder))] = (found.st_ino, found.st_mode, found.st_mtime_ns, digest)
    return seen
