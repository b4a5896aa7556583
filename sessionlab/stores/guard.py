"""Keeps a program that has a store open from going on with it when another store has taken its place meanwhile.

A migration holds the old store's lock. Whoever waits for that lock gets it afterwards, and would write where nobody reads any more: an
acknowledged write would be lost. Whoever reads would see an empty store, or one that nobody writes any more. So every write looks, under
the lock, whether the same stores lie in the folder as when it was opened, and which one counts if not. Reading looks where that costs
little: when the store is not in its place (a migration takes its name away), and at every question to a JSON store, which may keep its
name when another takes its place.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from sessionlab.errors import StoreMovedError
from sessionlab.stores.authority import authority
from sessionlab.stores.json_state import Identity
from sessionlab.stores.locating import is_store
from sessionlab.stores.location import StoreLocation


class Guard:
    """Looks at the places where the stores of one agent may lie."""

    def __init__(self, own: StoreLocation, others: tuple[StoreLocation, ...], *, known: Collection[Path] | None = None) -> None:
        """Note what lies there.

        Args:
            own: The store that is open.
            others: Where stores of the other kinds would lie, OpenClaw's database among them.
            known: What was there when `own` was chosen among them: what has come since is looked at. By default what lies there now.
        """
        self._own = own
        self._all = (own, *others)
        self._paths = [str(one.path) for one in self._all]
        self._folder = str(own.path.parent)
        self._seen = self._look() if known is None else [one.path in known for one in self._all]
        self._stamp: tuple[int, int] | None = None

    def __call__(self) -> None:
        """Raise when another store counts now.

        Raises:
            StoreMovedError: Naming it.
        """
        seen = self._look()
        if seen == self._seen:
            return
        there = [one for one, exists in zip(self._all, seen, strict=True) if exists and is_store(one)]
        counts = authority(there)
        if counts is not None and counts.path != self._own.path:
            raise StoreMovedError(self._own.path, f"has moved: {counts.path} counts now", advice="open the store again")
        self._seen = seen

    def glance(self) -> None:
        """Do the same for whoever has the store before them: look closely only when something came into the folder since, or left it.

        A change of a folder shows in its time, unless it follows another so closely that the clock has not moved on. It costs one look in
        place of three that find nothing, on a path where that counts.

        Raises:
            StoreMovedError: As calling this.
        """
        try:
            found = os.stat(self._folder)  # noqa: PTH116 - on every path; pathlib takes as long again
        except OSError:
            self()
            return
        stamp = (found.st_ino, found.st_ctime_ns)
        if stamp == self._stamp:
            return
        is_settled = Identity.of(found).is_settled()  # before looking
        self()
        self._stamp = stamp if is_settled else None

    def _look(self) -> list[bool]:
        return [os.path.lexists(path) for path in self._paths]
