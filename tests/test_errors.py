"""Errors: one line that says what, where and what next; exit codes as documented; one root."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sessionlab import errors
from sessionlab.errors import (
    BusyMirrorError,
    CorruptStoreError,
    InvalidEntryError,
    InvalidJSONError,
    InvalidKeyError,
    MigrationFailedError,
    NoRoomError,
    NoStoreError,
    NotebookFailedError,
    NotebookParameterError,
    SessionLabError,
    SettingsError,
    SplitStoreError,
    StalePlanError,
    StoreError,
    StoreLockedError,
    StoreMovedError,
    UncertainWriteError,
    UnreadableError,
    UnsupportedSchemaError,
    UnwritableError,
    UsageError,
    VersionConflictError,
)

HERE = Path("/state/sessions.json")

CASES: list[tuple[SessionLabError, int, str]] = [
    (SessionLabError("odd"), 1, "odd"),
    (UsageError("--days 0: must be 1 or more"), 2, "--days 0: must be 1 or more"),
    (SettingsError("cron", "must be an object"), 2, "cron: must be an object"),
    (SettingsError("cron", "must be an object", path=HERE), 2, f"{HERE}: cron: must be an object"),
    (NotebookParameterError("growth", "days", "is no number"), 2, "growth: parameter 'days': is no number"),
    (
        NotebookFailedError("growth", 3, "KeyError: 'x'", output=Path("out.ipynb")),
        1,
        "growth: cell 3 failed: KeyError: 'x'; the executed notebook is kept at out.ipynb",
    ),
    (StoreError(HERE, "is odd"), 1, f"{HERE}: is odd"),
    (StoreError(HERE, "is odd", advice="look"), 1, f"{HERE}: is odd; look"),
    (NoStoreError(HERE, "there is no such file"), 10, f"{HERE}: there is no such file"),
    (CorruptStoreError(HERE, "is torn", advice="restore a backup"), 3, f"{HERE}: is torn; restore a backup"),
    (InvalidJSONError(HERE, "extra data", line=7), 3, f"{HERE}: line 7: extra data"),
    (InvalidJSONError(HERE, "extra data", advice="session key 'k'"), 3, f"{HERE}: extra data; session key 'k'"),
    (UnreadableError(HERE, "cannot be read (Permission denied)"), 10, f"{HERE}: cannot be read (Permission denied)"),
    (
        UnsupportedSchemaError(HERE, found=99, supported="19 to 23"),
        12,
        (
            f"{HERE}: store schema version 99 is not one of those this sessionlab reads (19 to 23); "
            "install a newer sessionlab, or open an issue with the version number"
        ),
    ),
    (
        SplitStoreError(Path("/a"), first=Path("/a/x"), first_count=2, second=Path("/a/y"), second_count=3),
        4,
        "/a: two stores hold sessions: /a/x (2) and /a/y (3); name the one you mean",
    ),
    (InvalidKeyError("a\nb", "holds a control character"), 2, "session key 'a\\nb': holds a control character"),
    (
        InvalidEntryError("agent:main:" + "x" * 90, "has no sessionId"),
        2,
        f"entry of {'agent:main:' + 'x' * 66 + '...'!r}: has no sessionId",
    ),
    (StoreLockedError(HERE, "timeout waiting for session store lock"), 11, f"{HERE}: timeout waiting for session store lock"),
    (UnwritableError(HERE, "cannot be written (No space left on device)"), 10, f"{HERE}: cannot be written (No space left on device)"),
    (UncertainWriteError(HERE, "may not survive a power cut"), 3, f"{HERE}: may not survive a power cut"),
    (StoreMovedError(HERE, "has moved", advice="open the store again"), 4, f"{HERE}: has moved; open the store again"),
    (
        StalePlanError(HERE, "changed after the plan was made", advice="plan again"),
        4,
        f"{HERE}: changed after the plan was made; plan again",
    ),
    (
        VersionConflictError(HERE, "record 7 of channel_memory", expected=3, found=5),
        4,
        f"{HERE}: record 7 of channel_memory has version 5, not version 3; read it again, and decide anew",
    ),
    (
        VersionConflictError(HERE, "record 7 of channel_memory", expected=3, found=0),
        4,
        f"{HERE}: record 7 of channel_memory is not there, not version 3; read it again, and decide anew",
    ),
    (NoRoomError("all 5 places are taken"), 11, "all 5 places are taken"),
    (MigrationFailedError(HERE, "one session is missing"), 3, f"{HERE}: one session is missing"),
    (BusyMirrorError(HERE, "locked\nby 7"), 11, f"{HERE}: is open in another program (locked); close it, or name another mirror"),
]


@pytest.mark.parametrize(
    ("error", "exit_code", "message"), CASES, ids=[f"{number}-{type(case[0]).__name__}" for number, case in enumerate(CASES)]
)
def test_message_is_one_line_and_the_exit_code_as_documented(error: SessionLabError, exit_code: int, message: str) -> None:
    assert str(error) == message
    assert error.exit_code == exit_code
    assert "\n" not in message


def test_every_error_is_in_the_table_and_has_one_root() -> None:
    defined = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}
    assert defined == {type(case[0]) for case in CASES}
    assert all(issubclass(kind, SessionLabError) for kind in defined)


def test_fields_stay_readable_for_those_who_catch() -> None:
    invalid = InvalidJSONError(HERE, "extra data", line=7, advice="look")
    assert (invalid.path, invalid.line, invalid.reason, invalid.advice) == (HERE, 7, "extra data", "look")
    split = SplitStoreError(Path("/a"), first=Path("/a/x"), first_count=2, second=Path("/a/y"), second_count=3)
    assert (split.first, split.first_count, split.second, split.second_count) == (Path("/a/x"), 2, Path("/a/y"), 3)


def test_long_key_is_shortened_in_the_message_only() -> None:
    error = InvalidKeyError("k" * 10_000, "is longer than 4096 bytes")
    assert len(str(error)) < 150
    assert error.key == "k" * 10_000
