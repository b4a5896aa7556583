"""How the cost of each backend grows with the work, and from which size on it is not comfortable any more, on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench import power_law
from sessionlab.bench.contention import KINDS
from sessionlab.bench.growing import SLOW_MS, SMALL_BYTES, Growth, Patience, Point, Size, grow
from sessionlab.bench.results import Results
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words, undisturbed
from sessionlab.bench.transcripts_beside import UNREFERENCED, Difference, grow_by_turns
from sessionlab.bench.writer import Kind

LIMITS_MS: Final = {"list": 250.0, "list again": 250.0, "get": 50.0, "update": 50.0, "put new": 50.0}
"""What is comfortable: a listing that answers before somebody wonders, and the rest while a message is answered."""
_BY_SIZE: Final[tuple[Growth, ...]] = ("sessions", "entry_bytes")
_LINE_R2: Final = 0.9
"""An exponent that explains less of the differences is told with how much it does."""


class FitRow(msgspec.Struct, frozen=True):
    """The exponent of one operation: its cost grows as size ** exponent between the sizes `least` and `most`, as far as `r2` says."""

    grows: Growth
    store: Kind
    operation: str
    exponent: float
    r2: float | None
    least: int
    most: int
    points: int


class Comfort(msgspec.Struct, frozen=True):
    """From which size on an operation takes longer than its limit; `None` where that is not within ten times the most measured."""

    grows: Growth
    store: Kind
    operation: str
    limit_ms: float
    size: float | None
    how: str
    most: int
    most_ms: float


@dataclass(frozen=True, slots=True)
class Asked:
    """How much is to be measured.

    Attributes:
        kinds: Which backends.
        is_quick: Small stores and few rounds: shows that it works, gives no figure to quote.
        is_large: Up to a million sessions, and two minutes to make a store.
    """

    kinds: tuple[Kind, ...] = KINDS
    is_quick: bool = False
    is_large: bool = False

    @property
    def patience(self) -> Patience:
        """For how long is measured."""
        return Patience(making_s=120 if self.is_large else 20, rounds_ms=60 if self.is_quick else 600)

    @property
    def rounds_by_turns(self) -> int:
        """How often what does not grow by itself is measured beside more and more transcripts: enough to tell little from chance."""
        return 5 if self.is_quick else 21

    @property
    def sizes(self) -> dict[Growth, tuple[Size, ...]]:
        """What grows, and through which sizes."""
        fixed = 50 if self.is_quick else 1_000
        large = (300_000, 1_000_000) if self.is_large else ()
        counts = (100, 300, 1_000) if self.is_quick else (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, *large)
        lengths = (1_000, 10_000) if self.is_quick else (1_000, 3_000, 10_000, 30_000, 100_000)
        return {
            "sessions": tuple(Size(count) for count in counts),
            "entry_bytes": tuple(Size(fixed, entry_bytes=size) for size in lengths),
            "transcripts": tuple(Size(fixed, transcripts=count) for count in ((10, 100) if self.is_quick else (100, 1_000, 10_000))),
        }


def measure(folder: Path, asked: Asked, *, on_progress: Progress | None = None) -> Results:
    """Let each backend grow in each way.

    Args:
        folder: Empty; one store at a time is made in it, some 100 MB; 1 GB for a million sessions; three small ones with their transcripts.
        asked: How much.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    points: list[Point] = []
    differences: list[Difference] = []
    ways = list(itertools.product(asked.sizes.items(), asked.kinds))
    with undisturbed():
        for number, ((grows, sizes), kind) in enumerate(ways):
            if on_progress is not None:
                on_progress(f"{kind}: {grows.replace('_', ' ')}", number, len(ways))
            place = folder / str(number)
            place.mkdir()
            if grows == "transcripts":
                grown, compared = grow_by_turns(place, kind, sizes, rounds=asked.rounds_by_turns)
                differences += compared
            else:
                grown = grow(place, kind, grows, sizes, asked.patience)
            points += grown
            place.rmdir()
    fits, comforts = fits_of(points), comforts_of(points)
    limits = ", ".join(f"{operation} {limit:g} ms" for operation, limit in LIMITS_MS.items())
    making_s, turns = asked.patience.making_s, asked.rounds_by_turns
    fixed, small = asked.sizes["entry_bytes"][0].sessions, f"{SMALL_BYTES / 1000:g} KB"
    return Results(
        "scale",
        tables={"points": points, "fits": fits, "comfortable": comforts, "transcripts": differences},
        conditions=[
            *([QUICK] if asked.is_quick else []),
            f"sessions: of {small} each; entry_bytes: {fixed:,} sessions, the most of each one big field",
            f"transcripts: small files beside {fixed:,} sessions of {small}; {UNREFERENCED}: sessions are listed, then the folder",
            f"medians of 3 to 9 rounds (where the table says 1, what that one took); transcripts: {turns} rounds, all sizes by turns",
            "no difference beyond the noise: one round in ten, or more, has it the other way round (most against fewest transcripts)",
            "list opens the store anew; all others work on one that stays open, between changes, and on sessions drawn at random",
            f"a backend grows until an operation at the next size would take {SLOW_MS / 1000:g} s, or making it {making_s:g}",
            "exponents: least squares on the logarithms of all sizes measured; r2: how much of the differences they explain, 0 is nothing",
            f"comfortable: {limits}; interpolated between two sizes",
            f"beyond the largest, to {power_law.FURTHEST} times it: by what one more costs over all sizes, or over the last two if more",
            "naive: standard library, the whole file for every operation, not synced; the others survive a power cut [commit]",
            load,
            sync_in_words(folder),
        ],
        verdicts=[*_verdicts(fits, comforts), *_transcripts_in_words(differences)],
    )


