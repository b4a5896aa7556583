"""Refreshing committed notebooks: stable bytes, nothing random, nothing of the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessionlab.errors import NotebookFailedError
from sessionlab.reports.refresh import Refreshed, check_notebook, main, refresh_notebook
from tests.reports.notebooks import code, markdown, write

WIDGET = "import ipywidgets\nipywidgets.IntSlider(description='days')"


def test_a_refreshed_notebook_has_outputs_and_does_not_change_again(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", markdown("# Title"), code("print(1)\nprint(2)"), code(WIDGET, "widget"), code("6 * 7"))
    assert check_notebook(path) == Refreshed(path, changed=True)
    assert refresh_notebook(path) == Refreshed(path, changed=True)
    first = path.read_bytes()
    assert refresh_notebook(path) == Refreshed(path, changed=False)
    assert check_notebook(path) == Refreshed(path, changed=False)
    assert path.read_bytes() == first

    node = json.loads(first)
    cells = [cell for cell in node["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3]
    assert [len(cell["outputs"]) for cell in cells] == [1, 1, 1]
    assert list(cells[1]["outputs"][0]["data"]) == ["text/plain"]
    assert [cell["metadata"] for cell in cells] == [{}, {"tags": ["widget"]}, {}]
    assert "widgets" not in node["metadata"]
    assert "version" not in node["metadata"]["language_info"]
    assert str(tmp_path) not in first.decode()


def test_a_failing_notebook_is_left_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", code("x = 1"), code("1 / 0"))
    before = path.read_bytes()
    with pytest.raises(NotebookFailedError, match="cell 2 failed: ZeroDivisionError: division by zero"):
        refresh_notebook(path)
    assert path.read_bytes() == before


def test_the_command_checks_names_and_says_what_it_did(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1"))
    write(tmp_path / "b.ipynb", code("2"))
    run = CliRunner().invoke

    checked = run(main, ["--folder", str(tmp_path), "--check", "a"])
    assert (checked.exit_code, checked.stdout) == (1, "a.ipynb: would change\n")
    assert run(main, ["--folder", str(tmp_path), "a"]).stdout == "a.ipynb: rewritten\n"
    both = run(main, ["--folder", str(tmp_path), "--check"])
    assert (both.exit_code, both.stdout) == (1, "a.ipynb: unchanged\nb.ipynb: would change\n")
    unknown = run(main, ["--folder", str(tmp_path), "c"])
    assert (unknown.exit_code, unknown.stderr) == (2, f"{tmp_path}: c is not there; it has a, b\n")
