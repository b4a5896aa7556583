"""A baseline, not a store: `sessions.json` read and written whole with the standard library, as a program does that has never been slow.

It is what the pull requests started from. An update parses everything, changes one session, serialises everything and renames the new file
over the old one, under a lock file that is made exclusively and asked for again and again (D.38, D.39, D.41). Nothing is synced: what is
acknowledged survives the end of the process, not a power cut. Other programs' files are not for it: it neither checks nor keeps what it
does not expect.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from sessionlab import entry as entries
from sessionlab.entry import Entry
from sessionlab.errors import StoreLockedError
from sessionlab.storage.files import is_alive

TIMEOUT_MS: Final = 10_000
STALE_MS: Final = 30_000
BIG_FIELDS: Final = ("skillsSnapshot", "systemPromptReport")


class NaiveStore:
    """One file with all sessions. Reading answers from the file as it is; every change reads and writes all of it."""

    def __init__(self, path: Path, *, timeout_ms: float = TIMEOUT_MS) -> None:
        """Name the file, which need not be there.

        Args:
            path: The file.
            timeout_ms: How long a change waits for others.
        """
        self.path = path
        self._lock = NaiveLock(path, timeout_ms=timeout_ms)

    def __enter__(self) -> Self:
        """Nothing is held open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def load(self) -> dict[str, Entry]:
        """Return everything; nothing for a file that is not there."""
        try:
            found: dict[str, Entry] = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of every session."""
        yield from self.load().items()

    def summaries(self) -> list[Entry]:
        """Return every session without its big fields, newest first: what a listing shows."""
        listed = [{"key": key} | {name: entry[name] for name in entry if name not in BIG_FIELDS} for key, entry in self.load().items()]
        return sorted(listed, key=lambda one: one.get("updatedAt") or 0, reverse=True)

    def get(self, key: str) -> Entry | None:
        """Return one session."""
        return self.load().get(key)

    def update(self, key: str, change: Callable[[Entry], Mapping[str, Any] | None], *, now_ms: int) -> Entry | None:
        """Change one session as `WritableStore.update` does.

        Raises:
            StoreLockedError: The lock was not had in time.
        """
        with self._lock.held():
            found = self.load()
            if key not in found:
                return None
            patch = change(entries.copied(found[key]))
            if patch is not None:
                found[key] = entries.merge(found[key], patch, now_ms=now_ms)
                self._write(found)
            return found[key]

    def put(self, key: str, entry: Entry) -> None:
        """Store one session, whole.

        Raises:
            StoreLockedError: The lock was not had in time.
        """
        with self._lock.held():
            self._write(self.load() | {key: entry})

    def save(self, sessions: Mapping[str, Entry]) -> None:
        """Store exactly these sessions.

        Raises:
            StoreLockedError: The lock was not had in time.
        """
        with self._lock.held():
            self._write(sessions)

    def _write(self, sessions: Mapping[str, Entry]) -> None:
        """Write a temporary file and give it the name (D.43)."""
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.{uuid.uuid4()}.tmp")
        temporary.touch(0o600)
        try:
            temporary.write_text(json.dumps(sessions, indent=2, ensure_ascii=False), encoding="utf-8")
            temporary.rename(self.path)
        finally:
            temporary.unlink(missing_ok=True)


class NaiveLock:
    """The lock file `<store>.lock` as OpenClaw had it: made exclusively, asked for again after a pause that grows, robbed when it is old.

    What it has in common with the original, and our stores' lock has not: whoever asks at the right moment is next, however long others
    wait; a holder is robbed after `STALE_MS` though it is at work; a file that was just made and is still empty counts as left behind; and
    whoever ends removes the file, whosever it is.
    """

    def __init__(self, store: Path, *, timeout_ms: float = TIMEOUT_MS) -> None:
        """Name the lock; nothing is made yet."""
        self.store = store
        self.timeout_ms = timeout_ms
        self.path = store.with_name(f"{store.name}.lock")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            StoreLockedError: It was not had in time.
        """
        self._take()
        try:
            yield
        finally:
            self.path.unlink(missing_ok=True)

    def _take(self) -> None:
        end_s = time.monotonic() + self.timeout_ms / 1000
        attempt = 0
        while not self._make():
            if self._is_left_behind():
                self.path.unlink(missing_ok=True)
                continue
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise StoreLockedError(self.store, f"session file locked (timeout {self.timeout_ms:.0f}ms) {self.path}")
            attempt += 1
            time.sleep(min(1.0, 0.05 * attempt, left_s))

    def _make(self) -> bool:
        try:
            with self.path.open("x", encoding="utf-8") as file:
                json.dump({"pid": os.getpid(), "createdAt": dt.datetime.now(dt.UTC).isoformat()}, file)
        except FileExistsError:
            return False
        return True

    def _is_left_behind(self) -> bool:
        """Say whether the file says nothing that can be read, or names a process that has ended, or is too old; gone is not left."""
        try:
            said = json.loads(self.path.read_bytes())
            age_s = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(said["createdAt"])).total_seconds()
            return age_s * 1000 > STALE_MS or not is_alive(int(said["pid"]))
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError):
            return True
