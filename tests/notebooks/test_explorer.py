"""The explorer: its figures and numbers follow the controls, first without a browser, then in JupyterLab by keyboard."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sessionlab.errors import UsageError
from sessionlab.lab.session import Lab, open_lab
from sessionlab.lab.widgets import ALL, GrowthExplorer
from tests.browser import chromium_page
from tests.notebooks.jupyterlab import jupyterlab, run_all

GROWTH = Path(__file__).resolve().parents[2] / "notebooks" / "01_growth.ipynb"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


@pytest.fixture
def explorer(lab: Lab) -> GrowthExplorer:
    return GrowthExplorer(lab)


def numbers(explorer: GrowthExplorer) -> dict[str, str]:
    return dict(re.findall(r">([^<>]+): <strong>([^<]*)</strong>", explorer.numbers.value))


def last_total(explorer: GrowthExplorer) -> float:
    return float(sum(trace.y[-1] for trace in explorer.trend.data))


def test_at_first_everything_is_shown(explorer: GrowthExplorer, lab: Lab) -> None:
    assert numbers(explorer)["Sessions created"] == "300"
    assert last_total(explorer) == 300
    assert numbers(explorer)["Cost as recorded"] == "$34.52"
    assert (explorer.since.value, explorer.until.value) == (dt.date(2026, 8, 22), dt.date(2026, 11, 20))
    assert explorer.agent.options == (ALL, "main", "ops", "research")
    assert explorer.status.value == ""
    assert lab.query("overview")["sessions"].iloc[0] == 300


def test_an_agent_a_kind_and_a_range_change_figures_and_numbers(explorer: GrowthExplorer, lab: Lab) -> None:
    explorer.agent.value = "ops"
    explorer.kind.value = "cron-run"
    explorer.since.value, explorer.until.value = dt.date(2026, 11, 1), dt.date(2026, 11, 10)
    created, up_to = lab.con.execute(
        "SELECT COUNT(*) FILTER (created_day >= DATE '2026-11-01'), COUNT(*) FROM sessions "
        "WHERE agent_id = 'ops' AND kind = 'cron-run' AND created_day <= DATE '2026-11-10'"
    ).fetchall()[0]
    spent = lab.con.execute(
        "SELECT SUM(e.cost_microusd)::BIGINT FROM events AS e JOIN sessions AS s USING (agent_id, session_key) WHERE agent_id = 'ops' "
        "AND kind = 'cron-run' AND NOT is_copy AND event_day BETWEEN DATE '2026-11-01' AND DATE '2026-11-10'"
    ).fetchall()[0][0]
    assert 0 < created < up_to
    assert numbers(explorer)["Sessions created"] == str(created)
    assert [trace.name for trace in explorer.trend.data] == ["cron-run"]
    assert (explorer.trend.data[0].x[0], explorer.trend.data[0].x[-1]) == ("2026-11-01", "2026-11-10")
    assert last_total(explorer) == up_to
    assert sum(explorer.activity.data[0].y) == created
    assert numbers(explorer)["Cost as recorded"] == f"${spent / 1e6:.2f}"


TITLES_BY_METRIC = {"Sessions": "Sessions in the store", "Bytes": "Size of the session", "Tokens": "Tokens per day", "Cost": "Cost per day"}


@pytest.mark.parametrize(("metric", "title"), list(TITLES_BY_METRIC.items()))
def test_each_metric_has_its_figure(explorer: GrowthExplorer, metric: str, title: str) -> None:
    explorer.metric.value = metric
    assert explorer.trend.layout.title.text.startswith(title)
    assert (explorer.trend.layout.yaxis.tickprefix == "$") == (metric == "Cost")


def test_nothing_of_an_earlier_choice_stays_behind(explorer: GrowthExplorer) -> None:
    explorer.metric.value = "Cost"
    explorer.until.value = explorer.since.value = dt.date(2030, 1, 1)
    assert "No data" in explorer.trend.layout.annotations[0].text
    explorer.reset.click()
    assert explorer.trend.layout.annotations == ()
    assert explorer.trend.layout.yaxis.tickprefix is None
    assert (explorer.metric.value, last_total(explorer)) == ("Sessions", 300)


def test_cleared_days_mean_everything(explorer: GrowthExplorer) -> None:
    explorer.since.value = explorer.until.value = None
    assert numbers(explorer)["Sessions created"] == "300"


def test_a_range_that_ends_before_it_begins_is_said_and_changes_nothing(explorer: GrowthExplorer) -> None:
    explorer.since.value = dt.date(2026, 12, 1)
    assert 'role="alert"' in explorer.status.value
    assert "2026-12-01, is after the last, 2026-11-20" in explorer.status.value
    assert last_total(explorer) == 300
    explorer.since.value = dt.date(2026, 9, 1)
    assert explorer.status.value == ""


@pytest.mark.parametrize("error", [UsageError("no <b>such</b> thing"), RuntimeError("no <b>such</b> thing")])
def test_an_error_is_shown_in_the_widget_as_text(
    explorer: GrowthExplorer, lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(lab, "query", fail)
    explorer.agent.value = "main"
    assert "no &lt;b&gt;such&lt;/b&gt; thing" in explorer.status.value


def test_it_works_on_an_empty_store(tmp_path: Path) -> None:
    folder = tmp_path / "agents" / "main" / "sessions"
    folder.mkdir(parents=True)
    (folder / "sessions.json").write_text("{}", encoding="utf-8")
    with open_lab(tmp_path, now_ms=1_795_132_800_000) as empty:
        explorer = GrowthExplorer(empty)
        explorer.metric.value = "Cost"
        assert numbers(explorer)["Sessions created"] == "0"
        assert explorer.status.value == ""


def test_its_text_is_fixed_and_says_what_it_is(explorer: GrowthExplorer, lab: Lab) -> None:
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(GrowthExplorer(lab))
    assert bundle["text/plain"].startswith("Growth explorer: 3 agents, 13 kinds of session, 2026-08-22 to 2026-11-20.")
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json"}


def test_every_control_says_what_it_is(explorer: GrowthExplorer) -> None:
    controls = [explorer.since, explorer.until, explorer.agent, explorer.kind, explorer.metric, explorer.reset]
    assert [control.description for control in controls] == ["From day", "To day", "Agent", "Kind", "Show", "Reset"]


# Labels of the controls, each with what it belongs to, as a screen reader would find it.
LABELS = "Object.fromEntries([...document.querySelectorAll('.widget-label[for]')].map(l => [l.innerText, l.htmlFor]))"
NUMBERS = "document.querySelector('p[role=status]').innerText"
TITLES = "[...document.querySelectorAll('.widget-vbox .gtitle')].map(e => e.textContent)"
LEGEND = "[...document.querySelector('.widget-vbox .js-plotly-plot').querySelectorAll('.legendtext')].map(e => e.textContent)"


def its_cells(notebook: Path, folder: Path) -> Path:
    """Copy a notebook with what its explorer needs: all up to the first heading, where the lab is opened, and the cells of the explorer.

    All other figures are drawn in a browser by the tests of the report (test_real_notebooks.py).
    """
    node = nbformat.read(notebook, as_version=4)
    first = next(number for number, cell in enumerate(node.cells) if cell.source.startswith("## "))
    node.cells = [*node.cells[:first], *(cell for cell in node.cells[first:] if "widget" in cell.metadata.get("tags", []))]
    nbformat.write(node, folder / notebook.name)
    return folder / notebook.name


def test_in_jupyterlab_the_keyboard_drives_figures_and_numbers(chromium: Path, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = its_cells(GROWTH, folder)
    with jupyterlab(folder) as address, chromium_page(str(chromium)) as page:
        page.view(1400, 1000)
        run_all(page, address, notebook)
        page.wait_for("!!document.querySelector('p[role=status]') && document.querySelectorAll('.widget-vbox .js-plotly-plot').length == 2")
        page.eval("document.querySelector('p[role=status]').scrollIntoView()")
        # JupyterLab moves the focus as long as cells are running.
        page.wait_for(f"{TITLES}.length == 2 && ![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.innerText == '[*]:')")
        assert "Sessions created: 300" in page.eval(NUMBERS)
        labels: dict[str, Any] = page.eval(LABELS)
        assert {"From day", "To day", "Agent", "Kind"} <= set(labels)

        page.eval(f"document.getElementById({labels['Agent']!r}).focus()")
        page.press("o", code="KeyO", text="o", number=79)
        page.wait_for(f"{NUMBERS}.includes('Sessions created: 161')")
        page.wait_for(f"{LEGEND}.includes('cron-run') && !{LEGEND}.includes('direct')")

        page.eval("[...document.querySelectorAll('.widget-toggle-button')].find(b => b.innerText.trim() == 'Cost').focus()")
        page.press(" ", code="Space", text=" ", number=32)
        page.wait_for(f"{TITLES}.some(t => t.startsWith('Cost per day'))")

        page.eval("[...document.querySelectorAll('.widget-vbox button')].find(b => b.innerText.trim() == 'Reset').focus()")
        page.press("Enter", code="Enter", text="\r", number=13)
        page.wait_for(f"{NUMBERS}.includes('Sessions created: 300') && {TITLES}.some(t => t.startsWith('Sessions in the store'))")
        outside = {url for url in page.requests if not url.startswith((address, address.replace("http", "ws"), "data:", "blob:", "about:"))}
        assert outside == set()
        assert [c for c in page.complaints if "error" in c.lower() or "exception" in c] == []
