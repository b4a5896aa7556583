"""The mirror: one DuckDB database that shows every store of a state folder, built fresh beside the old one and swapped in.

It is disposable and never the archive. Loading again reads only transcripts whose size or time of change is new; when nothing changed
at all the mirror is left as it is. The stores themselves are never written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sessionlab import __version__, layout
from sessionlab.errors import CorruptStoreError, UsageError
from sessionlab.lab.collect import AgentSnapshot, share_out, snapshot_agent
from sessionlab.lab.connection import connect, fact, schema_version
from sessionlab.lab.events import load_events
from sessionlab.lab.insert import create_tables, encodable
from sessionlab.lab.load_plan import plan_reading
from sessionlab.lab.rows import insert_agents, insert_lost_agents, insert_problems
from sessionlab.lab.sessions import SessionRows
from sessionlab.lab.source import Source, look_at
from sessionlab.lab.workers import reading
from sessionlab.stores.base import SessionStore
from sessionlab.stores.location import StoreLocation, snapshot_at

if TYPE_CHECKING:
    import duckdb

_LONGEST_NAME: Final = 220
"""Of a mirror's file name, bytes: the unfinished file's is somewhat longer, and file systems end at 255."""

Stage = Callable[[str, int, int], None]
"""Told about progress: what is being done, how much of it is done, of how much (bytes of transcripts, or agents)."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did. `is_unchanged` means that the mirror already showed this state and was not touched."""

    path: Path | None
    agents: int
    sessions: int
    events: int
    transcripts: int
    transcripts_read: int
    problems: int
    is_unchanged: bool


def load(path: Path, mirror: Path, *, agent: str | None = None, now_ms: int, on_progress: Stage | None = None) -> LoadResult:
    """Bring the mirror file up to date with the stores at `path`.

    Args:
        path: What `stores.locate` takes: a store, an agent's folder or a state folder.
        mirror: The DuckDB file; made when it does not exist. It is replaced in one step; readers of the old one keep it.
        agent: Only this agent.
        now_ms: The clock, epoch ms UTC: what is dated later is reported.
        on_progress: Called as the work goes on.

    Raises:
        StoreError: A store cannot be found or read. The old mirror stays.
        UsageError: `mirror` exists and is no mirror, or its folder does not.
        BusyMirrorError: Another program holds the old mirror open for writing.
    """
    import duckdb  # see connect

    _check_name(mirror, path)
    source = look_at(path, agent=agent)
    old = _existing(mirror, source)
    with contextlib.ExitStack() as stack:
        previous = stack.enter_context(contextlib.closing(connect(old))) if old is not None else None
        if (
            previous is not None
            and source.signature
            and fact(previous, "signature") == source.signature
            and not _clock_matters(previous, now_ms)
        ):
            return _result(previous, mirror, transcripts_read=0, is_unchanged=True)
        _remove_abandoned(mirror)
        fresh = mirror.with_name(f".{mirror.name}.{os.getpid()}.tmp")
        try:
            stack.callback(_remove, fresh)
            result = _write(fresh, source, old=old, now_ms=now_ms, on_progress=on_progress)
            fresh.replace(mirror)
        except OSError as error:
            raise UsageError(f"{mirror}: cannot be written ({error.strerror})") from error
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise UsageError(f"{mirror}: cannot be written ({str(error).splitlines()[0][:200]})") from error
    return dataclasses.replace(result, path=mirror)


def load_into(
    con: duckdb.DuckDBPyConnection, path: Path, *, agent: str | None = None, now_ms: int, on_progress: Stage | None = None
) -> LoadResult:
    """Build the mirror of the stores at `path` in an open, empty database, as `load` does in a file."""
    source = look_at(path, agent=agent)
    read = _fill(con, source, has_old=False, now_ms=now_ms, on_progress=on_progress)
    return _result(con, None, transcripts_read=read, is_unchanged=False)


def _check_name(mirror: Path, path: Path) -> None:
    """Refuse a name that DuckDB cannot take, and one among the files that are to be read: each load would change them."""
    try:
        size = len(mirror.name.encode())
        str(mirror).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{encodable(str(mirror))}: is not UTF-8; name another file for the mirror") from error
    if size > _LONGEST_NAME:
        raise UsageError(f"{mirror.name[:40]}...: is longer than {_LONGEST_NAME} bytes; name another file for the mirror")
    root = layout.expanded(path)
    if os.path.isdir(root) and Path(os.path.realpath(mirror)).is_relative_to(os.path.realpath(root)):  # noqa: PTH112  # never raises
        raise UsageError(f"{mirror}: lies in the folder that is loaded; name a file elsewhere")


def _existing(mirror: Path, source: Source) -> Path | None:
    """Return the old mirror when there is one of this form and root; refuse to replace anything that is not a mirror."""
    if not mirror.parent.is_dir():
        raise UsageError(f"{mirror.parent}: there is no such folder to put the mirror in")
    if not mirror.exists():
        return None
    with contextlib.closing(connect(mirror)) as con:
        try:
            version, old_root, writer = (fact(con, name) for name in ("schema_version", "root", "sessionlab_version"))
        except UsageError:
            version = old_root = writer = None
    if version is None:
        raise UsageError(f"{mirror}: exists and is not a mirror of sessionlab's; name another file")
    return mirror if (version, old_root, writer) == (schema_version(), source.shown_root, __version__) else None


