"""Tables for people: answers of the lab's queries with units written out, ready to be shown under a figure.

Every function returns a new frame of text columns with readable headings; the numbers behind them stay in the query's answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sessionlab.lab.figures.forecast import crossing_cell
from sessionlab.lab.figures.style import days, percent
from sessionlab.units import format_bytes, format_count, format_usd

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.advice import Advice
    from sessionlab.lab.forecast import Forecast


def overview_table(overview: pd.DataFrame) -> pd.DataFrame:
    """List the facts of `overview`, one row each. Columns: Fact, Value."""
    row = overview.iloc[0]
    facts = [
        ("Agents", format_count(int(row["agents"]))),
        ("Sessions", format_count(int(row["sessions"]))),
        ("Size of their entries", format_bytes(int(row["entry_bytes"]))),
        ("Size of the store's files", format_bytes(int(row["store_bytes"]))),
        ("Transcripts", f"{format_count(int(row['transcripts']))}, {format_bytes(int(row['transcript_bytes']))}"),
        ("Archived transcripts", f"{format_count(int(row['archives']))}, {format_bytes(int(row['archive_bytes']))}"),
        (f"Transcript events{_left_out(int(row['copied_events']))}", format_count(int(row["events"]))),
        ("Model calls", format_count(int(row["calls"]))),
        ("Tokens", format_count(int(row["total_tokens"]))),
        ("Cost as recorded", format_usd(int(row["cost_microusd"]))),
        ("Problems", f"{_number(row['problem_errors'], 'error')}, {_number(row['problem_warnings'], 'warning')}"),
    ]
    return _frame({"Fact": [name for name, _ in facts], "Value": [value for _, value in facts]})


def biggest_sessions_table(sessions: pd.DataFrame) -> pd.DataFrame:
    """List the biggest sessions. Columns: Session, Entry, Share, Kind, Transcript, Last update."""
    return _frame(
        {
            "Session": sessions["session_key"].tolist(),
            "Entry": [format_bytes(size) for size in sessions["entry_bytes"].tolist()],
            "Share": [percent(share, 1) for share in sessions["share"].tolist()],
            "Kind": sessions["kind"].tolist(),
            "Transcript": [format_bytes(size) for size in sessions["transcript_bytes"].tolist()],
            "Last update": _days(sessions["updated_day"]),
        }
    )


def cron_jobs_table(jobs: pd.DataFrame) -> pd.DataFrame:
    """List the cron jobs by their kept runs; the job's own session is not among them.

    Columns: Job, Runs kept, Agent, Older than a day, Last 7 days, Their entries, Their transcripts, First run, Last run.
    """
    return _frame(
        {
            "Job": jobs["cron_job_id"].tolist(),
            "Runs kept": _counts(jobs["runs_kept"]),
            "Agent": jobs["agent_id"].tolist(),
            "Older than a day": _counts(jobs["runs_older_than_1_day"]),
            "Last 7 days": _counts(jobs["runs_last_7_days"]),
            "Their entries": [format_bytes(size) for size in jobs["entry_bytes"].tolist()],
            "Their transcripts": [format_bytes(size) for size in jobs["transcript_bytes"].tolist()],
            "First run": _days(jobs["first_run_day"]),
            "Last run": _days(jobs["last_run_day"]),
        }
    )


def models_table(tokens: pd.DataFrame) -> pd.DataFrame:
    """List the models of `tokens_by_model`. Columns: Model, Cost, Calls, Total, Input, Output, Cache read, Cache write."""
    return _frame(
        {
            "Model": [f"{provider}/{model}" for provider, model in zip(tokens["provider"], tokens["model"], strict=True)],
            "Cost": [format_usd(cost) for cost in tokens["cost_microusd"].tolist()],
            "Calls": _counts(tokens["calls"]),
            "Total": _counts(tokens["total_tokens"]),
            "Input": _counts(tokens["input_tokens"]),
            "Output": _counts(tokens["output_tokens"]),
            "Cache read": _counts(tokens["cache_read_tokens"]),
            "Cache write": _counts(tokens["cache_write_tokens"]),
        }
    )


def problems_table(problems: pd.DataFrame) -> pd.DataFrame:
    """List the problems. Columns: Severity, Problem, Found, Count, Where, What to do."""
    places = [
        " ".join(str(part) for part in (path, None if _absent(line) else f"line {int(line)}", key) if not _absent(part))
        for path, line, key in zip(problems["path"].tolist(), problems["line"].tolist(), problems["session_key"].tolist(), strict=True)
    ]
    return _frame(
        {
            "Severity": problems["severity"].tolist(),
            "Problem": problems["code"].tolist(),
            "Found": problems["message"].tolist(),
            "Count": _counts(problems["count"]),
            "Where": places,
            "What to do": problems["advice"].tolist(),
        }
    )


def agent_limits_table(forecasts: Mapping[str, Forecast]) -> pd.DataFrame:
    """List when each agent's store reaches each limit. Columns: Agent, one per limit, such as 10.0 MB, Size now, Growth a week."""
    rows = [
        {"Agent": agent}
        | {format_bytes(crossing.limit_bytes): crossing_cell(crossing, made.today) for crossing in made.crossings}
        | {
            "Size now": format_bytes(made.level_bytes),
            "Growth a week": "unknown" if made.weekly_bytes is None else format_bytes(made.weekly_bytes),
        }
        for agent, made in forecasts.items()
    ]
    return _frame({column: [row[column] for row in rows] for column in rows[0]} if rows else {"Agent": []})


def advice_table(advice: Sequence[Advice]) -> pd.DataFrame:
    """List what to do. Columns: What to do, Evidence, How, Frees up to."""
    return _frame(
        {
            "What to do": [one.title for one in advice],
            "Evidence": [one.evidence for one in advice],
            "How": [one.action for one in advice],
            "Frees up to": [format_bytes(one.saves_bytes) if one.saves_bytes else "" for one in advice],
        }
    )


def _left_out(copied: int) -> str:
    return f" ({format_count(copied)} {'copy' if copied == 1 else 'copies'} in forks left out)" if copied else ""


def _number(value: Any, noun: str) -> str:
    return f"{format_count(int(value))} {noun}{'' if int(value) == 1 else 's'}"


def _counts(column: pd.Series) -> list[str]:
    return [format_count(int(value)) for value in column.tolist()]


def _days(column: pd.Series) -> list[str]:
    return ["" if text == "nan" else text for text in days(column)]


def _absent(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def contents_table(contents: pd.DataFrame) -> pd.DataFrame:
    """List stores side by side. Columns: Store, Sessions, Fingerprint, Files, On disk."""
    return _frame(
        {
            "Store": contents["store"].tolist(),
            "Sessions": _counts(contents["sessions"]),
            "Fingerprint": contents["fingerprint"].tolist(),
            "Files": _counts(contents["files"]),
            "On disk": [format_bytes(size) for size in contents["bytes"].tolist()],
        }
    )


def answers_table(answers: pd.DataFrame) -> pd.DataFrame:
    """List queries asked of every store. Columns: Query, Rows, Stores asked, Differs in."""
    return _frame(
        {
            "Query": answers["query"].tolist(),
            "Rows": _counts(answers["rows"]),
            "Stores asked": _counts(answers["stores"]),
            "Differs in": [text or "nothing" for text in answers["differs_in"].tolist()],
        }
    )


def _frame(columns: dict[str, list[str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns, dtype="str")
