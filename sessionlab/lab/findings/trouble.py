"""What was found wrong, what an import changed, and what to do, in sentences and lists."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sessionlab.lab.findings.words import count, listing
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.advice import Advice

MAX_EXAMPLES: Final = 5

# What OpenClaw's import from sessions.json into SQLite changes, by the code of the problem that reports it.
_IMPORT: Final = {
    "delivery_rewritten": "moved the route of {n} into `delivery`",
    "memory_flush_rewritten": "dropped the time of the last memory flush of {n}",
    "route_lost": "**lost the route** of {n}, which had it under old field names only",
}

# Findings behind which a model call may be hidden: singular and plural.
_UNREAD: Final = {
    "bad_line": ("transcript line that cannot be read", "transcript lines that cannot be read"),
    "unfinished_line": ("unfinished line", "unfinished lines"),
    "odd_event": ("event with a field of the wrong type", "events with a field of the wrong type"),
    "unreadable_transcript": ("transcript that cannot be read to its end", "transcripts that cannot be read to their end"),
    "missing_transcript": ("missing transcript", "missing transcripts"),
}


def worth_telling(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the problems without those that another says better; `frame` is the answer of `problems`.

    Where an import lost routes (route_lost), old field names are what is left of them: no finding of their own, and nothing
    that a later version would do.
    """
    lost = set(frame.loc[frame["code"] == "route_lost", "agent_id"]) if len(frame) else set()
    return frame[~((frame["code"] == "legacy_field") & frame["agent_id"].isin(lost))].reset_index(drop=True)


def problems(frame: pd.DataFrame) -> str:
    """Say how much was found and how bad it is; `frame` is the answer of `problems`."""
    if frame.empty:
        return "Nothing wrong, odd or lossy was found."
    found = frame.groupby("severity")["count"].sum()
    nouns = {"error": "error", "warning": "warning", "info": "remark"}
    named = [count(int(found[severity]), noun) for severity, noun in nouns.items() if severity in found.index]
    said = [f"{listing(named)} {'was' if int(found.sum()) == 1 else 'were'} found."]
    if "error" in found.index:
        said.append("Errors come first: they break the store for its own program, or keep something from being counted.")
    if hidden := unread(frame):
        said.append(f"{hidden} may hide model calls: calls, tokens and cost are lower bounds.")
    return " ".join(said)


def unread(frame: pd.DataFrame) -> str:
    """Name what could not be read and may have held model calls, "" when all was read; `frame` is the answer of `problems`."""
    counts = frame.groupby("code")["count"].sum() if len(frame) else {}
    named = [count(int(counts[code]), *nouns) for code, nouns in _UNREAD.items() if code in counts]
    return listing(named) if named else ""


def import_changes(frame: pd.DataFrame) -> str:
    """Say what an import into SQLite rewrote, "" where there was none; `frame` is the answer of `problems`."""
    counts = frame.groupby("code")["count"].sum() if len(frame) else {}
    done = [text.format(n=count(int(counts[code]), "entry", "entries")) for code, text in _IMPORT.items() if code in counts]
    if not done:
        return ""
    text = f"This store was imported from sessions.json. OpenClaw's import {listing(done)}."
    if "import_archive" in counts:
        files = count(int(counts["import_archive"]), "original file")
        lie = "lies" if int(counts["import_archive"]) == 1 else "lie"
        text += f" {files} of the import {lie} beside the store, the only way back; what they hold is counted once."
    return f"{text} That makes entries smaller; events, tokens and cost come from the transcripts, which it carries over."


def disagreement(frame: pd.DataFrame) -> str:
    """Name the stores that another one of the same agent disagrees with, "" when there is none; `frame` is the answer of `problems`."""
    found = frame[frame["code"] == "split_store"]
    if found.empty:
        return ""
    return f"**Not all of the sessions are here.**\n\n{problem_list(found)}"


def problem_list(frame: pd.DataFrame) -> str:
    """Write the problems as a list, those with the same advice as one item, in the order of `frame`; the answer of `problems`.

    A list, not a table: three columns of sentences do not fit on any page, and the advice would be the one out of sight.
    At most `MAX_EXAMPLES` findings of an item are told, with their file and line.
    """
    items = []
    for (severity, code, advice), group in frame.groupby(["severity", "code", "advice"], sort=False):
        told = [_found(row) for row in group.head(MAX_EXAMPLES).to_dict("records")]
        if len(group) > MAX_EXAMPLES:
            told.append(f"and {len(group) - MAX_EXAMPLES:,} more such findings")
        to_do = f" *What to do:* {_plain(str(advice))}." if advice else ""
        items.append(f"- **{_plain(str(code))}** ({severity}, {int(group['count'].sum()):,}): {_plain('; '.join(told))}.{to_do}")
    return "\n".join(items)


def _found(row: dict[Hashable, Any]) -> str:
    import pandas as pd

    place = "" if pd.isna(row["path"]) else str(row["path"])
    line = "" if pd.isna(row["line"]) else f", line {int(row['line'])}"
    # Most messages name the session themselves.
    key = "" if pd.isna(row["session_key"]) or str(row["session_key"]) in str(row["message"]) else f": {row['session_key']}"
    return f"{row['message']}{key}" + (f" ({place}{line})" if place else "")


def to_do(advice: Sequence[Advice]) -> str:
    """Write advice as a numbered list: title, evidence, how, and what it frees."""
    if not advice:
        return "Nothing stands out: no rule of the lab found anything to do."
    lines = []
    for number, one in enumerate(advice, start=1):
        saving = f" *Frees up to {format_bytes(one.saves_bytes)}.*" if one.saves_bytes else ""
        lines.append(f"{number}. **{_plain(one.title)}.** {_plain(one.evidence)} {_plain(one.action)}{saving}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Keep names that came from a store, and a pattern like bak.*, from becoming emphasis, markup or a formula."""
    for mark in "\\*_[]<>$#":
        text = text.replace(mark, f"\\{mark}")
    return text