def _curves(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield the points of each operation of each backend in each way to grow, in the order of their sizes."""
    curves: dict[tuple[str, str, str], list[Point]] = {}
    for point in points:
        curves.setdefault((point.grows, point.store, point.operation), []).append(point)
    yield from curves.values()


def fits_of(points: Sequence[Point]) -> list[FitRow]:
    """Return the exponent of whatever was measured at two sizes or more."""
    rows = []
    for curve in _curves(points):
        first, last = curve[0], curve[-1]
        if len(curve) > 1:
            found = power_law.fit([(point.size, point.median_ms) for point in curve])
            r2 = None if found.r2 is None else round(found.r2, 3)
            rows.append(FitRow(first.grows, first.store, first.operation, round(found.exponent, 3), r2, first.size, last.size, len(curve)))
    return rows


def comforts_of(points: Sequence[Point]) -> list[Comfort]:
    """Return where each operation stops being comfortable as sessions, or their sizes, grow."""
    rows = []
    for curve in _curves(points):
        last = curve[-1]
        if last.grows in _BY_SIZE:
            limit = LIMITS_MS[last.operation]
            found = power_law.passing([(point.size, point.median_ms) for point in curve], limit)
            size = None if found.size is None else float(f"{found.size:.3g}")
            rows.append(Comfort(last.grows, last.store, last.operation, limit, size, found.how, last.size, last.median_ms))
    return rows


def _verdicts(fits: Sequence[FitRow], comforts: Sequence[Comfort]) -> Iterator[str]:
    """Say where each backend stops being comfortable, and how it grew."""
    for grows in _BY_SIZE:
        for store, group in itertools.groupby((row for row in comforts if row.grows == grows), key=lambda row: row.store):
            exponents = ", ".join(_exponent_in_words(row) for row in fits if (row.grows, row.store) == (grows, store))
            told = f"; exponents: {exponents}" if exponents else ""
            yield f"{store}, {_NAMES[grows]}: {_limit_in_words(list(group), _UNITS[grows])}{told}"


def _exponent_in_words(row: FitRow) -> str:
    is_line = row.r2 is None or row.r2 >= _LINE_R2
    return f"{row.operation} {row.exponent:.2f}{'' if is_line else f' (r2 {row.r2:.2f})'}"


def _transcripts_in_words(differences: Sequence[Difference]) -> Iterator[str]:
    """Say which operations of each backend take longer, or shorter, beside more transcripts, and of which that cannot be said."""
    for store, group in itertools.groupby(differences, key=lambda one: one.store):
        rows = list(group)
        told = [f"{one.operation} takes {_ms(one.most_ms)} instead of {_ms(one.least_ms)}" for one in rows if not one.is_noise]
        same = [one.operation for one in rows if one.is_noise]
        if same:
            told.append(f"{', '.join(same)}: no difference beyond the noise")
        yield f"{store}, transcripts: beside {rows[0].most:,} of them, not {rows[0].least:,}, {'; '.join(told)}"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


_NAMES: Final[dict[Growth, str]] = {"sessions": "more sessions", "entry_bytes": "larger sessions"}
_UNITS: Final[dict[Growth, str]] = {"sessions": "sessions", "entry_bytes": "bytes each"}


def _limit_in_words(rows: Sequence[Comfort], unit: str) -> str:
    """Say where a backend stops being comfortable: with which operation, and from which size on."""
    ending = [row for row in rows if row.size is not None]
    if not ending:
        return f"comfortable at {rows[0].most:,} {unit}, the most measured, and at {power_law.FURTHEST} times as many if it goes on so"
    first = min(ending, key=lambda row: row.size or 0)
    size = f"{first.size:,.0f} {unit}"
    if first.how == "at the smallest already":
        return f"not comfortable at {size} already, the least measured: {first.operation} takes more than {first.limit_ms:g} ms"
    guess = f" (extrapolated from {first.most:,})" if first.how == "extrapolated" else ""
    return f"comfortable up to some {size}{guess}, where {first.operation} takes {first.limit_ms:g} ms"
