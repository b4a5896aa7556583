"""`sessionlab list`: the sessions of one or several stores, the newest first."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from sessionlab import keys
from sessionlab.cli.asked import asked_place, asked_stores, end_with, on_one_line, opened, path_argument
from sessionlab.cli.careful import echo_warnings, oddities
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import agent_option, echo_json, echo_table, json_option, now_option, state_dir_option
from sessionlab.entry import SessionSummary
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.stores.location import StoreLocation
from sessionlab.units import format_count, format_ms_utc, parse_duration_ms

_WIDTH: Final = 100
"""Columns of a terminal that does not say how many it has."""

_LEAST_KEY: Final = 20
_LONGEST_NAME: Final = 20
_DISPENSABLE: Final = ("model", "channel", "kind", "tokens")
"""Columns that a narrow terminal goes without, in this order."""


class _Session(NamedTuple):
    agent_id: str
    summary: SessionSummary
    parsed: keys.ParsedKey

    @property
    def channel(self) -> str | None:
        """What the entry says, else what the key says."""
        return self.summary.channel or self.parsed.channel


class _Filter(NamedTuple):
    kind: str | None
    channel: str | None
    since_ms: int | None

    def takes(self, session: _Session) -> bool:
        """Say whether a session is asked for. One that does not say when it was updated was not active since any time."""
        if self.kind is not None and session.parsed.kind != self.kind:
            return False
        if self.channel is not None and (session.channel or "").lower() != self.channel:
            return False
        return self.since_ms is None or (session.summary.updated_ms is not None and session.summary.updated_ms >= self.since_ms)


@click.command("list")
@path_argument
@state_dir_option
@agent_option
@click.option("--kind", type=click.Choice(keys.KINDS, case_sensitive=False), help="Only sessions of this kind, as their keys say.")
@click.option("--channel", metavar="NAME", help="Only sessions of this chat channel, such as telegram.")
@click.option("--active-since", metavar="TIME", help="Only sessions updated since: 7d (or 7), 12h, or a UTC day or time, 2026-11-01.")
@click.option("--limit", type=int, metavar="N", help="At most N sessions, the newest.")
@now_option
@json_option
def command(
    *,
    path: str | None,
    state_dir: str | None,
    agent: str | None,
    kind: str | None,
    channel: str | None,
    active_since: str | None,
    limit: int | None,
    now_ms: int,
    as_json: bool,
) -> None:
    """List the sessions at PATH, of all its agents, the newest first.

    PATH is a store, an agent's folder or a state folder; nothing is written. Times are UTC; tokens are what the entry counts. On a
    terminal long keys are shortened to fit, and a narrow one has fewer columns; elsewhere and in JSON nothing is left out. In JSON a
    session has the columns of the mirror's sessions that a listing knows, and the total is that of all sessions that match. A store that
    cannot be read does not hide the others; the exit code is then its own, and the JSON has no total.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: give 1 or more, or leave it out for all sessions")
    place = asked_place(path, state_dir)
    since_ms = _since_ms(active_since, place, now_ms) if active_since is not None else None
    locations = asked_stores(place, agent)
    wanted = _Filter(kind, channel.strip().lower() if channel is not None else None, since_ms)
    sessions, total, errors, warnings = _sessions(locations, wanted, limit)
    if errors and len(locations) == 1 and not sessions:
        raise errors[0]
    if as_json:
        totals = {} if errors else {"total": total}
        rows = [_row(session) for session in sessions]
        echo_json(
            {"path": str(place), **totals, "sessions": rows, "errors": [with_next_step(error) for error in errors], "warnings": warnings}
        )
    elif sessions:
        _echo(sessions, with_agent=len(locations) > 1)
    if not as_json:
        echo_warnings(warnings)
    if not as_json and len(sessions) < total:
        click.echo(f"{format_count(len(sessions))} of {format_count(total)} sessions", err=True)
    if not as_json and not total and not errors:
        click.echo("no session matches" if any(value is not None for value in wanted) else "no sessions", err=True)
    if errors:
        end_with(errors)


def _sessions(
    locations: Sequence[StoreLocation], wanted: _Filter, limit: int | None
) -> tuple[list[_Session], int, list[SessionLabError], list[str]]:
    """Return the sessions to show, how many match, the errors of stores that cannot be read, or only in part, and what else is odd."""
    found: list[_Session] = []
    errors: list[SessionLabError] = []
    warnings: list[str] = []
    total = 0
    for location in locations:
        count = 0
        try:
            with opened(location) as store:
                for summary in store.summaries():
                    session = _Session(location.agent_id, summary, keys.parse(summary.key))
                    if not wanted.takes(session):
                        continue
                    count += 1
                    if limit is None or count <= limit:  # a store's own come newest first
                        found.append(session)
                warnings += [f"{location.path}: {warning}" for warning in oddities(store, store.count())]
        except SessionLabError as error:
            errors.append(error)
        total += count
    if len(locations) > 1:
        found.sort(key=_newest_first)
    return found[:limit], total, errors, warnings


