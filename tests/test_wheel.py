"""What `pip install` brings: sample, notebooks and records are in the wheel, and it works in an empty folder without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def build(source: Path, target: Path, kind: str) -> Path:
    """Build a wheel or sdist of `source` with the installed hatchling, so without a network, and return the file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of a fresh environment that holds the wheel, and sees the running environment's other packages."""
    folder = tmp_path_factory.mktemp("empty machine") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    # --system-site-packages would show the base Python's packages, not this environment's. A .pth inside the folder named
    # here is not followed, so the editable sessionlab of the checkout stays out of sight.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index"]
    # The running environment's sessionlab is visible there as metadata; pip must not take it for the one to replace.
    subprocess.run([*command, "--ignore-installed", str(wheel)], check=True)
    return folder / "bin"


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_wheel_carries_the_whole_sample(wheel: Path) -> None:
    prefix = "sessionlab/_bundled/data/sample/"
    carried = {name.removeprefix(prefix): data for name, data in contents(wheel).items() if name.startswith(prefix)}
    assert carried
    assert carried == files_below(ROOT / "data" / "sample")


def test_wheel_carries_every_recorded_measurement(wheel: Path) -> None:
    prefix = "sessionlab/_bundled/data/benchmarks/"
    carried = {name.removeprefix(prefix): data for name, data in contents(wheel).items() if name.startswith(prefix)}
    assert {"proposal.json", "rss.json", "cache.json", "contention.json", "scale.json", "stores.json"} <= set(carried)
    assert carried == files_below(ROOT / "data" / "benchmarks")


def test_wheel_carries_every_notebook(wheel: Path) -> None:
    prefix = "sessionlab/_bundled/notebooks/"
    carried = {name.removeprefix(prefix): data for name, data in contents(wheel).items() if name.startswith(prefix)}
    assert carried
    assert carried == {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_wheel_carries_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    carried = {name for name in contents(wheel) if ".dist-info/" not in name and "/_bundled/" not in name}
    assert carried == {f"sessionlab/{name}" for name in files_below(ROOT / "sessionlab") if "__pycache__" not in name}


def test_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    archive = build(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(archive) as packed:
        # Python before 3.11.4 knows no filters; 3.12 warns without one.
        packed.extractall(tmp_path / "source", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]
    (source,) = (tmp_path / "source").iterdir()
    assert contents(build(source, tmp_path / "again", "wheel")) == contents(wheel)
    assert os.access(source / "run", os.X_OK)


def test_installed_package_does_not_look_at_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = (
        "from sessionlab import resources as r; print(r.project_root(), r.notebooks_dir(), r.sample_dir(), r.benchmarks_dir(), sep='\\n')"
    )
    done = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    root, *folders = done.stdout.splitlines()
    assert root == "None"
    assert all(Path(folder).is_relative_to(installed.parent) and Path(folder).is_dir() for folder in folders)


def test_installed_package_makes_the_report_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "sessionlab"), "report", "growth", "-o", "x.html"]
    environment = {**os.environ, "HOME": str(tmp_path.parent), "PATH": f"{installed}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    html = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert html.count("<figure") >= 3
    assert "x.html" in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
