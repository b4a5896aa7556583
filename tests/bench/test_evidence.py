"""Recorded measurements: every record reads back, means what the column dictionary says, and says of no machine who it was."""

from __future__ import annotations

import getpass
import json
import re
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.bench.evidence import Records, measure_here, open_records, recorded
from sessionlab.bench.peers import Comparison
from sessionlab.bench.peers_recorded import PREFIX
from sessionlab.bench.recorded import NAMES
from sessionlab.errors import UsageError
from sessionlab.resources import benchmarks_dir

DATA = Path(__file__).parents[2] / "data"
HEAD = "| column | type | meaning | unit |\n"
KINDS: dict[str, tuple[type, ...]] = {"text": (str,), "whole": (int,), "number": (int, float), "truth": (bool,)}

Column = tuple[str, str, str]


def documented() -> dict[tuple[str, str], list[Column]]:
    """Return (record, table) -> (column, type, meaning), as the dictionary lists them; "" is every record."""
    found: dict[tuple[str, str], list[Column]] = {}
    text = (DATA / "README.md").read_text(encoding="utf-8").partition("\n## Recorded measurements\n")[2]
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        records, _, table = heading.partition(": ") if ": " in heading else ("", "", "figures")
        rows = [line.strip("|").split("|") for line in body.partition(HEAD)[2].splitlines()[1:] if line.startswith("| ")]
        for record in records.split(", "):
            found[record, table] = [(column.strip(), kind.strip(), meaning.strip()) for column, kind, meaning, _ in rows]
    return found


def columns_of(record: str, table: str) -> list[Column]:
    name = "" if table == "figures" else f"{PREFIX}VERSION" if record.startswith(PREFIX) else record
    return documented()[name, table]


@pytest.fixture
def records() -> Records:
    return open_records()


def test_every_measurement_is_recorded_and_reads_back_as_frames(records: Records) -> None:
    assert set(NAMES) <= set(records)
    assert all(name in NAMES or name.startswith(PREFIX) for name in records)
    for name, one in records.items():
        assert one.name == name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", one.date)
        assert one.conditions
        assert {"sessionlab", "python", "sqlite"} <= set(one.versions)
        for table in one.tables:
            assert one.frame(table).to_dict("records") is not None
            assert len(one.frame(table)) == len(one.rows(table))


def test_every_table_and_column_is_documented_in_order_with_its_type(records: Records) -> None:
    seen = {"factors"}
    for name, one in records.items():
        for table in one.tables:
            columns = columns_of(name, table) if one.rows(table) else []
            seen.add(table)
            for row in one.rows(table):
                assert list(row) == [column for column, *_ in columns], (name, table)
                for column, kind, meaning in columns:
                    is_right = type(row[column]) in KINDS[kind] or (row[column] is None and re.search(r"\bempty\b", meaning))
                    assert is_right, (name, table, column, row[column])
    assert {table for _, table in documented()} == seen
    assert [column for column, *_ in documented()["stores", "factors"]] == list(Comparison.__struct_fields__)


def test_records_name_no_host_no_user_and_no_path() -> None:
    for file in benchmarks_dir().glob("*.json"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"/(?:home|tmp|root|usr|Users|var|work)/", text), file.name
        machine = json.loads(text)["machine"]
        assert list(machine) == ["processors", "cpu", "memory_gb", "kernel", "filesystem"]
        for word in (socket.gethostname(), getpass.getuser()):
            assert word not in str(machine).split()


def test_peers_are_those_of_their_records_and_the_older_ones(records: Records) -> None:
    peers = records.peers
    assert [peer.name.split()[1].split(",")[0].split(".")[1] for peer in peers] == sorted(
        (peer.name.split()[1].split(".")[1] for peer in peers), key=int
    )
    dated = {peer.name.split()[1].rstrip(",") for peer in peers if peer.date}
    assert dated == {name.removeprefix(PREFIX) for name in records if name.startswith(PREFIX)}
    for peer in peers:
        if peer.date:
            rows = records[f"{PREFIX}{peer.name.split()[1].rstrip(',')}"].rows("openclaw")
            assert peer.cold_list_ms == next(row["median"] for row in rows if row["operation"] == "first list")
            assert peer.is_synced == ("2026.3" in peer.name), "those up to 2026.4 sync an update"


def spoilt(folder: Path, **changes: Any) -> None:
    document = json.loads((benchmarks_dir() / "rss.json").read_bytes())
    (folder / "rss.json").write_text(json.dumps(document | changes), encoding="utf-8")


def test_missing_or_foreign_record_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no recorded measurement there; `python -m sessionlab\.bench\.record rss` makes one") as error:
        recorded("rss", tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match=r"proposal\.json: no recorded measurement"):
        open_records(tmp_path)
    with pytest.raises(UsageError, match="it is made beside a real OpenClaw of that version"):
        recorded("peers-1", tmp_path)
    for content in (b"", b"[]", b"{}", b"\xff\xfe", b'{"form": 1, "rows": 3}'):
        (tmp_path / "rss.json").write_bytes(content)
        with pytest.raises(UsageError, match=r"rss\.json: no record of a measurement \(.+\); `python -m") as error:
            recorded("rss", tmp_path)
        assert "\n" not in str(error.value)
    spoilt(tmp_path, name="cache")
    with pytest.raises(UsageError, match="a record of form 1 of 'cache', wanted is form 1 of 'rss'"):
        recorded("rss", tmp_path)
    spoilt(tmp_path, form=2)
    with pytest.raises(UsageError, match="a record of form 2"):
        recorded("rss", tmp_path)
    spoilt(tmp_path)
    assert recorded("rss", tmp_path).document == recorded("rss").document
    with pytest.raises(UsageError, match="no table 'rows'; it has figures, samples, published"):
        recorded("rss").frame("rows")
    (tmp_path / "scale.json").mkdir()
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        recorded("scale", tmp_path)


def test_nothing_is_measured_here_unless_it_is_asked_for_and_makes_sense() -> None:
    assert len(measure_here(measure=False)) == 0
    for sessions, writers, said in ((19, 1, "sessions=19"), (1_001, 1, "sessions=1001"), (20, 0, "writers=0"), (20, 17, "writers=17")):
        with pytest.raises(UsageError, match=rf"{said} makes no sense; give \d+ to"):
            measure_here(measure=False, sessions=sessions, writers=writers)


def test_document_survives_its_own_form() -> None:
    one = recorded("contention").document
    assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
