"""`sessionlab audit`: whether what a migration's folder says agrees with itself, and still holds of the store that it made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.moving import asked_run, counted, echo_facts, shown_key, way_back
from sessionlab.cli.output import echo_json, json_option, state_dir_option
from sessionlab.units import format_bytes, format_count, format_ms_utc

if TYPE_CHECKING:
    from sessionlab.migration.audit import Audit, Change, Verdict

_CODES: Final[dict[Verdict, int]] = {"holds": 0, "moved-on": 1, "gone": 3, "contradictory": 3}
_WORDS: Final[dict[Verdict, str]] = {
    "holds": "HOLDS: every session that the run moved is in the store, as it was moved",
    "moved-on": "MOVED ON: the store is not as the run left it any more",
    "gone": "GONE: the store that the run made is not there any more, and no later run has moved it",
    "contradictory": "DOES NOT HOLD: the run's folder contradicts itself, or the run did not come to its end",
}
_SHOWN: Final = 20


@click.command("audit")
@click.argument("run")
@state_dir_option
@json_option
def command(*, run: str, state_dir: str | None, as_json: bool) -> None:
    """Say whether what a migration proved still holds.

    RUN is the folder of a run, or its name in .sessionlab/runs of the state folder, or of the folder that an export made. The report is
    computed again from the plan, the manifest and the events, and compared with report.json and with the store that the run made; of an
    export its other files are compared with their digests, too. Sessions that came, changed or went since are named by key and digest.
    Nothing is written.

    Exit codes: 0 it holds (sessions may have been added); 1 the store has moved on: what the run moved is changed, gone, or lies elsewhere;
    3 that store is gone, the folder's files contradict each other, or the run did not come to its end; 10 no such run.
    """
    from sessionlab.migration.audit import audit_run

    found = audit_run(asked_run(run, state_dir).path)
    if as_json:
        echo_json(_facts(found))
    else:
        _echo(found)
    if found.verdict != "holds":
        raise click.exceptions.Exit(_CODES[found.verdict])


def _facts(found: Audit) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(found)
    return {"holds": found.verdict == "holds", **facts}


def _echo(found: Audit) -> None:
    report = found.report
    click.echo(_WORDS[found.verdict])
    actions = ", ".join(f"{number} {action}" for action, number in report.actions.items())
    now = "cannot be read" if found.sessions_now is None else counted(found.sessions_now, "session")
    since = (
        f"{format_count(len(found.added))} added, {format_count(len(found.changed))} changed, {format_count(len(found.removed))} removed"
    )
    echo_facts(
        [
            ("run", found.run_dir),
            ("planned", format_ms_utc(report.created_ms)),
            ("from", f"{report.source.path} ({report.source.kind}), {counted(report.source.sessions, 'entry')}"),
            ("to", f"{report.target_path} ({report.target_kind})"),
            ("moved", f"{counted(report.sessions, 'session')}, {format_bytes(report.bytes)}: {actions or 'none'}"),
            ("sha256", report.sha256),
            ("now", f"{now}: {since}"),
            *(
                [("files", f"{counted(found.files, 'file')} beside it: {format_count(len(found.files_changed))} changed or gone")]
                if found.files
                else []
            ),
            *(("contradicts", text) for text in found.contradictions),
            *(("note", text) for text in found.notes),
        ]
    )
    for word, changes in (("added", found.added), ("changed", found.changed), ("removed", found.removed)):
        _echo_changes(word, changes)
    for name in found.files_changed[:_SHOWN]:
        click.echo(on_one_line(f"  {'file':<12}  {name}"))
    _echo_more(len(found.files_changed))
    if found.can_go_back:
        click.echo(f"To roll back: {way_back(Path(found.run_dir))}")


def _echo_changes(word: str, changes: Sequence[Change]) -> None:
    for one in changes[:_SHOWN]:
        digests = " -> ".join(digest for digest in (one.then, one.now) if digest)
        click.echo(on_one_line(f"  {word:<12}  {shown_key(one.key)}  {digests}"))
    _echo_more(len(changes))


def _echo_more(number: int) -> None:
    if number > _SHOWN:
        click.echo(f"  {'':<12}  and {format_count(number - _SHOWN)} more; all of them are in --json")
