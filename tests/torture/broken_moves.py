"""Movers with one mistake each, of the kinds that are made: the torture has to find every one of them.

Each is a prelude for a program: it changes the mover in that process before the command line runs.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sessionlab.migration import execute as mover
from sessionlab.migration import stage
from sessionlab.migration.execute import _Execution
from sessionlab.migration.stage import DirectoryStage, Stage
from sessionlab.stores.base import Fingerprint

if TYPE_CHECKING:
    from sessionlab.entry import Entry


def prelude(name: str) -> str:
    """Return the Python that makes one of these mistakes."""
    return f"from tests.torture import broken_moves\nbroken_moves.{name}()\n"


def _put(where: object, name: str, what: object) -> None:
    setattr(where, name, what)


def retires_first() -> None:
    """Take the old store's name away before the new one has its own."""
    displace = _Execution._displace

    def displaced(self: _Execution) -> None:
        displace(self)
        self._retire()
        _put(self, "_retire", lambda: None)

    _put(_Execution, "_displace", displaced)


def introduces_nobody() -> None:
    """Give the new store its name while the old one, which still counts, knows nothing of it."""
    _put(_Execution, "_introduce", lambda _self, _store, _staged, _fingerprint: None)


def records_nothing() -> None:
    """Make a new store that does not say that it counts."""
    finish = Stage.finish
    _put(Stage, "finish", lambda self, _promotion: finish(self, None))


def never_cleans_up() -> None:
    """Leave the stages that killed runs left."""
    _put(mover, "remove_abandoned", lambda _target: ())


def keeps_its_stage() -> None:
    """Leave its own stage when it fails."""
    _put(Stage, "discard", lambda _self: None)


def forgets_runs() -> None:
    """Never look for runs that were stopped."""
    from sessionlab.migration import startup

    _put(startup, "unfinished", lambda _location: ())


def drops_what_fails() -> None:
    """Go on when an entry cannot be staged."""
    add = DirectoryStage._add

    def added(self: DirectoryStage, key: str, entry: Entry, data: bytes) -> None:
        with contextlib.suppress(OSError):
            add(self, key, entry, data)

    _put(DirectoryStage, "_add", added)


def promotes_unverified() -> None:
    """Do that, and look at nothing before it is promoted."""
    drops_what_fails()
    _put(_Execution, "_verified", lambda _self, _staged: Fingerprint(0, ""))


def syncs_nothing() -> None:
    """Give the new store its name before it is on the disk."""
    _put(stage, "fsync_path", lambda _path: None)
    _put(mover, "fsync_folder", lambda _folder, **_: None)
