"""The settings that OpenClaw's configuration file gives us, validated and frozen.

Owns `session.store`, `session.storeType`, `session.maintenance.*`, `cron.sessionRetention`, `hooks.sessionRetention` and
`agent.parallelSessions.*` of `<state_dir>/openclaw.json` (JSON5). The file is OpenClaw's: everything else in it is left alone,
whereas an unknown or ill-formed key inside the sections we own is an error, because a misspelt limit must not silently become the default.
Reads only; must not write the file, read the environment or a clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from sessionlab import layout
from sessionlab.configuration import read_configuration
from sessionlab.errors import SettingsError, UsageError
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR, DurationUnit, parse_duration_ms, parse_size_bytes

StoreType = Literal["json", "sqlite", "directory"]
MaintenanceMode = Literal["warn", "enforce"]
Isolation = Literal["main", "per-channel", "per-chat", "per-peer"]
MemoryBackend = Literal["memory", "sqlite", "lancedb"]

HIGH_WATER_PERCENT: Final = 80
"""Of the disk budget, what it is brought down to where the configuration does not say."""
_AGENT: Final = "{agentId}"
_CHOICES: Final = {
    "session.maintenance.mode": "warn or enforce",
    "session.storeType": "json, sqlite or directory",
    "agent.parallelSessions.isolation": "main, per-channel, per-chat or per-peer",
    "agent.parallelSessions.memory.backend": "memory, sqlite or lancedb",
}

_READ: Final = {
    "session": ("store", "storeType", "maintenance"),
    "cron": ("sessionRetention",),
    "hooks": ("sessionRetention",),
    "agent": ("parallelSessions",),
}
"""What is read of sections that are OpenClaw's: what else it keeps there is its own, but for misspellings of these."""


class MaintenanceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How far a store may grow. The defaults are those OpenClaw shipped first; since 2026.4 its own mode is `enforce`.

    What is `None` is switched off, or not known to the version whose defaults these are. A high water without a disk budget does nothing,
    in OpenClaw either: there is nothing to come down from. The last three are of 2026.9: how long sessions of
    the dashboard may be idle, since when a session counts as recent, and after how many days transcripts are compressed.
    """

    mode: MaintenanceMode = "warn"
    prune_after_ms: int = 30 * MS_PER_DAY
    max_entries: int = 500
    rotate_bytes: int | None = 10 * 1024**2
    reset_archive_retention_ms: int | None = 30 * MS_PER_DAY
    max_disk_bytes: int | None = None
    high_water_bytes: int | None = None
    archive_dashboard_after_ms: int | None = None
    preserve_recent_ms: int | None = None
    cold_storage_days: int | None = None


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Shared memory of parallel sessions. A `default_ttl_ms` of 0 means that a memory never expires."""

    backend: MemoryBackend = "sqlite"
    db_path: str | None = None
    enable_wal: bool = msgspec.field(default=True, name="enableWAL")
    auto_promote_threshold: Annotated[int, msgspec.Meta(ge=1, le=10)] = 8
    default_ttl_ms: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(default=0, name="defaultTTLMs")


class BriefingSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a session is told when it wakes up."""

    enabled: bool = True
    max_channel_memories: Annotated[int, msgspec.Meta(ge=0, le=50)] = 10
    max_global_knowledge: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    min_importance: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.7


class AutoSaveSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which kinds of finding are remembered without being asked."""

    summaries: bool = True
    decisions: bool = True
    preferences: bool = True
    action_items: bool = True


class WorkExecutorSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The background worker of later OpenClaw versions."""

    enabled: bool = False
    poll_interval_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 5_000
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    execution_timeout_ms: Annotated[int, msgspec.Meta(ge=10_000, le=3_600_000)] = 300_000


class ParallelSessionsSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`agent.parallelSessions`: several chat sessions of one agent at once."""

    enabled: bool = False
    isolation: Isolation = "per-channel"
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    idle_timeout_ms: Annotated[int, msgspec.Meta(ge=10_000)] = 300_000
    memory: MemorySettings = MemorySettings()
    briefing: BriefingSettings = BriefingSettings()
    auto_save: AutoSaveSettings = AutoSaveSettings()
    work_executor: WorkExecutorSettings = WorkExecutorSettings()


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stores lie: all that reading them needs.

    `store` is a path template that may hold `~` and `{agentId}`; `None` means the usual place under the state folder.
    `store_type` is `None` when the file does not say.
    """

    store: str | None = None
    store_type: StoreType | None = None

    def store_path(self, agent_id: str, *, home: Path) -> Path | None:
        """Return the store file that `session.store` names for one agent, `~` being `home`; `None` when it is not set."""
        if self.store is None:
            return None
        filled = self.store.replace(_AGENT, agent_id)
        if filled == "~" or filled.startswith("~/"):
            return home / filled[2:]
        return Path(filled)


class Settings(StoreSettings, frozen=True, kw_only=True):
    """Everything sessionlab takes from OpenClaw's configuration. `Settings()` holds the documented defaults.

    `cron_session_retention_ms` is `None` when the sessions of cron runs are kept for good, `hook_session_retention_ms` when those of
    webhooks are.
    """

    maintenance: MaintenanceSettings = MaintenanceSettings()
    cron_session_retention_ms: int | None = 24 * MS_PER_HOUR
    hook_session_retention_ms: int | None = None
    parallel_sessions: ParallelSessionsSettings = ParallelSessionsSettings()


def load_store_settings(state_dir: Path) -> StoreSettings:
    """Read only where the stores lie; other sections may hold what they like, so that reading never depends on them.

    Raises:
        SettingsError: The file is not JSON5, or `session.store` or `session.storeType` is misspelt or not of its documented form.
        UnreadableError: The file is there and cannot be read.
    """
    path = state_dir / layout.CONFIG_NAME
    document = read_configuration(path)
    try:
        session = _section(_spelled(_whole(document), ("session",)), "session")
        _spelled(session, ("store", "storeType"), "session.")
        return StoreSettings(store=_store_template(session), store_type=_store_type(session))
    except SettingsError as error:
        raise SettingsError(error.field, error.reason, path=path) from error.__cause__


def load_settings(state_dir: Path, *, maintenance: MaintenanceSettings | None = None, over: Mapping[str, object] | None = None) -> Settings:
    """Read `<state_dir>/openclaw.json`; a missing file gives the defaults, a given key wins over its default.

    Args:
        state_dir: The state folder.
        maintenance: The defaults of `session.maintenance`, where not those of OpenClaw's first versions are meant.
        over: Keys of `session.maintenance` that win over those of the file, as if they stood there.

    Raises:
        SettingsError: The file is not JSON5 (names the line), or a key we own is unknown or out of its documented form.
        UnreadableError: The file is there and cannot be read.
    """
    path = state_dir / layout.CONFIG_NAME
    return parse_settings(read_configuration(path), path=path, maintenance=maintenance, over=over)


def parse_settings(
    document: object, *, path: Path | None = None, maintenance: MaintenanceSettings | None = None, over: Mapping[str, object] | None = None
) -> Settings:
    """Validate an already parsed configuration; `path` only names it in errors, the others are those of `load_settings`.

    Raises:
        SettingsError: As for `load_settings`.
    """
    try:
        document = _whole(document)
        _spelled(document, tuple(_READ))
        sections = {name: _spelled(_section(document, name), known, f"{name}.") for name, known in _READ.items()}
        session, agent = sections["session"], sections["agent"]
        return Settings(
            store=_store_template(session),
            store_type=_store_type(session),
            maintenance=_maintenance(_section(session, "maintenance", "session.") | dict(over or {}), maintenance or MaintenanceSettings()),
            cron_session_retention_ms=_session_retention(sections["cron"], "cron", default_ms=24 * MS_PER_HOUR),
            hook_session_retention_ms=_session_retention(sections["hooks"], "hooks", default_ms=None),
            parallel_sessions=_convert(_section(agent, "parallelSessions", "agent."), ParallelSessionsSettings, "agent.parallelSessions"),
        )
    except SettingsError as error:
        raise SettingsError(error.field, error.reason, path=path) from error.__cause__


def _whole(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SettingsError("the whole file", "must be one object: write { ... }")
    return document


class _RawColdStorage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    enabled: bool = False
    after_days: Annotated[int, msgspec.Meta(ge=1)] = 30


class _RawMaintenance(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`session.maintenance` as it is written: text or number, `false` for off, `None` for absent."""

    mode: MaintenanceMode | msgspec.UnsetType = msgspec.UNSET
    prune_after: str | int | float | None = None
    prune_days: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_entries: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    rotate_bytes: str | int | float | None = None
    reset_archive_retention: str | int | float | bool | None = None
    max_disk_bytes: str | int | float | bool | None = None
    high_water_bytes: str | int | float | None = None
    archive_dashboard_after: str | int | float | bool | None = None
    preserve_recent: str | int | float | bool | None = None
    cold_storage: _RawColdStorage = _RawColdStorage()


