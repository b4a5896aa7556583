"""The notebook of parallel sessions: its committed outputs, other parameters, what makes no sense, and the page in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from sessionlab import resources
from sessionlab.errors import NotebookFailedError, SessionLabError
from sessionlab.lab.parallel_settings import chosen_settings
from sessionlab.reports.page import export_page
from sessionlab.reports.parameters import declared_parameters
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import ExecutedNotebook, NotebookJob, run_notebook, run_notebooks
from tests.browser import chromium_page

NOTEBOOK = resources.notebooks_dir() / "06_parallel_sessions.ipynb"
DRAWN = "[...document.querySelectorAll('figure .js-plotly-plot')].map(e => e.querySelectorAll('.bars path, .hm image, .js-line').length)"
SMALL: dict[str, object] = {"messages": 60, "channels": 4, "peers": 6, "max_concurrent": 2}


def words(node: Any) -> str:
    return "\n".join(str(o.get("data", {}).get("text/plain", "")) for c in node["cells"] for o in c.get("outputs", []))


def test_committed_notebook_shows_a_day_that_reaches_every_limit_and_loses_nothing() -> None:
    node = nbformat.read(NOTEBOOK, as_version=4)
    record = read_record(node)
    assert (record["messages"], record["limit"], record["most_active"]) == (2000, 5, 5)
    assert record["sessions"] == record["sessions_as_counted"] == record["after_restart"]["known again"] == 10
    assert set(record["fates"]) == {"kept", "removed when expired"}
    assert record["promoted"] == record["known"] > 100
    said = words(node)
    for verdict in ("**Never above the limit**", "**Nothing acknowledged is lost**", "**Every session is known**"):
        assert verdict in said
    assert "reached its cap of 500 memories and 100 entries" in said
    assert "10 of 10 sessions are known again" in said


def test_every_setting_is_a_parameter_with_its_default() -> None:
    declared = {one.name: one.default for one in declared_parameters(NOTEBOOK)}
    assert chosen_settings.__kwdefaults__ is not None
    for name, default in chosen_settings.__kwdefaults__.items():
        assert declared[name].replace('"', "") == str(default), name


def test_it_follows_its_parameters_and_a_named_database_is_made_and_can_be_counted(tmp_path: Path) -> None:
    file = tmp_path / "shared-memory.db"
    first = run_notebook(NOTEBOOK, tmp_path / "first.ipynb", SMALL | {"memory_db_path": file, "isolation": "per-peer", "restart_hour": -1})
    record = read_record(first.node)
    assert (record["messages"], record["limit"], record["after_restart"]) == (60, 2, {})
    assert record["most_active"] <= 2
    assert "One session for each person across all channels" in words(first.node)
    assert "The manager was not started anew." in words(first.node)
    again, lost = run_notebooks(
        [
            NotebookJob(NOTEBOOK, tmp_path / "again.ipynb", SMALL | {"memory_db_path": file}),
            NotebookJob(NOTEBOOK, tmp_path / "lost.ipynb", SMALL | {"memory_backend": "memory", "own_memory_path": file}),
        ]
    )
    assert not isinstance(lost, SessionLabError)
    assert read_record(lost.node)["own_memories"] == record["fates"]["kept"]
    assert "It was only read." in words(lost.node)
    assert isinstance(again, NotebookFailedError)
    assert again.exit_code == 2
    assert "is there already, and a simulated day is not to be mixed with what it holds" in str(again)
    assert "\n" not in str(again)


def test_page_fits_any_width_and_asks_for_nothing(tmp_path: Path, chromium: Path) -> None:
    executed = ExecutedNotebook(NOTEBOOK, tmp_path / NOTEBOOK.name, nbformat.read(NOTEBOOK, as_version=4), {}, 0.0)
    made = export_page(executed, tmp_path / "day.html").path
    with chromium_page(str(chromium)) as page:
        page.open(made)
        for width in (400, 1300):
            page.view(width)
            assert page.eval("document.documentElement.scrollWidth") <= width
        assert len(page.eval(DRAWN)) == 6
        assert all(page.eval(DRAWN))
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
