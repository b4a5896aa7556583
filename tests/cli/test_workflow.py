"""The workflow in the README: what it runs is run here, in another repository's folder, with somebody's own state folder."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.cli.program import ROOT, SAMPLE

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    workflow = importlib.import_module("yaml").safe_load(block)
    assert set(workflow[True]) == {"schedule", "workflow_dispatch"}  # YAML 1.1 takes `on` for a truth
    (job,) = workflow["jobs"].values()
    return list(job["steps"])


def test_tool_is_checked_out_of_its_own_repository_into_the_folder_that_is_run(steps: list[dict[str, Any]]) -> None:
    """Without `repository:` a workflow checks out the repository that it lies in, where there is no ./run."""
    checkout, run, upload = steps
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"]["repository"].endswith("/sessionlab")
    assert shlex.split(run["run"])[0] == f"{checkout['with']['path']}/run"
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == shlex.split(run["run"])[shlex.split(run["run"]).index("--junit") + 1]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_it_runs_judges_the_users_own_state_and_leaves_its_files(
    tmp_path: Path, steps: list[dict[str, Any]], *, is_there: bool
) -> None:
    home, work, summary = tmp_path / "home", tmp_path / "work", tmp_path / "summary.md"
    (work / "sessionlab").mkdir(parents=True)
    program = work / "sessionlab/run"
    # What ./run does once it has made its environment.
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sessionlab "$@"\n')
    program.chmod(0o755)
    home.mkdir()
    if is_there:
        shutil.copytree(SAMPLE, home / ".openclaw")
    environment = {**os.environ, "HOME": str(home), "GITHUB_STEP_SUMMARY": str(summary), "PYTHONPATH": str(ROOT)}
    environment.pop("OPENCLAW_STATE_DIR", None)
    words = ["bash", "-e", "-c", steps[1]["run"]]
    done = subprocess.run(words, cwd=work, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (1 if is_there else 10), done.stderr
    assert (work / "growth.xml").exists() == is_there
    if is_there:
        assert len(list(ET.parse(work / "growth.xml").getroot().iter("testcase"))) == 9
        assert summary.read_text(encoding="utf-8").startswith("## Session stores")
