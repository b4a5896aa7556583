"""The mirror: one DuckDB database that shows every store of a state folder, built fresh beside the old one and swapped in.

It is disposable and never the archive. Loading again reads only transcripts whose size or time of change is new; when nothing changed
at all the mirror is left as it is. The stores themselves are never written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sessionlab import __version__, layout
from sessionlab.errors import CorruptStoreError, SessionLabError, UnreadableError, UsageError
from sessionlab.lab.collect import AgentSnapshot, share_out, snapshot_agent
from sessionlab.lab.events import load_events
from sessionlab.lab.files import SeenFile, scan_files
from sessionlab.lab.insert import create_tables, encodable
from sessionlab.lab.reading import plan_reading
from sessionlab.lab.rows import insert_agents, insert_lost_agents, insert_problems
from sessionlab.lab.sessions import SessionRows
from sessionlab.lab.workers import reading
from sessionlab.stores.base import SessionStore
from sessionlab.stores.opening import StoreLocation, agents_without_store, locate, open_at

if TYPE_CHECKING:
    import duckdb

_RACY_NS: Final = 100_000_000
"""A file changed less than this before it was looked at may change again within the same tick of the file system's clock."""

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


class BusyMirrorError(SessionLabError):
    """Another program holds the mirror's file open for writing."""

    exit_code = 11

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: is open in another program ({reason.splitlines()[0][:120]}); close it, or name another mirror")


