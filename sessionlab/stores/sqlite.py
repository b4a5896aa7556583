"""sessionlab's SQLite store, `sessions.sqlite`: an index that is listed without the entries, and entries that are written in parts.

After openclaw#58550; `sqlite_schema` says where the format differs and why, `sqlite_connection` how the file is opened.

Deviations from that proposal, for the store contract's sake: nothing is created by reading (B.3); what cannot be read raises, and never
counts as empty or as `{}` (B.4, B.8, B.19, B.21); a failed write raises and is not written elsewhere (B.18, B.20); sessions are compared
and only those that changed are written (B.13); there is no limit to one open path in a process (B.10).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sessionlab import codec, keys, layout
from sessionlab import entry as entries
from sessionlab.entry import Entry, SessionSummary, canonical_digest
from sessionlab.errors import CorruptStoreError, UnwritableError
from sessionlab.stores import promotion as promotions
from sessionlab.stores import sqlite_document, sqlite_rows, sqlite_schema
from sessionlab.stores.base import Fingerprint, Problem, StoreStats, fingerprint_of
from sessionlab.stores.promotion import Promotion
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.sqlite_connection import Connections
from sessionlab.stores.sqlite_opening import Durability, Opened, private_copy
from sessionlab.stores.sqlite_rows import Parts, Row, Stored
from sessionlab.stores.sqlite_schema import columns_of
from sessionlab.stores.sqlite_snapshot import SnapshotResult
from sessionlab.stores.sqlite_writing import Writing
from sessionlab.stores.writing import Patch, WritableStore, Written

if TYPE_CHECKING:
    from sessionlab.stores.guard import Guard

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
        self._writing = Writing(self._connections, path, timeout_ms=timeout_ms)
        self._copy: SnapshotResult | None = None

    def watch(self, guard: Guard) -> None:
        super().watch(guard)
        self._connections.guard = self._writing.guard = guard

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
            store._connections.original = str(path)
            store._copy, store.snapshot_method = copy, copy.method
            store.count()
        except BaseException:
            copy.close()
            raise
        return store

    def updated_at(self, key: str) -> int | None:
        key = keys.normalise(key)

        def question(opened: Opened | None) -> int | None:
            row = sqlite_rows.find(opened.connection, key, self.path) if opened else None
            return None if row is None else row.stored().updated_ms(key, self.path)

        return self._connections.ask(question)

    def put(self, key: str, entry: Entry) -> None:
        key = keys.checked(keys.normalise(key))
        session = sqlite_rows.taken_apart(key, entry, entries.encode(key, entry))  # not under the lock: that is the dearer half
        with self._locked():
            self._store([session], frozenset())

    def update(self, key: str, change: Callable[[Entry], Patch | None], *, now_ms: int) -> Entry | None:
        key = keys.checked(keys.normalise(key))
        with self._locked():
            opened = self._writing.opened
            if opened is None:
                return None
            with self._writing.wording:
                row = sqlite_rows.find(opened.connection, key, self.path)
                if row is None:
                    return None
                stored = sqlite_rows.read_big(opened.connection, row)
            before = stored.entry(key, self.path)
            patch = change(entries.copied(before))  # a copy, because the caller may change what it is given
            if patch is None:
                return before
            merged, kept = self._lay_over(opened, key, row, patch, now_ms=now_ms)
        return merged | {name: before[name] for name in kept}

    def touch(self, key: str, fields: Patch, *, now_ms: int) -> bool:
        """Lay fields over one entry that exists; say whether there is one. Big fields that are not named are neither read nor written.

        When only hot fields are named, nothing of the entry is read, and its columns only are written; see `sqlite_document`.
        """
        key = keys.checked(keys.normalise(key))
        is_hot = sqlite_document.are_hot(fields) and sqlite_document.is_plain(now_ms)
        with self._locked():
            opened = self._writing.opened
            if opened is None:
                return False
            with self._writing.wording:
                is_touched = is_hot and sqlite_rows.touch(opened.connection, key, fields, now_ms=now_ms)
                row = None if is_touched else sqlite_rows.find(opened.connection, key, self.path)
            if is_touched:
                self._writing.commit(opened)
            elif row is not None:
                self._lay_over(opened, key, row, fields, now_ms=now_ms)
            return is_touched or row is not None

    def raw(self, key: str) -> bytes | None:
        """Return a session's entry as JSON, byte for byte as stored and not decoded; `None` when there is no such session.

        The key is looked up as by `get`.
        """
        key = keys.normalise(key)
        return self._connections.ask(lambda opened: sqlite_rows.read_raw(opened.connection, key, self.path) if opened else None)

    def close(self) -> None:
        self._connections.close()
        self._writing.close()
        if self._copy is not None:
            self._connections.is_shut = True
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

    def examined_items(self) -> Iterator[tuple[str, bytes | CorruptStoreError]]:
        """As `raw_items`, but an entry that is missing or damaged does not end it: the error stands in its place."""
        rows = self._connections.stream(sqlite_rows.SELECT_ALL, batch=_ITEMS_BATCH, largest_at_rest=_AT_REST_BYTES)
        return sqlite_rows.examined(rows, self.path)

    def count(self) -> int:
        def question(opened: Opened | None) -> int:
            return opened.connection.execute("SELECT count(*) FROM sessions").fetchone()[0] if opened else 0

        return self._connections.ask(question)

    def stats(self) -> StoreStats:
        def free(opened: Opened | None) -> int:
            names = ("freelist_count", "page_size")
            return math.prod(opened.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names) if opened else 0

        return StoreStats(
            kind=self.kind,
            path=str(self.path),
            sessions=self.count(),
            store_bytes=self._copy.source_bytes if self._copy else self._connections.size(),
            free_bytes=self._connections.ask(free),
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

    def promote(self, promotion: Promotion, *, is_held: bool = False) -> None:
        """Record that this store counts from now on, and what it leaves behind. A store that is not there is made, without sessions.

        With `is_held` it is the caller who holds the lock, by `held`.
        """
        with nullcontext() if is_held else self._locked():
            opened = self._writing.database()
            with self._writing.wording:
                opened.connection.execute("INSERT OR REPLACE INTO meta VALUES ('promotion', ?)", (promotions.encode(promotion).decode(),))
            self._writing.commit(opened)

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def _stream(self) -> Iterator[tuple[str, Stored]]:
        rows = self._connections.stream(sqlite_rows.SELECT_ALL, batch=_ITEMS_BATCH, largest_at_rest=_AT_REST_BYTES)
        return sqlite_rows.grouped(rows, self.path)

    def _stored(self, key: str) -> Stored | None:
        return self._connections.ask(lambda opened: sqlite_rows.read(opened.connection, key, self.path) if opened else None)

    def _locked(self) -> AbstractContextManager[None]:
        if self._copy is not None:
            raise UnwritableError(self.path, "is shown as a private copy, for reading only", advice="open the store itself")
        return self._writing

    def _get(self, key: str, *, spelling: str = "") -> Entry | None:  # noqa: ARG002 - the schema knows one spelling of a key
        stored = self._stored(key)
        return None if stored is None else stored.entry(key, self.path)

    def _stored_under(self, spellings: Collection[str]) -> Iterator[tuple[str, Entry]]:
        wanted = list(spellings)
        for first in range(0, len(wanted), _ITEMS_BATCH):
            for key, stored in self._stored_among(wanted[first : first + _ITEMS_BATCH]):
                yield key, stored.entry(key, self.path)

    def _stored_among(self, wanted: list[str]) -> list[tuple[str, Stored]]:
        return self._connections.ask(lambda opened: sqlite_rows.read_several(opened.connection, wanted, self.path) if opened else [])

    def _load(self) -> Snapshot:
        def question(opened: Opened | None) -> Snapshot:
            if opened is None:
                return Snapshot({}, decode=self._decode, origin=None)
            with opened.reading(), opened.passing_through():
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
        if self._writing.opened is None and not written:
            return False
        return self._store((sqlite_rows.taken_apart(key, *one) for key, one in written.items()), removed)

    def _store(self, sessions: Iterable[Parts], removed: frozenset[str]) -> bool:
        """Write sessions and remove others, under the lock; say whether anything was changed."""
        opened = self._writing.database()
        connection = opened.connection
        with self._writing.wording:
            # All of them, though one may be enough to know that something changes.
            is_changed = sum([sqlite_rows.remove(connection, key) for key in removed]) > 0
            for session in sessions:
                sqlite_rows.write(connection, session, self.path, before=sqlite_rows.find(connection, session.key, self.path))
                is_changed = True
        if is_changed:
            self._writing.commit(opened)
        return is_changed

    def _lay_over(self, opened: Opened, key: str, row: Row, patch: Patch, *, now_ms: int) -> tuple[Entry, frozenset[str]]:
        """Lay a patch over an entry under the lock, encoding only what it brings.

        Returns:
            The entry as it is now, without the values of the big fields that stayed as they are; and the names of those.
        """
        before = row.stored().slim_entry(key, self.path)
        merged = entries.merge(before, patch, now_ms=now_ms)
        document = sqlite_document.patched(key, row.slim, before, merged)
        with self._writing.wording:
            sqlite_rows.write(opened.connection, Parts(key, columns_of(key, merged), document), self.path, before=row)
        self._writing.commit(opened)
        return merged, frozenset(one.name for one in document.big if not one.value)

    def _decode(self, key: str, raw: bytes) -> Entry:
        return codec.decode_entry(raw, path=self.path, key=key)
