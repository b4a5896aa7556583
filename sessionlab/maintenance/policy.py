"""How far a store may grow, and what OpenClaw of one version or another does about it.

The versions differ in more than their defaults (openclaw-formats: `session.maintenance`):

- 2026.2 to 2026.3 warn only, and rotate a large `sessions.json`;
- 2026.4 enforces, rotates no more, and lets a store with a cap of 50 or more grow by a tenth, at least 25, before a save cuts it back.
  It does the latter when it only reads a store, too, which is not done here: nothing that reads a store changes it here;
- 2026.7, and 2026.5 and 2026.6 before it, remove no group, channel, topic or thread. When there are too many sessions, 2026.7 removes
  trials of a model after a day;
- 2026.9 deletes what automation left, and archives the rest in place or never touches it (`maintenance.protection`); it counts only what
  is not archived, archives sessions of the dashboard sooner, and has a disk budget from the start.

Of 2026.9 there is not done here: cold storage, and the removal of transcripts that nobody refers to once they are older than `pruneAfter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from sessionlab import keys
from sessionlab.layout import Source
from sessionlab.settings import MaintenanceSettings
from sessionlab.units import MS_PER_DAY

Profile = Literal["2026.3", "2026.4", "2026.7", "2026.9"]
"""A version of OpenClaw with these rules: but for 2026.7, the first of them."""

Swept = Literal["cron-run", "hook"]
"""The kinds of session that are swept once their own retention is over: what a cron job's run left, and what a webhook did."""

PROFILES: Final[Mapping[Profile, MaintenanceSettings]] = {
    "2026.3": MaintenanceSettings(),
    "2026.4": MaintenanceSettings(mode="enforce", rotate_bytes=None),
    "2026.7": MaintenanceSettings(mode="enforce", rotate_bytes=None),
    "2026.9": MaintenanceSettings(
        mode="enforce",
        max_entries=5_000,
        rotate_bytes=None,
        archive_dashboard_after_ms=7 * MS_PER_DAY,
        reset_archive_retention_ms=None,
        max_disk_bytes=10 << 30,
        high_water_bytes=8 << 30,
    ),
}
"""What each version goes by where the configuration says nothing."""

_LARGEST_STRICT_CAP: Final = 49
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
        """Whether a stale session stays in the store, marked as archived, unless it is automation's."""
        return self.profile == "2026.9"

    @property
    def protects(self) -> bool:
        """Whether there are sessions that are never touched, and others of which fewer are kept: entries have to be read for that."""
        return self.profile in ("2026.7", "2026.9")

    @property
    def rotate_bytes(self) -> int | None:
        """From which size on `sessions.json` is rotated before it is written; `None` for never."""
        return self.limits.rotate_bytes if self.rotates else None

    @property
    def rotates(self) -> bool:
        """Whether there are backups of `sessions.json`, of which the oldest go."""
        return self.profile == "2026.3"

    @property
    def model_run_ms(self) -> int:
        """How long 2026.7 and 2026.9 keep the trial of a model, once there are too many sessions, ms; it cannot be set."""
        return MS_PER_DAY

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands in the configuration that this version does not do, or that is not simulated here; sentences."""
        limits, notes = self.limits, []
        if limits.rotate_bytes is not None and self.profile in ("2026.4", "2026.7"):
            notes.append("session.maintenance.rotateBytes: OpenClaw ignores it since 2026.4; it rotates no more")
        if limits.rotate_bytes is not None and self.archives_in_place:
            notes.append(
                "session.maintenance.rotateBytes: OpenClaw 2026.9 refuses a configuration that has it; openclaw doctor --fix removes it"
            )
        if limits.high_water_bytes is not None and limits.max_disk_bytes is None:
            notes.append("session.maintenance.highWaterBytes: does nothing without maxDiskBytes, as there is nothing to come down from")
        new = {
            "archiveDashboardAfter": limits.archive_dashboard_after_ms,
            "preserveRecent": limits.preserve_recent_ms,
            "coldStorage": limits.cold_storage_days,
        }
        given = [name for name, value in new.items() if value is not None]
        if given and not self.archives_in_place:
            notes.append(
                f"session.maintenance.{', '.join(given)}: OpenClaw {self.profile} knows no such setting, and refuses the configuration"
            )
        elif limits.cold_storage_days is not None:
            notes.append(
                "session.maintenance.coldStorage: is not simulated; it compresses transcripts of sessions that were idle for "
                f"{limits.cold_storage_days} days, and removes no session"
            )
        return tuple(notes)

    def limit_ms(self, key: str) -> int:
        """Return how long a session may go without an update before it is stale, ms."""
        kind = swept_as(key)
        return self.limits.prune_after_ms if kind is None else self.retention_ms.get(kind, self.limits.prune_after_ms)

    def archive_limit_ms(self, source: Source, *, has_removed: bool) -> int | None:
        """Return how long an archived transcript is kept, ms; `None` for good (D.22).

        Up to 2026.7, those of removed sessions are kept as long as sessions are, and `resetArchiveRetention` is about those of a reset;
        when that is off, nobody looks at the former either, unless a session is removed just now. Since 2026.9 it is about both.

        Args:
            source: Why it was archived.
            has_removed: Whether transcripts are archived by this maintenance.
        """
        retention_ms = self.limits.reset_archive_retention_ms
        if self.archives_in_place or source != "archive-deleted":
            return retention_ms
        return self.limits.prune_after_ms if has_removed or retention_ms is not None else None

    def is_over_cap(self, count: int, *, on_save: bool = False) -> bool:
        """Say whether so many entries are too many.

        Args:
            count: The entries that count.
            on_save: Whether that is asked by a save, to which 2026.4 and later allow some slack.
        """
        most = self.limits.max_entries
        if not on_save or self.profile == "2026.3" or most <= _LARGEST_STRICT_CAP:
            return bool(count > most)
        return count >= most + max(_LEAST_SLACK, -(-most // _SLACK_PART))


def swept_as(key: str) -> Swept | None:
    """Return by which retention a session is swept, `None` for one that never is."""
    if keys.is_cron_run(key):
        return "cron-run"
    return "hook" if keys.is_hook(key) else None
