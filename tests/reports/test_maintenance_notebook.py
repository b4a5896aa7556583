"""The what-if notebook: what its committed outputs say, with other parameters on other stores, and as a page in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from sessionlab import resources
from sessionlab.errors import NotebookFailedError
from sessionlab.lab.session import open_lab
from sessionlab.lab.what_if import open_what_if
from sessionlab.reports.page import export_page
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import ExecutedNotebook, run_notebook
from tests.browser import chromium_page
from tests.fixture_states import photo, shared_state

NOTEBOOK = resources.notebooks_dir() / "05_maintenance.ipynb"
DRAWN = "[...document.querySelectorAll('figure .js-plotly-plot')].map(e => e.querySelectorAll('.bars path, .hm image').length)"


def words(node: Any) -> str:
    return "\n".join(str(o.get("data", {}).get("text/plain", "")) for c in node["cells"] for o in c.get("outputs", []))


def test_committed_notebook_names_what_would_go_and_measures_nothing() -> None:
    node = nbformat.read(NOTEBOOK, as_version=4)
    record = read_record(node)
    with open_lab() as lab:
        outcome = open_what_if(lab).versions()
    assert record["by_version"] == [one.gone.sessions for one in outcome] == [71, 71, 58, 42]
    assert (record["removed"], record["sessions"], len(record["grid"])) == (71, 300, 49)
    assert "$7.31 would be kept in renamed transcripts for 30 d more" in words(node)
    assert "sessionlab maintain STATE_DIR --dry-run --all-agents --profile 2026.3 --prune-after 30d --max-entries 500" in words(node)
    assert "This machine" not in words(node)
    tagged = [cell for cell in node.cells if "widget" in cell.metadata.get("tags", [])]
    assert [cell.cell_type for cell in tagged] == ["markdown", "code"]
    assert tagged[1].outputs[0].data["text/plain"].startswith("Maintenance explorer: 300 sessions")


def test_it_follows_its_parameters_on_another_store_and_leaves_that_alone(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state("json-2026.3", tmp_path_factory)
    before = photo(state)
    chosen: dict[str, object] = {
        "state_dir": state,
        "agent": "main",
        "prune_after": "20d",
        "max_entries": 40,
        "max_disk": "off",
        "profile": "2026.4",
        "now_ms": 1_795_132_800_000,
    }
    done = run_notebook(NOTEBOOK, tmp_path / "out.ipynb", chosen)
    record = read_record(done.node)
    assert (record["source"], record["agents"], record["profile"]) == (str(state), ["main"], "2026.4")
    assert record["sessions"] - record["removed"] <= 40
    assert "This machine reads all entries in" in words(done.node)
    assert "--agent main --profile 2026.4 --prune-after 20d --max-entries 40 --now-ms 1795132800000" in words(done.node)
    assert photo(state) == before


@pytest.mark.parametrize(
    ("chosen", "said"),
    [({"profile": "2027"}, 'profile="2027" is unknown'), ({"prune_after": "soon"}, "'soon' is not a duration")],
)
def test_a_parameter_that_makes_no_sense_is_one_line(tmp_path: Path, chosen: dict[str, object], said: str) -> None:
    with pytest.raises(NotebookFailedError) as refused:
        run_notebook(NOTEBOOK, tmp_path / "out.ipynb", chosen)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_page_fits_any_width_and_asks_for_nothing(tmp_path: Path, chromium: Path) -> None:
    executed = ExecutedNotebook(NOTEBOOK, tmp_path / NOTEBOOK.name, nbformat.read(NOTEBOOK, as_version=4), {}, 0.0)
    made = export_page(executed, tmp_path / "what-if.html").path
    text = made.read_text(encoding="utf-8")
    assert "The source was only read, never changed." in text
    assert "Maintenance explorer" not in text
    with chromium_page(str(chromium)) as page:
        page.open(made)
        for width in (400, 1300):
            page.view(width)
            assert page.eval("document.documentElement.scrollWidth") <= width
        assert len(page.eval(DRAWN)) == 4
        assert all(page.eval(DRAWN))
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
