"""Parallel sessions with one mistake each, of the kinds that are made: the torture has to find every one of them.

Each is a prelude for a program: it changes them in that process before anything is done.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import Any

import msgspec

from sessionlab.errors import StoreError
from sessionlab.parallel import Knowledge, Memory, Session, SharedMemory, places, rows
from sessionlab.parallel.connections import Connection
from sessionlab.parallel.database import Database
from sessionlab.parallel.places import Held, Places, _Leases
from sessionlab.parallel.records import State
from sessionlab.parallel.sessions import Sessions


def prelude(name: str) -> str:
    """Return the Python that makes one of these mistakes."""
    return f"from tests.torture import broken_parallel\nbroken_parallel.{name}()\n"


def _put(where: object, name: str, what: object) -> None:
    setattr(where, name, what)


def promotes_in_two_steps() -> None:
    """Store a memory as promoted, and what all are to know of it afterwards."""

    def promote(self: SharedMemory, memory: Memory, knowledge: Knowledge) -> tuple[int, int]:
        return self.save_memory(msgspec.structs.replace(memory, promoted=True)), self.save_knowledge(knowledge)

    _put(SharedMemory, "promote", promote)


def keeps_no_copy() -> None:
    """Wake a session and keep nothing of it: who dies awake loses it all."""
    wake = rows.wake_session

    def woken(connection: sqlite3.Connection, key: str) -> State | None:
        found = wake(connection, key)
        connection.execute("DELETE FROM sessionlab_woken")
        return found

    _put(rows, "wake_session", woken)


def syncs_nothing() -> None:
    """Say that it is done before it is on the disk."""
    writing = Database.writing

    @contextmanager
    def unsafe(self: Database) -> Any:
        with writing(self) as connection:
            connection.rollback()
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    _put(Database, "writing", unsafe)


def swallows_errors() -> None:
    """Go on when a session cannot be stored: it sleeps, and is nowhere."""
    sleep = Places.sleep

    def asleep(self: Places, held: Held) -> Session | None:
        try:
            return sleep(self, held)
        except StoreError:
            return msgspec.structs.replace(held.session, status="hibernated")

    _put(Places, "sleep", asleep)


def sleeps_too_early() -> None:
    """Count a session as asleep that could not be stored."""
    hibernate = Sessions.hibernate

    def hibernated(self: Sessions, *keys: str) -> int:
        try:
            return hibernate(self, *keys)
        except StoreError:
            awake = [self._awake[key].session for key in keys if key in self._awake]
            self._are_asleep([msgspec.structs.replace(session, status="hibernated") for session in awake], [])
            raise

    _put(Sessions, "hibernate", hibernated)


def lets_errors_through() -> None:
    """Let who calls see what SQLite says."""

    def refusal(_self: Database, _connection: Connection, error: sqlite3.Error, **_: bool) -> Exception:
        return error

    _put(Database, "_refusal", refusal)


def takes_what_others_have() -> None:
    """Hold every lease to be one's own, and what is stored of a session that one has to be of no account."""

    def put_to_sleep(connection: sqlite3.Connection, held: Held) -> Session:
        asleep = msgspec.structs.replace(held.session, status="hibernated")
        rows.store_session(connection, asleep, held.context)
        return asleep

    _put(_Leases, "is_ours", lambda _self, _key: True)
    _put(places, "_put_to_sleep", put_to_sleep)


def has_always_room() -> None:
    """Count no places."""
    _put(_Leases, "has_room", lambda _self, _key, _number: True)
