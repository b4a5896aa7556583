"""Recorded measurements: one JSON document each in `data/benchmarks/`, and what is needed to read it years later.

A record is a `Results` document with the machine class it was made on: no host, no user, no path. This module owns the form and reads it;
`bench.record` makes records, `bench.evidence` turns them into frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.errors import UsageError

FORM: Final = 1
"""Raised when a key changes its meaning."""
NAMES: Final = ("proposal", "rss", "cache", "contention", "scale", "stores", "parallel")
"""What is recorded by `python -m sessionlab.bench.record`, in this order; `peers-VERSION` comes from a machine with that OpenClaw."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of machine it was. `memory_gb` is in 10**9 bytes; `filesystem` is that of the folder for temporary files."""

    processors: int
    cpu: str
    memory_gb: float
    kernel: str
    filesystem: str

    @property
    def in_words(self) -> str:
        """Say it in one line."""
        return f"{self.processors} processors ({self.cpu}), {self.memory_gb:.0f} GB of memory, {self.kernel}, {self.filesystem}"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One record.

    Attributes:
        form: `FORM` of the writer.
        name: Which measurement.
        date: The UTC day it was made, ISO.
        is_quick: Small sizes and few rounds: no figure to quote.
        machine: Where.
        versions: Of what was measured, name -> version.
        conditions: What a reader must know, a sentence each.
        verdicts: What the numbers say, a sentence each, computed from them.
        missed: The figures beyond their bound, in words.
        rows: The figures with their bounds and floors, `Measurement.row` each.
        tables: Table -> its rows, whose values are numbers, texts, truths or `None`.
    """

    form: int
    name: str
    date: str
    is_quick: bool
    machine: Machine
    versions: dict[str, str]
    conditions: list[str]
    verdicts: list[str]
    missed: list[str]
    rows: list[dict[str, Any]]
    tables: dict[str, list[dict[str, Any]]]


def file_of(folder: Path, name: str) -> Path:
    """Return where the record of a measurement lies."""
    return folder / f"{name}.json"


def read(folder: Path, name: str) -> Document:
    """Read a record.

    Raises:
        UsageError: It is not there, is no record, or one of another measurement or a later form; one line that says what to do.
    """
    path = file_of(folder, name)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Document)
    except FileNotFoundError:
        raise UsageError(f"{path}: no recorded measurement there; {_how(name)}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a folder of records, or {_how(name)}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no record of a measurement ({' '.join(str(error).split())}); {_how(name)}") from None
    if (found.form, found.name) != (FORM, name):
        what = f"a record of form {found.form} of {found.name!r}, wanted is form {FORM} of {name!r}"
        raise UsageError(f"{path}: {what}; {_how(name)}")
    return found


def _how(name: str) -> str:
    return f"`python -m sessionlab.bench.record {name}` makes one" if name in NAMES else "it is made beside a real OpenClaw of that version"
