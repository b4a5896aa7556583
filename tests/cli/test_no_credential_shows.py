"""No credential that lies in an entry or a transcript shows: not in reports, run folders, notebooks, pages, stdout or stderr."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.cli import _run
from sessionlab.stores import open_for_writing
from tests.cli.credentials import (
    CREDENTIALS,
    PLANTED,
    bad_members,
    files_below,
    full_entry,
    leaks,
    transcript_lines,
    written_store,
)
from tests.fixture_states import STORE, own_state
from tests.stores.changed_database import WINDOW, change

NOW_MS = 1_795_000_000_000
Call = Callable[..., int]


def entries() -> dict[str, Any]:
    """Return sessions that are moved, merged and normalised."""
    found = {f"agent:main:telegram:direct:{number}": full_entry(number, updated_ms=NOW_MS) for number in range(6)}
    found["agent:main:Matrix:Direct:Twin"] = full_entry(6, updated_ms=NOW_MS)
    found["agent:main:matrix:direct:twin"] = full_entry(7, updated_ms=NOW_MS)
    legacy = {"provider": CREDENTIALS["API key"], "lastProvider": CREDENTIALS["JWT"], "room": CREDENTIALS["bearer token"]}
    found["agent:main:discord:channel:old"] = {"sessionId": "old", "updatedAt": NOW_MS, **legacy}
    return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    store = written_store(folder / "agents/main/sessions/sessions.json", entries(), bad_members())
    (store.parent / "session-0.jsonl").write_text("\n".join(transcript_lines()) + "\n")
    return folder


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """Return the folder that everything said is collected in."""
    folder = tmp_path / "said"
    folder.mkdir()
    return folder


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes], said: Path) -> Call:
    """Return what runs a command, first for people, then with --json, keeps what it says, and returns the exit code of the first."""

    def run(*arguments: str | Path, twice: bool = True) -> int:
        codes = []
        for extra in ([], ["--json"]) if twice else ([],):
            capfdbinary.readouterr()
            codes.append(_run([*map(str, arguments), *extra]))
            out, err = capfdbinary.readouterr()
            assert b"Traceback" not in err
            (said / f"{len(list(said.iterdir())):03}-{arguments[0]}.txt").write_bytes(out + b"\n--- stderr\n" + err)
        return codes[0]

    return run


def the_run(state: Path, operation: str) -> Path:
    """Return the folder of the latest run of an operation."""
    return max((state / ".sessionlab/runs").glob(f"*-{operation}-*"), key=lambda path: path.name)


def test_looking_for_them_finds_them_where_they_are(state: Path) -> None:
    found = leaks(files_below(state))
    for kind in CREDENTIALS:
        assert f"{kind} in {state}/agents/main/sessions/sessions.json" in found
        assert f"{kind} in {state}/agents/main/sessions/session-0.jsonl" in found
    assert f"account in {state}/agents/main/sessions/sessions.json" in found
    assert len(PLANTED) == 9
    assert all(len(pieces) > 4 for pieces in PLANTED.values())


def test_no_credential_shows_when_sessions_are_moved_led_back_and_audited(state: Path, said: Path, call: Call) -> None:
    assert call("migrate", state, "--to", "sqlite") == 3
    assert call("migrate", state, "--to", "sqlite", "--dry-run") == 3
    assert call("migrate", state, "--to", "directory", "--dry-run", "--set-aside") == 0
    assert call("migrate", state, "--to", "sqlite", "--rehearse", "--set-aside") == 0
    assert call("migrate", state, "--to", "sqlite", "--set-aside", twice=False) == 3
    first = the_run(state, "migrate")
    assert call("audit", first) == 0
    with open_for_writing(state) as store:
        store.update(
            "agent:main:telegram:direct:0", lambda _: {"label": CREDENTIALS["AWS key"], "token": CREDENTIALS["JWT"]}, now_ms=NOW_MS
        )
        store.delete("agent:main:telegram:direct:1")
        store.put("agent:main:new", full_entry(9, updated_ms=NOW_MS))
    assert call("audit", first) == 1
    sessions = state / "agents/main/sessions"
    assert call("verify", sessions / "sessions.json", sessions / "sessions.sqlite") == 3
    assert call("check", state) == 0
    assert call("rollback", first, "--dry-run") == 0
    assert call("rollback", first, twice=False) == 3
    assert call("audit", first) == 1
    assert call("audit", the_run(state, "rollback")) == 0

    assert call("migrate", state, "--to", "directory", twice=False) == 0
    damaged = next(path for path in (sessions / "sessions.d/entries").iterdir() if b"direct:3" in path.read_bytes())
    damaged.write_bytes(damaged.read_bytes().replace(b"}", f', "account": {json.dumps(CREDENTIALS["API key"])} {{'.encode(), 1))
    assert call("audit", the_run(state, "migrate")) == 3
    assert call("migrate", state, "--to", "sqlite") == 3
    assert call("check", state) == 1
    assert call("rollback", the_run(state, "migrate")) == 3
    assert call("rollback", the_run(state, "migrate"), "--set-aside", twice=False) == 3
    assert call("rollback", first) == 0
    (sessions / "sessions.json").write_text((sessions / "sessions.json").read_text()[:-200])
    assert call("migrate", state, "--to", "sqlite") == 3
    assert call("verify", sessions / "sessions.json", sessions / "sessions.json") == 3
    assert leaks(files_below(said, state / ".sessionlab")) == []
    texts = b"".join(data for _, data in files_below(said))
    assert b"agent:main:bad:integer" in texts
    assert b"integer of 30 digits is out of range" in texts
    assert b"number of 34 characters is out of range" in texts


def test_no_credential_shows_of_openclaws_own_store(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, said: Path, call: Call, state: Path
) -> None:
    database = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)

    def plant(db: sqlite3.Connection) -> None:
        keys = [key for (key,) in db.execute("SELECT session_key FROM session_nodes ORDER BY session_key LIMIT 16")]
        texts = [json.dumps(full_entry(number, updated_ms=NOW_MS)) for number in range(6)] + list(bad_members().values())[:10]
        for key, text in zip(keys, texts, strict=True):
            db.execute("UPDATE session_nodes SET entry_json = ? WHERE session_key = ?", (text, key))
        for number, line in enumerate(transcript_lines()[1:], start=3):
            db.execute("UPDATE transcript_events SET event_json = ? WHERE session_id = ? AND seq = ?", (line, WINDOW, number))

    change(database / STORE, plant)
    assert call("verify", "openclaw", database) == 3
    assert call("export", "openclaw", database, "--to", tmp_path / "none", "--dry-run") == 3
    assert call("export", "openclaw", database, "--to", tmp_path / "none") == 3
    assert call("export", "openclaw", database, "--to", tmp_path / "out", "--set-aside", twice=False) == 3
    assert call("audit", the_run(tmp_path / "out", "export")) == 0
    assert call("verify", database, tmp_path / "out") in (1, 3)
    assert call("verify", state, database) == 3
    assert leaks(files_below(said, tmp_path / "out/.sessionlab")) == []
    assert leaks(files_below(tmp_path / "out/agents"))


def test_no_credential_shows_in_the_audit_notebook_or_its_page(
    state: Path, tmp_path: Path, said: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("migrate", state, "--to", "directory", "--set-aside", twice=False) == 3
    with open_for_writing(state) as store:
        store.update("agent:main:telegram:direct:0", lambda _: {"label": CREDENTIALS["AWS key"]}, now_ms=NOW_MS)
        store.put("agent:main:new", full_entry(9, updated_ms=NOW_MS))
    monkeypatch.chdir(tmp_path)  # a path among the parameters is one as seen from here
    run = the_run(state, "migrate").relative_to(tmp_path)
    made = ["run", "03_migration_audit", "--html", "-o", "said/made", "-p", f"run_dir={run}", "-p", "rounds=1"]
    assert call(*made, twice=False) == 0
    written_store(tmp_path / "other/agents/main/sessions/sessions.json", entries(), bad_members())
    refused = ["run", "03_migration_audit", "--html", "-o", "said/refused", "-p", "source=other", "-p", "dry_run=false"]
    assert call(*refused, twice=False) == 3
    page = (said / "made/03_migration_audit.html").read_text()
    for words in ("Does not hold any more", "agent:main:bad:integer", "$.label", f'rollback<span class="w"> </span>{tmp_path / run}'):
        assert words in page
    assert [path.name for path in (said / "refused").iterdir()] == ["03_migration_audit.ipynb"]
    assert leaks(files_below(said, state / ".sessionlab")) == []


def test_no_credential_shows_when_a_store_is_kept_in_bounds(state: Path, said: Path, call: Call) -> None:
    """But in the archive of what was removed, which is as private as the store."""
    assert call("maintain", state, "--enforce", "--max-entries", "2") == 3
    assert call("reap", state) == 3
    assert call("check-growth", state, "--max-growth", "1%/day", "--junit", said / "a.xml", "--summary", said / "a.md") == 3
    written_store(state / "agents/main/sessions/sessions.json", entries(), {})
    assert call("maintain", state, "--max-entries", "2", "--fix-missing", "--active-key", "agent:main:telegram:direct:1") == 0
    assert call("maintain", state, "--enforce", "--max-entries", "2", twice=False) == 0
    run = the_run(state, "maintain")
    with open_for_writing(state) as store:
        store.put("agent:main:telegram:direct:0", full_entry(9, updated_ms=NOW_MS))
    assert call("undo", run) == 1
    assert call("rollback", run) == 2
    assert call("check-growth", state, "--max-growth", "1%/day", "--max-store", "1b", "--junit", said / "b.xml") == 1
    (state / "agents/main/sessions/session-0.jsonl").unlink(missing_ok=True)
    archive = run / "removed.jsonl"
    assert len(leaks([("the archive", archive.read_bytes())])) == len(CREDENTIALS)
    assert archive.stat().st_mode & 0o777 == 0o600
    archive.unlink()
    assert leaks(files_below(said, state / ".sessionlab")) == []
