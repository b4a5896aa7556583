"""An agent's rows of the mirror: the agent itself, its sessions with the bytes of their fields, its disk space, its problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionlab.entry import SessionSummary
from sessionlab.lab.collect import AgentSnapshot, big_field_bytes, session_kind
from sessionlab.lab.events import TranscriptTotals
from sessionlab.lab.insert import day_of, insert_rows, shown_path
from sessionlab.layout import agents_dir
from sessionlab.stores.base import Problem
from sessionlab.stores.checks import worst_first

if TYPE_CHECKING:
    import duckdb


def insert_agents(con: duckdb.DuckDBPyConnection, snapshot: AgentSnapshot) -> None:
    """Insert the agent's row and its disk space."""
    stats = snapshot.stats
    live = [source for source in snapshot.sources if source.source in ("live", "cold")]
    archives = [source for source in snapshot.sources if source.source not in ("live", "cold")]
    insert_rows(
        con,
        "agents",
        text={
            "agent_id": [snapshot.location.agent_id],
            "store_kind": [stats.kind],
            "store_path": [str(snapshot.location.path)],
            "app_version": [stats.app_version],
            "fingerprint": [snapshot.fingerprint.sha256],
            "snapshot_method": [snapshot.snapshot_method],
        },
        numbers={
            "store_bytes": [stats.store_bytes],
            "sessions": [stats.sessions],
            "transcripts": [len(live)],
            "transcript_bytes": [sum(source.bytes for source in live)],
            "archives": [len(archives)],
            "archive_bytes": [sum(source.bytes for source in archives)],
            "schema_version": [stats.schema_version],
        },
    )
    rows = snapshot.storage
    insert_rows(
        con,
        "storage",
        text={
            "agent_id": [snapshot.location.agent_id] * len(rows),
            "part": [part for part, _, _, _ in rows],
            "detail": [detail for _, detail, _, _ in rows],
        },
        numbers={"files": [files for _, _, files, _ in rows], "bytes": [size for _, _, _, size in rows]},
    )


def insert_sessions(
    con: duckdb.DuckDBPyConnection, snapshot: AgentSnapshot, of_transcripts: Mapping[tuple[str, str], TranscriptTotals]
) -> None:
    """Insert the agent's sessions.

    Args:
        con: The mirror.
        snapshot: The agent.
        of_transcripts: What the transcripts of (agent, session key) add up to.
    """
    agent_id = snapshot.location.agent_id
    summaries = snapshot.summaries
    if not summaries:
        return
    kinds = [session_kind(summary.key) for summary in summaries]
    totals = [of_transcripts.get((agent_id, summary.key), TranscriptTotals()) for summary in summaries]
    created = [_created(summary, total.first_ms, snapshot.stats.kind) for summary, total in zip(summaries, totals, strict=True)]
    big = [big_field_bytes(snapshot.fields[summary.key]) for summary in summaries]
    insert_rows(
        con,
        "sessions",
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
            "transcript_bytes": [total.bytes for total in totals],
            "transcript_events": [total.events for total in totals],
            "cost_microusd": [total.cost_microusd for total in totals],
            "is_transcript_missing": [summary.key in snapshot.missing for summary in summaries],
            "is_archived": [summary.archived for summary in summaries],
        },
        derived={
            "created_day": day_of("data.created_ms"),
            "updated_day": day_of("data.updated_ms"),
        },
    )


def insert_fields(con: duckdb.DuckDBPyConnection, snapshot: AgentSnapshot) -> None:
    """Insert the bytes of the fields of the agent's sessions."""
    agent_id = snapshot.location.agent_id
    insert_rows(
        con,
        "fields",
        text={
            "agent_id": [agent_id for sizes in snapshot.fields.values() for _ in sizes],
            "session_key": [key for key, sizes in snapshot.fields.items() for _ in sizes],
            "field": [name for sizes in snapshot.fields.values() for name in sizes],
        },
        numbers={"bytes": [size for sizes in snapshot.fields.values() for size in sizes.values()]},
    )


def insert_problems(
    con: duckdb.DuckDBPyConnection, snapshot: AgentSnapshot, of_transcripts: list[Problem], *, root: Path, now_ms: int
) -> None:
    """Insert what is wrong with the agent's store, its transcripts, and its clock at `now_ms`; paths are shown relative to `root`."""
    future = [
        Problem(
            code="updated_in_future",
            severity="warning",
            message="updatedAt lies in the future",
            path=str(snapshot.location.path),
            key=summary.key,
            advice="the clock of the machine was wrong; this session looks fresh to every age rule until then",
        )
        for summary in snapshot.summaries
        if summary.updated_ms is not None and summary.updated_ms > now_ms
    ]
    _insert_problem_rows(con, snapshot.location.agent_id, worst_first([*snapshot.problems, *of_transcripts, *future]), root)


def insert_lost_agents(con: duckdb.DuckDBPyConnection, agent_ids: Sequence[str], *, root: Path) -> None:
    """Insert a problem for each agent that has transcripts but no store: nothing of it is counted, and that must be seen."""
    for agent_id in agent_ids:
        problem = Problem(
            code="agent_without_store",
            severity="error",
            message="the agent has transcripts and no session store; nothing of it is counted here",
            path=str(agents_dir(root) / agent_id),
            advice="restore its sessions.json or database from a backup",
        )
        _insert_problem_rows(con, agent_id, (problem,), root)


def _insert_problem_rows(con: duckdb.DuckDBPyConnection, agent_id: str, rows: Sequence[Problem], root: Path) -> None:
    insert_rows(
        con,
        "problems",
        text={
            "agent_id": [agent_id] * len(rows),
            "severity": [row.severity for row in rows],
            "code": [row.code for row in rows],
            "message": [row.message for row in rows],
            "path": [row.path and shown_path(row.path, root) for row in rows],
            "session_key": [row.key for row in rows],
            "advice": [row.advice for row in rows],
        },
        numbers={"line": [row.line for row in rows], "count": [row.count for row in rows]},
    )


def _created(summary: SessionSummary, first_ms: int | None, store_kind: str) -> tuple[int | None, str]:
    """Return when a session was born, and what says so: its transcript's header, the entry or store, else only its last update."""
    if first_ms is not None:
        return first_ms, "transcript"
    if summary.created_ms is not None:
        return summary.created_ms, "entry" if store_kind == "json" else "store"
    if summary.updated_ms is not None:
        return summary.updated_ms, "updated"
    return None, "unknown"
