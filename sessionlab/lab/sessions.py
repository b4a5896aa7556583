"""The sessions' rows of the mirror, and the bytes of their fields.

What only the transcripts know (totals, and when a session was born) is joined at the end: sessions are looked at while those are read.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from sessionlab.entry import SessionSummary
from sessionlab.lab.collect import AgentSnapshot, big_field_bytes, session_kind
from sessionlab.lab.insert import day_of, insert_arrays, insert_rows

if TYPE_CHECKING:
    import duckdb

_OF_TRANSCRIPTS = ("created_day", "transcript_bytes", "transcript_events", "cost_microusd")
"""The columns of `sessions` that are filled at the end; `created_ms` and `created_from` are what the entry says until then."""


class SessionRows:
    """The sessions of all agents on their way into the mirror."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        """Take a mirror with empty tables."""
        self._con = con
        self._count = 0
        self._fields: dict[str, int] = {}
        con.execute(f"CREATE OR REPLACE TEMP TABLE seen_sessions AS SELECT * EXCLUDE ({', '.join(_OF_TRANSCRIPTS)}) FROM sessions")

    def add(self, snapshot: AgentSnapshot) -> None:
        """Take an agent's sessions, and insert the bytes of their fields."""
        summaries = snapshot.summaries
        if not summaries:
            return
        agent_id = snapshot.location.agent_id
        numbers = range(self._count, self._count + len(summaries))
        self._count += len(summaries)
        kinds = [session_kind(summary.key) for summary in summaries]
        created = [_created(summary, snapshot.stats.kind) for summary in summaries]
        big = [big_field_bytes(snapshot.fields[summary.key]) for summary in summaries]
        insert_rows(
            self._con,
            "seen_sessions",
            text={
                "agent_id": [agent_id] * len(summaries),
                "session_key": [summary.key for summary in summaries],
                "session_id": [summary.session_id for summary in summaries],
                "kind": [kind for kind, _, _ in kinds],
                "channel": [summary.channel or channel for summary, (_, channel, _) in zip(summaries, kinds, strict=True)],
                "chat_type": [summary.chat_type for summary in summaries],
                "status": [summary.status for summary in summaries],
                "label": [summary.label or summary.display_name for summary in summaries],
                "model_provider": [summary.model_provider for summary in summaries],
                "model": [summary.model for summary in summaries],
                "parent_key": [summary.parent_key for summary in summaries],
                "cron_job_id": [job for _, _, job in kinds],
                "created_from": [origin for _, origin in created],
            },
            numbers={
                "session_number": numbers,
                "created_ms": [moment for moment, _ in created],
                "updated_ms": [summary.updated_ms for summary in summaries],
                "input_tokens": [summary.input_tokens for summary in summaries],
                "output_tokens": [summary.output_tokens for summary in summaries],
                "total_tokens": [summary.total_tokens for summary in summaries],
                "context_tokens": [summary.context_tokens for summary in summaries],
                "compactions": [summary.compaction_count for summary in summaries],
                "entry_bytes": [sum(sizes) for sizes in big],
                "skills_snapshot_bytes": [sizes[0] for sizes in big],
                "system_prompt_report_bytes": [sizes[1] for sizes in big],
                "acp_bytes": [sizes[2] for sizes in big],
                "other_bytes": [sizes[3] for sizes in big],
                "is_transcript_missing": [summary.key in snapshot.missing for summary in summaries],
                "is_archived": [summary.archived for summary in summaries],
            },
            derived={"updated_day": day_of("data.updated_ms")},
        )
        self._add_fields([snapshot.fields[summary.key] for summary in summaries], first=numbers.start)

    def _add_fields(self, sizes: list[dict[str, int]], *, first: int) -> None:
        """Insert the sizes of the fields of the sessions from number `first` on."""
        known = len(self._fields)
        for names in sizes:
            for name in names:
                self._fields.setdefault(name, len(self._fields))
        counts = [len(names) for names in sizes]
        total = sum(counts)
        insert_arrays(
            self._con,
            "field_rows",
            {
                "session_number": np.repeat(np.arange(first, first + len(sizes), dtype=np.int64), counts),
                "field_number": np.fromiter(map(self._fields.__getitem__, chain.from_iterable(sizes)), np.int64, total),
                "bytes": np.fromiter(chain.from_iterable(names.values() for names in sizes), np.int64, total),
            },
        )
        new = list(self._fields)[known:]
        if new:
            insert_rows(self._con, "field_names", text={"field": new}, numbers={"field_number": range(known, len(self._fields))})

    def finish(self) -> None:
        """Insert the sessions, with what their transcripts add up to: archives included, copies from a parent excluded."""
        day = day_of("coalesce(of_transcripts.first_ms, seen.created_ms)")
        self._con.execute(
            f"""
            INSERT INTO sessions BY NAME
            SELECT seen.* REPLACE (
                     coalesce(of_transcripts.first_ms, seen.created_ms) AS created_ms,
                     CASE WHEN of_transcripts.first_ms IS NULL THEN seen.created_from ELSE 'transcript' END AS created_from),
                   {day} AS created_day,
                   coalesce(of_transcripts.bytes, 0) AS transcript_bytes,
                   coalesce(of_transcripts.events, 0) AS transcript_events,
                   coalesce(of_transcripts.cost, 0) AS cost_microusd
            FROM seen_sessions AS seen LEFT JOIN (
              SELECT agent_id, session_key, min(first_ms) AS first_ms, sum(bytes) AS bytes, sum(counted.events) AS events,
                     sum(counted.cost) AS cost
              FROM transcripts LEFT JOIN (
                SELECT transcript_id, count(*) AS events, sum(cost_microusd) FILTER (WHERE role = 'assistant') AS cost
                FROM event_rows JOIN event_labels USING (label) WHERE NOT is_copy GROUP BY transcript_id
              ) AS counted USING (transcript_id)
              WHERE session_key IS NOT NULL GROUP BY agent_id, session_key
            ) AS of_transcripts USING (agent_id, session_key)
            ORDER BY session_number
            """  # our own text
        )


def _created(summary: SessionSummary, store_kind: str) -> tuple[int | None, str]:
    """Return when a session was born as far as its entry or store says, else only when it was last updated; and which of these it is."""
    if summary.created_ms is not None:
        return summary.created_ms, "store" if store_kind == "openclaw" else "entry"
    if summary.updated_ms is not None:
        return summary.updated_ms, "updated"
    return None, "unknown"
