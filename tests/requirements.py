"""Which test proves which requirement of the specification of session stores. `python -m tests.requirements` writes it into README.md.

A test names what it proves in its docstring or in its ids, as `B.20`.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

TESTS: Final = Path(__file__).resolve().parent
README: Final = TESTS / "README.md"
RANGES: Final = (("A", 1, 50), ("B", 1, 41), ("C", 1, 49), ("D", 1, 51), ("E", 1, 32))
WANTED: Final = (*(f"{letter}.{number}" for letter, first, last in RANGES for number in range(first, last + 1)), "A.33a")
_ELSEWHERE: Final = "a place in OpenClaw's program, which this library does not have"
NOT_HERE: Final = {
    "C.13": _ELSEWHERE,
    "D.45": "Windows only; the stores need POSIX",
    "E.30": _ELSEWHERE,
}
"""Requirement -> why no test here proves it. One that a test names must not be excused."""

TABLE: Final = "| requirement | tests |\n|---|---|\n"
EXCUSES: Final = "Not here:\n\n"
NOT_YET: Final = "Not yet proven by a test: "
_NUMBER: Final = re.compile(r"\b([ABCDE]\.\d+a?)\b")
_SPAN: Final = re.compile(r"\b([ABCDE])\.(\d+) to \1\.(\d+)\b")


@cache
def named_by_tests() -> dict[str, list[str]]:
    """Return requirement -> the tests that name it, each as `stores/test_x.py::Class::test_name`."""
    found: dict[str, list[str]] = {requirement: [] for requirement in WANTED}
    for path in sorted(TESTS.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners = [("", tree), *((f"{node.name}::", node) for node in tree.body if isinstance(node, ast.ClassDef))]
        for prefix, owner in owners:
            for node in ast.iter_child_nodes(owner):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    for requirement in sorted(_named(node) & set(WANTED)):
                        found[requirement].append(f"{path.relative_to(TESTS)}::{prefix}{node.name}")
    return found


def _named(test: ast.FunctionDef) -> set[str]:
    texts = [ast.get_docstring(test) or "", *map(ast.unparse, test.decorator_list)]
    named = {requirement for text in texts for requirement in _NUMBER.findall(text)}
    for text in texts:
        for letter, first, last in _SPAN.findall(text):
            named |= {f"{letter}.{number}" for number in range(int(first), int(last) + 1)}
    return named


class Listed(NamedTuple):
    """What a README says.

    Attributes:
        tests: Requirement -> the tests that prove it.
        excused: Requirement -> why none does.
        missing: What is not yet proven.
    """

    tests: dict[str, list[str]]
    excused: dict[str, str]
    missing: list[str]


def listed(text: str) -> Listed:
    """Read a README."""
    rows = re.findall(r"^\| ([ABCDE]\.\d+a?) \| (.*) \|$", text, re.MULTILINE)
    line = re.search(rf"^{NOT_YET}(.*)\.$", text, re.MULTILINE)
    missing = _NUMBER.findall(line[1]) if line else []
    excused = re.findall(r"^- ([ABCDE]\.\d+a?): (.*)\.$", text, re.MULTILINE)
    return Listed({requirement: re.findall(r"`([^`]+)`", tests) for requirement, tests in rows}, dict(excused), missing)


def written(text: str) -> str:
    """Return a README with its table and its lists as the tests have it now."""
    found = named_by_tests()
    rows = [f"| {name} | {'<br>'.join(f'`{test}`' for test in tests)} |\n" for name, tests in found.items() if tests]
    excuses = [f"- {name}: {why}.\n" for name, why in NOT_HERE.items()]
    missing = [name for name, tests in found.items() if not tests and name not in NOT_HERE]
    head = text[: text.index(TABLE)] + TABLE + "".join(rows)
    return head + "\n" + EXCUSES + "".join(excuses) + "\n" + NOT_YET + (", ".join(missing) or "none") + ".\n"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
