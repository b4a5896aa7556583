"""Managers to test with: how they are asked for, and what they tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sessionlab.parallel.events import Event
from sessionlab.parallel.manager import SessionManager

Make = Callable[..., SessionManager]
"""See the fixture `make`."""
either = pytest.mark.parametrize("disk", [True, False], ids=["disk", "process"])


def heard(manager: SessionManager) -> list[Event]:
    events: list[Event] = []
    manager.on_event(events.append)
    return events


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]
