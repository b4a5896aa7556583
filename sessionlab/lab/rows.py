"""An agent's rows of the mirror: the agent itself, its disk space, its problems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionlab.lab.collect import AgentSnapshot
from sessionlab.lab.insert import insert_rows, shown_path
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
            advice="set the time right: the clock of the machine was wrong, and until then the session looks fresh to every age rule",
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
