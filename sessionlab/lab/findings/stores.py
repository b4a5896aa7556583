"""What stores side by side show, in sentences: frames of `bench.side_by_side` in, Markdown out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlab.lab.findings.size import EMPTY
from sessionlab.lab.findings.words import count, listing
from sessionlab.units import format_bytes, format_measured_ms

if TYPE_CHECKING:
    import pandas as pd


def same_content(contents: pd.DataFrame) -> str:
    """Say whether the stores hold the same; `contents` is of `bench.side_by_side`."""
    sessions, given = int(contents["sessions"].iloc[0]), int(contents["given"].iloc[0])
    if len(set(contents["fingerprint"])) > 1:
        return f"**The stores do not hold the same**: their fingerprints differ. Sessions given: {given:,}."
    merged = f" (of {given:,}: spellings of one key that differ in case only are one session)" if given != sessions else ""
    return f"Each of the {len(contents)} stores holds the same {count(sessions, 'session')}{merged}: their fingerprints are equal."


def same_answers(answers: pd.DataFrame) -> str:
    """Say whether the stores answer alike; `answers` is of `bench.side_by_side`."""
    differing = sorted({column for text in answers["differs_in"].tolist() for column in text.split(", ") if column})
    asked = f"All {count(len(answers), 'query', 'queries')} give the same answer in every store"
    if not differing:
        return f"{asked}, value by value."
    others = [column for column in differing if "bytes" not in column]
    if others:
        return f"**The stores do not answer alike**: they differ in {listing(others)}."
    return (
        f"{asked}, but for the bytes of entries: `sessions.json` and the directory keep them indented, as OpenClaw writes them, "
        "the database does not."
    )


def updates(writes: pd.DataFrame) -> str:
    """Say what one update costs; `writes` is of `bench.side_by_side`."""
    if writes.empty:
        return EMPTY
    sizes = zip(writes["store"], writes["written_bytes"], strict=True)
    parts = [f"{format_bytes(int(written))} in `{store}`" for store, written in sizes]
    whole = writes[writes["part"] >= 1]["store"].tolist()
    verdict = f" `{whole[0]}` is written anew each time, whatever changed." if whole else ""
    return f"Changing one label of one session writes {listing(parts)}.{verdict}"


def timed(times: pd.DataFrame, memory: pd.DataFrame) -> str:
    """Say what this machine showed; `times` and `memory` are of `bench.side_by_side`."""
    if times.empty:
        return EMPTY
    update = times[times["operation"] == "update one"]
    fastest, slowest = update.loc[update["median_ms"].idxmin()], update.loc[update["median_ms"].idxmax()]
    ratio = float(slowest["median_ms"]) / float(fastest["median_ms"])
    return (
        f"On this machine an update is fastest in `{fastest['store']}` ({format_measured_ms(float(fastest['median_ms']))}) and takes "
        f"{ratio:.1f} times as long in `{slowest['store']}`; listing takes {float(memory['peak_mb'].min()):.1f} to "
        f"{float(memory['peak_mb'].max()):.1f} MB. The difference grows with the store: only `sessions.json` costs more the more "
        "sessions there are."
    )
