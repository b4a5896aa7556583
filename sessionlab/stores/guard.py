"""Keeps a program that has a store open from writing on when another store has taken its place meanwhile.

A migration holds the old store's lock. Whoever waits for that lock gets it afterwards, and would write where nobody reads any more: an
acknowledged write would be lost. So every write through `open_for_writing` looks, under the lock, whether the same stores lie in the folder
as when it was opened, and which one counts if not.
"""

from __future__ import annotations

import os

from sessionlab.errors import StoreMovedError
from sessionlab.stores.authority import authority
from sessionlab.stores.location import StoreLocation


class Guard:
    """Looks at the places where the stores of one agent may lie; called under the lock of one of them."""

    def __init__(self, own: StoreLocation, others: tuple[StoreLocation, ...]) -> None:
        """Note what lies there now.

        Args:
            own: The store that is open.
            others: Where stores of the other kinds would lie.
        """
        self._own = own
        self._all = (own, *others)
        self._paths = [str(one.path) for one in self._all]
        self._seen = self._look()

    def __call__(self) -> None:
        """Raise when another store counts now.

        Raises:
            StoreMovedError: Naming it.
        """
        seen = self._look()
        if seen == self._seen:
            return
        there = [one for one, exists in zip(self._all, seen, strict=True) if exists]
        counts = authority(there)
        if counts is not None and counts.path != self._own.path:
            raise StoreMovedError(self._own.path, f"has moved: {counts.path} counts now", advice="open the store again")
        self._seen = seen

    def _look(self) -> list[bool]:
        return [os.path.lexists(path) for path in self._paths]
