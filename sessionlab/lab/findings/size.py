"""What makes the store big and old, in sentences: fields, kinds, single sessions, the disk, sizes and ages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.findings.words import count, listing, name, percent
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

EMPTY: Final = "The store holds no session in this selection."


def fields(frame: pd.DataFrame) -> str:
    """Say which fields make up most of the entries; `frame` is the answer of `bytes_by_field`."""
    total = int(frame["bytes"].sum()) if len(frame) else 0
    if not total:
        return EMPTY
    sizes = [int(size) for size in frame["bytes"].tolist()]
    # As few fields as it takes to name half of the bytes.
    needed = next(number for number in range(1, len(sizes) + 1) if 2 * sum(sizes[:number]) >= total)
    named = [f"{name(field)} ({percent(size, total)})" for field, size in zip(frame["field"].tolist(), sizes[:needed], strict=False)]
    head = f"Most of the {format_bytes(total)} of entries lies in {listing(named)}"
    others = len(sizes) - needed
    if not others:
        return f"{head}."
    return f"{head}; {count(others, 'other field')} {'has' if others == 1 else 'share'} the other {percent(sum(sizes[needed:]), total)}."


def kinds(frame: pd.DataFrame) -> str:
    """Say which kinds of session hold the bytes; `frame` is the answer of `bytes_by_kind`."""
    total = int(frame["entry_bytes"].sum()) if len(frame) else 0
    if not total:
        return EMPTY
    top = frame.iloc[0]
    text = (
        f"Sessions of the kind {name(top['kind'])} hold {percent(int(top['entry_bytes']), total)} of the bytes: "
        f"{count(int(top['sessions']), 'entry', 'entries')} of {format_bytes(float(top['mean_entry_bytes']))} on average."
    )
    heavy = max(frame.index, key=lambda row: (float(frame["mean_entry_bytes"][row]), str(frame["kind"][row])))
    if frame["kind"][heavy] != top["kind"]:
        size = format_bytes(float(frame["mean_entry_bytes"][heavy]))
        text += f" The heaviest entries are those of the kind {name(frame['kind'][heavy])}, {size} each."
    return text


def biggest(frame: pd.DataFrame) -> str:
    """Say what the biggest sessions amount to; `frame` is the answer of `biggest_sessions`."""
    if frame.empty:
        return EMPTY
    top = frame.iloc[0]
    copies = int(frame["skills_snapshot_bytes"].sum() + frame["system_prompt_report_bytes"].sum())
    size = int(frame["entry_bytes"].sum())
    return (
        f"The {len(frame)} biggest entries hold {percent(float(frame['share'].sum()), 1)} of the bytes of all entries; "
        f"{percent(copies, size)} of what they hold is copies of the prompt. "
        f"The biggest is {name(top['session_key'])} with {format_bytes(int(top['entry_bytes']))}."
    )


def disk(frame: pd.DataFrame) -> str:
    """Say what takes the room on disk; `frame` is the answer of `storage_parts`."""
    files = frame[~frame["is_detail"].astype(bool)] if len(frame) else frame
    if files.empty:
        return "No file of this selection was measured."
    parts = files.groupby("part")["bytes"].sum()
    ranked = sorted(parts.index, key=lambda part: (-int(parts[part]), str(part)))
    total = int(parts.sum())
    named = [f"{part} {format_bytes(int(parts[part]))} ({percent(int(parts[part]), total)})" for part in ranked[:3]]
    return f"On disk it is {format_bytes(total)} in all: {listing([*named, 'smaller parts'] if len(ranked) > 3 else named)}."


def sizes(frame: pd.DataFrame) -> str:
    """Say how the entries' sizes are spread; `frame` is the answer of `size_distribution`."""
    total = int(frame["sessions"].sum()) if len(frame) else 0
    if not total:
        return EMPTY
    counts = [int(number) for number in frame["sessions"].tolist()]
    middle = next(index for index in range(len(counts)) if 2 * sum(counts[: index + 1]) >= total)
    row, last = frame.iloc[middle], frame.iloc[-1]
    bulk = int(frame["entry_bytes"].sum())
    text = (
        f"The median of {count(total, 'entry', 'entries')} lies between {format_bytes(int(row['low_bytes']))} and "
        f"{format_bytes(int(row['high_bytes']))}."
    )
    if middle == len(counts) - 1:
        return text
    share = percent(int(last["entry_bytes"]), bulk)
    return f"{text} The biggest {counts[-1]:,}, of {format_bytes(int(last['low_bytes']))} and more, hold {share} of the bytes."


def ages(stale: pd.DataFrame, stale_days: int) -> str:
    """Say how much of the store is stale; `stale` is the answer of `stale_share`, asked with the same `stale_days`."""
    total = int(stale["sessions"].sum()) if len(stale) else 0
    if not total:
        return EMPTY
    old, bulk, beside = (int(stale[column].sum()) for column in ("stale_sessions", "stale_bytes", "stale_transcript_bytes"))
    if not old:
        return f"None of {count(total, 'session')} is stale: all were updated within {count(stale_days, 'day')}, or have no usable time."
    was = "was" if old == 1 else "were"
    text = f"**{old:,} of {count(total, 'session')} ({percent(old, total)})** {was} not updated for more than {count(stale_days, 'day')}"
    text += f": {format_bytes(bulk)} of entries, and {format_bytes(beside)} of their transcripts."
    parts = stale.groupby("kind")["stale_sessions"].sum()
    top = max(parts.index, key=lambda kind: (int(parts[kind]), str(kind)))
    return f"{text} The kind with the most of them is {name(top)}: {int(parts[top]):,}."
