"""A place that no mirror can be written to: refused in one line, and left as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from sessionlab.errors import BusyMirrorError, UsageError
from sessionlab.lab.connection import connect
from tests.lab.loaded_mirror import append, loaded, look


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