def _newest_first(session: _Session) -> tuple[int, str, str]:
    updated_ms = session.summary.updated_ms
    return -updated_ms if updated_ms is not None else 1 << 62, session.summary.key, session.agent_id


def _since_ms(text: str, place: Path, now_ms: int) -> int:
    """Return the time that `--active-since` means, epoch ms."""
    from sessionlab.lab.clock import clock_of  # only an age needs it

    advice = "write an age such as 7d or 12h, or a day such as 2026-11-01"
    clock = clock_of(place, now_ms)
    try:
        if "-" in text.strip().strip("-"):
            moment = dt.datetime.fromisoformat(text.strip())
            since_ms = int((moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
        else:
            since_ms = clock.now_ms - parse_duration_ms(text, default_unit="d")
    except (ValueError, OverflowError, UsageError) as error:
        raise UsageError(f"--active-since {text!r}: is no time; {advice}") from error
    if since_ms < 0:
        raise UsageError(f"--active-since {text!r}: lies before 1970; {advice}")
    return since_ms


def _row(session: _Session) -> dict[str, Any]:
    """Return a session for JSON; the names are those of the mirror's columns where it has them."""
    summary, parsed = session.summary, session.parsed
    return {
        "agent_id": session.agent_id,
        "session_key": summary.key,
        "session_id": summary.session_id,
        "kind": parsed.kind,
        "channel": session.channel,
        "chat_type": summary.chat_type,
        "status": summary.status,
        "label": summary.label or summary.display_name,
        "model_provider": summary.model_provider,
        "model": summary.model,
        "parent_key": summary.parent_key,
        "cron_job_id": parsed.cron_job_id,
        "thread_id": summary.thread_id,
        "created_ms": summary.created_ms,
        "started_ms": summary.started_ms,
        "ended_ms": summary.ended_ms,
        "updated_ms": summary.updated_ms,
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "total_tokens": summary.total_tokens,
        "context_tokens": summary.context_tokens,
        "compactions": summary.compaction_count,
        "session_file": summary.session_file,
        "is_archived": summary.archived,
    }


def _echo(sessions: Sequence[_Session], *, with_agent: bool) -> None:
    """Print a table; on a terminal its lines fit, on paper and in a pipe keys are whole."""
    is_terminal = sys.stdout.isatty()
    head = ["updated (UTC)", *(["agent"] if with_agent else []), "kind", "channel", "model", "tokens"]
    rows = [head, *(_cells(session, with_agent=with_agent, is_terminal=is_terminal) for session in sessions)]
    room = sys.maxsize
    if is_terminal:
        columns = shutil.get_terminal_size((_WIDTH, 24)).columns
        head, rows = _narrowed(rows, columns - _LEAST_KEY)
        room = max(columns - _width(rows), _LEAST_KEY)
    keys_shown = ["key", *(_cut(on_one_line(session.summary.key), room) for session in sessions)]
    right = frozenset({head.index("tokens")}) if "tokens" in head else frozenset[int]()
    echo_table([[*row, key] for row, key in zip(rows, keys_shown, strict=True)], right=right)


def _narrowed(rows: list[list[str]], room: int) -> tuple[list[str], list[list[str]]]:
    """Leave out columns, those first that a key tells as well or that matter least, until a table fits; return its head and its rows."""
    for name in _DISPENSABLE:
        if _width(rows) <= room:
            break
        place = rows[0].index(name)
        rows = [row[:place] + row[place + 1 :] for row in rows]
    return rows[0], rows


def _width(rows: list[list[str]]) -> int:
    return sum(max(len(row[place]) for row in rows) + 2 for place in range(len(rows[0])))


def _cells(session: _Session, *, with_agent: bool, is_terminal: bool) -> list[str]:
    """Return what stands before the key."""
    summary = session.summary
    longest = _LONGEST_NAME if is_terminal else sys.maxsize
    names = [
        *([session.agent_id] if with_agent else []),
        session.parsed.kind,
        session.channel or "",
        summary.model or "",
    ]
    return [
        format_ms_utc(summary.updated_ms).removesuffix(" UTC") if summary.updated_ms is not None else "",
        *(_cut(on_one_line(name), longest) for name in names),
        format_count(summary.total_tokens) if summary.total_tokens is not None else "",
    ]


def _cut(text: str, room: int) -> str:
    """Shorten a text in its middle: keys differ at both ends."""
    if len(text) <= room:
        return text
    tail = (room - 3) // 2
    return f"{text[: room - 3 - tail]}...{text[-tail:]}"
