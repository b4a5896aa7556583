"""sessionlab's SQLite store, `sessions.sqlite`: an index that is listed without the entries, and entries that are written in parts.

After openclaw#58550; `sqlite_schema` says where the format differs and why, `sqlite_connection` how the file is opened.

Deviations from that proposal, for the store contract's sake: nothing is created by reading (B.3); what cannot be read raises, and never
counts as empty or as `{}` (B.4, B.8, B.19, B.21); a failed write raises and is not written elsewhere (B.18, B.20); sessions are compared
and only those that changed are written (B.13); there is no limit to one open path in a process (B.10).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import starmap
from pathlib import Path
from typing import Final, Self

from sessionlab import codec, keys, layout
from sessionlab import entry as entries
from sessionlab.entry import Entry, SessionSummary, canonical_digest
from sessionlab.errors import StoreError, UncertainWriteError, UnwritableError
from sessionlab.storage.files import make_folder
from sessionlab.storage.kernel_lock import KernelLock
from sessionlab.stores import promotion as promotions
from sessionlab.stores import sqlite_document, sqlite_rows, sqlite_schema
from sessionlab.stores.base import Fingerprint, Problem, StoreStats, fingerprint_of
from sessionlab.stores.promotion import Promotion
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.sqlite_connection import Connections
from sessionlab.stores.sqlite_opening import Durability, Opened, private_copy, refusal
from sessionlab.stores.sqlite_rows import Stored
from sessionlab.stores.sqlite_snapshot import SnapshotResult
from sessionlab.stores.writing import Patch, WritableStore, Written

DEFAULT_TIMEOUT_MS: Final = 10_000

_BATCH: Final = 1_000
"""Rows fetched at once: with ten times as many a listing of 100,000 takes a tenth longer and twice the memory."""

_ITEMS_BATCH: Final = 64
_AT_REST_BYTES: Final = 4 << 20
"""Up to this size a database at rest is listed at once; a larger one is streamed, for which SQLite makes `-shm` beside it meanwhile."""


class SQLiteStore(WritableStore):
    """Sessions in a SQLite database; see `WritableStore` for the contract. The store's own order is that in which sessions came.

    Readers go on while a writer commits (B.12). A file that is not there is an empty store; the first write makes it, private (0600, in a
    folder 0700 if that is made, too). Copy the database together with its `-wal`, or after `close()`.
    """

    kind = "sqlite"
    snapshot_method = "read in place, one transaction for each answer"

    def __init__(
        self, path: Path, *, agent_id: str | None = None, durability: Durability = "commit", timeout_ms: float = DEFAULT_TIMEOUT_MS
    ) -> None:
        """Name a store; nothing is opened yet.

        Args:
            path: The database file, `.../sessions.sqlite`, or a link to it.
            agent_id: The agent it belongs to; by default read off the path (`agents/<id>/...`), else "main".
            durability: With "commit" a write that has returned survives a power cut (`synchronous=FULL`, a sync for each). With "process"
                it survives the end of the process, however sudden, but a power cut may take the last writes (`synchronous=NORMAL`); the
                store is sound then, and as it was before them.
            timeout_ms: How long to wait for the store's lock; 0 or infinite for ever.
        """
        self.path = path
        self.agent_id = agent_id or layout.agent_id_of(path.absolute()) or keys.DEFAULT_AGENT
        file = path.resolve()
        self._connections = Connections(path, file=file, timeout_ms=timeout_ms, durability=durability)
        self._lock = KernelLock(file.with_name(f"{file.name}.lock"), timeout_ms)
        self._writer: Opened | None = None  # of the one thread that holds the lock
        self._copy: SnapshotResult | None = None

    @classmethod
    def open_snapshot(cls, path: Path, *, agent_id: str | None = None) -> Self:
        """Take a private copy of a database, and open that, for reading only. The original is not touched.

        Raises:
            NoStoreError: There is no such file.
            UnreadableError: The system does not let us read or copy it.
            CorruptStoreError: It is not one of our databases.
            UnsupportedSchemaError: It is newer than this sessionlab.
        """
        copy = private_copy(path)
        try:
            (_, _, file) = copy.connection.execute("PRAGMA database_list").fetchone()
            store = cls(Path(file), agent_id=agent_id or layout.agent_id_of(path.absolute()))
            store.path = store._connections.path = path
            store._copy, store.snapshot_method = copy, copy.method
            store.count()
        except BaseException:
            copy.close()
            raise
        return store

    def updated_at(self, key: str) -> int | None:
        key = keys.normalise(key)

        def question(opened: Opened | None) -> int | None:
            row = self._row(opened, key)
            return None if row is None else entries.summary_of(key, self._decode(key, row.slim)).updated_ms

        return self._connections.ask(question)

    def update(self, key: str, change: Callable[[Entry], Patch | None], *, now_ms: int) -> Entry | None:
        key = keys.checked(keys.normalise(key))
        with self._locked():
            stored = self._stored(key)
            if stored is None:
                return None
            patch = change(stored.entry(key, self.path))
            before = stored.entry(key, self.path, is_verified=True)  # anew: the caller may have changed what it was given
            if patch is None:
                return before
            laid = self._lay_over(key, patch, now_ms=now_ms)
            if laid is None:
                return None
            merged, kept = laid
            return {name: before[name] if name in kept else value for name, value in merged.items()}

    def touch(self, key: str, fields: Patch, *, now_ms: int) -> bool:
        """Lay fields over one entry that exists; say whether there is one. Big fields that are not named are neither read nor written."""
        key = keys.checked(keys.normalise(key))
        with self._locked():
            return self._lay_over(key, fields, now_ms=now_ms) is not None

    def raw(self, key: str) -> bytes | None:
        """Return a session's entry as JSON, byte for byte as stored and not decoded; `None` when there is no such session."""
        key = keys.normalise(key)
        return self._connections.ask(lambda opened: sqlite_rows.read_raw(opened.connection, key, self.path) if opened else None)

    def close(self) -> None:
        self._connections.close()
        self._lock.close()
        if self._copy is not None:
            self._copy.close()

    def summaries(self) -> Iterator[SessionSummary]:
        for rows in self._connections.stream(sqlite_schema.SELECT_SUMMARIES, batch=_BATCH, largest_at_rest=_AT_REST_BYTES):
            yield from starmap(SessionSummary, rows)

    def items(self) -> Iterator[tuple[str, Entry]]:
        for key, stored in self._stream():
            yield key, stored.entry(key, self.path)

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        for key, stored in self._stream():
            yield key, stored.raw(key, self.path)

    def count(self) -> int:
        def question(opened: Opened | None) -> int:
            return opened.connection.execute("SELECT count(*) FROM sessions").fetchone()[0] if opened else 0

        return self._connections.ask(question)

    def stats(self) -> StoreStats:
        return StoreStats(
            kind=self.kind,
            path=str(self.path),
            sessions=self.count(),
            store_bytes=self._copy.source_bytes if self._copy else self._connections.size(),
            schema_version=self._connections.ask(lambda opened: sqlite_schema.recognise(opened.connection, self.path) if opened else None),
        )

    def check(self) -> tuple[Problem, ...]:
        from sessionlab.stores.sqlite_checks import check_store

        return check_store(self._connections, path=self.path)

    def promotion(self) -> Promotion | None:
        """Return the record of having taken another store's place; `None` without one."""

        def question(opened: Opened | None) -> Promotion | None:
            row = opened.connection.execute("SELECT value FROM meta WHERE name = 'promotion'").fetchone() if opened else None
            return None if row is None else promotions.decode(str(row[0]).encode(), path=self.path)

        return self._connections.ask(question)

    def promote(self, promotion: Promotion) -> None:
        """Record that this store counts from now on, and what it leaves behind. A store that is not there is made, without sessions."""
        with self._locked():
            opened = self._writable()
            try:
                opened.connection.execute("INSERT OR REPLACE INTO meta VALUES ('promotion', ?)", (promotions.encode(promotion).decode(),))
            except sqlite3.Error as error:
                raise self._refused(error) from error
            self._commit(opened)

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def _stream(self) -> Iterator[tuple[str, Stored]]:
        rows = self._connections.stream(sqlite_rows.SELECT_ALL, batch=_ITEMS_BATCH, largest_at_rest=_AT_REST_BYTES)
        return sqlite_rows.grouped(rows, self.path)

    def _stored(self, key: str) -> Stored | None:
        return self._connections.ask(lambda opened: sqlite_rows.read(opened.connection, key, self.path) if opened else None)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self._copy is not None:
            raise UnwritableError(self.path, "is shown as a private copy, for reading only", advice="open the store itself")
        if not self._connections.file.parent.is_dir():
            make_folder(self._connections.file.parent)
        with self._lock.held():
            opened = self._writer = self._connections.current(live=True)
            try:
                if opened is not None:
                    self._begin(opened)
                yield
            finally:
                self._writer = None
                self._connections.roll_back()

    def _begin(self, opened: Opened) -> None:
        """Begin to write. Never later than reading what the write depends on: SQLite would then refuse, or two writers lose an update."""
        try:
            opened.connection.execute("BEGIN IMMEDIATE")
            sqlite_schema.upgrade(opened.connection, self.path)
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _writable(self) -> Opened:
        """Return the connection that writes, under the lock; a database that is not there is made."""
        if self._writer is None:
            opened = self._connections.make()
            self._begin(opened)
            return opened
        return self._writer

    def _refused(self, error: sqlite3.Error, *, is_commit: bool = False) -> StoreError:
        """Word why a write failed."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
            self._connections.forget()  # SQLite opens a file for reading where it may not write just then, and would stay like that
        return refusal(self.path, error, is_write=True, is_commit=is_commit)

    def _commit(self, opened: Opened) -> None:
        try:
            opened.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error, is_commit=True) from error
        if not self._connections.has_kept_log(opened):
            raise UncertainWriteError(self.path, "lost its log while it was written", advice="read the store again before going on")

    def _get(self, key: str) -> Entry | None:
        stored = self._stored(key)
        return None if stored is None else stored.entry(key, self.path)

    def _load(self) -> Snapshot:
        def question(opened: Opened | None) -> Snapshot:
            if opened is None:
                return Snapshot({}, decode=self._decode, origin=None)
            with opened.reading():
                rows = opened.connection.execute(sqlite_rows.SELECT_ALL)
                sessions = sqlite_rows.grouped(iter(lambda: rows.fetchmany(_ITEMS_BATCH), []), self.path)
                return Snapshot({key: one.raw(key, self.path) for key, one in sessions}, decode=self._decode, origin=opened.origin())

        return self._connections.ask(question)

    def _state(self) -> object:
        opened = self._connections.current(live=True)
        return None if opened is None else opened.origin()

    def _still_holds(self, snapshot: Snapshot) -> bool:
        return snapshot.origin == self._state() or self._connections.is_at_rest_as(snapshot.origin)

    def _apply(self, written: Mapping[str, Written], removed: frozenset[str]) -> bool:
        if self._writer is None and not written:
            return False
        opened = self._writable()
        connection = opened.connection
        try:
            # All of them, though one may be enough to know that something changes.
            is_changed = sum([sqlite_rows.remove(connection, key) for key in removed]) + len(written) > 0
            for key, one in written.items():
                before = sqlite_rows.find(connection, key, self.path)
                sqlite_rows.write(connection, key, one.entry, sqlite_document.split(one.data), before=before)
        except sqlite3.Error as error:
            raise self._refused(error) from error
        if is_changed:
            self._commit(opened)
        return is_changed

    def _lay_over(self, key: str, patch: Patch, *, now_ms: int) -> tuple[Entry, frozenset[str]] | None:
        """Lay a patch over an entry under the lock, encoding only what it brings; `None` when there is no such session.

        Returns:
            The entry as it is now, without the values of the big fields that stayed as they are; and the names of those.
        """
        opened = self._writer
        try:
            row = self._row(opened, key)
            if opened is None or row is None:
                return None
            before = codec.decode_entry(row.slim, path=self.path, key=key)
            merged = entries.merge(before, patch, now_ms=now_ms)
            document = sqlite_document.patched(key, row.slim, before, merged)
            sqlite_rows.write(opened.connection, key, merged, document, before=row)
        except sqlite3.Error as error:
            raise self._refused(error) from error
        self._commit(opened)
        return merged, frozenset(one.name for one in document.big if not one.value)

    def _decode(self, key: str, raw: bytes) -> Entry:
        return codec.decode_entry(raw, path=self.path, key=key)

    def _row(self, opened: Opened | None, key: str) -> sqlite_rows.Row | None:
        try:
            return sqlite_rows.find(opened.connection, key, self.path) if opened else None
        except UnicodeEncodeError:  # half a surrogate pair: nothing can be stored under it
            return None
