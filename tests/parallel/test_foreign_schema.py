"""Other programs that rename, rebuild and drop: what we store is found all the same, and no version lies (A.40, A.44)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sessionlab.errors import UnsupportedSchemaError, UnwritableError, VersionConflictError
from sessionlab.parallel import ActionItem, Knowledge, Memory, Person, SharedMemory
from tests.parallel.samples import bare, known, remembered

Put = Callable[[SharedMemory, int | None], Memory | Knowledge | ActionItem]
_PUTS: dict[str, tuple[str, Put]] = {
    "memory": ("channel_memory", lambda memory, number: memory.put_memory(remembered(id=number))),
    "knowledge": ("global_knowledge", lambda memory, number: memory.put_knowledge(known(id=number))),
    "action": ("action_items", lambda memory, number: memory.put_action(ActionItem(description="x", id=number))),
}


def drop_triggers(memory: SharedMemory) -> None:
    with bare(memory) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")


def rebuild(memory: SharedMemory, table: str = "channel_memory", *, also: str = "SELECT 1", has_triggers: bool = False) -> None:
    """Make a table anew, as whoever changes its columns does; its triggers go, unless they are made again as well."""
    with bare(memory) as connection:
        (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        triggers = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)).fetchall()
        connection.execute("BEGIN")
        connection.execute(made.replace(table, "made_anew", 1))
        connection.execute(f"INSERT INTO made_anew SELECT * FROM {table}")
        connection.execute(also)
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE made_anew RENAME TO {table}")
        for (trigger,) in triggers if has_triggers else ():
            connection.execute(trigger)
        connection.execute("COMMIT")


def contents(memory: SharedMemory, query: str) -> set[str]:
    return {one.content for one in memory.search(query).memories}


@pytest.mark.parametrize("sort", _PUTS)
@pytest.mark.parametrize("is_untold", [False, True])
def test_put_stores_what_it_acknowledges(memory: SharedMemory, sort: str, is_untold: bool) -> None:  # noqa: FBT001
    """Whether the record is there is asked of its table, not of the list of changes."""
    table, put = _PUTS[sort]
    number = put(memory, None).id
    assert number is not None
    with bare(memory) as connection:
        if is_untold:
            connection.execute(f"DROP TRIGGER sessionlab_{table}_DELETE")
            connection.execute(f"DELETE FROM {table}")
        else:
            connection.execute(f"UPDATE {table} SET id = 99")
    found = put(memory, number)
    assert found.id == number
    with bare(memory) as connection:
        numbers = connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()
    assert numbers == ([(number,)] if is_untold else [(number,), (99,)])
    assert [(one.row, one.act) for one in memory.watch() if one.seq == found.version] == [(number, "written")]


def test_record_that_another_program_gave_another_number_is_gone_under_its_old_one(memory: SharedMemory) -> None:
    one = memory.put_memory(remembered("alpha"))
    assert contents(memory, "alpha") == {"alpha"}
    with bare(memory) as connection:
        connection.execute("UPDATE channel_memory SET id = 99")
    assert {(change.row, change.act) for change in memory.watch(one.version)} == {(1, "deleted"), (99, "written")}
    assert contents(memory, "alpha") == {"alpha"}
    with pytest.raises(VersionConflictError, match="is not there"):
        memory.put_memory(one, expect_version=one.version)


def test_put_that_changes_no_row_is_no_put(memory: SharedMemory) -> None:
    """A trigger of another program may refuse a change without a word."""
    one = memory.put_memory(remembered("alpha"))
    with bare(memory) as connection:
        connection.execute("CREATE TRIGGER theirs BEFORE UPDATE ON channel_memory BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(UnwritableError, match="record 1 of channel_memory"):
        memory.put_memory(msgspec.structs.replace(one, content="beta"))
    assert memory.memory(1) == one
    with bare(memory) as connection:
        connection.execute("CREATE TRIGGER theirs_too BEFORE INSERT ON global_knowledge BEGIN SELECT RAISE(IGNORE); END")
    for write in (memory.save_knowledge, memory.put_knowledge, lambda one: memory.promote(remembered("gamma"), one)):
        with pytest.raises(UnwritableError, match="a new record of global_knowledge"):
            write(known())
    assert memory.memories() == [one], "a promotion is whole or not at all"


@pytest.mark.parametrize("is_open", [False, True])
def test_what_was_written_without_triggers_is_listed_and_found(memory: SharedMemory, is_open: bool) -> None:  # noqa: FBT001
    """They are made anew, at the next opening or the next write or search; then every record counts as changed."""
    one, two = memory.put_memory(remembered("alpha one")), memory.put_memory(remembered("alpha two"))
    assert contents(memory, "alpha") == {"alpha one", "alpha two"}
    if not is_open:
        memory.close()
    drop_triggers(memory)
    with bare(memory) as connection:
        connection.execute("INSERT INTO channel_memory SELECT 3, 's', 'c', 'fact', 'alpha three', 5, 1, NULL, 0, NULL")
        connection.execute("UPDATE channel_memory SET content = 'beta one' WHERE id = 1")
        connection.execute("DELETE FROM channel_memory WHERE id = 2")
    if not is_open:
        memory.initialize()
    assert contents(memory, "alpha") == {"alpha three"}
    assert contents(memory, "beta") == {"beta one"}
    assert {(change.row, change.act) for change in memory.watch(two.version)} == {(1, "written"), (2, "deleted"), (3, "written")}
    for stale in (one, two):
        with pytest.raises(VersionConflictError):
            memory.put_memory(stale, expect_version=stale.version)
    three = memory.memory(3)
    assert three is not None
    assert memory.put_memory(three, expect_version=three.version).id == 3


def test_table_that_is_rebuilt_while_it_is_open_has_its_triggers_again(memory: SharedMemory) -> None:
    memory.save_memory(remembered("alpha one"))
    assert contents(memory, "alpha") == {"alpha one"}
    rebuild(memory)
    memory.save_memory(remembered("alpha two"))
    assert contents(memory, "alpha") == {"alpha one", "alpha two"}
    two = memory.memory(2)
    assert two is not None
    assert two.version > 0
    assert memory.put_memory(two, expect_version=two.version).version > two.version
    rebuild(memory)
    with bare(memory) as connection:
        connection.execute("UPDATE channel_memory SET content = 'gamma' WHERE id = 1")
    assert contents(memory, "gamma") == {"gamma"}, "a search notices it as well"
    start = memory.latest()
    rebuild(memory, "person_context")
    with bare(memory) as connection:
        connection.execute("INSERT INTO person_context (canonical_id) VALUES ('ada')")
    assert ("person_context", "written") in {(change.table, change.act) for change in memory.watch(start)}, "and who watches"


@pytest.mark.parametrize("is_open", [False, True])
def test_table_that_is_rebuilt_with_its_triggers_counts_as_changed(memory: SharedMemory, is_open: bool) -> None:  # noqa: FBT001
    """That is how SQLite advises to do it; while they are made again, nothing is written by them."""
    one = memory.put_memory(remembered("alpha one"))
    assert contents(memory, "alpha") == {"alpha one"}
    if not is_open:
        memory.close()
    rebuild(memory, also="UPDATE made_anew SET content = 'beta'", has_triggers=True)
    if not is_open:
        memory.initialize()
    assert (contents(memory, "beta"), contents(memory, "alpha")) == ({"beta"}, set())
    with pytest.raises(VersionConflictError):
        memory.put_memory(one, expect_version=one.version)
    found = memory.put_memory(remembered("gamma"))
    memory.close()
    memory.initialize()
    assert memory.memory(2) == found, "what is as it was is not listed anew"


_EMPTY: dict[str, str] = {
    "made anew": "DROP TABLE sessionlab_texts; {made}",
    "emptied": "DELETE FROM sessionlab_texts",
    "of other columns": "DROP TABLE sessionlab_texts; CREATE VIRTUAL TABLE sessionlab_texts USING fts5(text)",
    "a plain table": "DROP TABLE sessionlab_texts; CREATE TABLE sessionlab_texts (text)",
    "damaged": "UPDATE sessionlab_texts_data SET block = x'00' WHERE id > 10",
    "without its data": "DELETE FROM sessionlab_texts_data",
    "places emptied": "DELETE FROM sessionlab_text_places",
    "list emptied": "DELETE FROM sessionlab_changes; DELETE FROM sqlite_sequence; CREATE TABLE theirs (x)",
}


@pytest.mark.parametrize("how", _EMPTY)
@pytest.mark.parametrize("is_open", [False, True])
def test_index_that_another_program_has_emptied_or_damaged_hides_nothing(memory: SharedMemory, how: str, is_open: bool) -> None:  # noqa: FBT001
    memory.save_memory(remembered("alpha one"))
    assert contents(memory, "alpha") == {"alpha one"}
    if not is_open:
        memory.close()
    with bare(memory) as connection:
        (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'sessionlab_texts'").fetchone()
        connection.executescript(_EMPTY[how].format(made=made))
    if not is_open:
        memory.initialize()
    for _ in range(2):
        assert contents(memory, "alpha") == {"alpha one"}
    memory.save_memory(remembered("alpha two"))
    for _ in range(2):
        assert contents(memory, "alpha") == {"alpha one", "alpha two"}


def test_triggers_that_went_with_a_renamed_table_come_back(memory: SharedMemory) -> None:
    memory.save_memory(remembered("alpha one"))
    with bare(memory) as connection:
        (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'channel_memory'").fetchone()
        connection.execute("ALTER TABLE channel_memory RENAME TO old")
        connection.execute(made)
        connection.execute("INSERT INTO channel_memory SELECT * FROM old")
    memory.save_memory(remembered("alpha two"))
    assert contents(memory, "alpha") == {"alpha one", "alpha two"}


@pytest.mark.parametrize("table", ["sessionlab_texts", "sessionlab_text_places", "sessionlab_changes"])
@pytest.mark.parametrize("is_open", [False, True])
def test_table_of_ours_that_was_dropped_is_made_anew(memory: SharedMemory, table: str, is_open: bool) -> None:  # noqa: FBT001
    """The index with all that was in it; the list with numbers that are greater than before."""
    one = memory.put_memory(remembered("alpha one"))
    for number in range(5):
        one = memory.put_memory(msgspec.structs.replace(one, importance=1 + number))
    assert contents(memory, "alpha") == {"alpha one"}
    if not is_open:
        memory.close()
    with bare(memory) as connection:
        connection.execute(f"DROP TABLE {table}")
    if not is_open:
        memory.initialize()
    memory.save_memory(remembered("alpha two"))
    assert contents(memory, "alpha") == {"alpha one", "alpha two"}
    assert memory.latest() > one.version


@pytest.mark.parametrize(
    ("statement", "is_replaced"),
    [
        ("INSERT OR REPLACE INTO person_context (canonical_id) VALUES ('ada')", True),
        ("UPDATE OR REPLACE person_context SET canonical_id = 'ada' WHERE canonical_id = 'bob'", True),
        ("INSERT OR IGNORE INTO person_context (canonical_id) VALUES ('ada')", False),
        ("UPDATE person_context SET notes = 'x' WHERE canonical_id = 'ada'", False),
    ],
)
def test_person_in_whose_place_another_program_puts_another_is_gone(memory: SharedMemory, statement: str, is_replaced: bool) -> None:  # noqa: FBT001
    """SQLite removes the old row without a word to the triggers of deletion."""
    ada = memory.put_person(Person(canonical_id="ada"))
    memory.put_person(Person(canonical_id="bob"))
    start = memory.latest()
    with bare(memory) as connection:
        connection.execute(statement)
        connection.execute("INSERT INTO person_context (canonical_id) VALUES ('eve')")
    deleted = [change.row for change in memory.watch(start) if change.act == "deleted"]
    assert deleted == ([ada.id] if is_replaced else [])
    found = memory.person("ada")
    assert found is not None
    assert (found.id == ada.id) is not is_replaced


def test_nothing_is_listed_anew_while_nothing_is_missing(memory: SharedMemory) -> None:
    one = memory.put_memory(remembered("alpha"))
    contents(memory, "alpha")  # makes the index: the schema changes
    with bare(memory) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    memory.put_person(Person(canonical_id="ada"))
    memory.close()
    memory.initialize()
    found = memory.memory(1)
    assert found == one


def test_search_is_right_while_what_is_missing_cannot_be_made(tmp_path: Path) -> None:
    """Another program holds the lock: every row is looked at."""
    memory = SharedMemory(tmp_path / "m.db", timeout_ms=200)
    memory.initialize()
    memory.save_memory(remembered("alpha one"))
    assert contents(memory, "alpha") == {"alpha one"}
    drop_triggers(memory)
    with bare(memory) as other:
        other.execute("UPDATE channel_memory SET content = 'beta two'")
        other.execute("BEGIN IMMEDIATE")
        assert contents(memory, "beta") == {"beta two"}
        assert list(memory.watch()) != []
        other.execute("ROLLBACK")
    assert contents(memory, "beta") == {"beta two"}
    memory.close()


def test_database_that_a_newer_program_has_made_its_own_meanwhile_is_left_alone(memory: SharedMemory) -> None:
    memory.save_memory(remembered("alpha"))
    with bare(memory) as connection:
        connection.execute("ALTER TABLE channel_memory ADD COLUMN tags TEXT")
        connection.execute("UPDATE schema_version SET version = 2")
    acts: tuple[Callable[[], object], ...] = (
        lambda: memory.save_memory(remembered("beta")),
        lambda: memory.search("alpha"),
        lambda: list(memory.watch()),
    )
    for act in acts:
        with pytest.raises(UnsupportedSchemaError):
            act()
    assert [one.content for one in memory.memories()] == ["alpha"]