def connect(path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a mirror for reading, or with no path an empty one in memory.

    DuckDB may fetch nothing by itself: no extension is installed or loaded behind the user's back.

    Raises:
        UsageError: There is no such file, or it is no DuckDB database.
        BusyMirrorError: Another program holds it, or this one does for writing.
    """
    import duckdb  # 100 ms that a program which only lists stores need not pay

    options: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    if path is None:
        return duckdb.connect(config=options)
    if os.path.isdir(path):  # noqa: PTH112  # of a name that is too long, Path's raises
        raise UsageError(f"{path}: is a folder; a mirror is a file")
    if not os.path.isfile(path):  # noqa: PTH113
        raise UsageError(f"{path}: there is no such mirror; make it with 'sessionlab load'")
    try:
        return duckdb.connect(str(path), read_only=True, config=options)
    except duckdb.ConnectionException as error:
        raise BusyMirrorError(path, "open for writing in this very program") from error
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise BusyMirrorError(path, str(error)) from error
        raise UsageError(f"{path}: is not a mirror that this DuckDB reads ({str(error).splitlines()[0][:120]})") from error
    except duckdb.Error as error:
        raise UsageError(f"{path}: is not a mirror of sessionlab's, or a damaged one; name another file") from error


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
    locations = _located(path, agent)
    scan = _scan(locations, lost=_lost(path, agent))
    old = _existing(mirror, _root(path))
    with contextlib.ExitStack() as stack:
        previous = stack.enter_context(contextlib.closing(connect(old))) if old is not None else None
        if (
            previous is not None
            and scan.signature
            and _meta(previous, "signature") == scan.signature
            and not _clock_matters(previous, now_ms)
        ):
            return _result(previous, mirror, transcripts_read=0, is_unchanged=True)
        _remove_abandoned(mirror)
        fresh = mirror.with_name(f".{mirror.name}.{os.getpid()}.tmp")
        try:
            stack.callback(_remove, fresh)
            result = _write(fresh, locations, scan, root=_root(path), old=old, now_ms=now_ms, on_progress=on_progress)
            fresh.replace(mirror)
        except OSError as error:
            raise UnreadableError(mirror, f"cannot be written ({error.strerror})") from error
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise UnreadableError(mirror, f"cannot be written ({str(error).splitlines()[0][:200]})") from error
    return dataclasses.replace(result, path=mirror)


def load_into(
    con: duckdb.DuckDBPyConnection, path: Path, *, agent: str | None = None, now_ms: int, on_progress: Stage | None = None
) -> LoadResult:
    """Build the mirror of the stores at `path` in an open, empty database, as `load` does in a file."""
    locations = _located(path, agent)
    scan = _scan(locations, lost=_lost(path, agent))
    read = _fill(con, locations, scan, root=_root(path), old=None, now_ms=now_ms, on_progress=on_progress)
    return _result(con, None, transcripts_read=read, is_unchanged=False)


def _lost(path: Path, agent: str | None) -> tuple[str, ...]:
    """Return the agents at `path` that have transcripts and no store."""
    return tuple(agent_id for agent_id in agents_without_store(path) if agent in (None, agent_id))


def _located(path: Path, agent: str | None) -> tuple[StoreLocation, ...]:
    # A folder's name need not be UTF-8, and the mirror's text must be.
    locations = tuple(dataclasses.replace(found, agent_id=encodable(found.agent_id) or "") for found in locate(path))
    if agent is None:
        return locations
    chosen = tuple(location for location in locations if location.agent_id == agent)
    if not chosen:
        raise UsageError(f"{path}: has no agent {agent!r}; there are {', '.join(location.agent_id for location in locations)}")
    return chosen


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


def _root(path: Path) -> Path:
    """Return the folder that paths are shown relative to."""
    path = layout.expanded(path)
    return path if path.is_dir() else path.parent


def _shown_root(root: Path) -> str:
    return str(root).encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class _Scan:
    """What lies on disk before anything is read.

    Attributes:
        files: The files of each store.
        signature: Stands for them all; empty when some file may still be changing.
        racy_after_ns: Files changed later than this may change again without another time.
        lost: The agents that have transcripts and no store.
    """

    files: dict[StoreLocation, list[SeenFile]]
    signature: str
    racy_after_ns: int
    lost: tuple[str, ...]


def _scan(locations: tuple[StoreLocation, ...], *, lost: tuple[str, ...]) -> _Scan:
    latest = time.time_ns() - _RACY_NS
    files = {location: scan_files(location) for location in locations}
    digest = hashlib.sha256(f"{_schema_version()} {__version__} {lost}".encode())
    is_racy = False
    for location, seen in files.items():
        digest.update(f"{location}\n".encode())
        for file in seen:
            stamp = f"{file.path}\0{file.bytes}\0{file.mtime_ns}\0{file.ctime_ns}\0{file.inode}\n"
            digest.update(stamp.encode("utf-8", "surrogateescape"))
            is_racy = is_racy or file.mtime_ns > latest
    return _Scan(files, "" if is_racy else digest.hexdigest(), latest, lost)


def _existing(mirror: Path, root: Path) -> Path | None:
    """Return the old mirror when there is one of this form and root; refuse to replace anything that is not a mirror."""
    if not mirror.parent.is_dir():
        raise UsageError(f"{mirror.parent}: there is no such folder to put the mirror in")
    if not mirror.exists():
        return None
    with contextlib.closing(connect(mirror)) as con:
        try:
            version, old_root, writer = (_meta(con, name) for name in ("schema_version", "root", "sessionlab_version"))
        except UsageError:
            version = old_root = writer = None
    if version is None:
        raise UsageError(f"{mirror}: exists and is not a mirror of sessionlab's; name another file")
    return mirror if (version, old_root, writer) == (_schema_version(), _shown_root(root), __version__) else None


def _write(
    fresh: Path,
    locations: tuple[StoreLocation, ...],
    scan: _Scan,
    *,
    root: Path,
    old: Path | None,
    now_ms: int,
    on_progress: Stage | None,
) -> LoadResult:
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
        read = _fill(con, locations, scan, root=root, old=old, now_ms=now_ms, on_progress=on_progress)
        if old is not None:
            con.execute("DETACH old")
        # Not after the swap: for a program that still reads the old mirror, DuckDB opens that one again under the same name.
        return _result(con, fresh, transcripts_read=read, is_unchanged=False)


def _fill(
    con: duckdb.DuckDBPyConnection,
    locations: tuple[StoreLocation, ...],
    scan: _Scan,
    *,
    root: Path,
    old: Path | None,
    now_ms: int,
    on_progress: Stage | None,
) -> int:
    """Fill an empty database; return how many transcripts were read."""
    create_tables(con)
    con.execute("BEGIN TRANSACTION")
    plan = plan_reading(con, scan.files, has_old=old is not None)
    with reading(plan.jobs) as early, _opened(locations) as stores:
        snapshots = []
        for place, (location, store) in enumerate(stores):
            if on_progress is not None:
                on_progress(f"reading sessions of {location.agent_id}", place, len(stores))
            snapshots.append((snapshot_agent(store, location, scan.files[location]), store))
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
            root=root,
            has_old=old is not None,
            racy_after_ns=scan.racy_after_ns,
            on_progress=on_progress,
        )
    sessions.finish()
    for snapshot, _ in snapshots:
        insert_problems(con, snapshot, loaded.problems.get(snapshot.location.agent_id, []), root=root, now_ms=now_ms)
        _verify(con, snapshot)
    insert_lost_agents(con, scan.lost, root=root)
    # What could not be read, or may still change, is looked at again, even if its file shows no change then.
    ((unsettled,),) = con.execute("SELECT count(*) FROM transcripts WHERE mtime_ns = 0").fetchall()
    values = {
        "schema_version": _schema_version(),
        "sessionlab_version": __version__,
        "root": _shown_root(root),
        "signature": "" if unsettled else scan.signature,
        "now_ms": str(now_ms),
    }
    con.executemany("INSERT INTO meta VALUES (?, ?)", list(values.items()))
    con.execute("COMMIT")
    return loaded.transcripts_read


@contextlib.contextmanager
def _opened(locations: tuple[StoreLocation, ...]) -> Iterator[list[tuple[StoreLocation, SessionStore]]]:
    with contextlib.ExitStack() as stack:
        yield [(location, stack.enter_context(open_at(location))) for location in locations]


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
    then = int(_meta(con, "now_ms") or 0)
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


def _meta(con: duckdb.DuckDBPyConnection, name: str) -> str | None:
    import duckdb  # see connect

    try:
        rows = con.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise UsageError("not a mirror of sessionlab's") from error
    return rows[0][0] if rows else None


def _schema_version() -> str:
    """Return what identifies the tables' form: a mirror of another form is built anew."""
    text = (resources.files("sessionlab.lab") / "schema.sql").read_bytes()
    return hashlib.sha256(text).hexdigest()[:16]


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
