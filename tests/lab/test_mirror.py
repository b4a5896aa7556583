"""The mirror: right after any history of changes, cheap when little changed, whole when a load fails, and never a writer of its source."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sessionlab import synth
from sessionlab.errors import CorruptStoreError, SessionLabError, UsageError
from sessionlab.lab import mirror, queries
from sessionlab.lab.mirror import BusyMirrorError, LoadResult, connect, load, load_into
from sessionlab.lab.session import open_lab
from tests.fixture_states import SQLITE_STATES, STATES, STORE, own_state, shared_state
from tests.lab.states import event, header, long_ago, settle, write_store, write_transcript

NOW_MS = synth.DEFAULT_NOW_MS
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TABLES = ("agents", "sessions", "transcripts", "events", "fields", "storage", "problems")


@pytest.fixture(scope="module")
def sample() -> Any:
    con = connect()
    load_into(con, SAMPLE, now_ms=NOW_MS)
    yield con
    con.close()


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


def scalar(con: duckdb.DuckDBPyConnection, sql: str, *values: object) -> Any:
    row = con.execute(sql, list(values)).fetchone()
    assert row is not None
    return row[0]


def counted(mirror_file: Path) -> int:
    """Return the micro-dollars that count."""
    with connect(mirror_file) as con:
        return int(scalar(con, "SELECT sum(cost_microusd) FROM events WHERE NOT is_copy"))


def contents(con: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Return every table's rows, ordered, without the numbers that only this mirror gives its transcripts."""
    found = {}
    for table in TABLES:
        names = [row[0] for row in con.execute(f"DESCRIBE {table}").fetchall() if row[0] not in ("transcript_id", "mtime_ns")]
        chosen = ", ".join(names)
        source = table
        if table == "events":
            source, chosen = "events JOIN transcripts USING (transcript_id)", "path, " + ", ".join(f"events.{name}" for name in names)
        found[table] = sorted(con.execute(f"SELECT {chosen} FROM {source}").fetchall(), key=repr)
    return found


def from_scratch(state: Path) -> dict[str, list[Any]]:
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        return contents(con)


def loaded(state: Path, target: Path) -> LoadResult:
    return load(state, target, now_ms=NOW_MS)


def sessions(state: Path, agent: str = "main") -> Path:
    return state / "agents" / agent / "sessions"


def test_the_samples_sessions_are_those_that_were_made(sample: duckdb.DuckDBPyConnection) -> None:
    truth = synth.read_truth(SAMPLE)
    kinds = sample.execute("SELECT agent_id, kind, count(*) FROM sessions GROUP BY ALL").fetchall()
    assert {agent: {k: n for a, k, n in kinds if a == agent} for agent in truth.agents} == {a: t.kinds for a, t in truth.agents.items()}
    agents = sample.execute(
        "SELECT agent_id, sessions, store_bytes, transcripts, transcript_bytes, archives, archive_bytes FROM agents"
    ).fetchall()
    assert sorted(agents) == sorted(
        (name, one.sessions, one.store_bytes, one.live.files, one.live.bytes, one.archives.files, one.archives.bytes)
        for name, one in truth.agents.items()
    )
    assert scalar(sample, "SELECT count(*) FROM transcripts WHERE is_orphan") == truth.orphans
    assert scalar(sample, "SELECT count(*) FROM sessions WHERE is_transcript_missing") == truth.missing_transcripts
    backups = sample.execute("SELECT sum(files), sum(bytes) FROM storage WHERE part = 'store backups'").fetchone()
    assert backups == (truth.backups, truth.backup_bytes)
    for days, expected in ((30, truth.stale_30d), (60, truth.stale_60d)):
        assert scalar(sample, "SELECT count(*) FROM sessions WHERE updated_ms < ?", NOW_MS - days * 86_400_000) == expected


