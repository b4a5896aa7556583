"""The short answer at the top of the growth report: how big, why, where it leads, and what to do first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sessionlab.lab.figures.forecast import crossing_sentence
from sessionlab.lab.findings.growth import agents_words, rough_words
from sessionlab.lab.findings.trouble import unread
from sessionlab.lab.findings.words import count, day, listing, name, percent, usd
from sessionlab.lab.forecast import first_crossing
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.advice import Advice
    from sessionlab.lab.choices import Choices
    from sessionlab.lab.forecast import Backtest, Forecast


def short_answer(
    overview: pd.DataFrame,
    kinds: pd.DataFrame,
    fields: pd.DataFrame,
    *,
    forecast: Forecast,
    tested: Backtest,
    agents: Mapping[str, Forecast],
    limit_bytes: int,
    problems: pd.DataFrame,
    advice: Sequence[Advice],
) -> str:
    """Answer in a list of four.

    Args:
        overview: The answer of `overview`.
        kinds: The answer of `bytes_by_kind`.
        fields: The answer of `bytes_by_field`.
        forecast: Of all stores together, made with `limit_bytes` among its limits.
        tested: The backtest of `forecast`.
        agents: The forecast of each agent's store.
        limit_bytes: The limit that the reader cares about.
        problems: The answer of `problems`.
        advice: What to do, most important first.
    """
    row = overview.iloc[0]
    if not int(row["sessions"]):
        return f"The store is empty: {count(int(row['agents']), 'agent')}, no session."
    said = {
        "How big": _how_big(row, problems),
        "Why": _why(row, kinds, fields),
        "Where it leads": _where_it_leads(forecast, tested, agents, limit_bytes),
        "What to do first": f"{listing([f'{one.title[0].lower()}{one.title[1:]}' for one in advice[:3]])}." if advice else "",
    }
    return "\n".join(f"- **{title}:** {text}" for title, text in said.items() if text)


def days_shown(choices: Choices, history: pd.DataFrame, growth: pd.DataFrame, active: pd.DataFrame) -> str:
    """Say which days were chosen and what keeps to them, "" when none were; warn of days in which nothing lies.

    Args:
        choices: The reader's.
        history: The answer of `store_bytes_daily`, all days.
        growth: The answer of `growth_daily` for the days chosen.
        active: The answer of `activity_daily` for them.
    """
    if choices.since is None and choices.until is None:
        return ""
    text = (
        f"**Days shown: {choices}.** Only what is told over time keeps to them: growth, use, tokens and cost, cron runs. Sizes, ages, "
        "the table of cron jobs, the forecast, problems, advice and the short answer are about the whole store."
    )
    if int(growth["created"].sum()) or len(active):
        return text
    span = "" if history.empty else f"; the store has days from {day(history['day'].min())} to {day(history['day'].max())}"
    return f"{text}\n\n**No session was created and no event happened in these days**{span}."


def _how_big(row: pd.Series, problems: pd.DataFrame) -> str:
    sessions, kept = int(row["sessions"]), int(row["transcript_bytes"]) + int(row["archive_bytes"])
    cost = f"{'at least ' if unread(problems) else ''}{usd(int(row['cost_microusd']))}"
    return (
        f"**{count(sessions, 'session')}** of {count(int(row['agents']), 'agent')} {'holds' if sessions == 1 else 'hold'} "
        f"**{format_bytes(int(row['entry_bytes']))}** of entries; their transcripts take {format_bytes(kept)}, and their model calls cost "
        f"{cost} as recorded."
    )


def _why(row: pd.Series, kinds: pd.DataFrame, fields: pd.DataFrame) -> str:
    size = int(row["entry_bytes"])
    if not size or fields.empty or kinds.empty:
        return ""
    copies = int(row["skills_snapshot_bytes"]) + int(row["system_prompt_report_bytes"])
    if 2 * copies >= size:
        made_of = f"{percent(copies, size)} of the entries' bytes are copies of the prompt"
    else:
        top = fields.iloc[0]
        made_of = f"the biggest field of the entries is {name(top['field'])} with {percent(int(top['bytes']), size)}"
    most = kinds.iloc[0]
    return f"{made_of}; the kind {name(most['kind'])} has {percent(int(most['sessions']), int(row['sessions']))} of the sessions."


def _where_it_leads(forecast: Forecast, tested: Backtest, agents: Mapping[str, Forecast], limit_bytes: int) -> str:
    many = len(agents) > 1
    said = []
    if forecast.weekly_bytes is not None:
        who = "all stores together are" if many else "the store is"
        said.append(f"{who} expected to grow by about {format_bytes(forecast.weekly_bytes)} a week.")
    crossing, today = None, forecast.today
    if many:
        said.append(agents_words(agents))
        if (first := first_crossing(agents)) is not None:
            crossing, today = first[1], agents[first[0]].today
    else:
        crossing = next(one for one in forecast.crossings if one.limit_bytes == limit_bytes)
        said.append(crossing_sentence(crossing, today))
    if not forecast.reason:
        said.append(rough_words(tested, crossing, today))
    return " ".join(text for text in said if text)
