"""The shape of every committed notebook: thin, parameterised, with real outputs that depend on no machine."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sessionlab.lab import queries
from sessionlab.reports.parameters import PARAMETERS_TAG, declared_parameters
from sessionlab.reports.record import MIMETYPE, read_record
from sessionlab.reports.refresh import METADATA, WIDGET_VIEW

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
EXPECTED = {"00_quickstart", "01_growth", "02_stores", "03_migration_audit", "04_rollback_drill", "05_maintenance", "99_template"}
EXPECTED |= {"06_parallel_sessions", "07_benchmarks"}
# These are about a migration, a day that is made up, or measurements, not about a state folder that is loaded and queried.
OTHER_FIRST_PARAMETER = {"03_migration_audit": "run_dir", "04_rollback_drill": "old", "06_parallel_sessions": "seed"}
OTHER_FIRST_PARAMETER |= {"07_benchmarks": "records_dir"}
OTHER_SOURCE = {"04_rollback_drill": "a synthetic store in a private folder", "06_parallel_sessions": "a simulated day"}
OTHER_SOURCE |= {"07_benchmarks": "recorded measurements"}
PARAMETER = re.compile(r"(?:# .+|\w+: (?:int|str|float|bool) = .+  # .+)")
# One ad-hoc example, in the tour.
SQL = re.compile(r"\bSELECT\b|\.(?:execute|sql)\(", re.IGNORECASE)
MACHINE = re.compile(r"/(?:work|home|tmp|root|usr|Users|var)/|\bpython3?\.\d|\b0x[0-9a-f]{6,}|[A-Z]:\\\\")
RAW_REPR = re.compile(r"<[\w.]+(?: object)? at |<IPython|FigureWidget\(|VBox\(|Figure\(\{")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def node(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(node: Any) -> list[Any]:
    return [cell for cell in node.cells if cell.cell_type == "code"]


def test_every_expected_notebook_is_there() -> None:
    assert {path.stem for path in NOTEBOOKS} >= EXPECTED


def test_the_title_is_a_question_with_a_two_sentence_answer(node: Any) -> None:
    first = node.cells[0]
    assert first.cell_type == "markdown"
    title, answer = first.source.split("\n\n", 1)
    assert re.fullmatch(r"# .+\?", title)
    assert len(re.findall(r"[.:](?:\s|$)", answer)) <= 4
    assert len(re.findall(r"\.(?:\s|$)", answer)) == 2
    assert sum(cell.source.startswith("# ") for cell in node.cells if cell.cell_type == "markdown") == 1


def test_one_parameters_cell_of_typed_lines_with_comments_follows_the_imports(node: Any, path: Path) -> None:
    tagged = [index for index, cell in enumerate(node.cells) if PARAMETERS_TAG in cell.metadata.get("tags", [])]
    assert tagged == [2]
    assert all(PARAMETER.fullmatch(line) for line in node.cells[2].source.splitlines())
    assert len(declared_parameters(node)) > 0
    first = declared_parameters(node)[0]
    assert first.name == OTHER_FIRST_PARAMETER.get(path.stem, "state_dir")
    assert first.default == '""' or not first.name.endswith("_dir")
    imports = ast.parse(node.cells[1].source).body
    assert all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in imports)


def test_no_cell_imports_or_defines_anything_later_or_spells_a_path_or_sql(node: Any, path: Path) -> None:
    with_sql = 0
    for cell in code(node)[1:]:
        tree = ast.parse(cell.source)
        found = {type(part) for part in ast.walk(tree)}
        assert not found & {ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.Import, ast.ImportFrom, ast.For, ast.While, ast.Try}
        with_sql += bool(SQL.search(cell.source))
        assert not re.search(r"""["'][~/.]*/|Path\(""", cell.source)
    assert with_sql == (1 if path.stem == "00_quickstart" else 0)


def test_every_query_is_asked_by_a_name_that_there_is(node: Any, path: Path) -> None:
    asked = {name for cell in code(node) for name in re.findall(r'lab\.query\("(\w+)"', cell.source)}
    assert bool(asked) is (path.stem not in OTHER_FIRST_PARAMETER)
    assert asked <= set(queries.names())


def test_numbers_are_never_typed_into_a_claim(node: Any) -> None:
    prose = [re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL) for cell in node.cells if cell.cell_type == "markdown"]
    assert not re.search(r"\d", " ".join(prose))


def test_the_notebook_was_run_from_its_first_cell_to_its_last(node: Any) -> None:
    assert [cell.execution_count for cell in code(node)] == list(range(1, len(code(node)) + 1))
    kinds = {output.output_type for cell in code(node) for output in cell.outputs}
    # A stripped notebook would pass nbval without a word.
    assert kinds == {"display_data", "execute_result"}


def test_the_last_cell_records_results(node: Any, path: Path) -> None:
    assert [output.data.get(MIMETYPE) is not None for output in node.cells[-1].outputs] == [True]
    assert read_record(node)["source"] == OTHER_SOURCE.get(path.stem, "the bundled sample (synthetic)")


def test_outputs_hold_nothing_of_the_machine_and_no_raw_repr(node: Any) -> None:
    for cell in code(node):
        for output in cell.outputs:
            text = json.dumps(output.data)
            assert not MACHINE.search(text), cell.id
            assert not RAW_REPR.search(output.data.get("text/plain", "")), cell.id
            assert "bdata" not in text, cell.id
            assert WIDGET_VIEW not in output.data


def test_every_output_has_words_for_who_cannot_see_it(node: Any) -> None:
    for cell in code(node):
        for output in cell.outputs:
            assert len(output.data["text/plain"].split()) >= 3, cell.id


def test_metadata_is_the_fixed_one_and_no_widget_state_is_kept(node: Any, path: Path) -> None:
    assert node.metadata == METADATA
    assert all(set(cell.metadata) <= {"tags"} for cell in node.cells)
    assert path.stat().st_size < 1_000_000
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert len({cell.id for cell in node.cells}) == len(node.cells)


def test_the_growth_notebook_keeps_what_needs_a_kernel_out_of_the_report() -> None:
    node = nbformat.read(FOLDER / "01_growth.ipynb", as_version=4)
    tagged = [cell for cell in node.cells if "widget" in cell.metadata.get("tags", [])]
    assert [cell.cell_type for cell in tagged] == ["markdown", "code"]
    assert tagged[1].outputs[0].data["text/plain"].startswith("Growth explorer: 3 agents")


def test_the_growth_notebook_answers_every_question_of_the_report() -> None:
    node = nbformat.read(FOLDER / "01_growth.ipynb", as_version=4)
    titles = [output.data["text/plain"].partition(".")[0] for cell in code(node) for output in cell.outputs if "Figure:" in str(output)]
    wanted = ["Sessions in the store", "by agent", "created and active", "by field", "by kind", "agent, kind, field", "biggest", "disk"]
    wanted += ["How big", "last update", "not updated", "Tokens per day", "Cost per day", "cron runs", "all stores together", "Problems"]
    for words in wanted:
        assert any(words in title for title in titles), words