@pytest.mark.parametrize("part", ["live", "archives", "everything"])
def test_the_samples_events_and_usage_are_those_that_were_made(sample: duckdb.DuckDBPyConnection, part: str) -> None:
    truth = getattr(synth.read_truth(SAMPLE), part)
    chosen = {"live": "source = 'live'", "archives": "source LIKE 'archive%'", "everything": "TRUE"}[part]
    events = f"(SELECT events.* FROM events JOIN transcripts USING (transcript_id) WHERE {chosen})"
    assert dict(sample.execute(f"SELECT type, count(*) FROM {events} GROUP BY 1").fetchall()) == truth.by_type
    assert dict(sample.execute(f"SELECT role, count(*) FROM {events} WHERE role IS NOT NULL GROUP BY 1").fetchall()) == truth.by_role
    sums = "sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(total_tokens), sum(cost_microusd)"
    call = "role = 'assistant' AND provider <> 'openclaw'"
    for usage, counted_once in ((truth.usage, True), (truth.naive_usage, False)):
        once = "AND NOT is_copy" if counted_once else ""
        row = sample.execute(f"SELECT {sums} FROM {events} WHERE {call} {once}").fetchone()
        assert row == (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.total, usage.cost_microusd)
    assert scalar(sample, f"SELECT count(*) FROM {events}") == truth.events
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE {call} AND NOT is_copy") == truth.calls
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE is_copy") == truth.copied_events
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE {call} AND is_copy") == truth.copied_calls
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE provider = 'openclaw'") == truth.mirrors
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE is_error") == truth.tool_errors
    assert (
        scalar(sample, f"SELECT count(*) FROM {events} WHERE {call} AND cost_microusd IS NULL AND NOT is_copy") == truth.calls_without_cost
    )
    assert scalar(sample, f"SELECT coalesce(sum(bad_lines), 0) FROM transcripts WHERE {chosen}") == truth.bad_lines
    by_model = sample.execute(
        f"SELECT provider || '/' || model, count(*), {sums} FROM {events} WHERE {call} AND NOT is_copy GROUP BY 1"
    ).fetchall()
    assert {name: tuple(row) for name, *row in by_model} == {
        name: (m.calls, m.tokens.input, m.tokens.output, m.tokens.cache_read, m.tokens.cache_write, m.tokens.total, m.tokens.cost_microusd)
        for name, m in truth.by_model.items()
    }


def test_the_samples_flaws_are_its_problems(sample: duckdb.DuckDBPyConnection) -> None:
    flaws = synth.read_truth(SAMPLE).flaws
    rows = sample.execute("SELECT code, path, line, session_key, count FROM problems").fetchall()
    for code, name in (("bad_line", "bad_line"), ("unfinished_line", "unfinished_line")):
        found = [(path, line) for row_code, path, line, _, _ in rows if row_code == code]
        assert found == [(flaw.path, flaw.line) for flaw in flaws[name]]
    counts = {code: sum(count for row, *_, count in rows if row == code) for code in ("orphan_transcript", "missing_transcript")}
    assert counts == {"orphan_transcript": 3, "missing_transcript": 2}
    future = {key for code, _, _, key, _ in rows if code == "updated_in_future"}
    assert future == {key for flaw in flaws["future_updated_at"] for key in flaw.keys}


