"""One offline HTML file made from an executed notebook: the report that people open, send and keep.

Owns the page (`template/`) and the file. Everything is inside: plotly.js from its wheel, the style, the data. A content security
policy with the hashes of our two scripts lets nothing else run and nothing leave the page, whatever a session is called.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sessionlab.errors import UsageError
from sessionlab.reports.blocks import body_of
from sessionlab.reports.figures_html import MAX_ROWS
from sessionlab.reports.parameters import declared_parameters, load_notebook, used_values
from sessionlab.reports.tables_html import table_html
from sessionlab.units import format_bytes, format_count

_TEMPLATES = Path(__file__).parent / "template"


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """One agent's store as the report's header names it."""

    agent_id: str
    store_kind: str
    snapshot_method: str
    fingerprint: str
    sessions: int
    store_bytes: int


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """What a reader must know to trust a report: what was read, how, as of when, and with which versions.

    `clock` is the instant the report takes for now, `generated_at` when the file was made (empty: not stated).
    The parameters are not here: the executed notebook holds them. `is_source_changed` says that making the report changed what it is about.
    """

    source: str
    agents: tuple[AgentFacts, ...]
    clock: str
    generated_at: str = ""
    problems: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    is_source_changed: bool = False


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A written report: the file, its size in bytes, and how many figures it has."""

    path: Path
    bytes: int
    figures: int


def export_html(executed: Path | Any, output: Path, *, title: str, header: ReportHeader) -> ExportResult:
    """Write an executed notebook as one HTML file, which appears at `output` complete or not at all.

    Args:
        executed: the executed notebook, as a path or an nbformat node.
        output: the file; its folder is created.
        title: the page's title; the notebook's first heading is left out when it says the same.
        header: what the page says about its own making.

    Raises:
        UsageError: the notebook cannot be read, or `output` cannot be written.
    """
    from plotly.offline import get_plotlyjs

    node, _ = load_notebook(executed)
    body = body_of(node, title=title)
    values = used_values(node)
    # The last closing tag wins in HTML: a script that holds one would end early.
    plotly_js, report_js = get_plotlyjs().replace("</script", "<\\/script"), (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"bytes": format_bytes, "count": format_count}
    page = environment.get_template("report.html.j2").render(
        title=title,
        header=header,
        body=body,
        parameters=[(p.name, values[p.name], p.default, p.help) for p in declared_parameters(node)],
        table_html=table_html,
        max_rows=MAX_ROWS,
        style=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        plotly_js=Markup(plotly_js),  # noqa: S704 - from the plotly wheel
        report_js=Markup(report_js),  # noqa: S704 - our own file
        script_hashes=[_hash(plotly_js), _hash(report_js)],
    )
    content = page.encode()
    _write(output.absolute(), content)
    return ExportResult(output.absolute(), len(content), body.figures)


def package_versions() -> dict[str, str]:
    """Return the versions that a report's numbers and pictures depend on, by name."""
    names = ("sessionlab", "duckdb", "plotly")
    return {**{name: version(name) for name in names}, "python": platform.python_version()}


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _write(output: Path, content: bytes) -> None:
    staged: str | None = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            staged = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).chmod(0o644)
        Path(staged).replace(output)
        staged = None
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror})") from error
    finally:
        if staged is not None:
            Path(staged).unlink(missing_ok=True)
