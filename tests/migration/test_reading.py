"""Reading a store entry by entry, as a migration does: what it gives, and that it never holds a whole store."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlab.bench.content import make_content, small_entries
from sessionlab.bench.measure import peak_mb
from sessionlab.bench.scope import NAMES, StoreKind
from sessionlab.bench.writer import open_writable
from sessionlab.errors import InvalidJSONError
from sessionlab.migration.reading import sessions_in
from sessionlab.stores.locating import locate
from sessionlab.stores.location import open_at

SETUP = """
from collections import deque
from pathlib import Path
from sessionlab.migration.reading import sessions_in
from sessionlab.stores import sqlite_snapshot
from sessionlab.stores.location import StoreLocation
path = Path(sys.argv[1])
location = StoreLocation("main", "json", path, path.parent)
"""


@pytest.mark.parametrize("kind", ["json", "sqlite", "directory"])
def test_sessions_are_those_that_the_store_itself_gives(kind: StoreKind, tmp_path: Path) -> None:
    with open_writable(kind, tmp_path / NAMES[kind], "commit") as store:
        store.save(small_entries(30))
    (location,) = locate(tmp_path / NAMES[kind])
    with open_at(location) as opened:
        assert list(sessions_in(location)) == list(opened.items())
    assert dict(sessions_in(location)) == small_entries(30)


def test_entry_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    path.write_text('{\n  "a": {\n    "sessionId": "s"\n  },\n  "list": [],\n  "b": {\n    "n": 1,\n    "n": 2\n  }\n}')
    (location,) = locate(path)
    found = sessions_in(location)
    assert next(found) == ("a", {"sessionId": "s"})
    with pytest.raises(InvalidJSONError, match="'b'"):
        next(found)


def test_json_store_is_not_held_in_memory(tmp_path: Path) -> None:
    path = make_content(tmp_path, sessions=600).path
    grown = peak_mb(SETUP, "deque(sessions_in(location), maxlen=0)", arguments=[str(path)])
    assert grown < path.stat().st_size / 1e6 / 2
