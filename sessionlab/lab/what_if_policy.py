"""The limits that a reader chooses, in place of those configured: checked, put into each OpenClaw version's rules, written as options.

They are taken as `sessionlab maintain` takes its options, so that the command at the end does what was shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from msgspec.structs import replace

from sessionlab.errors import UsageError
from sessionlab.maintenance.planning import configured_policy
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.settings import HIGH_WATER_PERCENT
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, parse_duration_ms, parse_size_bytes

OFF: Final = "off"
PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)
_DURATIONS: Final = ((MS_PER_DAY, "d"), (MS_PER_HOUR, "h"), (MS_PER_MINUTE, "m"), (MS_PER_SECOND, "s"), (1, "ms"))
_SIZES: Final = ((1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb"), (1, "b"))


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one OpenClaw version with the reader's limits, and how they follow when a limit moves.

    Attributes:
        state_dir: The folder whose `openclaw.json` counts.
        policy: The rules.
        archives_follow: Whether archives are kept as long as sessions are, because nothing else is configured.
    """

    state_dir: Path
    policy: Policy
    archives_follow: bool

    def limited(self, *, prune_after_ms: int, max_entries: int, max_disk_bytes: int | None) -> Policy:
        """Return the rules with other limits; `None` is no disk budget."""
        limits = replace(self.policy.limits, prune_after_ms=prune_after_ms, max_entries=max_entries)
        if self.archives_follow:
            limits = replace(limits, reset_archive_retention_ms=prune_after_ms)
        if max_disk_bytes != limits.max_disk_bytes:
            high_water = None if max_disk_bytes is None else max_disk_bytes * HIGH_WATER_PERCENT // 100
            limits = replace(limits, max_disk_bytes=max_disk_bytes, high_water_bytes=high_water)
        return replace(self.policy, limits=limits)

    def options(self, policy: Policy) -> tuple[str, ...]:
        """Return a policy of this version as options of `sessionlab maintain`: those without which it would plan something else."""
        limits = policy.limits
        over: dict[str, object] = {"pruneAfter": duration_text(limits.prune_after_ms), "maxEntries": limits.max_entries}
        words = ["--profile", policy.profile, "--prune-after", str(over["pruneAfter"]), "--max-entries", str(limits.max_entries)]
        said = configured_policy(self.state_dir, policy.profile, over=over).limits
        most, high_water = limits.max_disk_bytes, limits.high_water_bytes
        if (most, high_water) != (said.max_disk_bytes, said.high_water_bytes):
            words += ["--max-disk", OFF if most is None else size_text(most)]  # which brings the usual high water with it
            if most is not None and high_water is not None and high_water != most * HIGH_WATER_PERCENT // 100:
                words += ["--high-water", size_text(high_water)]
        if limits.reset_archive_retention_ms != said.reset_archive_retention_ms:
            kept_ms = limits.reset_archive_retention_ms
            words += ["--archive-retention", OFF if kept_ms is None else duration_text(kept_ms)]
        return tuple(words)


def rules_of(state_dir: Path, profile: Profile, *, prune_after: str = "", max_entries: int = 0, max_disk: str = "") -> Rules:
    """Return what a version of OpenClaw would go by: the reader's limits, else what is configured, else the version's own.

    Args:
        state_dir: The folder whose `openclaw.json` counts.
        profile: The version.
        prune_after: An age such as `30d`; a bare number is days; "" for what is configured.
        max_entries: The cap; 0 for what is configured.
        max_disk: A size such as `500mb`, or `off` for no budget; "" for what is configured.

    Raises:
        UsageError: A limit makes no sense.
        SettingsError: As for `load_settings`.
        UnreadableError: As for `load_settings`.
    """
    over: dict[str, object] = {}
    if prune_after:
        _refuse_nothing("prune_after", prune_after, parse_duration_ms(prune_after, default_unit="d"))
        over["pruneAfter"] = prune_after
    if max_entries < 0:
        raise UsageError(f"max_entries={max_entries} makes no sense; give 1 or more, or 0 for what is configured")
    if max_entries:
        over["maxEntries"] = max_entries
    if max_disk:
        is_off = max_disk.strip().lower() == OFF
        if not is_off:
            _refuse_nothing("max_disk", max_disk, parse_size_bytes(max_disk))
        over |= {"maxDiskBytes": False if is_off else max_disk, "highWaterBytes": None}
    policy = configured_policy(state_dir, profile, over=over)
    # What is configured stays when the age moves, and what follows the age moves with it.
    moved_ms = policy.limits.prune_after_ms + MS_PER_DAY
    moved = configured_policy(state_dir, profile, over={**over, "pruneAfter": duration_text(moved_ms)})
    return Rules(state_dir, policy, moved.limits.reset_archive_retention_ms == moved_ms)


def checked_profile(text: str) -> Profile:
    """Return a profile by its name.

    Raises:
        UsageError: There is no such profile.
    """
    for profile in PROFILES:
        if text == profile:
            return profile
    raise UsageError(f'profile="{text}" is unknown; write one of {", ".join(PROFILES)}')


def duration_text(ms: int) -> str:
    """Write a duration exactly, as options and settings take it: `30d`, `36h`, `90m`."""
    return _exact(ms, _DURATIONS)


def shown_duration(ms: int) -> str:
    """Write a duration exactly, for people: `30 d`, `36 h`."""
    return re.sub(r"(?<=\d)(?=[a-z])", " ", duration_text(ms))


def size_text(size: int) -> str:
    """Write a size exactly, as options and settings take it: `500mb`, `1536kb`."""
    return _exact(size, _SIZES)


def _exact(value: int, units: tuple[tuple[int, str], ...]) -> str:
    return next(f"{value // unit}{name}" for unit, name in units if value % unit == 0 and (value or unit == 1))


def _refuse_nothing(name: str, text: str, value: int) -> None:
    if not value:
        raise UsageError(f'{name}="{text}" would leave nothing; give more than nothing, or "" for what is configured')
