"""Any executed notebook as its page: the HTML file whose header says what the notebook itself recorded.

So the page cannot say something else than the figures were made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessionlab.errors import UsageError
from sessionlab.reports.html import AgentFacts, ExportResult, ReportHeader, export_html, package_versions
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import ExecutedNotebook
from sessionlab.units import format_ms_utc


def export_page(executed: ExecutedNotebook, output: Path, *, generated_ms: int | None = None) -> ExportResult:
    """Write an executed notebook as one offline HTML file.

    Args:
        executed: A notebook; where it ends with no record, the header says less.
        output: The file; its folder is created.
        generated_ms: The instant to state as the page's making, epoch ms UTC; none is stated without it.

    Raises:
        UsageError: The output cannot be written.
    """
    try:
        record = read_record(executed.node)
    except UsageError:
        record = {}
    header = header_of(record, generated_at=format_ms_utc(generated_ms) if generated_ms is not None else "")
    return export_html(executed.node, output, title=title_of(executed), header=header)


def header_of(record: Mapping[str, Any], *, generated_at: str) -> ReportHeader:
    """Return the header that a notebook's record describes; keys it does not know are left alone."""
    names = AgentFacts.__dataclass_fields__
    return ReportHeader(
        source=str(record.get("source", "")),
        agents=tuple(AgentFacts(**{name: agent[name] for name in names}) for agent in _stores(record)),
        clock=str(record.get("now", "")),
        generated_at=generated_at,
        problems=record.get("problems"),
        versions=package_versions(),
        is_source_changed=bool(record.get("source_changed", False)),
    )


def title_of(executed: ExecutedNotebook) -> str:
    """Return the first heading of a notebook, or the name of its file."""
    for cell in executed.node.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.splitlines()[0][2:].strip())
    return executed.source.stem


def _stores(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the stores that a notebook recorded under `agents`; another notebook may record something else under that name."""
    agents = record.get("agents", ())
    needed = set(AgentFacts.__dataclass_fields__)
    return [agent for agent in agents if isinstance(agent, Mapping) and needed <= agent.keys()] if isinstance(agents, list) else []
