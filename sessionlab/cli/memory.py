"""`sessionlab memory`: what the shared memory of parallel sessions holds (openclaw#22962). Only `expire` writes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from sessionlab import keys, layout
from sessionlab.cli.asked import on_one_line
from sessionlab.cli.moving import counted, echo_facts, shown_key
from sessionlab.cli.output import echo_json, echo_table, json_option, not_blank, now_option, output_file, state_dir_option
from sessionlab.errors import NoStoreError, UsageError
from sessionlab.stores.locating import find_state_dir
from sessionlab.units import format_bytes, format_count, format_ms_utc

if TYPE_CHECKING:
    from sessionlab.parallel import SharedMemory
    from sessionlab.settings import ParallelSessionsSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NO_FINDINGS: Final = 1
_EVERYTHING: Final = -1
_WIDTH: Final = 100


def _placed(command: _Command) -> _Command:
    """Add the options that say which shared memory is meant."""
    database = click.option("--db", metavar="FILE", help="Its file, wherever it lies.")
    return now_option(json_option(state_dir_option(database(command))))


@click.group("memory")
def command() -> None:
    """Look into the shared memory of parallel sessions, and remove what is expired.

    It lies where agent.parallelSessions.memory.dbPath of the state folder's openclaw.json says, else in data/shared-memory.db there. All
    commands but 'expire' ask a private copy: not a byte beside the original is written.
    """


@command.command("stats")
@_placed
def stats(*, db: str | None, state_dir: str | None, as_json: bool, now_ms: int) -> None:
    """Count what there is: memories, knowledge, action items, persons, and sessions that sleep, or did before they woke."""
    path, _ = _place(db, state_dir)
    with _copied(path, now_ms) as memory:
        found = memory.stats()
        expired = found.channel_memory_count - len(memory.memories(limit=_EVERYTHING))
        size = path.stat().st_size
    if as_json:
        echo_json({"path": str(path), "bytes": size, "expired": expired, **msgspec.to_builtins(found)})
        return
    click.echo(f"{on_one_line(str(path))}  {format_bytes(size)}")
    echo_facts(
        [
            ("memories", f"{format_count(found.channel_memory_count)}, {format_count(expired)} of them expired"),
            ("knowledge", format_count(found.global_knowledge_count)),
            ("actions", f"{format_count(found.action_items_open)} open"),
            ("persons", format_count(found.person_count)),
            (
                "sessions",
                f"{format_count(found.session_count)} asleep, {format_count(found.woken_count)} awake again, or in a process that died",
            ),
        ]
    )


@command.command("search")
@click.argument("query")
@click.option("--scope", type=click.Choice(["all", "channel", "global"]), default="all", show_default=True, help="Where to look.")
@click.option("--channel", metavar="ID", help="Only memories of this channel.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most, of each sort.")
@_placed
def search(
    *, query: str, scope: Any, channel: str | None, limit: int, db: str | None, state_dir: str | None, as_json: bool, now_ms: int
) -> None:
    """Find what holds a text, whatever its case: memories that are not expired, and what all channels know.

    Every character of QUERY means itself. Exit code 1 when there is nothing.
    """
    path, _ = _place(db, state_dir)
    with _copied(path, now_ms) as memory:
        found = memory.search(query, scope=scope, channel_id=_as_sessions_have_it(channel), limit=limit)
    if as_json:
        echo_json({"path": str(path), **msgspec.to_builtins(found)})
    else:
        rows = [
            [f"{one.importance}/10", one.memory_type, one.channel_id, format_ms_utc(one.created_ms), one.content] for one in found.memories
        ]
        rows += [[f"{one.confidence:.0%}", one.category, "all", format_ms_utc(one.updated_ms), one.content] for one in found.knowledge]
        if rows:
            echo_table([["weight", "sort", "channel", "when", "text"], *(list(map(_short, row)) for row in rows)], right=frozenset({0}))
        else:
            click.echo("nothing found", err=True)
    if not (found.memories or found.knowledge):
        raise click.exceptions.Exit(_NO_FINDINGS)


@command.command("briefing")
@click.argument("session_key")
@click.option("--channel", metavar="ID", help="The session's channel, where its key does not tell.")
@_placed
def briefing(*, session_key: str, channel: str | None, db: str | None, state_dir: str | None, as_json: bool, now_ms: int) -> None:
    """Print what a session would be told when it is opened, by the settings of the state folder.

    Exit code 1 when that is nothing.
    """
    from sessionlab.parallel import Session
    from sessionlab.parallel.briefing import from_database

    path, settings = _place(db, state_dir)
    known = _as_sessions_have_it(channel)
    with _copied(path, now_ms) as memory:
        if known is None:
            known = _channel_of(memory, session_key)
        if known is None:
            raise UsageError(f"{shown_key(session_key)}: this key does not tell a channel; name it with --channel")
        session = Session(session_key=session_key, channel_id=known)
        text = from_database(memory, session, settings.briefing) if settings.briefing.enabled else ""
    if as_json:
        echo_json({"path": str(path), "session_key": session_key, "channel": known, "enabled": settings.briefing.enabled, "briefing": text})
    elif text:
        click.echo("\n".join(map(on_one_line, text.split("\n"))))
    else:
        click.echo("nothing" if settings.briefing.enabled else "nothing: agent.parallelSessions.briefing.enabled is off", err=True)
    if not text:
        raise click.exceptions.Exit(_NO_FINDINGS)


@command.command("export")
@click.option("-o", "--output", metavar="FILE", help="Write it there, readable for you alone; else it is printed.")
@_placed
def export(*, output: str | None, db: str | None, state_dir: str | None, as_json: bool, now_ms: int) -> None:  # noqa: ARG001 - it is JSON anyway
    """Print everything as one JSON document, what is expired included: memories, knowledge, action items, persons, sessions asleep.

    Sessions that are awake stand under "awake" as they were when they woke, if they had slept before.
    """
    path, _ = _place(db, state_dir)
    file = output_file(output, "-o") if output is not None else None
    with _copied(path, now_ms) as memory:
        document = {
            "path": str(path),
            "memories": memory.memories(exclude_expired=False, limit=_EVERYTHING),
            "knowledge": memory.knowledge(limit=_EVERYTHING),
            "actions": memory.actions(limit=_EVERYTHING),
            "persons": memory.persons(limit=_EVERYTHING),
            "sessions": [
                msgspec.to_builtins(session) | {"context": context}
                for one in memory.sessions()
                for session, context in [memory.load_session(one.session_key) or (one, None)]
            ],
            "awake": [msgspec.to_builtins(session) | {"context": context} for session, context in memory.woken_sessions()],
        }
    if file is None:
        echo_json(msgspec.to_builtins(document))
        return
    from sessionlab.storage.files import replace_file

    replace_file(file, [msgspec.json.format(msgspec.json.encode({"schema_version": 1, **document}), indent=2), b"\n"])
    click.echo(f"{counted(len(document['memories']), 'memory')} and all else written to {on_one_line(str(file))}", err=True)


@command.command("expire")
@click.option("--dry-run", is_flag=True, help="Only say how many; a private copy is asked.")
@_placed
def expire(*, dry_run: bool, db: str | None, state_dir: str | None, as_json: bool, now_ms: int) -> None:
    """Remove memories whose time is over, for good.

    Reading leaves them out anyway. The file gets no smaller: their space is there for what comes.
    """
    path, _ = _place(db, state_dir)
    with (_copied if dry_run else _opened)(path, now_ms) as memory:
        number = memory.expire()
        left = memory.stats().channel_memory_count
    if as_json:
        echo_json({"path": str(path), "dry_run": dry_run, "removed": number, "left": left})
    else:
        would = "would be " if dry_run else ""
        click.echo(f"{counted(number, 'memory')} {would}removed, {format_count(left)} left")


def _place(db: str | None, state_dir: str | None) -> tuple[Path, ParallelSessionsSettings]:
    """Return the file that is meant, and the settings of its state folder; the defaults where there is none."""
    from sessionlab.parallel.opening import database_path
    from sessionlab.settings import ParallelSessionsSettings, load_settings

    if db is not None:
        if state_dir is not None:
            raise UsageError("give either --db or --state-dir, not both")
        return layout.expanded(Path(not_blank(db, "--db"))), ParallelSessionsSettings()
    folder = find_state_dir(Path(not_blank(state_dir, "--state-dir")) if state_dir is not None else None)
    settings = load_settings(folder).parallel_sessions
    return database_path(settings, folder), settings


@contextmanager
def _opened(path: Path, now_ms: int) -> Iterator[SharedMemory]:
    from sessionlab.parallel import SharedMemory
    from sessionlab.parallel.shared_memory import wall_clock_ms

    memory = SharedMemory(path, enable_wal=None, clock=lambda: now_ms or wall_clock_ms())
    try:
        with _advised():
            memory.initialize(create=False)
        yield memory
    finally:
        memory.close()


@contextmanager
def _copied(path: Path, now_ms: int) -> Iterator[SharedMemory]:
    from sessionlab.parallel.reading import private_copy_of
    from sessionlab.parallel.shared_memory import wall_clock_ms

    with _advised(), private_copy_of(path, clock=lambda: now_ms or wall_clock_ms()) as memory:
        yield memory


@contextmanager
def _advised() -> Iterator[None]:
    """Say with which option another file is named, when there is none: the library knows no options."""
    try:
        yield
    except NoStoreError as error:
        raise NoStoreError(error.path, error.reason, advice="name its file with --db, or the state folder with --state-dir") from error


def _as_sessions_have_it(channel: str | None) -> str | None:
    """Return a channel as the sessions of a manager name it (A.8)."""
    if channel is not None and not channel.strip():
        raise UsageError("--channel is blank: name a channel, such as telegram")
    return channel if channel is None else channel.strip().lower()


def _channel_of(memory: SharedMemory, session_key: str) -> str | None:
    """Return the channel of a session that is asleep, or as it was when it woke; else the one that its key tells."""
    stored = memory.load_session(session_key)
    known = stored[0] if stored is not None else next((one for one, _ in memory.woken_sessions() if one.session_key == session_key), None)
    return keys.parse(session_key).channel if known is None else known.channel_id


def _short(text: str) -> str:
    line = on_one_line(text)
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
