"""The short answer at the top of the growth report: how big, why, where it leads, and what to do first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sessionlab.lab.findings.growth import agents_words, limit_words
from sessionlab.lab.findings.words import count, listing, name, percent, usd
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.advice import Advice
    from sessionlab.lab.forecast import Forecast


def short_answer(
    overview: pd.DataFrame,
    kinds: pd.DataFrame,
    fields: pd.DataFrame,
    *,
    forecast: Forecast,
    agents: Mapping[str, Forecast],
    limit_bytes: int,
    advice: Sequence[Advice],
) -> str:
    """Answer in four sentences.

    Args:
        overview: The answer of `overview`.
        kinds: The answer of `bytes_by_kind`.
        fields: The answer of `bytes_by_field`.
        forecast: Of all stores together, made with `limit_bytes` among its limits.
        agents: The same for each agent's store.
        limit_bytes: The limit that the reader cares about.
        advice: What to do, most important first.
    """
    row = overview.iloc[0]
    sessions, size = int(row["sessions"]), int(row["entry_bytes"])
    if not sessions:
        return f"The store is empty: {count(int(row['agents']), 'agent')}, no session."
    kept = format_bytes(int(row["transcript_bytes"]) + int(row["archive_bytes"]))
    verb = "holds" if sessions == 1 else "hold"
    holders = f"**{count(sessions, 'session')}** of {count(int(row['agents']), 'agent')}"
    spent = usd(int(row["cost_microusd"]))
    calls = f"their transcripts take {kept}, and their model calls cost {spent} as recorded"
    sentences = [f"{holders} {verb} **{format_bytes(size)}** of entries; {calls}."]
    if size and len(fields) and len(kinds):
        copies = int(row["skills_snapshot_bytes"]) + int(row["system_prompt_report_bytes"])
        if 2 * copies >= size:
            made_of = f"{percent(copies, size)} of the entries' bytes are copies of the prompt"
        else:
            top = fields.iloc[0]
            made_of = f"The biggest field of the entries is {name(top['field'])} with {percent(int(top['bytes']), size)}"
        most = kinds.iloc[0]
        sentences.append(f"{made_of}; the kind {name(most['kind'])} has {percent(int(most['sessions']), sessions)} of the sessions.")
    many = len(agents) > 1
    if forecast.weekly_bytes is not None:
        who = "All stores together are" if many else "The store is"
        sentences.append(f"{who} expected to grow by about {format_bytes(forecast.weekly_bytes)} a week.")
    if many:
        sentences.append(f"Each agent has a store of its own. {agents_words(agents)}")
    else:
        sentences += [limit_words(crossing) for crossing in forecast.crossings if crossing.limit_bytes == limit_bytes]
    if advice:
        sentences.append(f"What to do first: {listing([f'**{one.title[0].lower()}{one.title[1:]}**' for one in advice[:3]])}.")
    return " ".join(sentences)
