"""`sessionlab bench migrations`: what it says and in which form, and that it measures what it says. Times are no matter of tests."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionlab.bench import floors, migrations, moves, peers, table
from sessionlab.bench.content import make_content
from sessionlab.bench.measure import Measurement, cost_of
from sessionlab.bench.moving import move, roll_back, verify_import
from sessionlab.bench.openclaw_state import ImportedState, make_imported_state
from sessionlab.bench.scope import NAMES, NOW_MS, Scope
from sessionlab.migration.verify_openclaw import verify_openclaw
from sessionlab.stores.locating import locate
from sessionlab.stores.location import open_at
from tests.cli.program import one_line_error, printed_json, sessionlab
from tests.fixture_states import STORE, shared_state

KEYS = ["store", "operation", "sessions", "durability", "median_ms", "floor_ms", "ratio", "bound", "peak_mb"]
MOVES = [
    *("json to sqlite", "json to sqlite, rolled back", "json to directory", "json to directory, rolled back"),
    *("sqlite to json", "sqlite to directory", "directory to json", "directory to sqlite"),
]


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    done = sessionlab("bench", "migrations", "--sessions", "20", "--quick", "--json")
    assert done.stderr == ""
    return printed_json(done)


@pytest.fixture
def imported(tmp_path: Path) -> ImportedState:
    return make_imported_state(tmp_path / "state", sessions=40, transcript_bytes=20_000)


def test_json_has_every_pair_and_way_back_in_the_form_of_the_issue(printed: dict[str, Any]) -> None:
    rows = printed["rows"]
    for row in rows:
        assert list(row) == KEYS
        assert (row["median_ms"] is None) != (row["peak_mb"] is None)
        assert row["bound"] is None  # those are for 1,000 sessions
        assert row["ratio"] == (None if row["median_ms"] is None else pytest.approx(row["median_ms"] / row["floor_ms"]))
    assert [row["operation"] for row in rows if row["store"] == "migration"] == MOVES
    assert {row["durability"] for row in rows if row["store"] == "migration"} == {"commit"}
    assert next(row["operation"] for row in rows if row["store"] == "verification") == "json against sqlite"
    assert sum(row["sessions"] == 60 for row in rows) == 2
    assert any("no figure to quote" in sentence for sentence in printed["conditions"])


def test_help_says_what_it_takes_and_wrong_arguments_are_one_line() -> None:
    words = " ".join(sessionlab("bench", "migrations", "--help").stdout.split())
    for part in ("--sessions", "--quick", "--json", "floor", "minutes", "GB"):
        assert part in words
    assert one_line_error(sessionlab("bench", "migrations", "--sessions", "0"), 2)


def test_bounds_are_in_seconds_and_only_for_the_size_that_is_quoted(tmp_path: Path) -> None:
    content = make_content(tmp_path / "content", sessions=20)
    scope = Scope()
    assert (scope.is_quoted, Scope(sessions=20).is_quoted, Scope(is_quick=True).is_quoted) == (True, False, False)
    assert [what for what, _ in migrations._steps(content, scope)][-1] == "moves of 10,000 sessions"
    (tmp_path / "moves").mkdir()
    rows = moves.measure(tmp_path / "moves", content, Scope(sessions=1000))  # a store of 20 in the time of 1,000
    limits = {row.operation: row.limit_ms for row in rows if row.limit_ms is not None}
    assert limits == dict(zip(MOVES[:4], (1_500, 1_500, 3_000, 3_000), strict=True))
    assert all(row.is_met and row.unit == "ms" and row.row()["bound"] == row.limit_ms for row in rows[:4])
    assert all(row.ratio is not None and row.ratio > 1 for row in rows)
    assert [path.name for path in (tmp_path / "moves").iterdir()] != []
    assert not (tmp_path / "moves" / "work").exists()


def test_limit_holds_for_the_time_while_the_ratio_stands_beside_it() -> None:
    slow = Measurement(store="x", operation="x", median_ms=1501, floor_ms=100, limit_ms=1500, floor="hash")
    assert (slow.is_met, slow.unit, slow.most, slow.ratio) == (False, "ms", 1500, 15.01)
    assert Measurement(store="x", operation="x", median_ms=1499, floor_ms=1, limit_ms=1500).is_met is True
    assert Measurement(store="x", operation="x", limit_ms=1500).is_met is None
    (_, line) = table.table([slow])
    assert " ".join(line.split()) == "x 1,501 ms 15.01 x hash (100.0 ms) at most 1,500 ms MISSED"


def test_large_stores_are_moved_in_processes_of_their_own(tmp_path: Path) -> None:
    rows = moves.measure_streamed(tmp_path, 20)
    assert [row.operation for row in rows] == [name for move in MOVES[:4] for name in (move, f"{move}: the whole process")]
    for row in rows:
        assert (row.median_ms is None) == row.operation.endswith("process")
        assert row.median_ms is not None or (row.bound == 200 and row.is_met)
    left = {path.name for path in (tmp_path / "agents/main/sessions").iterdir()}
    assert left == {"sessions.json"}
    assert not (tmp_path / ".sessionlab").exists()


def test_a_move_and_its_way_back_are_those_of_the_commands(tmp_path: Path) -> None:
    content = make_content(tmp_path, sessions=20)
    before = content.path.read_bytes()
    assert move(content.path, "directory", NOW_MS) == 20
    assert roll_back(content.path.with_name(NAMES["directory"]), NOW_MS + 1) == 20
    assert content.path.read_bytes() == before
    assert len(list((tmp_path / ".sessionlab/runs").iterdir())) == 2
    with pytest.raises(RuntimeError, match="already"):
        move(content.path, "json", NOW_MS)


def test_floor_reads_every_byte(tmp_path: Path) -> None:
    (tmp_path / "store.d" / "sessions").mkdir(parents=True)
    (tmp_path / "store.d" / "sessions" / "one").write_bytes(b"one")
    (tmp_path / "store.d" / "state").write_bytes(b"")
    (tmp_path / "store").write_bytes(b"two")
    found = [digest.hex()[:8] for digest in floors.read_and_hash(tmp_path / "store.d", tmp_path / "store")]
    assert found == ["7692c3ad", "e3b0c442", "3fc4ccfe"]


def test_cost_is_of_the_statement_alone() -> None:
    cost = cost_of("kept = b'x' * 30_000_000", "more = b'x' * 20_000_000; time.sleep(0.05)", arguments=[])
    assert 18 < cost.peak_mb < 26
    assert 50 < cost.ms < 5_000


def test_imported_state_verifies_without_loss_and_has_what_the_import_rewrites(imported: ImportedState, tmp_path: Path) -> None:
    found = verify_openclaw(tmp_path / "state")
    assert (found.sessions, found.live_sessions, found.transcripts, found.kept_transcripts) == (40, 40, 40, 40)
    assert (found.lost_events, found.events) == (0, imported.events)
    assert found.equal_events < found.events
    kinds = {one.code: one.kind for one in found.findings}
    assert set(kinds.values()) <= {"documented", "rewritten"}
    assert {"delivery_rewritten", "memory_flush_rewritten", "session_file_dropped", "provider_renamed"} <= set(kinds)
    assert verify_import(tmp_path / "state") == imported.events
    assert imported.original_bytes == sum(path.stat().st_size for path in imported.archive.iterdir())
    with closing(sqlite3.connect(imported.database)) as db:
        ((packed, plain),) = db.execute("SELECT count(event_zstd), count(event_json) FROM transcript_events")
    assert packed + plain == imported.events
    assert packed > 20


def test_one_event_less_in_the_imported_state_is_a_loss(imported: ImportedState, tmp_path: Path) -> None:
    with closing(sqlite3.connect(imported.database)) as db, db:
        (rowid,) = db.execute("SELECT max(rowid) FROM transcript_events WHERE seq = 5").fetchone()
        db.execute("DELETE FROM transcript_events WHERE rowid = ?", (rowid,))
    found = verify_openclaw(tmp_path / "state")
    assert (found.exit_code, found.lost_events, found.events) == (3, 1, imported.events)
    with pytest.raises(RuntimeError, match="1 events"):
        verify_import(tmp_path / "state")


def test_imported_state_has_the_tables_and_names_of_a_real_one(imported: ImportedState, tmp_path_factory: pytest.TempPathFactory) -> None:
    real = shared_state("sqlite-2026.9", tmp_path_factory)
    with closing(sqlite3.connect(imported.database)) as made, closing(sqlite3.connect(f"file:{real / STORE}?immutable=1", uri=True)) as db:
        assert made.execute("PRAGMA user_version").fetchall() == db.execute("PRAGMA user_version").fetchall()
        for table_name in ("schema_meta", "session_nodes", "session_windows", "transcript_events"):
            columns = f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table_name}')"
            assert made.execute(columns).fetchall() == db.execute(columns).fetchall()
        entries = [[json.loads(text) for (text,) in one.execute("SELECT entry_json FROM session_nodes")] for one in (made, db)]
    kinds = [{entry["delivery"]["kind"] for entry in found} for found in entries]
    assert kinds == [{"none", "internal", "external"}] * 2
    gone = {"sessionFile", "origin", "deliveryContext", "memoryFlushAt"}
    assert not any(gone & set(entry) for found in entries for entry in found)
    originals = [{path.name.partition(".")[0].split("_")[0] for path in folder.iterdir()} for folder in (imported.archive, _archive(real))]
    assert originals == [{"agent", "legacy-store"}] * 2
    (location,) = locate(imported.database.parents[3])
    with open_at(location) as store:
        assert (store.kind, store.count()) == ("openclaw", 40)
        assert {problem.severity for problem in store.check()} == {"info"}


def _archive(state: Path) -> Path:
    return state / "agents/main/session-sqlite-import-archive"


def test_imports_of_openclaw_stand_beside_moves_of_the_same_size() -> None:
    def row(operation: str, sessions: int, **others: Any) -> Measurement:
        return Measurement(store="migration", operation=operation, sessions=sessions, durability="commit", **others)

    found = peers.compare(
        [
            row("json to sqlite", 1000, median_ms=1_860, floor_ms=1, limit_ms=1_500),
            row("json to sqlite", 10_000, median_ms=5_070),
            row("json to sqlite: the whole process", 10_000, peak_mb=180),
            row("json to sqlite", 20, median_ms=1),
            row("json to directory", 1000, median_ms=1),
        ],
        (),
    )
    assert [(one.theirs, one.unit, one.factor, one.wanted, one.is_met) for one in found] == [
        (18_600, "ms", 10, None, None),
        (50_700, "ms", 10, None, None),
        (1_800, "MB", 10, None, None),
    ]
    lines = list(table.comparison_table(found))
    assert lines[0] == "\nbeside the best of the other programs"
    assert "10.0 times better than 18,600 ms OpenClaw 2026.9.6, import" in lines[1]
    assert ["10,000 sessions" in line for line in lines] == [False, False, True, True]
    assert "at least" not in "".join(lines)
    assert "0 of 3" in table.summary_line([], found)
