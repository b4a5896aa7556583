"""How fast a store grows, how large it is and how much of it is stale: what a gate in continuous integration judges. Reads only.

A store does not remember its past, so growth is what its entries still show: a session is new when it began in the last period, by its
entry's own time or else by the first line of its transcript. A chat that was started anew counts as new, and what was removed meanwhile is
not known of: the figure errs upwards.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessionlab.entry import SessionSummary
from sessionlab.maintenance.files import SessionFiles
from sessionlab.maintenance.growth_limits import GrowthLimits, Rate, percent_found, size_found
from sessionlab.maintenance.neighbours import files_beside
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.stores.transcript_store import TranscriptStore
from sessionlab.units import MS_PER_DAY, format_bytes, format_count

Verdict = Literal["ok", "breach", "unknown"]
_HEADER_BYTES: Final = 1 << 16
_OF_SESSIONS: Final = ("live", "cold")
"""The transcripts in a database that a session still has; archives of deleted and reset ones are nobody's, as in files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one store holds.

    Attributes:
        agent_id: Whose.
        sessions: All of them.
        new: Those that began in the last period.
        undated: Those updated in it of which nothing says when they began: they are taken for older.
        bytes: Of the sessions' entries, and of their transcripts: the files that they refer to, and those in OpenClaw's own database.
        new_bytes: The same of the new ones.
        undated_bytes: The same of the undated ones.
        store_bytes: Of the store's own files.
        disk_bytes: Of those and of all files beside them.
        active: Sessions that are not archived.
        stale: Those of them that are stale.
    """

    agent_id: str
    sessions: int
    new: int
    undated: int
    bytes: int
    new_bytes: int
    undated_bytes: int
    store_bytes: int
    disk_bytes: int
    active: int
    stale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one limit for one store: `limit` and `allowed` name it, `found` is what there is, `detail` how that comes about."""

    agent_id: str
    limit: str
    allowed: str
    found: str
    verdict: Verdict
    detail: str


def measure_store(location: StoreLocation, limits: GrowthLimits, *, now_ms: int) -> Measured:
    """Measure one store. Of transcript files at most the first line is read, and only where entries do not say when sessions began.

    Those in OpenClaw's own database it counts itself, as long as they would be as files.

    Raises:
        SplitStoreError: Two stores both hold sessions.
        StoreError: The store or its folder cannot be read.
    """
    refuse_split(location)
    with open_at(location) as store:
        summaries = list(store.summaries())
        store_bytes = store.stats().store_bytes
        sizes = Counter({key: len(raw) for key, raw in store.raw_items()}) if limits.growth is not None else Counter[str]()
        if limits.growth is not None and isinstance(store, TranscriptStore):
            for one in store.transcripts():
                if one.session_key is not None and one.source in _OF_SESSIONS:
                    sizes[one.session_key] += one.bytes
    files = files_beside(location)
    return measure(
        location.agent_id,
        summaries,
        limits,
        now_ms=now_ms,
        began_ms=dict(_began(summaries, files, now_ms - limits.growth.period_ms)) if limits.growth is not None else {},
        sizes={one.key: sizes[one.key] + sum(file.bytes for file in files.of(one)) for one in summaries},
        store_bytes=store_bytes,
        file_bytes=files.total_bytes,
    )


def measure(
    agent_id: str,
    summaries: Iterable[SessionSummary],
    limits: GrowthLimits,
    *,
    now_ms: int,
    began_ms: Mapping[str, int | None],
    sizes: Mapping[str, int],
    store_bytes: int,
    file_bytes: int,
) -> Measured:
    """Measure what is known of a store. Pure.

    Args:
        agent_id: Whose it is.
        summaries: Of the whole store.
        limits: Which period, and which age, are asked for.
        now_ms: The clock, epoch ms.
        began_ms: Key -> when the session began, epoch ms, `None` where nothing says so; sessions that are older need not be there.
        sizes: Key -> bytes of its entry and of its transcripts.
        store_bytes: The size of the store's own files.
        file_bytes: The size of the files beside them.
    """
    since_ms = now_ms - limits.growth.period_ms if limits.growth is not None else now_ms
    oldest_ms = now_ms - limits.stale_after_ms
    sessions = new = undated = total = new_bytes = undated_bytes = active = stale = 0
    for one in summaries:
        sessions += 1
        size = sizes.get(one.key, 0)
        total += size
        moment = began_ms.get(one.key, since_ms - 1)
        if moment is None:
            undated += 1
            undated_bytes += size
        elif moment >= since_ms:
            new += 1
            new_bytes += size
        active += not one.archived
        stale += not one.archived and one.updated_ms is not None and one.updated_ms < oldest_ms
    return Measured(
        agent_id=agent_id,
        sessions=sessions,
        new=new,
        undated=undated,
        bytes=total,
        new_bytes=new_bytes,
        undated_bytes=undated_bytes,
        store_bytes=store_bytes,
        disk_bytes=store_bytes + file_bytes,
        active=active,
        stale=stale,
    )


