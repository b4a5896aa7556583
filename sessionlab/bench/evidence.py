"""The recorded measurements as frames, and small ones made here and now in the same form.

Reads `data/benchmarks/` (what its columns mean: data/README.md). Judges nothing: findings and figures do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sessionlab.bench.peers_recorded import PREFIX, Beside, peers_of
from sessionlab.bench.recorded import Document, read
from sessionlab.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

SHOWN: Final = ("proposal", "rss", "cache", "contention", "scale")
"""What notebook 07 shows."""
SMALL: Final = ("proposal", "rss", "contention")
"""What it measures by itself when that is not to take long."""
SOURCE: Final = "recorded measurements"
_FIGURES: Final = "figures"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One measurement that was recorded, or made just now."""

    document: Document

    @property
    def name(self) -> str:
        """Which measurement."""
        return self.document.name

    @property
    def date(self) -> str:
        """The UTC day it was made, ISO."""
        return self.document.date

    @property
    def is_quick(self) -> bool:
        """Whether it is a small one, whose figures are not to be quoted."""
        return self.document.is_quick

    @property
    def versions(self) -> Mapping[str, str]:
        """What was measured on what: name -> version."""
        return self.document.versions

    @property
    def conditions(self) -> Sequence[str]:
        """What a reader must know, a sentence each."""
        return self.document.conditions

    @property
    def verdicts(self) -> Sequence[str]:
        """What the numbers say, a sentence each, computed when it was made."""
        return self.document.verdicts

    @property
    def tables(self) -> tuple[str, ...]:
        """The names that `frame` takes."""
        return (_FIGURES, *self.document.tables)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table as plain rows.

        Raises:
            UsageError: The record has no such table.
        """
        if table not in self.tables:
            raise UsageError(f"the record {self.name!r} has no table {table!r}; it has {', '.join(self.tables)}")
        return self.document.rows if table == _FIGURES else self.document.tables[table]

    def frame(self, table: str) -> pd.DataFrame:
        """Return a table, one row each as it was recorded; "figures" are those with a floor or a bound.

        Raises:
            UsageError: The record has no such table.
        """
        import pandas as pd

        return pd.DataFrame(self.rows(table))


class Records(Mapping[str, Recorded]):
    """The measurements of one folder, or those just made, by name. One that is missing is an error only when it is asked for."""

    def __init__(self, folder: Path | None, made: Sequence[Document] = ()) -> None:
        self._folder = folder
        self._found = {one.name: Recorded(one) for one in made}

    def __getitem__(self, name: str) -> Recorded:
        """Return a measurement.

        Raises:
            UsageError: It is missing, or not of the form.
            KeyError: It was not made here.
        """
        if name not in self._found:
            if self._folder is None:
                raise KeyError(name)
            self._found[name] = recorded(name, self._folder)
        return self._found[name]

    @property
    def peers(self) -> tuple[Beside, ...]:
        """Every OpenClaw that was measured, oldest first, from its record where there is one."""
        return peers_of(self[name].document for name in self if name.startswith(PREFIX))

    def __iter__(self) -> Iterator[str]:
        """Go through the names that are there, in the order of the alphabet."""
        names = set(self._found) if self._folder is None else {path.stem for path in self._folder.glob("*.json")}
        return iter(sorted(names))

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)


def recorded(name: str, folder: str | Path = "") -> Recorded:
    """Read one recorded measurement.

    Args:
        name: "proposal", "rss", "cache", "contention", "scale", "stores", "parallel", or "peers-VERSION".
        folder: Where the records lie; "" is those that come with sessionlab.

    Raises:
        UsageError: The record is missing, or not of the form; one line that says what to do.
    """
    return Recorded(read(_folder(folder), name))


def open_records(folder: str | Path = "") -> Records:
    """Open a folder of records, of which those that notebook 07 shows must be there.

    Raises:
        UsageError: The folder or one of them is missing, or not of the form.
    """
    found = Records(_folder(folder))
    for name in SHOWN:
        found[name]  # so that what is missing is said before anything is drawn
    return found


def measure_here(*, measure: bool, full_size: bool = False, sessions: int = 100, writers: int = 4) -> Records:
    """Measure on this machine what notebook 07 shows; nothing is recorded.

    Args:
        measure: Otherwise nothing is measured, and the records are none.
        full_size: As it is recorded, twenty minutes; else only `SMALL`, in few rounds, and small by the other two.
        sessions: The most sessions of 42 KB; of small ones a hundred times as many.
        writers: The most processes that write at once.

    Raises:
        UsageError: A size makes no sense.
    """
    for name, value, least, most in (("sessions", sessions, 20, 1_000), ("writers", writers, 1, 16)):
        if not least <= value <= most:
            raise UsageError(f"{name}={value} makes no sense; give {least} to {most:,}")
    if not measure:
        return Records(None)
    from sessionlab.bench.record import FULL, Sizes, record

    sizes = FULL if full_size else Sizes(is_quick=True, sessions=sessions, writers=writers, is_few=True)
    return Records(None, [record(name, sizes) for name in (SHOWN if full_size else SMALL)])


def _folder(folder: str | Path) -> Path:
    from sessionlab.resources import benchmarks_dir

    return Path(folder).expanduser() if str(folder) else benchmarks_dir()
