"""The state folder that most tests of the mirror start from; a module with another need defines its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.loaded_mirror import NOW_MS
from tests.lab.states import event, header, settle, write_store, write_transcript


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make a small state folder: two agents, a fork with its parent, an orphan, an archive, a bad line."""
    folder = tmp_path / "state"
    for agent, names in (("main", ("a", "b", "c")), ("ops", ("d", "e"))):
        write_store(folder, agent, {f"agent:{agent}:direct:{name}": {"sessionId": name, "updatedAt": NOW_MS - 5000} for name in names})
        for name in names:
            write_transcript(folder, agent, f"{name}.jsonl", [header(name), *(event(f"{name}{n}", cost=0.25) for n in range(3))])
    shared = [event(f"a{n}", cost=0.25) for n in range(3)]
    write_transcript(folder, "main", "b.jsonl", [header("b", parentSession="/old/a.jsonl"), *shared, event("new", cost=1)])
    write_transcript(folder, "main", "x.jsonl", [header("x"), b"{oops", event("x1", cost=2)])
    write_transcript(folder, "ops", "e.jsonl.reset.2026-10-01T00-00-00.000Z", [header("e"), event("e9", cost=4)])
    settle(folder)
    return folder
