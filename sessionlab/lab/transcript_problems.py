"""What reading a transcript showed, worded for the person who owns it."""

from __future__ import annotations

from collections.abc import Iterator

from sessionlab.lab.collect import TranscriptSource
from sessionlab.lab.columns import TranscriptFacts
from sessionlab.stores.base import Problem


def transcript_problems(source: TranscriptSource, facts: TranscriptFacts) -> Iterator[Problem]:
    """Word what reading one transcript showed."""
    where, key = source.path, source.session_key
    if facts.error is not None:
        yield Problem(
            code="unreadable_transcript",
            severity="error",
            message=f"the transcript {facts.error}",
            path=where,
            key=key,
            advice=f"make the file readable and load again; {facts.events} events before that are counted",
        )
    for line in facts.bad:
        if line.is_unfinished:
            yield Problem(
                code="unfinished_line",
                severity="info",
                message="the last line is unfinished: it is being written, or its writer crashed",
                path=where,
                line=line.number,
                key=key,
                advice="load again later; it is not counted yet",
            )
        else:
            yield Problem(
                code="bad_line",
                severity="warning",
                message=f"a transcript line {line.reason}",
                path=where,
                line=line.number,
                key=key,
                advice="mend the line before OpenClaw's SQLite import, which drops what follows it; all other lines are counted",
            )
    further = facts.bad_lines - sum(not line.is_unfinished for line in facts.bad)
    if further > 0:
        yield Problem(code="bad_line", severity="warning", message="further bad lines", path=where, key=key, count=further)
    if facts.odd_lines:
        yield Problem(
            code="odd_event",
            severity="info",
            message="events with a field of the wrong type, or half a surrogate pair",
            path=where,
            key=key,
            advice="nothing needs doing: the rest of each event is counted",
            count=facts.odd_lines,
        )
    if facts.untimed:
        yield Problem(
            code="untimed_event",
            severity="info",
            message="events without a readable time",
            path=where,
            key=key,
            advice="nothing needs doing: they are in all totals, and missing in figures by day",
            count=facts.untimed,
        )
