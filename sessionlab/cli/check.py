"""`sessionlab check`: what is wrong with stores, each read strictly from its first byte to its last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import msgspec

from sessionlab import layout
from sessionlab.cli.asked import asked_place, asked_stores, end_with, on_one_line, path_argument
from sessionlab.cli.calling import as_called
from sessionlab.cli.next_step import next_step
from sessionlab.cli.output import agent_option, command_line, echo_json, json_option, state_dir_option
from sessionlab.errors import SessionLabError, SplitStoreError, StoreError
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import Fingerprint, Problem
from sessionlab.stores.locating import agents_without_store
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.units import format_count

_NO_STORE_AT_ALL: Final = frozenset({"invalid_store", "damaged_database"})
"""Findings that say that the whole is not what it claims to be, rather than something in it."""


class _Checked(NamedTuple):
    """What came of reading one store: its number of sessions, if that can be said, its fingerprint, if nothing in it is broken."""

    location: StoreLocation
    problems: tuple[Problem, ...]
    sessions: int | None
    fingerprint: Fingerprint | None
    errors: list[SessionLabError]

    @property
    def is_sound(self) -> bool:
        """Say whether there is nothing to find but infos."""
        return not self.errors and all(problem.severity == "info" for problem in self.problems)


@click.command("check")
@path_argument
@state_dir_option
@agent_option
@json_option
def command(*, path: str | None, state_dir: str | None, agent: str | None, as_json: bool) -> None:
    """Read the stores at PATH strictly and list what is wrong with them, the worst first.

    PATH is a store, an agent's folder or a state folder. Every store is read to its end, and nothing is written. For each, the number of
    sessions is said, and, unless something in it is broken, the fingerprint of its contents. What is found is the answer, and goes to
    stdout, what keeps a store from being read, too.

    Exit code: 0 sound (an info is no fault), 1 warnings or errors inside, 3 a store that is not what it claims to be, 4 two stores of one
    agent that both hold sessions, 10 none, or one that the system does not let us read, 12 an unknown format version; of several the
    highest.
    """
    place = asked_place(path, state_dir)
    locations = asked_stores(place, agent)
    lost_agents = agents_without_store(place) if agent is None else ()
    lost = _lost(place, lost_agents)
    stores: list[_Checked] = []
    for location in locations:
        if stores and not as_json:
            click.echo()
        stores.append(_checked(location))
        if not as_json:
            _echo(stores[-1])
    is_sound = not lost and all(store.is_sound for store in stores)
    if as_json:
        answer = {"path": str(place), "is_sound": is_sound, "stores": [_row(store) for store in stores]}
        echo_json({**answer, "agents_without_store": lost_agents})
    elif lost:
        click.echo()
        _echo_problems(lost)
    problems = [*lost, *(problem for store in stores for problem in store.problems)]
    code = 0 if is_sound else 3 if any(problem.code in _NO_STORE_AT_ALL for problem in problems) else 1
    errors = [error for store in stores for error in store.errors]
    if as_json:
        end_with(errors, code=code)
    raise click.exceptions.Exit(max([code, *(error.exit_code for error in errors)]))


def _checked(location: StoreLocation) -> _Checked:
    """Read one store; whatever keeps that from being done is part of the answer."""
    errors: list[SessionLabError] = []
    problems: tuple[Problem, ...] = ()
    sessions: int | None = None
    fingerprint: Fingerprint | None = None
    try:
        refuse_split(location)
    except SessionLabError as error:
        errors.append(error)
    try:
        with open_at(location) as store:
            problems = store.check()
            if all(problem.severity != "error" for problem in problems):
                fingerprint = store.fingerprint()
                sessions = fingerprint.count
            elif not any(problem.code in _NO_STORE_AT_ALL for problem in problems):
                sessions = store.count()
    except SessionLabError as error:
        if str(error) not in map(str, errors):  # the first step may have met it already
            errors.append(error)
    return _Checked(location, problems, sessions, fingerprint, errors)


def _lost(place: Path, agents: Sequence[str]) -> tuple[Problem, ...]:
    """Return what is wrong with the agents of a state folder that have transcripts but no store."""
    return tuple(
        Problem(
            code="agent_without_store",
            severity="error",
            message=f"agent {agent_id} has transcripts and no session store",
            path=str(layout.agents_dir(place) / agent_id),
            advice="restore its sessions.json or database from a backup",
        )
        for agent_id in agents
    )


def _row(store: _Checked) -> dict[str, Any]:
    return {
        "agent": store.location.agent_id,
        "kind": store.location.kind,
        "path": str(store.location.path),
        "is_sound": store.is_sound,
        "sessions": store.sessions,
        "fingerprint": store.fingerprint.sha256 if store.fingerprint is not None else None,
        "problems": [{**msgspec.to_builtins(problem), "advice": _advice(problem)} for problem in store.problems],
        "errors": [str(error) for error in store.errors],
    }


def _echo(store: _Checked) -> None:
    click.echo(f"{store.location.path} (agent {store.location.agent_id})")
    for error in store.errors:
        _echo_error(error, store.location.path)
    _echo_problems(store.problems, store=store.location.path)
    click.echo(f"  {_verdict(store)}")


def _verdict(store: _Checked) -> str:
    """Return the last line about a store: how much was read, and what came of it."""
    read = f"{format_count(store.sessions)} session{'' if store.sessions == 1 else 's'}" if store.sessions is not None else "unreadable"
    faults = _counted(store)
    if store.fingerprint is None:
        return f"{read}: {faults}"
    return f"{read} read, {faults or 'sound'}; fingerprint {store.fingerprint.sha256}"


def _counted(store: _Checked) -> str:
    """Return the faults of a store in numbers, the worst first: as many as lines were said, one of which may be about several sessions."""
    counts: Counter[str] = Counter()
    counts["error"] += len(store.errors)
    counts.update(problem.severity for problem in store.problems)
    words = (
        f"{format_count(counts[severity])} {severity}{'' if counts[severity] == 1 else 's'}"
        for severity in ("error", "warning")
        if counts[severity]
    )
    return ", ".join(words)


def _echo_error(error: SessionLabError, store: Path) -> None:
    """Print what keeps a store from being read, or from being the only one, as the findings are printed."""
    what, advice = str(error), ""
    if isinstance(error, StoreError):
        place = error.path if isinstance(error, SplitStoreError) else store
        what = what.removeprefix(f"{place}: ").removesuffix(f"; {error.advice}")
        advice = as_called(error.advice) or next_step(error.reason)
    if isinstance(error, SplitStoreError):
        compared = command_line("verify", error.first, error.second)
        advice = f"compare them: {compared}; then move the one that does not count out of the folder"
    click.echo(on_one_line(f"  {'error':<8} {what}"))
    if advice:
        click.echo(on_one_line(f"  {'':<8} -> {advice}"))


def _echo_problems(problems: Iterable[Problem], *, store: Path | None = None) -> None:
    """Print problems, each in a line of its own, with one line of advice after all those that share it."""
    for (severity, _, advice), group in groupby(problems, key=lambda problem: (problem.severity, problem.code, _advice(problem))):
        for problem in group:
            click.echo(f"  {severity:<8} {_worded(problem, store)}")
        if advice:
            click.echo(f"  {'':<8} -> {advice}")


def _advice(problem: Problem) -> str:
    """Return what to do next; of a store that is damaged as a whole that depends on the damage."""
    return as_called(problem.advice) or (next_step(problem.message) if problem.code in _NO_STORE_AT_ALL else "")


def _worded(problem: Problem, store: Path | None) -> str:
    """Return where a problem lies, unless that is the store as a whole, and what it is."""
    places = [problem.path] if problem.path is not None and problem.path != str(store) else []
    places += [f"line {problem.line}"] if problem.line is not None else []
    places += [problem.key] if problem.key and repr(problem.key) not in problem.message else []
    count = f" ({format_count(problem.count)})" if problem.count > 1 else ""
    return on_one_line(": ".join([*places, problem.message]) + count)
