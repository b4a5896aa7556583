"""The fixture that the tests of OpenClaw's SQLite store share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixture_states import STORE, own_state


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Return the 2026.9 database in a state folder of this test's own."""
    return own_state("sqlite-2026.9", tmp_path_factory, tmp_path) / STORE
