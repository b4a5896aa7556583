"""What a measurement leaves: tables of flat rows, the figures with their bounds, and what a reader must know of machine and conditions.

As JSON it is what `sessionlab bench ... --json` prints and what lies in `data/benchmarks/`: one document, read back by `bench.evidence`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sessionlab.bench.measure import Measurement
from sessionlab.bench.surroundings import versions

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        name: Which measurement: "rss", "cache", "contention", "scale", ...
        figures: What has a bound, or stands beside a floor.
        tables: Table -> its rows, each a struct or a mapping whose values are numbers, texts, truths or `None`.
        conditions: What a reader must know, a sentence each.
        verdicts: What the numbers say, a sentence each, computed from them.
    """

    name: str
    figures: Sequence[Measurement] = ()
    tables: Mapping[str, Sequence[Row | msgspec.Struct]] = field(default_factory=dict)
    conditions: Sequence[str] = ()
    verdicts: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """Return everything as JSON-able values, with today's date (UTC)."""
        return {
            "name": self.name,
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "rows": [one.row() for one in self.figures],
            "tables": {name: [msgspec.to_builtins(row) for row in rows] for name, rows in self.tables.items()},
            "missed": [f"{one.store}: {one.in_words}" for one in self.figures if one.is_met is False],
            "verdicts": list(self.verdicts),
            "conditions": list(self.conditions),
            "versions": versions(),
        }
