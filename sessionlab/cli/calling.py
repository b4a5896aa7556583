"""How the program was called, so that every command it prints can be run as printed."""

from __future__ import annotations

import os
import re
import shlex
from typing import Final

VARIABLE: Final = "SESSIONLAB_CALLED_AS"
"""Set by `./run` to its own name. Taken out of the environment at once: what this program starts was not called so."""

_NAME: Final = "sessionlab"
_MENTIONED: Final = re.compile(rf"'{_NAME} (?=[a-z])")

_called_as = _NAME


def take_name() -> None:
    """Learn from the environment how the program was called."""
    global _called_as  # noqa: PLW0603
    _called_as = os.environ.pop(VARIABLE, "").strip() or _NAME


def program() -> str:
    """Return what starts the program: one word of a command."""
    return _called_as


def as_called(text: str) -> str:
    """Return a message in which commands that it mentions, such as 'sessionlab list', begin with what starts the program here."""
    return _MENTIONED.sub(lambda _: f"'{shlex.quote(_called_as)} ", text)