def _maintenance(section: dict[str, Any], defaults: MaintenanceSettings) -> MaintenanceSettings:
    name = "session.maintenance"
    raw: _RawMaintenance = _convert(section, _RawMaintenance, name)
    legacy_ms = raw.prune_days * MS_PER_DAY if raw.prune_days is not None else defaults.prune_after_ms
    prune_after_ms = _duration(raw.prune_after, f"{name}.pruneAfter", default_unit="d", default_ms=legacy_ms)
    given_disk = None if raw.max_disk_bytes is False else _size(raw.max_disk_bytes, f"{name}.maxDiskBytes")
    max_disk = defaults.max_disk_bytes if raw.max_disk_bytes is None else given_disk
    high_water = _size(raw.high_water_bytes, f"{name}.highWaterBytes")
    if defaults.max_disk_bytes is not None:  # where there is a budget from the start, 0 is no budget rather than an empty one
        max_disk = max_disk or None
        high_water = high_water or None if max_disk is not None else None
    if max_disk is not None and high_water is None:
        high_water = max_disk * HIGH_WATER_PERCENT // 100
    if high_water is not None and max_disk is not None and high_water > max_disk:
        raise SettingsError(f"{name}.highWaterBytes", "must not be above maxDiskBytes: lower it, or raise maxDiskBytes")
    rotate_bytes = _size(raw.rotate_bytes, f"{name}.rotateBytes")
    retention_ms = defaults.reset_archive_retention_ms
    if raw.reset_archive_retention is not None or retention_ms is not None:
        field = f"{name}.resetArchiveRetention"
        retention_ms = _retention(raw.reset_archive_retention, field, default_unit="d", default_ms=prune_after_ms)
    return MaintenanceSettings(
        mode=defaults.mode if raw.mode is msgspec.UNSET else raw.mode,
        prune_after_ms=prune_after_ms,
        max_entries=defaults.max_entries if raw.max_entries is msgspec.UNSET else raw.max_entries,
        rotate_bytes=defaults.rotate_bytes if rotate_bytes is None else rotate_bytes,
        reset_archive_retention_ms=retention_ms,
        max_disk_bytes=max_disk,
        high_water_bytes=high_water,
        archive_dashboard_after_ms=_idle(raw.archive_dashboard_after, f"{name}.archiveDashboardAfter", defaults.archive_dashboard_after_ms),
        preserve_recent_ms=_idle(raw.preserve_recent, f"{name}.preserveRecent", defaults.preserve_recent_ms),
        cold_storage_days=raw.cold_storage.after_days if raw.cold_storage.enabled else None,
    )


def _store_type(session: dict[str, Any]) -> StoreType | None:
    found: StoreType | None = _convert(session.get("storeType"), StoreType | None, "session.storeType")
    return found


def _store_template(session: dict[str, Any]) -> str | None:
    store: str | None = _convert(session.get("store"), str | None, "session.store")
    if store is None:
        return None
    if not store.strip():
        raise SettingsError("session.store", "is blank: write a path such as ~/.openclaw/agents/{agentId}/sessions/sessions.json")
    if re.search(r"[\0-\x1f\ud800-\udfff]", store):
        raise SettingsError("session.store", "holds a character that no path should: a control character or half a surrogate pair")
    if strange := re.search(r"[{}]", store.replace(_AGENT, "")):
        raise SettingsError("session.store", f"holds a stray {strange[0]!r}: the only placeholder is {_AGENT}")
    if Path(store).name == layout.CONFIG_NAME:
        raise SettingsError("session.store", f"names the configuration itself, {layout.CONFIG_NAME}: give the store another name")
    return store


def _spelled(section: dict[str, Any], known: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    """Return a section that holds none of its known keys in another spelling: case, `_`, `-` and blanks are what people get wrong.

    Raises:
        SettingsError: It does; naming the right spelling.
    """
    right = {_plain(name): name for name in known}
    for key in section:
        name = right.get(_plain(key), key)
        if name != key:
            raise SettingsError(prefix + key, f"is not a known setting: write {name}")
    return section


def _plain(key: str) -> str:
    return re.sub(r"[\s_-]", "", key).casefold()


def _section(parent: dict[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise SettingsError(prefix + key, "must be an object: write { ... }")
    return value


def _session_retention(section: dict[str, Any], name: str, *, default_ms: int | None) -> int | None:
    return _retention(section.get("sessionRetention"), f"{name}.sessionRetention", default_unit="h", default_ms=default_ms)


def _retention(value: object, field: str, *, default_unit: DurationUnit, default_ms: int | None) -> int | None:
    if value is None or value is False:
        return default_ms if value is None else None
    return _duration(value, field, default_unit=default_unit, default_ms=0)


def _idle(value: object, field: str, default_ms: int | None) -> int | None:
    """Read after how long something is idle; neither `false` nor 0 ever is."""
    return _retention(value, field, default_unit="d", default_ms=default_ms) or None


def _duration(value: object, field: str, *, default_unit: DurationUnit, default_ms: int) -> int:
    if value is None:
        return default_ms
    text = _number_text(value, field)
    try:
        return parse_duration_ms(text, default_unit=default_unit)
    except UsageError as error:
        raise SettingsError(field, str(error)) from error


def _size(value: object, field: str) -> int | None:
    if value is None:
        return None
    text = _number_text(value, field)
    try:
        return parse_size_bytes(text)
    except UsageError as error:
        raise SettingsError(field, str(error)) from error


def _number_text(value: object, field: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(field, f"must be a text or a number, not {json.dumps(value)}")
    return str(value).replace("e+", "e")  # 1e99, as people write it


def _convert(value: object, kind: Any, field: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        named = field + where.rstrip("`")
        if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", reason, re.DOTALL):
            raise SettingsError(f"{named}.{unknown[1]}", "is not a known setting: mend the spelling or remove it") from error
        if named in _CHOICES:
            reason += f": write {_CHOICES[named]}"
        raise SettingsError(named, reason) from error
