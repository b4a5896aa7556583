"""Parameters: what a notebook declares, and what is accepted for it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import NotebookParameterError, UsageError
from sessionlab.reports.parameters import Parameter, check_parameters, declared_parameters, used_values
from tests.reports.notebooks import code, markdown, notebook

DECLARED = """
state_dir: str = "data/sample"  # the agent's state folder
limit_bytes: int | None = 50 * 1024**2  # the size to forecast
share: float = 0.5
strict: bool = False
since: date | None = None  # first day, ISO date
agents: list[str] = []
name: str = ""
plain = 3  # typed by its default
"""


@pytest.fixture
def node() -> Any:
    return notebook(markdown("# Title"), code(DECLARED, "parameters"), code("other: int = 1"))


def test_declarations_are_read_with_type_default_and_comment(node: Any) -> None:
    first, second, *_, last = declared_parameters(node)
    assert first == Parameter("state_dir", "str", '"data/sample"', "the agent's state folder")
    assert second == Parameter("limit_bytes", "int | None", "50 * 1024**2", "the size to forecast")
    assert last == Parameter("plain", "int", "3", "typed by its default")
    assert [p.name for p in declared_parameters(node)] == [
        "state_dir",
        "limit_bytes",
        "share",
        "strict",
        "since",
        "agents",
        "name",
        "plain",
    ]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("state_dir", "", ""),
        ("state_dir", "007", str(Path.cwd() / "007")),
        ("state_dir", "none", str(Path.cwd() / "none")),
        ("state_dir", "~/x", str(Path.home() / "x")),
        ("state_dir", Path("/tmp/x"), "/tmp/x"),
        ("name", "007", "007"),
        ("name", "none", "none"),
        ("limit_bytes", "42", 42),
        ("limit_bytes", "none", None),
        ("limit_bytes", None, None),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("strict", "true", True),
        ("since", "2026-01-31", "2026-01-31"),
        ("since", dt.date(2026, 1, 31), "2026-01-31"),
        ("agents", '["a", "b"]', ["a", "b"]),
        ("agents", ["a"], ["a"]),
        ("plain", "4", 4),
    ],
)
def test_a_value_becomes_what_the_declaration_says(node: Any, name: str, given: object, expected: object) -> None:
    (value,) = check_parameters(node, {name: given}).values()
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("limit_bytes", "ten"),
        ("limit_bytes", "1.5"),
        ("limit_bytes", ""),
        ("limit_bytes", True),
        ("share", "nan"),
        ("share", float("inf")),
        ("share", "none"),
        ("strict", "maybe"),
        ("strict", 1),
        ("state_dir", 7),
        ("state_dir", None),
        ("since", "31.01.2026"),
        ("agents", "a,b"),
        ("agents", [1]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(node: Any, name: str, given: object) -> None:
    with pytest.raises(NotebookParameterError, match=name) as caught:
        check_parameters(node, {name: given})
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_an_unknown_parameter_is_refused_with_the_known_ones(node: Any) -> None:
    with pytest.raises(NotebookParameterError, match=r"'limitt': unknown; it knows state_dir, limit_bytes, share"):
        check_parameters(node, {"limitt": "3"})


def test_a_parameter_without_a_type_is_refused() -> None:
    with pytest.raises(NotebookParameterError, match="declared as 'nothing'"):
        check_parameters(notebook(code("x = None", "parameters")), {"x": "1"})


def test_used_values_are_defaults_overlaid_by_what_was_injected(node: Any) -> None:
    node.cells.insert(2, code('# Parameters\nstate_dir = "/srv/agent"\n', "injected-parameters"))
    values = used_values(node)
    assert values["state_dir"] == '"/srv/agent"'
    assert values["share"] == "0.5"


def test_a_missing_or_foreign_file_gives_one_line(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.ipynb"
    foreign.write_text("no json")
    for path in (tmp_path / "missing.ipynb", foreign, tmp_path):
        with pytest.raises(UsageError, match=path.name) as caught:
            declared_parameters(path)
        assert "\n" not in str(caught.value)


def test_a_source_is_a_path_of_the_caller_and_a_target_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    made = notebook(code('source: str = ""  # a store\ntarget: str = "json"  # a kind', "parameters"))
    assert check_parameters(made, {"source": "state", "target": "sqlite"}) == {"source": str(tmp_path / "state"), "target": "sqlite"}
    assert check_parameters(made, {"source": ""}) == {"source": ""}
