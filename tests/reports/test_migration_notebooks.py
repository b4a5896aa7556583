"""The notebooks about migrations, with other parameters, and as pages in headless Chromium."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat
import pytest

from sessionlab import resources
from sessionlab.errors import SessionLabError
from sessionlab.lab import show
from sessionlab.lab.dossier import open_dossier
from sessionlab.lab.figures.dossier_tables import signature_table
from sessionlab.reports.page import export_page, header_of
from sessionlab.reports.record import read_record
from sessionlab.reports.runner import ExecutedNotebook, NotebookJob, run_notebooks
from sessionlab.stores import open_for_writing
from tests.browser import chromium_page
from tests.fixture_states import photo
from tests.reports.notebooks import code, shown
from tests.stores.sample_entries import small_store

NOTEBOOKS = resources.notebooks_dir()
NAMES = ("03_migration_audit", "04_rollback_drill")
LINES = "[...document.querySelectorAll('.digest')].map(e => Math.round(e.getClientRects().length))"
PAPER = 673
"""Pixels of a sheet of A4 between its margins."""
VERDICT = "[...document.querySelectorAll('main > .prose')].slice(1, 3).map(e => e.textContent.trim()).join('')"
ROOM = """
[...document.querySelectorAll('tbody tr')].filter(row => ['Name', 'Date', 'Signature'].includes(row.cells[0].innerText))
  .map(row => row.clientHeight)
"""


def as_committed(name: str, folder: Path) -> ExecutedNotebook:
    """Return a committed notebook as if it had just been run."""
    source = NOTEBOOKS / f"{name}.ipynb"
    return ExecutedNotebook(source, folder / source.name, nbformat.read(source, as_version=4), {}, 0.0)


def test_a_wrong_run_is_one_line_and_a_drill_follows_its_parameters(tmp_path: Path) -> None:
    before = photo(resources.sample_dir())
    refused, drill = run_notebooks(
        [
            NotebookJob(NOTEBOOKS / "03_migration_audit.ipynb", tmp_path / "wrong.ipynb", {"run_dir": tmp_path / "no such run"}),
            NotebookJob(
                NOTEBOOKS / "04_rollback_drill.ipynb",
                tmp_path / "drill.ipynb",
                {"old": "directory", "new": "json", "sessions": "9", "born": 2},
            ),
        ]
    )
    assert isinstance(refused, SessionLabError)
    assert refused.exit_code == 10
    assert f"NoStoreError: {tmp_path / 'no such run'}: there is no such folder; give that of a run" in str(refused)
    assert "\n" not in str(refused)
    assert not isinstance(drill, SessionLabError)
    record = read_record(drill.node)
    assert (record["sessions"], record["equal"], record["differing"]) == (9, 11, 0)
    assert (record["standings"], record["contradictions"]) == (["rolled-back", "holds"], [0, 0])
    assert (record["refused"], record["unchanged"]) == ("StalePlanError", True)
    assert photo(resources.sample_dir()) == before


@pytest.mark.parametrize("name", NAMES)
def test_committed_notebook_says_what_it_is_for(name: str) -> None:
    record = read_record(NOTEBOOKS / f"{name}.ipynb")
    if name == "03_migration_audit":
        assert (record["dry_run"], record["standing"], record["source_changed"]) == (True, "holds", False)
        assert (record["sessions"], record["set_aside"], record["differences"]) == (89, 0, 4)
    else:
        assert (record["differing"], record["unchanged"], record["standings"]) == (0, True, ["rolled-back", "holds"])


def test_digest_to_sign_is_that_of_the_file_and_a_dry_run_has_it_already(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with open_for_writing(state / "agents/main/sessions/sessions.json") as store:
        store.save(small_store())
    tried = open_dossier(source=state, target="directory")
    done = open_dossier(source=state, target="directory", dry_run=False)
    assert tried.manifest_sha256 == hashlib.sha256((done.run.path / "manifest.jsonl").read_bytes()).hexdigest()
    assert done.manifest_sha256 in signature_table(done)["Value"].tolist()
    assert done.plan.run_id in signature_table(done)["Value"].tolist()
    assert done.plan.run_id not in signature_table(tried)["Value"].tolist()


def test_page_of_a_notebook_that_moved_sessions_does_not_say_that_it_only_read() -> None:
    assert header_of({"source_changed": True}, generated_at="").is_source_changed
    assert not header_of({"source": "x", "agents": 3}, generated_at="").is_source_changed


def test_page_fits_any_width_asks_for_nothing_and_leaves_room_to_sign(tmp_path: Path, chromium: Path) -> None:
    audit = as_committed("03_migration_audit", tmp_path)
    dossier = open_dossier()
    signed = show.Table(signature_table(dossier))
    dossier.close()
    audit.node.cells.append(code("sign", outputs=[shown(text__html=signed._repr_html_(), text__plain=repr(signed))]))
    made = export_page(audit, tmp_path / "audit.html").path
    assert "The source was only read, never changed." in made.read_text(encoding="utf-8")
    with chromium_page(str(chromium)) as page:
        page.open(made)
        for width in (400, 1300):
            page.view(width)
            assert page.eval("document.documentElement.scrollWidth") <= width
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert set(page.eval(LINES)) == {1}
        assert page.eval(VERDICT).startswith("VerdictDry run: would move 89 sessions")
        heights = page.eval(ROOM)
        page.view(PAPER)
        page.call("Emulation.setEmulatedMedia", media="print")
        page.settle()
        assert page.eval("document.documentElement.scrollWidth") <= PAPER
        assert len(heights) == 3
        assert min(heights) > 40
