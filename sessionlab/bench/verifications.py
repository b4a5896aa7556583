"""Verifying one store against another, and OpenClaw's import against its originals: each beside reading and hashing what is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sessionlab.bench import floors
from sessionlab.bench.content import Content
from sessionlab.bench.measure import Measurement, cost_of, medians_ms
from sessionlab.bench.moves import FLOOR
from sessionlab.bench.moving import verify_import
from sessionlab.bench.openclaw_state import make_imported_state
from sessionlab.bench.scope import NAMES, Scope
from sessionlab.bench.writer import open_writable
from sessionlab.migration.verify import verify

_LIMIT_MS: Final = 8_000
_TRANSCRIPT_BYTES: Final = 41_000
"""Gives 61 events a transcript."""
_VERIFY: Final = "from sessionlab.bench.moving import verify_import; verify_import(sys.argv[1])"


def measure_stores(folder: Path, content: Content, scope: Scope) -> list[Measurement]:
    """Measure comparing a JSON store with a SQLite store of the same sessions; `folder` is empty."""
    one, other = folder / NAMES["json"], folder / "other" / NAMES["sqlite"]
    one.write_bytes(content.data)
    other.parent.mkdir()
    with open_writable("sqlite", other, "commit") as store:
        store.save(content.entries)

    def compare() -> None:
        found = verify(one, other)
        if found.exit_code or found.equal_sessions != len(content.entries):
            raise RuntimeError(f"of {len(content.entries)} equal sessions {found.equal_sessions} were found to be equal")

    times = medians_ms({"verify": compare, "floor": lambda: floors.read_and_hash(one, other)}, runs=scope.long_rounds)
    return [
        Measurement(
            store="verification",
            operation="json against sqlite",
            median_ms=times["verify"],
            floor_ms=times["floor"],
            floor=FLOOR,
            sessions=len(content.entries),
            conditions=content.in_words,
        )
    ]


def measure_import(folder: Path, scope: Scope) -> list[Measurement]:
    """Measure comparing what OpenClaw's import set aside with its database; `folder` is empty."""
    state = make_imported_state(folder, sessions=scope.imported_sessions, transcript_bytes=_TRANSCRIPT_BYTES)
    originals, database = state.archive, state.database

    def compare() -> None:
        found = verify_import(folder)
        if found != state.events:
            raise RuntimeError(f"of {state.events} events {found} were compared")

    times = medians_ms({"verify": compare, "floor": lambda: floors.read_and_hash(originals, database)}, runs=scope.long_rounds)
    conditions = (
        f"{state.events:,} events in {state.original_bytes / 1e6:.0f} MB of originals, {database.stat().st_size / 1e6:.0f} MB of database"
    )
    name = "OpenClaw's import against its originals"
    return [
        Measurement(
            store="verification",
            operation=name,
            median_ms=times["verify"],
            floor_ms=times["floor"],
            floor=FLOOR,
            limit_ms=_LIMIT_MS if scope.is_quoted else None,
            sessions=scope.imported_sessions,
            conditions=conditions,
        ),
        Measurement(
            store="verification",
            operation=f"{name}: the whole process",
            peak_mb=cost_of("", _VERIFY, arguments=[str(folder)]).peak_mb,
            floor="above bare Python",
            sessions=scope.imported_sessions,
            conditions=conditions,
        ),
    ]
