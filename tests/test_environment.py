"""One truth about packages: pyproject.toml, the lock and the conda environment say the same, and no file names a registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
# Where conda-forge calls a package by another name.
CONDA_NAMES = {"duckdb": "python-duckdb", "jupyter-client": "jupyter_client", "jupyter-core": "jupyter_core"}
REGISTRY = re.compile(r"https?://[^\s\"'<>]*(?:pypi|pythonhosted|anaconda|conda\.io|npmjs|/simple\b)", re.IGNORECASE)


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in (*project["dependencies"], *project["optional-dependencies"]["test"])]


def pins() -> list[Requirement]:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return [Requirement(line.removesuffix("\\")) for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]


def conda_dependencies() -> list[str]:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    return re.findall(r"^  - (.+)$", text.partition("dependencies:\n")[2], re.MULTILINE)


def test_conda_environment_equals_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [f"{CONDA_NAMES.get(requirement.name, requirement.name)}{requirement.specifier}" for requirement in wanted()]
    expected = {f"python{project['requires-python']}", *named, "pip", "pip:"}
    normal = {re.sub(r"([<>=!].*)", lambda found: ",".join(sorted(found[1].split(","))), line) for line in conda_dependencies()}
    assert normal == {re.sub(r"([<>=!].*)", lambda found: ",".join(sorted(found[1].split(","))), line) for line in expected}
    assert len(conda_dependencies()) == len(expected), "a package is listed twice"


def test_conda_environment_installs_the_checkout_itself() -> None:
    assert (ROOT / "environment.yml").read_text(encoding="utf-8").endswith("  - pip:\n      - -e .\n")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: str(requirement.name))
def test_lock_satisfies_pyproject(requirement: Requirement, python: str) -> None:
    name = canonicalize_name(requirement.name)
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    chosen = [pin for pin in pins() if canonicalize_name(pin.name) == name and (pin.marker is None or pin.marker.evaluate(environment))]
    assert len(chosen) == 1, f"requirements.lock has {len(chosen)} pins of {name} for Python {python}; run ./run lock"
    (version,) = (specifier.version for specifier in chosen[0].specifier)
    assert requirement.specifier.contains(version), f"{chosen[0]} does not satisfy {requirement}; run ./run lock"


def test_every_pin_is_exact_and_hashed() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z0-9])", lock.partition("\na")[2])
    assert len(blocks) == len(pins()) > 100
    assert all("--hash=sha256:" in block for block in blocks)
    assert all([specifier.operator for specifier in pin.specifier] == ["=="] for pin in pins())


def test_lock_leaves_out_what_only_makes_every_notebook_slower() -> None:
    """Where it is installed, importing jsonschema takes a second, and several in a kernel. Nothing of ours asks for what it checks."""
    assert not {canonicalize_name(pin.name) for pin in pins()} & {"rfc3987-syntax", "lark"}, "run ./run lock, which leaves them out"


def test_no_file_names_a_registry() -> None:
    generated = {".git", ".venv", ".run", "out", "reports", "dist", "build"}
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in generated and not path.name.endswith("_cache")]
    files = [path for path in (*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))) if path.is_file()]
    assert ROOT / "requirements.lock" in files
    named = [f"{path}: {found[0]}" for path in files for found in REGISTRY.finditer(path.read_text(encoding="utf-8", errors="replace"))]
    assert not named
