"""How far a store may grow, and what OpenClaw of one version or another does about it.

The versions differ in more than their defaults (openclaw-formats: `session.maintenance`):

- 2026.2 to 2026.3 warn only, and rotate a large `sessions.json`;
- 2026.4 to 2026.7 enforce, rotate no more, and let a store grow by a tenth, at least 25, beyond its cap before a save cuts it back;
- 2026.9 keeps stale entries in the store, marked as archived, counts only the others, and has a disk budget from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from sessionlab import keys
from sessionlab.settings import MaintenanceSettings

Profile = Literal["2026.3", "2026.4", "2026.9"]
"""The first version of OpenClaw with these rules."""

Swept = Literal["cron-run", "hook"]
"""The kinds of session that are swept once their own retention is over: what a cron job's run left, and what a webhook did."""

PROFILES: Final[Mapping[Profile, MaintenanceSettings]] = {
    "2026.3": MaintenanceSettings(),
    "2026.4": MaintenanceSettings(mode="enforce"),
    "2026.9": MaintenanceSettings(
        mode="enforce",
        max_entries=5_000,
        reset_archive_retention_ms=None,
        max_disk_bytes=10 << 30,
        high_water_bytes=8 << 30,
    ),
}
"""What each version goes by where the configuration says nothing."""

_LEAST_SLACK: Final = 25
_SLACK_PART: Final = 10


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one maintenance.

    Attributes:
        limits: How far the store may grow.
        profile: Whose rules they are.
        retention_ms: Of a sweep: kind -> how long its sessions are kept after their last update, ms. Those of no other kind are touched.
    """

    limits: MaintenanceSettings = MaintenanceSettings()
    profile: Profile = "2026.3"
    retention_ms: dict[Swept, int] = {}

    @property
    def is_enforced(self) -> bool:
        """Whether anything is removed at all; else it is only warned of."""
        return self.limits.mode == "enforce"

    @property
    def archives_in_place(self) -> bool:
        """Whether a stale entry stays in the store, marked as archived."""
        return self.profile == "2026.9"

    @property
    def rotate_bytes(self) -> int | None:
        """From which size on `sessions.json` is rotated before it is written; `None` for never."""
        return self.limits.rotate_bytes if self.profile == "2026.3" else None

    def limit_ms(self, key: str) -> int:
        """Return how long a session may go without an update before it is stale, ms."""
        kind = swept_as(key)
        return self.limits.prune_after_ms if kind is None else self.retention_ms.get(kind, self.limits.prune_after_ms)

    def is_over_cap(self, count: int, *, on_save: bool = False) -> bool:
        """Say whether so many entries are too many.

        Args:
            count: The entries that count.
            on_save: Whether that is asked by a save, which 2026.4 to 2026.7 allows some slack.
        """
        most = self.limits.max_entries
        slack = max(_LEAST_SLACK, most // _SLACK_PART) if on_save and self.profile == "2026.4" else 0
        return bool(count > most + slack)


def swept_as(key: str) -> Swept | None:
    """Return by which retention a session is swept, `None` for one that never is."""
    if keys.is_cron_run(key):
        return "cron-run"
    return "hook" if keys.is_hook(key) else None
