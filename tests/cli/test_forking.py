"""A forked command line does what one does that Python starts: so whatever a test says of the one holds for the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.forking import forked, starts_alike
from tests.cli.program import SAMPLE, started

COMMANDS = {
    "nothing": [],
    "help": ["--help"],
    "info": ["info", "../state", "--json"],
    "no store": ["info", "nowhere"],
    "usage": ["list", "--frob"],
    "unknown": ["frobnicate", "--json"],
    "load": ["load", str(SAMPLE), "-o", "mirror.duckdb"],
    "query": ["query", "overview", "--sample"],
    "check": ["check", "../state"],
    "refused parameter": ["run", "99_template", "-p", "frob=1", "-o", "."],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_both_say_the_same_and_exit_with_the_same(arguments: list[str], tmp_path: Path) -> None:
    store = tmp_path / "state/agents/main/sessions/sessions.json"
    store.parent.mkdir(parents=True)
    store.write_text('{"agent:main:café": {"sessionId": "a", "updatedAt": 1}, "b": 5}', encoding="utf-8")
    environment = {**os.environ, "HOME": str(tmp_path / "nobody"), "SESSIONLAB_CALLED_AS": "./run"}
    said = []
    for run in (forked, started):
        (tmp_path / "here").mkdir()
        done = run(arguments, cwd=tmp_path / "here", environment=environment)
        left = sorted(path.name for path in (tmp_path / "here").iterdir())
        said.append((done.returncode, done.stdout, done.stderr, left))
        (tmp_path / "here").rename(tmp_path / run.__name__)
    assert said[0] == said[1]
    assert said[0][1] or said[0][2]


def test_process_is_one_of_its_own_each_time(tmp_path: Path) -> None:
    """What one changes is not changed for the next; and one that ends badly is not the end of those that come after it."""
    for home in ("a", "b"):
        done = forked(["--json"], cwd=tmp_path, environment={**os.environ, "HOME": str(tmp_path / home)})
        assert str(tmp_path / home / ".openclaw") in done.stdout
    assert forked(["info"], cwd=tmp_path, environment={**os.environ, "OPENCLAW_STATE_DIR": str(tmp_path / "gone")}).returncode == 10
    assert not starts_alike({**os.environ, "PYTHONUTF8": "0"})
    assert starts_alike({**os.environ, "HOME": "/"})
