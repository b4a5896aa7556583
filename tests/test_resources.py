"""The sample and the notebooks are found in a checkout, in a wheel's layout, and missed with a clear error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlab import resources

PACKAGE = Path(resources.__file__).parent
ASK = "from sessionlab import resources as r; print(r.project_root(), r.notebooks_dir(), r.sample_dir(), sep='\\n')"


def ask(folder: Path) -> subprocess.CompletedProcess[str]:
    """Ask the copy of the package that lies in `folder`, from another working folder."""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", ASK], cwd="/", env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "with space"
    (folder / "sessionlab").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "resources.py"):
        shutil.copy(PACKAGE / name, folder / "sessionlab" / name)
    return folder


def test_checkout_has_them_at_the_top(copy: Path) -> None:
    (copy / "pyproject.toml").touch()
    (copy / "notebooks").mkdir()
    (copy / "data" / "sample").mkdir(parents=True)
    assert ask(copy).stdout.splitlines() == [str(copy), str(copy / "notebooks"), str(copy / "data" / "sample")]


def test_wheel_has_them_inside_the_package(copy: Path) -> None:
    bundled = copy / "sessionlab" / "_bundled"
    (bundled / "notebooks").mkdir(parents=True)
    (bundled / "data" / "sample").mkdir(parents=True)
    assert ask(copy).stdout.splitlines() == ["None", str(bundled / "notebooks"), str(bundled / "data" / "sample")]


def test_missing_files_are_named(copy: Path) -> None:
    done = ask(copy)
    assert done.returncode == 1
    assert f"{copy / 'sessionlab' / '_bundled' / 'notebooks'}: is missing from this installation; reinstall" in done.stderr


def test_this_checkout_never_holds_the_bundle() -> None:
    root = resources.project_root()
    assert root is not None
    assert (root / "pyproject.toml").is_file()
    assert not (PACKAGE / "_bundled").exists()