def _write(fresh: Path, source: Source, *, old: Path | None, now_ms: int, on_progress: Stage | None) -> LoadResult:
    """Build the new mirror's file and say what is in it."""
    import duckdb  # see connect

    _remove(fresh)
    # One thread: two write a file half as large again, take more time in all, and want the cores that the transcripts are parsed on.
    # Rows are written as soon as they fill a group: waiting for five leaves the most to do when nobody works beside it any more.
    config: dict[str, Any] = {"autoinstall_known_extensions": "false", "threads": 1, "write_buffer_row_group_count": 1}
    with contextlib.closing(duckdb.connect(str(fresh), config=config)) as con:
        fresh.chmod(0o600)  # like the stores: what is in them is in it
        if old is not None:
            con.execute(f"ATTACH '{str(old).replace(chr(39), chr(39) * 2)}' AS old (READ_ONLY)")
        read = _fill(con, source, has_old=old is not None, now_ms=now_ms, on_progress=on_progress)
        if old is not None:
            con.execute("DETACH old")
        # Not after the swap: for a program that still reads the old mirror, DuckDB opens that one again under the same name.
        return _result(con, fresh, transcripts_read=read, is_unchanged=False)


def _fill(con: duckdb.DuckDBPyConnection, source: Source, *, has_old: bool, now_ms: int, on_progress: Stage | None) -> int:
    """Fill an empty database; return how many transcripts were read."""
    create_tables(con)
    con.execute("BEGIN TRANSACTION")
    plan = plan_reading(con, source.files, has_old=has_old)
    with reading(plan.jobs) as early, _opened(source.files) as stores:
        snapshots = []
        for place, (location, store) in enumerate(stores):
            if on_progress is not None:
                on_progress(f"reading sessions of {location.agent_id}", place, len(stores))
            snapshots.append((snapshot_agent(store, location, source.files[location]), store))
        share_out([snapshot for snapshot, _ in snapshots])
        sessions = SessionRows(con)
        for snapshot, _ in snapshots:
            insert_agents(con, snapshot)
            sessions.add(snapshot)
        loaded = load_events(
            con,
            snapshots,
            plan=plan,
            early=early,
            root=source.root,
            has_old=has_old,
            racy_after_ns=source.racy_after_ns,
            on_progress=on_progress,
        )
    sessions.finish()
    for snapshot, _ in snapshots:
        insert_problems(con, snapshot, loaded.problems.get(snapshot.location.agent_id, []), root=source.root, now_ms=now_ms)
        _verify(con, snapshot)
    insert_lost_agents(con, source.lost, root=source.root)
    # What could not be read, or may still change, is looked at again, even if its file shows no change then.
    ((unsettled,),) = con.execute("SELECT count(*) FROM transcripts WHERE mtime_ns = 0").fetchall()
    values = {
        "schema_version": schema_version(),
        "sessionlab_version": __version__,
        "root": source.shown_root,
        "signature": "" if unsettled else source.signature,
        "now_ms": str(now_ms),
    }
    con.executemany("INSERT INTO meta VALUES (?, ?)", list(values.items()))
    con.execute("COMMIT")
    return loaded.transcripts_read


@contextlib.contextmanager
def _opened(locations: Iterable[StoreLocation]) -> Iterator[list[tuple[StoreLocation, SessionStore]]]:
    with contextlib.ExitStack() as stack:
        yield [(location, stack.enter_context(snapshot_at(location))) for location in locations]


def _verify(con: duckdb.DuckDBPyConnection, snapshot: AgentSnapshot) -> None:
    """Refuse a mirror that does not hold what the store's count and fingerprint were taken over."""
    agent_id = snapshot.location.agent_id
    ((rows, total),) = con.execute(
        "SELECT count(*), CAST(coalesce(sum(entry_bytes), 0) AS BIGINT) FROM sessions WHERE agent_id = ?", [agent_id]
    ).fetchall()
    expected = sum(sum(sizes.values()) for sizes in snapshot.fields.values())
    if not rows == snapshot.fingerprint.count == snapshot.stats.sessions or total != expected:
        raise CorruptStoreError(
            snapshot.location.path,
            f"changed while it was read: {snapshot.stats.sessions} sessions counted, {snapshot.fingerprint.count} in the fingerprint, "
            f"{rows} in the mirror",
            advice="run it again",
        )


def _clock_matters(con: duckdb.DuckDBPyConnection, now_ms: int) -> bool:
    """Say whether another set of sessions is dated in the future now than when the mirror was made."""
    then = int(fact(con, "now_ms") or 0)
    low, high = sorted((then, now_ms))
    ((count,),) = con.execute("SELECT count(*) FROM sessions WHERE updated_ms > ? AND updated_ms <= ?", [low, high]).fetchall()
    return bool(count)


def _result(con: duckdb.DuckDBPyConnection, mirror: Path | None, *, transcripts_read: int, is_unchanged: bool) -> LoadResult:
    counts = []
    for table in ("agents", "sessions", "events", "transcripts", "problems"):
        ((count,),) = con.execute(f"SELECT count(*) FROM {table}").fetchall()
        counts.append(count)
    agents, sessions, events, transcripts, problems = counts
    return LoadResult(mirror, agents, sessions, events, transcripts, transcripts_read, problems, is_unchanged)


def _remove_abandoned(mirror: Path) -> None:
    """Remove what a load that was killed left beside the mirror: unfinished files of processes that are no more."""
    for left in mirror.parent.glob(f".{glob.escape(mirror.name)}.*.tmp"):
        pid = left.name.removesuffix(".tmp").rpartition(".")[2]
        if pid.isdigit() and not _is_alive(int(pid)):
            _remove(left)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _remove(path: Path) -> None:
    for name in (path, path.with_name(path.name + ".wal")):
        name.unlink(missing_ok=True)
