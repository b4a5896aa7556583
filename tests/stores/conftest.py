"""Fixtures that several modules of tests of stores share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.stores import json_cache
from sessionlab.stores.json_cache import LIMIT_VARIABLE, TTL_VARIABLE
from sessionlab.stores.json_file import JSONFileStore
from tests.fixture_states import STORE, own_state
from tests.stores.json_files import Counts


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Return the 2026.9 database in a state folder of this test's own."""
    return own_state("sqlite-2026.9", tmp_path_factory, tmp_path) / STORE


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Count on from now; everything is done as usual."""
    counts = Counts()
    read, parse = JSONFileStore.open, codec.split_members

    def counted_read(*arguments: Any, **more: Any) -> JSONFileStore:
        counts.reads += 1
        return read(*arguments, **more)

    def counted_parse(*arguments: Any, **more: Any) -> Any:
        counts.parses += 1
        return parse(*arguments, **more)

    monkeypatch.setattr(JSONFileStore, "open", counted_read)
    monkeypatch.setattr(codec, "split_members", counted_parse)
    return counts


@pytest.fixture
def usual_cache_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the JSON store keep what it keeps by default."""
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    monkeypatch.delenv(TTL_VARIABLE, raising=False)
    json_cache.forget_warnings()
    yield
    json_cache.forget_warnings()
