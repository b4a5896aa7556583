"""Staging: the whole new store, written beside its place under a name that nobody opens, and forced to disk, before it may count."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.entry import Entry
from sessionlab.errors import UnwritableError
from sessionlab.storage.files import PRIVATE_FILE, PRIVATE_FOLDER, fsync_files, fsync_folder, fsync_path, is_alive, refused
from sessionlab.stores import promotion as promotions
from sessionlab.stores import sqlite_rows, sqlite_schema
from sessionlab.stores.directory_documents import document
from sessionlab.stores.directory_folder import ENTRIES
from sessionlab.stores.directory_names import encode as file_name
from sessionlab.stores.directory_state import STATE_NAME, State
from sessionlab.stores.json_state import indented
from sessionlab.stores.location import StoreKind
from sessionlab.stores.promotion import Promotion
from sessionlab.stores.sqlite_opening import refusal

_MARK: Final = ".staging-"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Stage(ABC):
    """A store in the making. Sessions are added in order, each once; `finish` makes it durable; `discard` removes it.

    Every method raises `UnwritableError` when the system refuses.
    """

    def __init__(self, target: Path, *, now_ms: int) -> None:
        """Begin at `<target>.staging-<pid>-<ms>`. Where that fails, nothing of it stays."""
        self.path = target.with_name(f"{target.name}{_MARK}{os.getpid()}-{now_ms}")
        self._now_ms = now_ms
        try:
            self._begin()
        except FileExistsError as error:  # somebody else's
            raise refused(self.path, error) from error
        except OSError as error:
            remove_stage(self.path)
            raise refused(self.path, error) from error
        except sqlite3.Error as error:
            remove_stage(self.path)
            raise refusal(self.path, error, is_write=True) from error

    def add(self, key: str, entry: Entry, data: bytes) -> None:
        """Add a session: its normalised key, its entry, and that as compact JSON."""
        try:
            self._add(key, entry, data)
        except OSError as error:
            raise refused(self.path, error) from error
        except sqlite3.Error as error:
            raise refusal(self.path, error, is_write=True) from error

    def finish(self, promotion: Promotion | None) -> None:
        """Write what is missing, and force everything to disk.

        Args:
            promotion: The record that the store is to carry, when it is of a kind that carries one.
        """
        try:
            self._finish(promotion)
        except OSError as error:
            raise refused(self.path, error) from error
        except sqlite3.Error as error:
            raise refusal(self.path, error, is_write=True) from error
        fsync_folder(self.path.parent, written=self.path)

    def discard(self) -> None:
        """Remove it. What cannot be removed now is removed by the next run."""
        with contextlib.suppress(OSError, sqlite3.Error):
            self._close()
        remove_stage(self.path)

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _add(self, key: str, entry: Entry, data: bytes) -> None: ...

    @abstractmethod
    def _finish(self, promotion: Promotion | None) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...


class JSONStage(Stage):
    """A `sessions.json` as OpenClaw writes it."""

    def _begin(self) -> None:
        self._file = os.fdopen(os.open(self.path, _NEW, PRIVATE_FILE), "wb", buffering=1 << 20)
        self._before = b"{\n  "

    def _add(self, key: str, entry: Entry, data: bytes) -> None:  # noqa: ARG002 - the document is all there is
        self._file.write(self._before + msgspec.json.encode(key) + b": " + indented(data))
        self._before = b",\n  "

    def _finish(self, promotion: Promotion | None) -> None:  # noqa: ARG002 - a JSON store carries none
        self._file.write(b"\n}" if self._before == b",\n  " else b"{}")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _close(self) -> None:
        self._file.close()


class SQLiteStage(Stage):
    """A `sessions.sqlite`: one file at rest, without a log."""

    def _begin(self) -> None:
        os.close(os.open(self.path, _NEW, PRIVATE_FILE))
        self._db = sqlite3.connect(self.path, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = OFF")  # whoever is stopped here leaves a stage, which is thrown away
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA cache_size = -16000")
            sqlite_schema.define(self._db)
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._db.close()
            raise

    def _add(self, key: str, entry: Entry, data: bytes) -> None:
        sqlite_rows.write(self._db, sqlite_rows.taken_apart(key, entry, data), self.path, before=None)

    def _finish(self, promotion: Promotion | None) -> None:
        if promotion is not None:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('promotion', ?)", (promotions.encode(promotion).decode(),))
        self._db.execute("COMMIT")
        if self._db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):  # it says no more than that when it could not write
            raise UnwritableError(self.path, "cannot be written; it is as it was", advice="see to the folder, the file and the disk")
        self._db.close()
        fsync_path(self.path)

    def _close(self) -> None:
        self._db.close()


class DirectoryStage(Stage):
    """A `sessions.d`: a file for each session, then the state that makes it active."""

    def _begin(self) -> None:
        self.path.mkdir(mode=PRIVATE_FOLDER)
        self._entries = self.path / ENTRIES
        self._entries.mkdir(mode=PRIVATE_FOLDER)
        self._files: list[Path] = []

    def _add(self, key: str, entry: Entry, data: bytes) -> None:  # noqa: ARG002 - the document is all there is
        self._files.append(self._entries / file_name(key))
        _write_new(self._files[-1], document(key, data), is_synced=False)

    def _finish(self, promotion: Promotion | None) -> None:
        fsync_files(self._files)  # all of them at the end, which takes a fraction of one after the other
        if promotion is not None:
            _write_new(self.path / promotions.RECORD_NAME, promotions.encode(promotion))
        _write_new(self.path / STATE_NAME, State(1, self._now_ms, is_changing=False, is_normal=True).text())
        for folder in (self._entries, self.path):
            fsync_path(folder)

    def _close(self) -> None:
        """Nothing is held open."""


def begin(kind: StoreKind, target: Path, *, now_ms: int) -> Stage:
    """Begin a store of a kind beside the place that it is meant for."""
    stages: dict[StoreKind, type[Stage]] = {"json": JSONStage, "sqlite": SQLiteStage, "directory": DirectoryStage}
    return stages[kind](target, now_ms=now_ms)


def remove_stage(path: Path) -> None:
    """Remove a stage; nothing happens when there is none, or the system refuses."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    for suffix in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def remove_abandoned(target: Path) -> tuple[Path, ...]:
    """Remove the stages of a target that killed runs left, and return them. Only for the holder of the source's lock.

    Raises:
        UnwritableError: The folder cannot be listed.
    """
    try:
        found = [path for path in target.parent.iterdir() if path.name.startswith(f"{target.name}{_MARK}")]
    except OSError as error:
        raise UnwritableError(target.parent, f"cannot be listed ({error.strerror})") from error
    dead = tuple(path for path in found if not _is_alive(path.name.removeprefix(f"{target.name}{_MARK}")))
    for path in dead:
        remove_stage(path)
    return dead


def _is_alive(rest: str) -> bool:
    pid = rest.partition("-")[0]
    return pid.isdecimal() and int(pid) != os.getpid() and is_alive(int(pid))


def _write_new(path: Path, data: bytes, *, is_synced: bool = True) -> None:
    descriptor = os.open(path, _NEW, PRIVATE_FILE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if is_synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
