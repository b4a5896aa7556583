"""Whose rules count for a store: the OpenClaw version that its configuration, or what lies beside it, tells of. Reads only."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from sessionlab import layout
from sessionlab.configuration import read_configuration
from sessionlab.errors import StoreError
from sessionlab.maintenance.policy import Profile
from sessionlab.stores.location import StoreLocation

DEFAULT_PROFILE: Final[Profile] = "2026.3"
"""Where nothing tells: its mode is `warn`, and by itself it removes nothing."""

_ONLY_NEWEST: Final = ("archiveDashboardAfter", "preserveRecent", "coldStorage")
"""Keys of `session.maintenance` that came with 2026.9."""
_VERSION: Final = re.compile(r"v?(\d{4})\.(\d{1,2})(\.\d{1,3})?(?![\d])", re.ASCII)
_PROMPTS: Final = "skills-prompts"


class Told(NamedTuple):
    """A profile, and in words how it is known."""

    profile: Profile
    why: str


def profile_of(location: StoreLocation, state_dir: Path, *, document: object | None = None) -> Told:
    """Return whose rules count for a store.

    What only 2026.9 knows comes first, then the version that wrote the configuration last, then what only a later version leaves.

    Args:
        location: The store.
        state_dir: The folder whose `openclaw.json` counts.
        document: What that holds, for whoever has read it already.

    Raises:
        SettingsError: The configuration is neither JSON nor JSON5.
        UnreadableError: It is there and cannot be read.
    """
    document = read_configuration(state_dir / layout.CONFIG_NAME) if document is None else document
    maintenance = _inside(document, "session", "maintenance")
    known = next((name for name in _ONLY_NEWEST if isinstance(maintenance, dict) and name in maintenance), None)
    if known is not None:
        return Told("2026.9", f"{layout.CONFIG_NAME} has session.maintenance.{known}, which came with it")
    stamp = _inside(document, "meta", "lastTouchedVersion")
    match = _VERSION.match(stamp.strip()) if isinstance(stamp, str) else None
    if match is not None:
        written_by = match[0].removeprefix("v")
        return Told(_profile(int(match[1]), int(match[2])), f"{layout.CONFIG_NAME} was last written by {written_by}")
    if _has_database(state_dir):
        return Told("2026.9", "OpenClaw's own database, of 2026.8 or later, lies in the state folder")
    if os.path.lexists(location.sessions_dir / _PROMPTS):
        return Told("2026.7", f"{_PROMPTS} lies beside the store, of 2026.5 or later")
    return Told(DEFAULT_PROFILE, "nothing tells the version; --profile does")


def _profile(year: int, month: int) -> Profile:
    if (year, month) >= (2026, 9):
        return "2026.9"
    if (year, month) >= (2026, 5):
        return "2026.7"
    return "2026.4" if (year, month) >= (2026, 4) else "2026.3"


def _inside(document: object, *names: str) -> object:
    """Return what stands under nested names; `None` for nothing."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _has_database(state_dir: Path) -> bool:
    """Say whether an agent's sessions are in OpenClaw's own database."""
    found = [path for path in layout.agents_dir(state_dir).glob(f"*/agent/{layout.SQLITE_STORE}") if os.path.isfile(path)]  # noqa: PTH113  # of what we may not look at, Path's raises
    if not found:
        return False
    from sessionlab.stores.openclaw import holds_sessions  # sqlite3 is only loaded for who has such a file

    for path in found:
        try:
            if holds_sessions(path):
                return True
        except StoreError:
            continue  # whoever asks for that store hears of it
    return False
