"""The committed notebooks run headlessly with other parameters, and the growth report made from every kind of store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlab import resources
from sessionlab.errors import NotebookFailedError, NotebookParameterError
from sessionlab.lab.session import open_lab
from sessionlab.reports.growth import GrowthReport, growth_report
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import run_notebook
from tests.browser import chromium_page
from tests.fixture_states import STATES, photo, shared_state

NOTEBOOKS = resources.notebooks_dir()
NOW_MS = 1_795_132_800_000
# What must not depend on the format that OpenClaw keeps a state in; entries are rewritten by the import.
SHARED = ("sessions", "events", "calls", "total_tokens", "cost_microusd", "cron_runs")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GrowthReport]:
    folder = tmp_path_factory.mktemp("reports")
    states = {name: shared_state(name, tmp_path_factory) for name in STATES} | {"sample": resources.sample_dir()}
    before = {name: photo(state) for name, state in states.items()}
    made = {
        name: growth_report(
            state, folder / f"{name}.html", parameters={"now_ms": NOW_MS}, keep_notebook=folder / f"{name}.ipynb", generated_ms=NOW_MS
        )
        for name, state in states.items()
    }
    assert {name: photo(state) for name, state in states.items()} == before
    return made


def words(report: GrowthReport) -> str:
    assert report.notebook is not None
    cells = json.loads(report.notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(o["data"].get("text/plain", "")) for c in cells for o in c.get("outputs", []) if "data" in o)


@pytest.mark.parametrize("name", [*STATES, "sample"])
def test_the_report_of_every_store_is_one_small_page_with_its_figures(reports: dict[str, GrowthReport], name: str) -> None:
    made = reports[name]
    assert made.html.bytes < 6_000_000
    assert made.html.figures >= 16
    page = made.html.path.read_text(encoding="utf-8")
    assert "How does the session store grow" in page
    assert made.record["agents"][0]["fingerprint"] in page
    # The explorer needs a kernel, and a record is for machines.
    assert "Growth explorer" not in page
    assert "Recorded results" not in page


def test_every_figure_of_the_report_is_drawn_in_a_browser_and_asks_for_nothing(reports: dict[str, GrowthReport], chromium: Path) -> None:
    made = reports["sample"].html
    drawn = "[...document.querySelectorAll('.chart')].map(e => e.querySelectorAll('.main-svg path').length)"
    with chromium_page(str(chromium)) as page:
        page.view(1300)
        page.open(made.path)
        assert len(page.eval(drawn)) == made.figures
        assert all(page.eval(drawn))
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("data:", "blob:"))] == [made.path.as_uri()]


def test_three_formats_of_one_state_agree_and_the_import_is_explained(reports: dict[str, GrowthReport]) -> None:
    json_era, *sqlite = (reports[name] for name in STATES)
    for other in sqlite:
        assert {fact: other.record[fact] for fact in SHARED} == {fact: json_era.record[fact] for fact in SHARED}
        assert other.record["entry_bytes"] < json_era.record["entry_bytes"]
        assert "This store was imported from sessions.json" in words(other)
        assert "lost the route" in words(other)
        assert "Inside the SQLite store" in words(other)
    assert "imported from sessions.json" not in words(json_era)
    assert "Inside the SQLite store" not in words(json_era)


def test_the_record_is_what_independent_sql_gives(reports: dict[str, GrowthReport]) -> None:
    with open_lab(now_ms=NOW_MS) as lab:
        counted = lab.con.execute("SELECT COUNT(*), SUM(entry_bytes)::BIGINT FROM sessions").fetchall()[0]
        spent = lab.con.execute("SELECT SUM(cost_microusd)::BIGINT FROM events WHERE NOT is_copy").fetchall()[0]
    record = reports["sample"].record
    assert (record["sessions"], record["entry_bytes"]) == counted
    assert record["cost_microusd"] == spent[0]


def test_the_growth_notebook_follows_its_parameters(tmp_path: Path) -> None:
    chosen: dict[str, object] = {
        "agent": "ops",
        "since": "2026-10-01",
        "until": "2026-10-31",
        "limit_bytes": "1000000",
        "stale_days": 7,
        "top": 3,
    }
    done = run_notebook(NOTEBOOKS / "01_growth.ipynb", tmp_path / "ops.ipynb", chosen)
    record = read_record(done.node)
    assert [agent["agent_id"] for agent in record["agents"]] == ["ops"]
    assert record["days"] == "2026-10-01 to 2026-10-31"
    assert [crossing["limit_bytes"] for crossing in record["crossings"]] == [1_000_000, 10 * 1024**2, 50 * 1024**2]
    with open_lab(agent="ops") as lab:
        assert record["stale_sessions"] == int(lab.query("stale_share", stale_days=7)["stale_sessions"].sum())
        created = int(lab.query("growth_daily", since_day="2026-10-01", until_day="2026-10-31")["created"].sum())
    text = "\n".join(str(o.get("data", {}).get("text/plain", "")) for c in done.node.cells for o in c.get("outputs", []))
    assert f"gained **{created} sessions**" in text
    assert "The 3 biggest entries" in text


def test_days_without_anything_and_a_missing_history_still_make_a_notebook(tmp_path: Path) -> None:
    state = tmp_path / "state" / "agents" / "main" / "sessions"
    state.mkdir(parents=True)
    (state / "sessions.json").write_text("{}", encoding="utf-8")
    empty = run_notebook(NOTEBOOKS / "01_growth.ipynb", tmp_path / "a.ipynb", {"state_dir": tmp_path / "state", "now_ms": NOW_MS})
    assert read_record(empty.node)["sessions"] == 0
    later = run_notebook(NOTEBOOKS / "01_growth.ipynb", tmp_path / "b.ipynb", {"since": "2030-01-01"})
    assert read_record(later.node)["sessions"] == 300


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("00_quickstart", {"question": "bytes_by_field"}), ("02_stores", {"rounds": 2}), ("99_template", {"since": "2026-11-01"})],
)
def test_the_other_notebooks_run_on_another_store_too(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str, chosen: dict[str, object]
) -> None:
    state = shared_state("json-2026.3", tmp_path_factory)
    done = run_notebook(NOTEBOOKS / f"{name}.ipynb", tmp_path / "out.ipynb", {**chosen, "state_dir": state})
    record = read_record(done.node)
    assert record["source"] == str(state)
    assert 0 < record["sessions"] <= 65


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"since": "last week"}, 'since="last week" is no day'),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "since=2026-11-02 is after until=2026-11-01"),
        ({"limit_bytes": 0}, "limit_bytes=0 makes no sense"),
        ({"agent": "nobody"}, "nobody"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_in_one_line(tmp_path: Path, chosen: dict[str, object], said: str) -> None:
    with pytest.raises(NotebookFailedError) as refused:
        run_notebook(NOTEBOOKS / "01_growth.ipynb", tmp_path / "out.ipynb", chosen)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(NotebookParameterError, match="unknown; it knows state_dir, agent, since"):
        run_notebook(NOTEBOOKS / "01_growth.ipynb", tmp_path / "out.ipynb", {"limit": 5})
