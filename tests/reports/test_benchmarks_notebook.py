"""The notebook of the evidence: it shows the records that lie there, other records, this machine, and its page in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest

from sessionlab import resources
from sessionlab.bench.record import write
from sessionlab.errors import NotebookFailedError
from sessionlab.bench.evidence import SHOWN, open_records
from sessionlab.reports.page import export_page
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import ExecutedNotebook, run_notebook
from tests.browser import chromium_page

NOTEBOOK = resources.notebooks_dir() / "07_benchmarks.ipynb"
DRAWN = "[...document.querySelectorAll('figure .js-plotly-plot')].map(e => e.querySelectorAll('.point, .js-line').length)"


def words(node: Any) -> str:
    return "\n".join(str(o.get("data", {}).get("text/plain", "")) for c in node["cells"] for o in c.get("outputs", []))


def test_committed_notebook_shows_the_records_that_lie_there() -> None:
    records = open_records()
    node = nbformat.read(NOTEBOOK, as_version=4)
    found = read_record(node)
    assert found["dates"] == {name: one.date for name, one in records.items()}, "./run refresh 07_benchmarks"
    assert found["quick"] == [name for name, one in records.items() if one.is_quick]
    assert found["cycles"] == max(row["cycle"] for row in records["rss"].rows("samples"))
    said = words(node)
    for name in ("rss", "contention", "scale"):
        assert all(f"- {verdict}" in said for verdict in records[name].verdicts)
    assert f"{max(row['rss_mb'] for row in records['rss'].rows('published')):,.0f} and 890 MB were published" in said
    assert "Measured just now" not in said, "what this machine shows is not kept"


def test_it_follows_other_records_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    for name in SHOWN:
        write(folder, msgspec.structs.replace(open_records()[name].document, date="2027-01-02", is_quick=False))
    done = run_notebook(NOTEBOOK, tmp_path / "own.ipynb", {"records_dir": folder, "measure": False})
    assert read_record(done.node)["dates"] == dict.fromkeys(SHOWN, "2027-01-02")
    said = words(done.node)
    assert "Recorded 2027-01-02 on" in said
    assert "No installed OpenClaw was measured beside our stores" in said
    assert "Nothing was measured here: `measure` is off." in said
    (folder / "cache.json").unlink()
    with pytest.raises(
        NotebookFailedError, match=r"cache\.json: no recorded measurement there; `python -m sessionlab\.bench\.record"
    ) as error:
        run_notebook(NOTEBOOK, tmp_path / "without.ipynb", {"records_dir": folder, "measure": False})
    assert error.value.exit_code == 2


def test_page_fits_any_width_and_asks_for_nothing(tmp_path: Path, chromium: Path) -> None:
    executed = ExecutedNotebook(NOTEBOOK, tmp_path / NOTEBOOK.name, nbformat.read(NOTEBOOK, as_version=4), {}, 0.0)
    made = export_page(executed, tmp_path / "benchmarks.html").path
    with chromium_page(str(chromium)) as page:
        page.open(made)
        for width in (400, 1000):
            page.view(width)
            assert page.eval("document.documentElement.scrollWidth") <= width
        assert len(page.eval(DRAWN)) == 11
        assert all(page.eval(DRAWN))
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
