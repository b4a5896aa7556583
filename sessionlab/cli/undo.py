"""`sessionlab undo`: what a maintenance removed comes back, unless something newer took its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.moving import asked_maintenance, counted, echo_facts, shown_key
from sessionlab.cli.output import echo_json, json_option, not_blank, state_dir_option
from sessionlab.errors import NoStoreError, UsageError
from sessionlab.units import format_bytes, format_count, format_ms_utc

if TYPE_CHECKING:
    from sessionlab.maintenance.run_folder import MaintenanceRun
    from sessionlab.maintenance.run_records import Head
    from sessionlab.maintenance.undo import UndoReport
    from sessionlab.stores.location import StoreLocation

_SHOWN: Final = 20


@click.command("undo")
@click.argument("run")
@state_dir_option
@click.option("--store", metavar="PATH", help="Bring it back into this store, whichever the run was about.")
@click.option("--partly", is_flag=True, help="Bring back what can be read of an archive that is damaged.")
@json_option
def command(*, run: str, state_dir: str | None, store: str | None, partly: bool, as_json: bool) -> None:
    """Bring back what a maintenance removed: entries into the store, transcripts under their old names.

    RUN is the folder of a run, or its name in .sessionlab/runs of the state folder; 'sessionlab maintain' and 'sessionlab reap' print it.
    What is in the store by now under the same key, or lies under the same name, is left as it is; what was removed stays in the run's
    folder. Doing it twice does no harm. Files that were removed for good (archives that were too old, and what the disk budget asked for)
    are gone. In a state folder that was moved or copied, a run means the store that lies there; in a copy
    whose store lies outside of it, --store has to name the one that is meant.

    Exit codes: 0 everything is there again; 1 something is not, because something newer has its place or it was removed for good; 3 an
    archived transcript is gone that nobody told us of, or the run's folder cannot be read, or only partly; 10 no such run or store; 11
    locked.
    """
    from sessionlab.maintenance.undo import undo

    folder = asked_maintenance(run, state_dir)
    head = folder.head()
    location = _store_of(folder, head) if store is None else _named(store)
    report = undo(folder, location, partly=partly)
    if as_json:
        echo_json(_facts(folder, head, location, report))
    else:
        _echo(folder, head, location, report)
    code = 3 if report.lost or report.unreadable else 0 if _is_whole(report) else 1
    if code:
        raise click.exceptions.Exit(code)


def _store_of(run: MaintenanceRun, head: Head) -> StoreLocation:
    """Return where the store of a run lies now: its sessions may have moved to another kind.

    Raises:
        NoStoreError: It is gone.
        UsageError: The run's folder was copied: alone, so that the store that it means lies beside the original, or with all that lies
            beside it, and the store lies outside.
        StoreError: It cannot be read, or two stores both hold sessions.
    """
    from sessionlab.maintenance.run_place import refuse_of_the_original
    from sessionlab.migration.places import named_store
    from sessionlab.runs import RUNS
    from sessionlab.stores.authority import refuse_split

    try:
        location = named_store(Path(head.store_path))
    except NoStoreError as error:
        raise NoStoreError(error.path, error.reason, advice="put the store back where the maintenance found it") from error
    refuse_split(location)
    if run.root is not None:
        refuse_of_the_original(run.made(), run.root, location)
    own = Path(head.root) / RUNS / head.run_id
    if not own.exists() or not own.samefile(run.path):
        raise UsageError(f"{run.path}: is a copy of the run {own} of {location.path}; undo that one, if that store is meant")
    return location


def _named(store: str) -> StoreLocation:
    """Return the store that was named.

    Raises:
        NoStoreError: There is none.
        UsageError: It is OpenClaw's own database, or a folder with several.
        StoreError: It cannot be read, or two stores both hold sessions.
    """
    from sessionlab.migration.places import named_store
    from sessionlab.stores.authority import refuse_split

    location = named_store(Path(not_blank(store, "--store")))
    if location.kind == "openclaw":
        raise UsageError(f"{location.path}: is OpenClaw's own database, which is only read; name a store that was maintained with --store")
    refuse_split(location)
    return location


def _is_whole(report: UndoReport) -> bool:
    """Say whether everything that the maintenance removed is there again."""
    return not (report.newer or report.unstorable or report.unreadable or report.occupied or report.lost or report.gone)


def _echo(run: MaintenanceRun, head: Head, location: StoreLocation, report: UndoReport) -> None:
    is_whole = _is_whole(report)
    click.echo(f"{counted(report.restored, 'session')} restored" + ("" if is_whole else "; not everything came back"))
    gone = f"{counted(report.gone, 'file')} ({format_bytes(report.gone_bytes)}) removed for good by this maintenance or a later one"
    echo_facts(
        [
            ("run", str(run.path)),
            ("made", format_ms_utc(head.created_ms)),
            ("store", f"{location.path} (agent {head.agent_id})"),
            *([("unmarked", f"{counted(report.unmarked, 'entry')} not marked as archived any more")] if report.unmarked else []),
            ("transcripts", f"{format_count(report.renamed)} have their old names again"),
            *([("gone", gone)] if report.gone else []),
        ]
    )
    _echo_list(
        "newer", [shown_key(key) for key in report.newer], "another entry has this key by now; what was removed is in the run's folder"
    )
    why = "no store takes this entry, which has no session id or may not be stored for another reason; it is still in the run's folder"
    _echo_list("unstorable", [shown_key(key) for key in report.unstorable], why)
    _echo_list("unreadable", report.unreadable, "so the run's archive is damaged")
    _echo_list("occupied", report.occupied, "another file has this name by now; the old one keeps the name that it was archived under")
    _echo_list("lost", report.lost, "is not among the archived transcripts any more")


def _echo_list(word: str, names: list[str] | tuple[str, ...], why: str) -> None:
    for name in names[:_SHOWN]:
        click.echo(f"  {word:<12}  {on_one_line(name)}: {why}")
    if len(names) > _SHOWN:
        click.echo(f"  {'':<12}  and {format_count(len(names) - _SHOWN)} more; all of them are in --json")


def _facts(run: MaintenanceRun, head: Head, location: StoreLocation, report: UndoReport) -> dict[str, Any]:
    return {
        "success": _is_whole(report),
        "runDir": str(run.path),
        "storePath": str(location.path),
        "agentId": head.agent_id,
        "restored": report.restored,
        "newer": list(report.newer),
        "unstorable": list(report.unstorable),
        "unmarked": report.unmarked,
        "renamedFiles": report.renamed,
        "unreadable": list(report.unreadable),
        "occupied": list(report.occupied),
        "lost": list(report.lost),
        "goneFiles": report.gone,
        "goneBytes": report.gone_bytes,
    }
