"""The building's rules: floors, small modules with names that mean something, declared packages, and light imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sessionlab"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from floors below its own, or from its own package. Within the ground, facts build on one another.
FLOORS = {
    "errors": 0,
    "units": 1,
    "resources": 1,
    "scratch": 1,
    "strict_json": 2,
    "configuration": 2,
    "codec": 3,
    "keys": 3,
    "entry": 4,
    "layout": 4,
    "settings": 5,
    "storage": 5,
    "stores": 6,
    "runs": 7,
    "transcripts": 7,
    "migration": 8,
    "maintenance": 8,
    "parallel": 8,
    "synth": 8,
    "lab": 9,
    "bench": 10,
    "reports": 11,
    "cli": 12,
    "__main__": 13,
}
HEAVY = {"anywidget", "duckdb", "ipywidgets", "jupyterlab", "nbclient", "nbconvert", "nbformat", "numpy", "pandas", "papermill", "plotly"}
IMPORT_NAMES = {"beautifulsoup4": "bs4", "jupyter-client": "jupyter_client", "jupyter-core": "jupyter_core"}


def noun(path: Path) -> str:
    """Return the first part of a module's name below the package: `stores` for sessionlab/stores/base.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imported(path: Path) -> frozenset[str]:
    """Return every module that a file imports anywhere, also inside functions, `from x import y` given as `x.y`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_from_floors_below(path: Path) -> None:
    own = noun(path)
    if own == "__init__":
        assert not [name for name in imported(path) if name.startswith("sessionlab")], "sessionlab/__init__.py must import nothing of ours"
        return
    assert own in FLOORS, f"{own} has no floor yet: give it one in {Path(__file__).name}, and say in CONTRIBUTING.md what it is"
    used = {name.split(".")[1] for name in imported(path) if name.startswith("sessionlab.")} - {own, "__version__"}
    assert not {name for name in used if FLOORS[name] >= FLOORS[own]}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_small_and_named_after_what_it_is(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "split it by noun"
    assert not re.search(r"util|helper|common|misc", path.stem), "name the one idea it holds"


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    available = {IMPORT_NAMES.get(name, name) for name in declared} | set(sys.stdlib_module_names)
    available |= {"sessionlab", "_typeshed"}  # the latter is the type checker's own, and never imported when the program runs
    used = {name.split(".")[0] for path in MODULES for name in imported(path)}
    assert not used - available


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that are loaded in a fresh interpreter after `statement`."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", [f"stores.{path.stem}" for path in sorted((PACKAGE / "stores").glob("[a-z]*.py"))] + ["stores", "cli"])
def test_stores_and_command_line_start_light(module: str) -> None:
    assert not loaded_by(f"import sessionlab.{module}") & HEAVY
