"""The growth report: the notebook `01_growth` run on a state folder, and its HTML.

The header's facts come from what the notebook recorded, so the page cannot say something else than the figures were made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessionlab.lab.choices import checked
from sessionlab.lab.session import clock_of
from sessionlab.reports.html import ExportResult
from sessionlab.reports.page import export_page
from sessionlab.reports.parameters import check_parameters
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import OnProgress, run_notebook
from sessionlab.resources import notebooks_dir
from sessionlab.stores.opening import refuse_unreadable

NOTEBOOK = "01_growth.ipynb"


@dataclass(frozen=True, slots=True)
class GrowthReport:
    """A written growth report: the file, what the notebook recorded, and the seconds that running and exporting took."""

    html: ExportResult
    record: Mapping[str, Any]
    notebook: Path | None
    run_seconds: float


def growth_report(
    state_dir: Path,
    output: Path,
    *,
    parameters: Mapping[str, object],
    keep_notebook: Path | None = None,
    on_progress: OnProgress | None = None,
    generated_ms: int | None = None,
) -> GrowthReport:
    """Run `01_growth` on `state_dir` and write its HTML to `output`.

    Args:
        state_dir: the agent's state folder, as the notebook's `state_dir`.
        output: the HTML file; its folder is created.
        parameters: further parameters of the notebook; strings are read as the declared types.
        keep_notebook: where to keep the executed notebook; by default it is kept only when a cell fails (beside `output`).
        on_progress: called before each cell.
        generated_ms: the instant to state as the report's making, epoch ms UTC; none is stated without it.

    Raises:
        StoreError: a store is missing or cannot be read; no kernel was started, and nothing written.
        NotebookParameterError: a parameter is unknown or ill-typed.
        NotebookFailedError: the notebook failed; no HTML was written, the executed notebook is kept.
        UsageError: a parameter or the agent makes no sense, or the output cannot be written.
    """
    output, notebook = output.absolute(), notebooks_dir() / NOTEBOOK
    values = check_parameters(notebook, {**parameters, "state_dir": state_dir.absolute()})
    _refuse_early(state_dir, values)
    kept = keep_notebook or output.with_suffix(".failed.ipynb")
    try:
        executed = run_notebook(notebook, kept, values, on_progress=on_progress)
    except KeyboardInterrupt:
        if keep_notebook is None:
            kept.unlink(missing_ok=True)
        raise
    html = export_page(executed, output, generated_ms=generated_ms)
    if keep_notebook is None:
        kept.unlink()
    return GrowthReport(html, read_record(executed.node), keep_notebook, executed.seconds)


def _refuse_early(state_dir: Path, values: Mapping[str, Any]) -> None:
    """Refuse what the notebook would refuse: here it takes a moment, there a kernel and a notebook that stays."""
    names = ("since", "until", "limit_bytes", "stale_days", "top")
    checked(**{name: values[name] for name in names if name in values})
    clock_of(state_dir, values.get("now_ms", 0))
    refuse_unreadable(state_dir, agent=values.get("agent") or None)
