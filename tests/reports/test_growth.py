"""The growth report's assembly, with a small notebook in the place of `01_growth`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import InvalidJSONError, NoStoreError, NotebookFailedError, UsageError
from sessionlab.reports import growth
from sessionlab.reports.growth import growth_report
from tests.reports.notebooks import code, markdown, write

RECORD = """
from sessionlab.reports.record import record
agents = [{"agent_id": "main", "store_kind": "json", "snapshot_method": "read in place", "fingerprint": "2:ab", "sessions": 2,
           "store_bytes": 2048, "extra": 1}]
record(source=state_dir, agents=agents, now="2026-11-18 00:00 UTC", problems="0 errors, 0 warnings", more="facts")
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(growth, "notebooks_dir", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = tmp_path / "state/agents/main/sessions/sessions.json"
    store.parent.mkdir(parents=True)
    store.write_text('{"agent:main:main": {"sessionId": "a", "updatedAt": 1}}')
    return tmp_path / "state"


def test_the_header_says_what_the_notebook_recorded(stand_in: Path, state: Path, tmp_path: Path) -> None:
    parameters = code('state_dir: str = ""\nshare: float = 0.5', "parameters")
    write(stand_in / "01_growth.ipynb", markdown("# How does it grow?\n\nFast."), parameters, code(RECORD))
    report = growth_report(state, tmp_path / "out" / "growth.html", parameters={"share": "0.25"}, generated_ms=1_795_000_000_000)

    page = report.html.path.read_text(encoding="utf-8")
    assert report.record["more"] == "facts"
    assert "<title>How does it grow?</title>" in page
    assert f"<dd>{state}</dd>" in page
    assert "<dd>2026-11-18 00:00 UTC</dd>" in page
    assert "2026-11-18 11:06 UTC" in page
    assert "<code>0.25</code>" in page
    assert [file.name for file in report.html.path.parent.iterdir()] == ["growth.html"]


def test_the_executed_notebook_is_kept_where_asked(stand_in: Path, state: Path, tmp_path: Path) -> None:
    write(stand_in / "01_growth.ipynb", code('state_dir: str = ""', "parameters"), code(RECORD))
    kept = tmp_path / "kept" / "run.ipynb"
    report = growth_report(state, tmp_path / "growth.html", parameters={}, keep_notebook=kept)
    assert report.notebook == kept
    assert kept.exists()
    assert "Generated" not in report.html.path.read_text(encoding="utf-8").rpartition("</style>")[2][:200]


def test_a_failing_notebook_writes_no_page_and_is_kept_beside_it(stand_in: Path, state: Path, tmp_path: Path) -> None:
    write(stand_in / "01_growth.ipynb", code('state_dir: str = ""', "parameters"), code("1 / 0"))
    with pytest.raises(NotebookFailedError, match=r"growth\.failed\.ipynb"):
        growth_report(state, tmp_path / "growth.html", parameters={})
    assert not (tmp_path / "growth.html").exists()
    assert (tmp_path / "growth.failed.ipynb").exists()


@pytest.mark.parametrize(
    ("text", "parameters", "error"),
    [
        (None, {}, NoStoreError),
        ('{"a": 1', {}, InvalidJSONError),
        ("{}", {"agent": "nope"}, UsageError),
        ("{}", {"stale_days": 0}, UsageError),
        ("{}", {"now_ms": -1}, UsageError),
        ("{}", {"since": "2026-13-01"}, UsageError),
    ],
)
def test_what_the_notebook_would_refuse_is_refused_before_its_kernel_starts(
    text: str | None, parameters: dict[str, Any], error: type[Exception], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = state / "agents/main/sessions/sessions.json"
    store.unlink() if text is None else store.write_text(text)
    monkeypatch.setattr(growth, "run_notebook", lambda *_, **__: pytest.fail("a kernel was started"))
    with pytest.raises(error):
        growth_report(state, state / "growth.html", parameters=parameters)
    assert not (state / "growth.failed.ipynb").exists()


def test_an_interrupted_report_leaves_no_notebook(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_source: Path, output: Path, *_: object, **__: object) -> None:
        output.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(growth, "run_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        growth_report(state, tmp_path / "growth.html", parameters={})
    assert not (tmp_path / "growth.failed.ipynb").exists()
