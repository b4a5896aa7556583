"""What to do about a store that is damaged or locked: the stores say what is wrong with it, this says what its owner does next."""

from __future__ import annotations

from typing import Final

from sessionlab.errors import CorruptStoreError, StoreLockedError

_RESTORE: Final = "restore a backup"
_MEND: Final = "mend it in an editor, on a copy"
_STEPS: Final = (
    (
        "truncated",
        f"{_RESTORE}: the rest is not in the file (a full disk, a copy that was stopped); what lies before it is intact",
    ),
    ("not UTF-8", f"{_RESTORE}: this is not text, or it was written by another program"),
    ("byte order mark", f"save it as UTF-8 without a byte order mark: an editor put that before the first brace; else {_RESTORE}"),
    ("not an object", f"{_RESTORE}: a store begins with a brace, so something else was written over it, or this is another file"),
    ("written twice", f"{_MEND}: keep the one of the two that is newer, by its updatedAt; or {_RESTORE}"),
    ("NaN is not JSON", f"{_MEND}: put null or the right number in its place; or {_RESTORE}"),
    ("Infinity is not JSON", f"{_MEND}: put null or the right number in its place; or {_RESTORE}"),
    ("out of range", f"{_MEND}: put the right number in its place; or {_RESTORE}"),
    ("surrogate", f"{_MEND}: take the half character out; or {_RESTORE}"),
    ("levels deep", f"{_RESTORE}: no program that keeps sessions nests this deep"),
    ("not a regular file", "put the store's file in its place; a folder, pipe or device is none"),
    ("does not exist", "mend the link, or put the store's file in its place"),
    ("symbolic links", "mend the link: it leads back to itself"),
    ("Permission denied", "run this as the user who owns the store"),
)
_ELSE: Final = f"{_MEND}, or {_RESTORE}"


def next_step(reason: str) -> str:
    """Return what to do next.

    Args:
        reason: What is wrong, as the store's error or finding words it.
    """
    return next((step for words, step in _STEPS if words in reason), _ELSE)


def with_next_step(error: Exception) -> str:
    """Return an error in one line that says what to do next, also where the store, which knows no programs, does not."""
    text = str(error)
    if isinstance(error, CorruptStoreError) and not error.advice:
        return f"{text}; {next_step(error.reason)}"
    if isinstance(error, StoreLockedError) and not error.advice:
        return f"{text}; run it again when that program is done"
    return text
