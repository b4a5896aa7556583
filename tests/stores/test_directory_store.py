"""The directory store keeps the whole contract; `test_directory_*` has what is its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from sessionlab.stores.writing import WritableStore
from tests.stores import directory_files
from tests.stores.store_contract import Damage, StoreContract
from tests.torture.backends import DIRECTORY


def state(change: Callable[[bytes], bytes]) -> Damage:
    """Return a damage of the state file."""

    def damage(path: Path) -> None:
        (path / "state.json").write_bytes(change((path / "state.json").read_bytes()))

    return damage


def file_in_its_place(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"{}")


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def entries_linked(path: Path) -> None:
    (path / "entries").rename(path / "elsewhere")
    (path / "entries").symlink_to("elsewhere")


class TestDirectoryStore(StoreContract):
    kind = "directory"
    backend = DIRECTORY
    keeps_places = False

    def impatient(self, path: Path, *, timeout_ms: int) -> WritableStore:
        return DIRECTORY.make(path, timeout_ms=timeout_ms)

    def read(self, path: Path) -> dict[str, bytes]:
        return directory_files.read(path)

    def plant(self, path: Path, entries: Mapping[str, bytes]) -> None:
        directory_files.write(path, entries)

    def files(self, path: Path) -> list[Path]:
        if path.is_symlink() or not path.is_dir():
            return [] if path.is_symlink() else [path]
        entries = path / "entries"
        return [path / "state.json", *([] if entries.is_symlink() else sorted(entries.glob("*")))]

    def damages(self) -> Mapping[str, Damage]:
        """C.7: what makes the folder no active store."""
        return {
            "state-truncated": state(lambda data: data[:-30]),
            "state-emptied": state(lambda _: b""),
            "state-array": state(lambda _: b"[]"),
            "state-of-another-kind": state(lambda data: data.replace(b"openclaw-session-store-directory", b"something-else")),
            "state-of-a-newer-layout": state(lambda data: data.replace(b'"layoutVersion": 1', b'"layoutVersion": 2')),
            "state-without-version": state(lambda data: json.dumps(json.loads(data) | {"version": 0}).encode()),
            "no-state": lambda path: (path / "state.json").unlink(),
            "no-entries": lambda path: shutil.rmtree(path / "entries"),
            "file": file_in_its_place,
            "link": linked,
            "entries-link": entries_linked,
        }
