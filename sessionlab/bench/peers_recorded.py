"""OpenClaw's figures: those that `data/benchmarks/peers-VERSION.json` holds, and for other versions those of `bench.peers`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench.peers import PEERS, Peer
from sessionlab.bench.recorded import Document, read

PREFIX: Final = "peers-"
_PROGRAM: Final = "OpenClaw "
_LAST_SYNCED: Final = (2026, 4)
"""The last month whose versions force an update to disk."""
_FIELDS: Final = {
    "first list": "cold_list_ms",
    "list again": "warm_list_ms",
    "get one": "get_ms",
    "update one": "update_ms",
    "memory": "memory_mb",
    "import of the sessions.json, its own command, the whole process": "import_ms",
}
"""The operation of a record -> what it is of a `Peer`."""


class Beside(Peer, frozen=True, kw_only=True):
    """A program's figures. `date` is that of their record, made beside our stores; "" for those that another machine gave."""

    date: str = ""


def version_of(tables: dict[str, list[dict[str, object]]]) -> str:
    """Return which OpenClaw a measurement beside one is of, as its table says."""
    return str(tables["openclaw"][0]["program"]).removeprefix(_PROGRAM)


def recorded_peers(folder: Path) -> tuple[Beside, ...]:
    """Return every OpenClaw that was measured, oldest first; see `peers_of`.

    Raises:
        UsageError: A record of one is not of the form.
    """
    return peers_of(read(folder, path.stem) for path in sorted(folder.glob(f"{PREFIX}*.json")))


def peers_of(documents: Iterable[Document]) -> tuple[Beside, ...]:
    """Return every OpenClaw that was measured, oldest first: from its record where there is one, else as `bench.peers` has it."""
    found = {peer.name.removeprefix(_PROGRAM).partition(",")[0]: Beside(**msgspec.structs.asdict(peer)) for peer in PEERS}
    for document in documents:
        version = version_of(document.tables)
        rows = [row for row in document.tables["openclaw"] if row["operation"] in _FIELDS]
        known = found.get(version)
        found[version] = Beside(
            name=known.name if known else f"{_PROGRAM}{version}",
            is_synced=_month(version) <= _LAST_SYNCED,
            sessions=rows[0]["sessions"],
            date=document.date,
            **{_FIELDS[row["operation"]]: row["median"] for row in rows},
        )
    return tuple(found[version] for version in sorted(found, key=_order))


def _order(version: str) -> list[int]:
    return [int(part) for part in version.replace("-", ".").split(".") if part.isdigit()]


def _month(version: str) -> tuple[int, ...]:
    return tuple(_order(version)[:2])
