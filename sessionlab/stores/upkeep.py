"""What a JSON store lets somebody else do with every save; see `maintenance.on_save`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sessionlab.entry import Entry
from sessionlab.stores.json_state import Member


class Upkeep(Protocol):
    """Called under the store's lock, with each save that changes something. What it raises makes the save fail, and nothing is changed."""

    def before_save(self, sessions: Mapping[str, Member], changed: Mapping[str, Entry], *, is_own: bool) -> frozenset[str]:
        """Return the keys of sessions that are to leave the store with this save; what is stored of them is safe elsewhere by now.

        Args:
            sessions: Key -> JSON of every session that is about to be stored.
            changed: Those of them that this save brings, decoded.
            is_own: Whether the others are what the same store object wrote last.
        """

    def before_replace(self) -> None:
        """Do what is to be done with the old file at the last moment, when it is certain that a new one takes its place."""

    def after_save(self, removed: frozenset[str]) -> None:
        """Do what is left to do now that they are gone."""
