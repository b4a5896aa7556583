"""The lab as a notebook sees it: one state folder, one clock, one mirror in memory, and the queries on it.

A notebook opens a `Lab`, asks it questions and draws the answers; it never meets a path or SQL text below its parameters.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from sessionlab import layout, resources
from sessionlab.lab import mirror, queries
from sessionlab.lab.clock import Clock, clock_of
from sessionlab.lab.connection import connect
from sessionlab.stores.locating import find_state_dir

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

__all__ = ["SAMPLE_NAME", "Clock", "Lab", "chosen_path", "clock_of", "open_lab"]

SAMPLE_NAME: Final = "the bundled sample (synthetic)"


class Lab:
    """A mirror in memory with a clock. Use `open_lab`; close it, or use it in a `with`.

    Attributes:
        con: The DuckDB connection, for questions that no query file answers.
        path: What was loaded.
        source: The same in words for a report: machine independent for the bundled sample.
        clock: The moment that ages are taken against.
        agent: The one agent that was loaded, or `None` for all.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path, clock: Clock, *, agent: str | None) -> None:
        """Take over a filled mirror."""
        self.con = con
        self.path = path
        self.source = SAMPLE_NAME if path == resources.sample_dir() else str(path)
        self.clock = clock
        self.agent = agent

    @property
    def now_ms(self) -> int:
        """The moment that ages are taken against, epoch ms UTC."""
        return self.clock.now_ms

    def query(self, name: str, **params: object) -> pd.DataFrame:
        """Answer a query of `sessionlab.lab.queries` as a DataFrame; the clock is filled in where the query takes one.

        Raises:
            UsageError: Unknown query or parameter, or a value of the wrong type.
        """
        if "now_ms" in {param.name for param in queries.describe(name).params}:
            params.setdefault("now_ms", self.now_ms)
        return queries.run(self.con, name, **params)

    def facts(self) -> dict[str, Any]:
        """Return what a report's header says, machine independent for the bundled sample.

        Keys: source, now, agents (a list of agent_id, store_kind, snapshot_method, fingerprint, sessions, store_bytes), problems
        (in words: `0 errors, 12 warnings`).
        """
        agents = queries.as_rows(self.con, "sources")
        names = ("agent_id", "store_kind", "snapshot_method", "fingerprint", "sessions", "store_bytes")
        problems = self.query("overview").iloc[0]
        errors, warnings = int(problems["problem_errors"]), int(problems["problem_warnings"])
        return {
            "source": self.source,
            "now": str(self.clock),
            "agents": [{name: agent[name] for name in names} for agent in agents],
            "problems": f"{errors:,} error{'' if errors == 1 else 's'}, {warnings:,} warning{'' if warnings == 1 else 's'}",
        }

    def close(self) -> None:
        """Drop the mirror."""
        self.con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_lab(state_dir: str | Path = "", *, agent: str = "", now_ms: int = 0, on_progress: mirror.Stage | None = None) -> Lab:
    """Load the stores of a state folder into memory and return the lab on them.

    Args:
        state_dir: A state folder, an agent's folder or a store file; "" for the bundled sample.
        agent: Only this agent; "" for all.
        now_ms: The clock, epoch ms UTC; 0 for the folder's own clock when it is synthetic, else for now.
        on_progress: Told how the work goes on.

    Raises:
        StoreError: Nothing there, or it cannot be read.
        UsageError: No such agent, or a clock before 1970.
    """
    path = chosen_path(state_dir)
    clock = clock_of(path, now_ms)
    con = connect()
    try:
        mirror.load_into(con, path, agent=agent or None, now_ms=clock.now_ms, on_progress=on_progress)
    except BaseException:
        con.close()
        raise
    return Lab(con, path, clock, agent=agent or None)


def chosen_path(state_dir: str | Path = "") -> Path:
    """Return what to load: the path given, or the bundled sample for "".

    Raises:
        NoStoreError: There is nothing at the path.
        UnreadableError: The system does not let us look.
    """
    if not str(state_dir):
        return resources.sample_dir()
    path = layout.expanded(Path(state_dir))
    with contextlib.suppress(OSError):  # listing it words what is wrong
        if path.is_file():
            return path
    return find_state_dir(path)