def look(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return (inode, mode, mtime in ns, bytes) of everything below a folder, itself included."""
    return {
        str(path): ((found := path.lstat()).st_ino, found.st_mode, found.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def look_inside(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return the same without the folder itself, whose time tells of a file that came and went."""
    return {path: found for path, found in look(folder).items() if path != str(folder)}


@pytest.mark.parametrize("name", [*STATES, "sample"])
def test_nothing_of_the_source_is_touched(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = SAMPLE if name == "sample" else shared_state(name, tmp_path_factory)
    before = look(state)
    for _ in range(2):
        loaded(state, tmp_path / "m.duckdb")
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
    with open_lab(state, now_ms=NOW_MS) as lab:
        for query in queries.names():
            required = [param.name for param in queries.describe(query).params if param.required and param.name != "now_ms"]
            assert required == []
            lab.query(query)
    assert look(state) == before


@pytest.mark.parametrize("name", STATES)
def test_loading_again_without_a_change_leaves_the_mirror_alone(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state, target = shared_state(name, tmp_path_factory), tmp_path / "m.duckdb"
    first = loaded(state, target)
    before = look(tmp_path)
    again = loaded(state, target)
    assert (again.is_unchanged, again.transcripts_read) == (True, 0)
    assert (again.sessions, again.events, again.problems) == (first.sessions, first.events, first.problems)
    assert look(tmp_path) == before


def test_a_touched_transcript_is_the_only_one_read(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    first = loaded(state, target)
    assert first.transcripts_read == first.transcripts == 7
    long_ago(sessions(state) / "c.jsonl", seconds=50)
    again = loaded(state, target)
    assert (again.transcripts_read, again.is_unchanged, again.events) == (1, False, first.events)
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def append(state: Path) -> None:
    with (sessions(state) / "c.jsonl").open("ab") as file:
        file.write(json.dumps(event("late", cost=8)).encode() + b"\n")


def change_entry(state: Path) -> None:
    write_store(
        state, "ops", {"agent:ops:direct:d": {"sessionId": "d", "updatedAt": NOW_MS, "model": "m9"}, "agent:ops:main": {"sessionId": "e"}}
    )


@pytest.mark.parametrize(
    ("change", "read", "added_microusd"),
    [
        (append, 1, 8_000_000),
        (lambda state: (sessions(state) / "c.jsonl").unlink(), 0, -750_000),
        (lambda state: (sessions(state) / "a.jsonl").unlink(), 0, 0),  # what was a copy is now the only one
        (lambda state: (sessions(state) / "b.jsonl").unlink(), 0, -1_000_000),
        (lambda state: (sessions(state) / "a.jsonl").rename(sessions(state) / "a.jsonl.deleted.2026-11-01T00-00-00.000Z"), 1, 0),
        (lambda state: write_store(state, "main", {"agent:main:direct:a": {"sessionId": "a", "updatedAt": NOW_MS}}), 0, 0),
        (lambda state: write_transcript(state, "ops", "new.jsonl", [header("new"), event("n", cost=16)]), 1, 16_000_000),
        (change_entry, 0, 0),
        (lambda state: shutil.rmtree(state / "agents" / "ops"), 0, -1_500_000 - 4_000_000),
    ],
)
def test_a_change_costs_what_it_touches_and_ends_like_a_fresh_mirror(
    change: Callable[[Path], object], read: int, added_microusd: int, state: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    before = counted(target)
    assert before == 750_000 * 4 + 1_000_000 + 2_000_000 + 4_000_000
    change(state)
    settle(state, only_new=True)
    result = loaded(state, target)
    assert (result.transcripts_read, result.is_unchanged) == (read, False)
    assert counted(target) == before + added_microusd
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def test_a_fork_that_came_before_its_parent_counts_once_when_the_parent_comes(state: Path, tmp_path: Path) -> None:
    target, parent = tmp_path / "m.duckdb", sessions(state) / "a.jsonl"
    data = parent.read_bytes()
    parent.unlink()
    loaded(state, target)
    alone = counted(target)
    parent.write_bytes(data)
    settle(state, only_new=True)
    loaded(state, target)
    assert counted(target) == alone


def random_edit(state: Path, dice: random.Random, number: int) -> None:
    """Do one thing that a running OpenClaw, or a hand, does to a state folder."""
    agent = dice.choice(["main", "ops"])
    folder = sessions(state, agent)
    store = json.loads((folder / "sessions.json").read_bytes())
    files = sorted(path for path in folder.iterdir() if ".jsonl" in path.name)
    match dice.randrange(9):
        case 0 if files:
            with dice.choice(files).open("ab") as file:
                file.write(json.dumps(event(f"more{number}", cost=number)).encode() + dice.choice([b"\n", b"", b"\n{bad\n"]))
        case 1 if files:
            dice.choice(files).unlink()
        case 2 if files:
            path = dice.choice(files)
            path.rename(folder / f"{path.name.partition('.')[0]}.jsonl.deleted.2026-11-{number % 28 + 1:02}T00-00-00.000Z")
        case 3 if store:
            del store[dice.choice(sorted(store))]
        case 4 if store:
            store[dice.choice(sorted(store))]["updatedAt"] = NOW_MS + dice.randrange(-9000, 9000)
        case 5 if store:
            store[dice.choice(sorted(store))]["sessionId"] = dice.choice("abcdex")
        case 6:
            name = f"s{number}"
            store[f"agent:{agent}:cron:job:run:{name}"] = {"sessionId": name, "updatedAt": NOW_MS}
            write_transcript(state, agent, f"{name}.jsonl", [header(name), event(name, cost=1)])
        case 7 if files:
            parent = dice.choice(files)
            whole = [line for line in parent.read_bytes().splitlines()[1:] if line.endswith(b"}")]
            lines: list[dict[str, Any] | bytes] = [
                header(f"f{number}", parentSession=parent.name.partition(".")[0] + ".jsonl"),
                *whole,
                event(f"own{number}", cost=2),
            ]
            write_transcript(state, agent, f"f{number}.jsonl", lines)
        case 8 if files:
            path = dice.choice(files)
            path.write_bytes(path.read_bytes()[: dice.randrange(400)])
    write_store(state, agent, store)


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_changes_ends_like_a_mirror_made_from_scratch(seed: int, state: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    for number in range(10):
        for turn in range(dice.randrange(1, 4)):
            random_edit(state, dice, number * 10 + turn)
        settle(state, only_new=True)
        loaded(state, target)
        with connect(target) as con:
            assert contents(con) == from_scratch(state)


def test_a_file_changed_just_before_the_load_is_read_again_by_the_next(state: Path, tmp_path: Path) -> None:
    path, target = sessions(state) / "c.jsonl", tmp_path / "m.duckdb"
    path.touch()
    stamp = path.stat().st_mtime_ns
    assert not loaded(state, target).is_unchanged
    data = path.read_bytes()
    # A second write within the same tick of the file system's clock: the same size, the same time, other contents.
    path.write_bytes(data.replace(b"0.25", b"0.75"))
    os.utime(path, ns=(stamp, stamp))
    again = loaded(state, target)
    assert (again.is_unchanged, again.transcripts_read) == (False, 1)
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def test_the_clock_alone_makes_a_new_mirror_when_it_changes_what_is_in_the_future(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    assert load(state, target, now_ms=NOW_MS + 1).is_unchanged
    earlier = load(state, target, now_ms=NOW_MS - 6000)
    assert not earlier.is_unchanged
    assert earlier.transcripts_read == 0
    with connect(target) as con:
        assert scalar(con, "SELECT count(*) FROM problems WHERE code = 'updated_in_future'") == 5


def test_the_same_store_loaded_by_another_path_shows_its_paths_from_there(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    load(state, target, agent="main", now_ms=NOW_MS)
    agent_folder = state / "agents" / "main"
    load(agent_folder, target, now_ms=NOW_MS)
    with connect(target) as con:
        assert contents(con) == from_scratch(agent_folder)
        assert scalar(con, "SELECT path FROM problems WHERE code = 'bad_line'") == "sessions/x.jsonl"


def test_only_the_agent_asked_for_is_loaded(state: Path, tmp_path: Path) -> None:
    assert load(state, tmp_path / "m.duckdb", agent="ops", now_ms=NOW_MS).sessions == 2
    with pytest.raises(UsageError, match="there are main, ops"):
        load(state, tmp_path / "m.duckdb", agent="nobody", now_ms=NOW_MS)


def test_a_mirror_of_another_form_is_built_anew(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    with duckdb.connect(str(target)) as con:
        con.execute("UPDATE meta SET value = 'old' WHERE name = 'schema_version'")
        con.execute("DROP TABLE events")
    assert loaded(state, target).transcripts_read == 7
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def foreign_database(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute(sql)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"my thesis\n" * 999),
        lambda path: path.write_bytes(b""),
        lambda path: path.mkdir(),
        lambda path: foreign_database(path, "CREATE TABLE mine (x INTEGER)"),
        lambda path: foreign_database(path, "CREATE TABLE meta (x INTEGER)"),
        lambda path: foreign_database(path, "CREATE TABLE meta (name VARCHAR, value VARCHAR)"),
    ],
)
def test_what_is_no_mirror_is_refused_in_one_line_and_untouched(make: Callable[[Path], object], state: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    make(target)
    before = look(tmp_path)
    with pytest.raises(UsageError) as caught:
        loaded(state, target)
    assert "\n" not in str(caught.value)
    assert str(target) in str(caught.value)
    assert look(tmp_path) == before


def test_a_missing_folder_or_mirror_is_named(state: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        loaded(state, tmp_path / "none" / "m.duckdb")
    with pytest.raises(UsageError, match="no such mirror"):
        connect(tmp_path / "m.duckdb")


def test_a_mirror_that_another_program_writes_is_busy(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    append(state)
    program = f"import duckdb, sys; con = duckdb.connect({str(target)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(BusyMirrorError) as caught:
            loaded(state, target)
        assert "\n" not in str(caught.value)
        other.stdin.close()
    assert loaded(state, target).transcripts_read == 1


def test_a_mirror_that_this_program_writes_is_busy_too(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    with duckdb.connect(str(target)), pytest.raises(BusyMirrorError):
        loaded(state, target)


def test_a_reader_keeps_the_old_mirror_and_the_load_tells_about_the_new_one(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    first = loaded(state, target)
    with connect(target) as reader:
        append(state)
        second = loaded(state, target)
        assert scalar(reader, "SELECT count(*) FROM events") == first.events
    assert second.events == first.events + 1
    with connect(target) as con:
        assert scalar(con, "SELECT count(*) FROM events") == second.events


@pytest.mark.parametrize("step", ["insert_agents", "insert_problems", "_verify"])
@pytest.mark.parametrize("error", [RuntimeError("killed"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_load_that_fails_in_the_middle_leaves_the_old_mirror_and_nothing_else(
    step: str, error: BaseException, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    target = tmp_path / "m.duckdb"
    loaded(state, target)
    append(state)
    before = look_inside(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(mirror, step, fail)
        with pytest.raises((type(error), SessionLabError)):
            loaded(state, target)
    assert look_inside(tmp_path) == before
    assert loaded(state, target).transcripts_read == 1


def test_a_first_load_that_fails_leaves_no_file(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    before = look(tmp_path)
    monkeypatch.setattr(mirror, "insert_agents", fail)
    with pytest.raises(RuntimeError):
        loaded(state, tmp_path / "m.duckdb")
    assert set(look(tmp_path)) == set(before)


def test_a_store_replaced_while_it_is_read_shows_one_state_and_is_read_again_next_time(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"

    def replace_once(stage: str, done: int, total: int) -> None:
        if stage == "reading sessions of ops" and not (tmp_path / "new.json").exists():
            new = {f"agent:main:direct:{n}": {"sessionId": f"n{n}"} for n in range(50)}
            (tmp_path / "new.json").write_text(json.dumps(new), encoding="utf-8")
            shutil.copy(tmp_path / "new.json", tmp_path / "moving.json")
            (tmp_path / "moving.json").replace(sessions(state) / "sessions.json")
        assert done <= total

    first = load(state, target, now_ms=NOW_MS, on_progress=replace_once)
    assert first.sessions == 5
    assert loaded(state, target).sessions == 52
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def test_a_store_rewritten_in_place_while_it_is_read_is_an_error(state: Path, tmp_path: Path) -> None:
    def rewrite(stage: str, *_: int) -> None:
        if stage == "reading sessions of ops":
            write_store(state, "ops", {})
            write_store(state, "main", {})

    # Half of it is there already, under the old count and fingerprint: neither the old state nor the new one.
    with pytest.raises(CorruptStoreError) as caught:
        load(state, tmp_path / "m.duckdb", now_ms=NOW_MS, on_progress=rewrite)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.duckdb").exists()
    assert loaded(state, tmp_path / "m.duckdb").sessions == 0


def test_a_transcript_that_grows_while_it_is_read_counts_up_to_where_it_was_seen(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    grown: list[int] = []

    def grow(*_: object) -> None:
        if not grown:
            append(state)
            grown.append(1)

    first = load(state, target, now_ms=NOW_MS, on_progress=grow)
    second = loaded(state, target)
    assert (second.events, second.transcripts_read) == (first.events + 1, 1)


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_transcripts_in_an_unchanged_database_are_taken_over(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state, target = own_state(name, tmp_path_factory, tmp_path), tmp_path / "m.duckdb"
    settle(state)
    first = loaded(state, target)
    write_transcript(state, "main", "stray.jsonl", [header("stray"), event("s", cost=1)])
    settle(state, only_new=True)
    second = loaded(state, target)
    assert (second.transcripts_read, second.events) == (1, first.events + 2)
    long_ago(state / STORE, seconds=60)
    third = loaded(state, target)
    assert third.transcripts_read == 60
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_files_beside_a_database_that_hold_the_same_transcripts_count_once(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state(name, tmp_path_factory, tmp_path)
    json_era = shared_state("json-2026.3", tmp_path_factory)
    for path in sessions(json_era).glob("*.jsonl"):
        shutil.copy(path, sessions(state))
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        assert scalar(con, "SELECT sum(cost_microusd) FROM events WHERE NOT is_copy") == 33_043_184
        assert scalar(con, "SELECT count FROM problems WHERE code = 'leftover_transcript'") == 60


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_sessions_in_a_json_store_beside_the_database_are_reported_not_counted(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state(name, tmp_path_factory, tmp_path)
    write_store(state, "main", {f"agent:main:direct:{n}": {"sessionId": f"n{n}"} for n in range(3)})
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        assert con.execute("SELECT severity, count FROM problems WHERE code = 'split_store'").fetchall() == [("error", 3)]
        assert scalar(con, "SELECT count(*) FROM sessions") == 65


def test_what_a_killed_load_left_behind_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    left, wal = tmp_path / f".m.duckdb.{dead.pid}.tmp", tmp_path / f".m.duckdb.{dead.pid}.tmp.wal"
    for path in (left, wal):
        path.write_bytes(b"half a mirror")
    alive = tmp_path / f".m.duckdb.{os.getppid()}.tmp"
    alive.write_bytes(b"somebody is at it")
    load(SAMPLE, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, "m.duckdb"])


def test_an_agent_whose_store_is_gone_is_a_problem_and_no_silence(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    made = tmp_path / "m.duckdb"
    load(state, made, now_ms=NOW_MS)
    (state / "agents" / "ops" / "sessions" / "sessions.json").unlink()
    assert not load(state, made, now_ms=NOW_MS).is_unchanged
    with connect(made) as con:
        assert con.execute("SELECT agent_id, severity FROM problems WHERE code = 'agent_without_store'").fetchall() == [("ops", "error")]
        assert con.execute("SELECT count(*) FROM sessions WHERE agent_id = 'ops'").fetchall() == [(0,)]
