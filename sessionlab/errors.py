"""Every error that sessionlab raises, with the exit code its command line turns it into.

An error builds its message from typed fields: one line that says what is wrong, where, and what to do next.
Nothing here prints or logs; the faces do.
"""

from __future__ import annotations

from pathlib import Path


class SessionLabError(Exception):
    """The root of all errors a user can cause or meet; `exit_code` is what the command line exits with."""

    exit_code: int = 1


def exit_code_of(name: str) -> int:
    """Return the exit code of our error class of that name; 1 for any other. All that a kernel tells of an error is its class's name."""
    waiting = [SessionLabError]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ == name:
            return kind.exit_code
        waiting += kind.__subclasses__()
    return 1


class UsageError(SessionLabError):
    """The caller asked for something that makes no sense: a bad option, parameter or setting."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings value is not of its documented form."""

    def __init__(self, field: str, reason: str, *, path: Path | None = None) -> None:
        self.field, self.reason, self.path = field, reason, path
        where = f"{path}: " if path is not None else ""
        super().__init__(f"{where}{field}: {reason}")


class NotebookParameterError(UsageError):
    """A notebook was given a parameter that it does not declare, or a value of the wrong type."""

    def __init__(self, notebook: str, parameter: str, reason: str) -> None:
        self.notebook, self.parameter, self.reason = notebook, parameter, reason
        super().__init__(f"{notebook}: parameter {parameter!r}: {reason}")


class NotebookFailedError(SessionLabError):
    """A cell of a notebook raised; the executed notebook is kept where `output` says. An error of ours in it keeps its exit code."""

    def __init__(self, notebook: str, cell: int, error: str, *, output: Path, exit_code: int = 1) -> None:
        self.notebook, self.cell, self.error, self.output, self.exit_code = notebook, cell, error, output, exit_code
        super().__init__(f"{notebook}: cell {cell} failed: {error}; the executed notebook is kept at {output}")


class StoreError(SessionLabError):
    """Something about one store; the base of the errors that name a store file or folder."""

    def __init__(self, path: Path, reason: str, *, advice: str = "") -> None:
        self.path, self.reason, self.advice = path, reason, advice
        super().__init__(f"{path}: {reason}" + (f"; {advice}" if advice else ""))


class NoStoreError(StoreError):
    """There is no session store at a path where one was asked for."""

    exit_code = 10


class CorruptStoreError(StoreError):
    """A store's bytes cannot be read as what they claim to be. Never shown as an empty store."""

    exit_code = 3


class InvalidJSONError(CorruptStoreError):
    """A document is not strict JSON; names the line (1-based) where that shows, when known."""

    def __init__(self, path: Path, reason: str, *, line: int | None = None, advice: str = "") -> None:
        self.line = line
        super().__init__(path, f"line {line}: {reason}" if line is not None else reason, advice=advice)
        self.reason = reason


class UnreadableError(StoreError):
    """The operating system refuses to let us read a file or folder."""

    exit_code = 10


class UnsupportedSchemaError(StoreError):
    """A store is written in a format version that this sessionlab does not know."""

    exit_code = 12

    def __init__(self, path: Path, *, found: int, supported: str) -> None:
        self.found, self.supported = found, supported
        super().__init__(
            path,
            f"store schema version {found} is not one of those this sessionlab reads ({supported})",
            advice="install a newer sessionlab, or open an issue with the version number",
        )


class SplitStoreError(StoreError):
    """Two stores of one agent both hold sessions, and nothing says which one is authoritative."""

    exit_code = 4

    def __init__(
        self, path: Path, *, first: Path, first_count: int, second: Path, second_count: int, advice: str = "name the one you mean"
    ) -> None:
        self.first, self.first_count = first, first_count
        self.second, self.second_count = second, second_count
        super().__init__(
            path,
            f"two stores hold sessions: {first} ({first_count}) and {second} ({second_count})",
            advice=advice,
        )


class StoreMovedError(StoreError):
    """The sessions have moved to another store since this one was opened; nothing was written."""

    exit_code = 4


class StalePlanError(StoreError):
    """A plan does not fit any more: the store has changed since it was made, or another one counts; nothing was done."""

    exit_code = 4


class VersionConflictError(StoreError):
    """What was to be overwritten is not what its writer has read: somebody else has written it since; nothing was done."""

    exit_code = 4

    def __init__(self, path: Path, what: str, *, expected: int, found: int) -> None:
        self.what, self.expected, self.found = what, expected, found
        is_there = f"has version {found}" if found else "is not there"
        super().__init__(path, f"{what} {is_there}, not version {expected}", advice="read it again, and decide anew")


class MigrationFailedError(StoreError):
    """What a migration staged is not what it should be; nothing was promoted, and the old store counts."""

    exit_code = 3


class InvalidKeyError(SessionLabError):
    """A session key is refused: blank, hostile, or not storable."""

    exit_code = 2

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        shown = key if len(key) <= 80 else key[:77] + "..."
        super().__init__(f"session key {shown!r}: {reason}")


class InvalidEntryError(SessionLabError):
    """A session entry is refused: it is not of an entry's form, or would not come back from JSON as it is."""

    exit_code = 2

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        shown = key if len(key) <= 80 else key[:77] + "..."
        super().__init__(f"entry of {shown!r}: {reason}")


class StoreLockedError(StoreError):
    """The lock of a store could not be had in time; nothing was done, and nothing will be done later."""

    exit_code = 11


class UnwritableError(StoreError):
    """The operating system refuses to let us write a store, or the folder is not safe to write in; the store is as it was."""

    exit_code = 10


class UncertainWriteError(StoreError):
    """A write failed so late that only reading the store again tells whether the old or the new state is in it; one of them is, whole."""

    exit_code = 3


class NoRoomError(SessionLabError):
    """No session can be woken just now: other processes have all places, or the session itself. Nothing has changed."""

    exit_code = 11


class BusyMirrorError(SessionLabError):
    """Another program holds the mirror's file open for writing."""

    exit_code = 11

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: is open in another program ({reason.splitlines()[0][:120]}); close it, or name another mirror")
