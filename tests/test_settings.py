"""Defaults as documented, a given key wins, everything ill-formed in our sections is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sessionlab.errors import SettingsError, UnreadableError
from sessionlab.maintenance.policy import PROFILES
from sessionlab.settings import MaintenanceSettings, ParallelSessionsSettings, Settings, load_settings, load_store_settings, parse_settings
from sessionlab.units import MS_PER_DAY

DAY = 86_400_000
MB = 1024**2


def write(folder: Path, text: str) -> Path:
    (folder / "openclaw.json").write_text(text, encoding="utf-8")
    return folder


def refused(text: str, folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(folder, text))
    message = str(caught.value)
    assert message.startswith(f"{folder / 'openclaw.json'}: ")
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'openclaw.json'}: ")


def test_missing_file_gives_the_documented_defaults(tmp_path: Path) -> None:
    """D.8."""
    settings = load_settings(tmp_path)
    assert settings == Settings()
    assert settings.maintenance == MaintenanceSettings(
        mode="warn",
        prune_after_ms=30 * DAY,
        max_entries=500,
        rotate_bytes=10_485_760,
        reset_archive_retention_ms=30 * DAY,
        max_disk_bytes=None,
        high_water_bytes=None,
    )
    assert settings.cron_session_retention_ms == DAY
    assert settings.hook_session_retention_ms is None
    assert settings.store is settings.store_type is None
    parallel = settings.parallel_sessions
    assert (parallel.enabled, parallel.isolation, parallel.max_concurrent, parallel.idle_timeout_ms) == (False, "per-channel", 5, 300_000)
    assert (parallel.memory.backend, parallel.memory.auto_promote_threshold, parallel.memory.db_path) == ("sqlite", 8, None)
    assert (parallel.briefing.max_channel_memories, parallel.briefing.min_confidence) == (10, 0.7)
    assert parallel.auto_save.action_items
    assert not parallel.work_executor.enabled


def test_empty_object_equals_missing_file(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "{}")) == Settings()


def test_json5_is_read_and_merged_over_the_defaults(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            """{
              // a comment, unquoted keys, single quotes, trailing commas
              session: { maintenance: { mode: 'enforce', maxEntries: 5e3, }, storeType: 'sqlite' },
              agent: { parallelSessions: { memory: { enableWAL: false, defaultTTLMs: 7.0 }, maxConcurrent: 50 } },
            }""",
        )
    )
    assert settings.maintenance == msgspec.structs.replace(MaintenanceSettings(), mode="enforce", max_entries=5000)
    assert settings.store_type == "sqlite"
    defaults = ParallelSessionsSettings()
    memory = msgspec.structs.replace(defaults.memory, enable_wal=False, default_ttl_ms=7)
    assert settings.parallel_sessions == msgspec.structs.replace(defaults, memory=memory, max_concurrent=50)


def test_json_and_json5_spellings_agree(tmp_path: Path) -> None:
    plain = load_settings(write(tmp_path, '{"cron": {"sessionRetention": 1.5}, "session": {"maintenance": {"rotateBytes": 5.0}}}'))
    fancy = load_settings(write(tmp_path, "{cron: {sessionRetention: 1.5}, session: {maintenance: {rotateBytes: 5.0}}}"))
    assert plain == fancy
    assert plain.cron_session_retention_ms == 90 * 60_000
    assert plain.maintenance.rotate_bytes == 5


def test_keys_of_other_owners_are_left_alone(tmp_path: Path) -> None:
    text = (
        '{"gateway": {"port": 1}, "session": {"dmScope": "main"}, "cron": {"enabled": true}, "agent": {"model": "x"}, "agents": [],'
        ' "hooks": {"enabled": true, "token": "x", "mappings": []}}'
    )
    assert load_settings(write(tmp_path, text)) == Settings()


@pytest.mark.parametrize(
    ("maintenance", "expected"),
    [
        ({"archiveDashboardAfter": "3d"}, {"archive_dashboard_after_ms": 3 * DAY}),
        ({"archiveDashboardAfter": False}, {"archive_dashboard_after_ms": None}),
        ({"archiveDashboardAfter": 0}, {"archive_dashboard_after_ms": None}),
        ({"preserveRecent": "12h"}, {"preserve_recent_ms": DAY // 2}),
        ({"preserveRecent": False}, {}),
        ({"coldStorage": {"enabled": True, "afterDays": 9}}, {"cold_storage_days": 9}),
        ({"coldStorage": {"enabled": True}}, {"cold_storage_days": 30}),
        ({"coldStorage": {"afterDays": 9}}, {}),
        ({"maxDiskBytes": 0, "highWaterBytes": "8gb"}, {"max_disk_bytes": None, "high_water_bytes": None}),
        ({"maxDiskBytes": 1000, "highWaterBytes": 0}, {"max_disk_bytes": 1000, "high_water_bytes": 800}),
    ],
)
def test_settings_of_openclaw_2026_9_are_resolved_as_it_does(maintenance: dict[str, object], expected: dict[str, int | None]) -> None:
    """Of a disk budget of 0 it makes none, and of a high water of 0 the usual one."""
    defaults = PROFILES["2026.9"]
    settings = parse_settings({"session": {"maintenance": maintenance}}, maintenance=defaults)
    assert settings.maintenance == msgspec.structs.replace(defaults, **expected)


@pytest.mark.parametrize(
    ("maintenance", "expected"),
    [
        ({"pruneAfter": "1h30m"}, {"prune_after_ms": 5_400_000, "reset_archive_retention_ms": 5_400_000}),
        ({"pruneAfter": 7}, {"prune_after_ms": 7 * DAY, "reset_archive_retention_ms": 7 * DAY}),
        ({"pruneDays": 3}, {"prune_after_ms": 3 * DAY, "reset_archive_retention_ms": 3 * DAY}),
        ({"pruneAfter": "10d", "pruneDays": 3}, {"prune_after_ms": 10 * DAY, "reset_archive_retention_ms": 10 * DAY}),
        ({"resetArchiveRetention": False}, {"reset_archive_retention_ms": None}),
        ({"resetArchiveRetention": 2}, {"reset_archive_retention_ms": 2 * DAY}),
        ({"rotateBytes": "5mb"}, {"rotate_bytes": 5 * MB}),
        ({"rotateBytes": 0}, {"rotate_bytes": 0}),
        ({"maxDiskBytes": "100mb"}, {"max_disk_bytes": 100 * MB, "high_water_bytes": 80 * MB}),
        ({"maxDiskBytes": 1000, "highWaterBytes": 1000}, {"max_disk_bytes": 1000, "high_water_bytes": 1000}),
        ({"maxDiskBytes": False}, {}),
        ({"highWaterBytes": 5}, {"high_water_bytes": 5}),
        ({"maxEntries": 1}, {"max_entries": 1}),
    ],
)
def test_maintenance_value_is_resolved(maintenance: dict[str, object], expected: dict[str, int | None]) -> None:
    """D.8."""
    settings = parse_settings({"session": {"maintenance": maintenance}})
    assert settings.maintenance == msgspec.structs.replace(MaintenanceSettings(), **expected)


@pytest.mark.parametrize(("value", "ms"), [(False, None), ("24h", DAY), (12, DAY // 2), ("2", DAY // 12), ("90m", 5_400_000)])
def test_session_retention_is_resolved(value: object, ms: int | None) -> None:
    """Those of webhooks are read in the same way (D.29)."""
    assert parse_settings({"cron": {"sessionRetention": value}}).cron_session_retention_ms == ms
    hooks = parse_settings({"hooks": {"sessionRetention": value}})
    assert (hooks.hook_session_retention_ms, hooks.cron_session_retention_ms) == (ms, DAY)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"session": {"maintenance": {"maxEntrys": 5}}}', "session.maintenance.maxEntrys: is not a known setting"),
        ('{"session": {"maintenance": {"maxEntries": 0}}}', "session.maintenance.maxEntries: Expected `int` >= 1"),
        ('{"session": {"maintenance": {"maxEntries": 1.5}}}', "session.maintenance.maxEntries: Expected `int"),
        ('{"session": {"maintenance": {"maxEntries": true}}}', "session.maintenance.maxEntries: Expected `int"),
        ('{"session": {"maintenance": {"maxEntries": null}}}', "session.maintenance.maxEntries: Expected `int"),
        ('{"session": {"maintenance": {"pruneDays": 0}}}', "session.maintenance.pruneDays: Expected `int` >= 1"),
        ('{"session": {"maintenance": {"mode": "loud"}}}', "session.maintenance.mode: Invalid enum value 'loud': write warn or enforce"),
        ('{"session": {"maintenance": {"pruneAfter": "soon"}}}', "session.maintenance.pruneAfter: 'soon' is not a duration; write"),
        ('{"session": {"maintenance": {"pruneAfter": -1}}}', "session.maintenance.pruneAfter: '-1' is not a duration"),
        ('{"session": {"maintenance": {"pruneAfter": false}}}', "session.maintenance.pruneAfter: Expected"),
        ('{"session": {"maintenance": {"rotateBytes": "10 pb"}}}', "session.maintenance.rotateBytes: '10 pb' is not a size; write"),
        ('{"session": {"maintenance": {"maxDiskBytes": true}}}', "session.maintenance.maxDiskBytes: must be a text or a number, not true"),
        ('{"session": {"maintenance": {"pruneAfter": 1e99}}}', "session.maintenance.pruneAfter: '1e99' is not a duration"),
        ('{"session": {"maintenance": {"maxDiskBytes": 5.5e+30}}}', "session.maintenance.maxDiskBytes: '5.5e30' is not a size"),
        ('{"session": {"maintenance": {"maxDiskBytes": 5, "highWaterBytes": 6}}}', "session.maintenance.highWaterBytes: must not be above"),
        ('{"session": {"maintenance": []}}', "session.maintenance: must be an object"),
        ("null", "the whole file: must be one object"),
        ('{"session": "x"}', "session: must be an object"),
        ('{"session": {"storeType": "redis"}}', "session.storeType: Invalid enum value 'redis': write json, sqlite or directory"),
        ('{"session": {"store": 5}}', "session.store: Expected `str"),
        ('{"session": {"store": " "}}', "session.store: is blank"),
        ('{"session": {"store": "~/{agent}/x.json"}}', "session.store: holds a stray '{': the only placeholder is {agentId}"),
        ('{"session": {"storetype": "sqlite"}}', "session.storetype: is not a known setting: write storeType"),
        ('{"session": {"store_type": "sqlite"}}', "session.store_type: is not a known setting: write storeType"),
        ("{session: {'Store-Type': 'sqlite', storeType: 'json'}}", "session.Store-Type: is not a known setting: write storeType"),
        ('{"session": {"Store": "/srv/x.json"}}', "session.Store: is not a known setting: write store"),
        ('{"session": {"Maintenance": {}}}', "session.Maintenance: is not a known setting: write maintenance"),
        ('{"Session": {"storeType": "sqlite"}}', "Session: is not a known setting: write session"),
        ('{"cron": {"session_retention": "1h"}}', "cron.session_retention: is not a known setting: write sessionRetention"),
        ('{"agent": {"parallelsessions": {}}}', "agent.parallelsessions: is not a known setting: write parallelSessions"),
        ('{"session": {"store": "~/.openclaw/openclaw.json"}}', "session.store: names the configuration itself, openclaw.json"),
        ('{"cron": {"sessionRetention": true}}', "cron.sessionRetention: must be a text or a number, not true"),
        ('{"cron": {"sessionRetention": "1w"}}', "cron.sessionRetention: '1w' is not a duration"),
        ('{"cron": {"sessionRetention": "abc"}}', "cron.sessionRetention: 'abc' is not a duration"),
        ('{"hooks": {"sessionRetention": true}}', "hooks.sessionRetention: must be a text or a number, not true"),
        ('{"hooks": {"sessionRetention": "-1h"}}', "hooks.sessionRetention: '-1h' is not a duration"),
        ('{"hooks": {"session_retention": "1h"}}', "hooks.session_retention: is not a known setting: write sessionRetention"),
        ('{"Hooks": {"sessionRetention": "1h"}}', "Hooks: is not a known setting: write hooks"),
        ('{"hooks": "on"}', "hooks: must be an object"),
        ('{"agent": {"parallelSessions": {"maxConcurrent": 51}}}', "agent.parallelSessions.maxConcurrent: Expected `int` <= 50"),
        ('{"agent": {"parallelSessions": {"idleTimeoutMs": 9999}}}', "agent.parallelSessions.idleTimeoutMs: Expected `int` >= 10000"),
        ('{"agent": {"parallelSessions": {"isolation": "none"}}}', "write main, per-channel, per-chat or per-peer"),
        ('{"agent": {"parallelSessions": {"memory": {"enableWal": true}}}}', "agent.parallelSessions.memory.enableWal: is not a known"),
        ('{"agent": {"parallelSessions": {"memory": {"backend": "x"}}}}', "agent.parallelSessions.memory.backend: Invalid enum value"),
        (
            '{"agent": {"parallelSessions": {"briefing": {"minConfidence": 1.1}}}}',
            "agent.parallelSessions.briefing.minConfidence: Expected",
        ),
        ("[]", "the whole file: must be one object"),
        ("", "the whole file: Empty strings are not legal JSON5"),
        ("{\n  session: {\n    maintenance: }\n}", "line 3: is not JSON5: Unexpected"),
        ('{"cron": {},\n "cron": {}}', "the whole file: key 'cron' is given twice"),
        ("{cron: {},\n cron: {}}", "the whole file: key 'cron' is given twice"),
        ("[" * 100_000, "the whole file: is nested too deeply"),
    ],
)
def test_bad_setting_is_refused_with_file_and_field(document: str, message: str, tmp_path: Path) -> None:
    assert message in refused(document, tmp_path)


def test_what_is_given_over_the_file_wins_as_if_it_stood_there(tmp_path: Path) -> None:
    """D.8: pruneAfter wins over pruneDays."""
    over = {"pruneAfter": "20d", "maxDiskBytes": "10mb"}
    of_none = load_settings(tmp_path, over=over).maintenance
    assert (of_none.prune_after_ms, of_none.reset_archive_retention_ms) == (20 * MS_PER_DAY, 20 * MS_PER_DAY)
    assert (of_none.max_disk_bytes, of_none.high_water_bytes, of_none.max_entries) == (10 << 20, 8 << 20, 500)
    write(tmp_path, '{"session": {"maintenance": {"pruneDays": 5, "maxEntries": 7, "resetArchiveRetention": "3d"}}}')
    found = load_settings(tmp_path, over=over).maintenance
    assert (found.prune_after_ms, found.max_entries, found.reset_archive_retention_ms) == (20 * MS_PER_DAY, 7, 3 * MS_PER_DAY)
    with pytest.raises(SettingsError, match="pruneAfter: 'soon' is not a duration"):
        load_settings(tmp_path, over={"pruneAfter": "soon"})


def test_bytes_that_are_not_utf8_name_their_line(tmp_path: Path) -> None:
    (tmp_path / "openclaw.json").write_bytes(b'{\n "x": "\xff"}')
    with pytest.raises(SettingsError, match=r"openclaw\.json: line 2: is not UTF-8"):
        load_settings(tmp_path)


def test_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "openclaw.json").write_bytes(b'\xef\xbb\xbf{"session": {"storeType": "directory"}}')
    assert load_settings(tmp_path).store_type == "directory"


def test_folder_in_place_of_the_file_is_an_error_not_a_default(tmp_path: Path) -> None:
    (tmp_path / "openclaw.json").mkdir()
    with pytest.raises(UnreadableError, match="cannot be read"):
        load_settings(tmp_path)


def test_store_template_is_filled() -> None:
    settings = parse_settings({"session": {"store": "~/stores/{agentId}/sessions.json"}})
    assert settings.store_path("ops", home=Path("/home/ann")) == Path("/home/ann/stores/ops/sessions.json")
    assert parse_settings({"session": {"store": "/srv/s.json"}}).store_path("ops", home=Path("/root")) == Path("/srv/s.json")
    assert Settings().store_path("ops", home=Path("/root")) is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().maintenance.max_entries = 1  # type: ignore[misc]  # that mypy refuses it too is the point


def test_plain_json_never_loads_the_json5_package(tmp_path: Path) -> None:
    write(tmp_path, '{"session": {}}')
    code = "import sys, pathlib, sessionlab.settings as s; s.load_settings(pathlib.Path('.')); print('json5' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_where_the_stores_lie_is_known_whatever_the_other_sections_hold(tmp_path: Path) -> None:
    write(tmp_path, '{"session": {"store": "/srv/{agentId}.json", "maintenance": {"frob": 1}}, "cron": 5}')
    assert load_store_settings(tmp_path).store == "/srv/{agentId}.json"
    with pytest.raises(SettingsError):
        load_settings(tmp_path)
    with pytest.raises(SettingsError, match=r"openclaw\.json: session\.storetype: is not a known setting: write storeType"):
        load_store_settings(write(tmp_path, '{"session": {"storetype": "sqlite"}}'))
    assert load_store_settings(write(tmp_path, '{"session": {"Maintenance": {}}, "Cron": {}}')).store_type is None
    with pytest.raises(SettingsError, match=r"openclaw\.json: session\.store: holds a character"):
        load_store_settings(write(tmp_path, '{"session": {"store": "/srv/\\u0000"}}'))


def test_pipe_in_place_of_the_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "openclaw.json")
    with pytest.raises(UnreadableError, match="is not a regular file"):
        load_settings(tmp_path)


def test_what_is_not_said_is_as_the_given_defaults_have_it() -> None:
    defaults = MaintenanceSettings(
        mode="enforce", max_entries=7, reset_archive_retention_ms=None, max_disk_bytes=100 * MB, high_water_bytes=80 * MB
    )
    assert parse_settings({}, maintenance=defaults).maintenance == defaults
    said = {"session": {"maintenance": {"mode": "warn", "maxDiskBytes": False, "resetArchiveRetention": "2d"}}}
    found = parse_settings(said, maintenance=defaults).maintenance
    assert (found.mode, found.max_entries, found.max_disk_bytes, found.high_water_bytes) == ("warn", 7, None, None)
    assert found.reset_archive_retention_ms == 2 * MS_PER_DAY