def judge(found: Measured, limits: GrowthLimits) -> tuple[Finding, ...]:
    """Compare what was measured with what is allowed: one finding for each limit that is set. What is exactly at a limit keeps it."""
    findings: list[Finding] = []
    allowed = limits.allowed()
    if limits.growth is not None:
        findings.append(_judged_growth(found, limits.growth))
    for name, most, size in (("max-store", limits.store_bytes, found.store_bytes), ("max-disk", limits.disk_bytes, found.disk_bytes)):
        if most is not None:
            what = "the store's own files" if name == "max-store" else "the store and the files beside it"
            detail = f"{what}: {format_count(size)} bytes; allowed are {format_count(most)}"
            findings.append(_finding(found, name, allowed[name], size_found(size, most), detail, is_breach=size > most))
    if limits.stale_percent is not None:
        part = Fraction(100 * found.stale, found.active or 1)
        days = f"{Decimal(limits.stale_after_ms) / MS_PER_DAY:f}"
        detail = f"{format_count(found.stale)} of {format_count(found.active)} sessions were not updated for more than {days} days"
        shown = percent_found(part, limits.stale_percent)
        findings.append(_finding(found, "max-stale", allowed["max-stale"], shown, detail, is_breach=part > limits.stale_percent))
    return tuple(findings)


def _judged_growth(found: Measured, rate: Rate) -> Finding:
    sessions = _growth(found.new, found.sessions)
    size = _growth(found.new_bytes, found.bytes)
    detail = f"{format_count(found.new)} of {format_count(found.sessions)} sessions began in the period"
    detail += f", with {format_bytes(found.new_bytes)} of {format_bytes(found.bytes)}"
    verdict: Verdict = "ok"
    if sessions is None:
        verdict, detail = "unknown", f"{detail}: there is nothing before it to compare with"
    elif max(sessions, size or sessions) > rate.percent:
        verdict = "breach"
    if found.undated:
        detail += f"; of {format_count(found.undated)} nothing says when they began: taken for older"
        most = _growth(found.new + found.undated, found.sessions), _growth(found.new_bytes + found.undated_bytes, found.bytes)
        if verdict == "ok" and (most[0] is None or max(most[0], most[1] or most[0]) > rate.percent):
            verdict, detail = "unknown", f"{detail}, but were they new, it would be too much"
    shown = "not known"
    if sessions is not None:
        shown = f"+{percent_found(sessions, rate.percent)} sessions, +{percent_found(size or Fraction(), rate.percent)} bytes"
    return Finding(agent_id=found.agent_id, limit="max-growth", allowed=rate.text, found=shown, verdict=verdict, detail=detail)


def _growth(new: int, total: int) -> Fraction | None:
    """Return by how many percent something has grown; `None` when there was nothing before."""
    before = total - new
    return Fraction(100 * new, before) if before else None if new else Fraction()


def _finding(found: Measured, limit: str, allowed: str, shown: str, detail: str, *, is_breach: bool) -> Finding:
    verdict: Verdict = "breach" if is_breach else "ok"
    return Finding(agent_id=found.agent_id, limit=limit, allowed=allowed, found=shown, verdict=verdict, detail=detail)


class _Header(msgspec.Struct):
    timestamp: str


_HEADER: Final = msgspec.json.Decoder(_Header)


def _began(summaries: Iterable[SessionSummary], files: SessionFiles, since_ms: int) -> Iterator[tuple[str, int | None]]:
    """Yield (key, when it began) of every session that may have begun since then; `None` where nothing says so."""
    for one in summaries:
        if one.created_ms is not None:
            yield one.key, one.created_ms
        elif any(moment is not None and moment < since_ms for moment in (one.updated_ms, one.started_ms)):
            continue
        else:
            firsts = [first for file in files.of(one) if (first := _first_ms(files.folder / file.name)) is not None]
            yield one.key, min(firsts, default=one.started_ms)


def _first_ms(path: Path) -> int | None:
    """Return the time in the first line of a transcript, epoch ms; `None` when it has none that can be read."""
    try:
        with path.open("rb") as file:
            moment = dt.datetime.fromisoformat(_HEADER.decode(file.readline(_HEADER_BYTES)).timestamp)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
