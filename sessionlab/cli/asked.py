"""What the commands about stores share: which stores are asked, one after the other, and what is said of those that cannot be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import click

from sessionlab import layout
from sessionlab.cli.calling import as_called
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import not_blank
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import SessionStore
from sessionlab.stores.locating import find_state_dir, locate, only
from sessionlab.stores.location import StoreLocation, open_at

path_argument = click.argument("path", required=False)


def asked_place(path: str | None, state_dir: str | None) -> Path:
    """Return where to look for stores: PATH, else `--state-dir`, else the usual state folder.

    Raises:
        UsageError: Both are given, or the one given is blank.
        NoStoreError: The state folder does not exist.
    """
    if path is not None and state_dir is not None:
        raise UsageError("give either PATH or --state-dir, not both")
    if path is not None:
        return layout.expanded(Path(not_blank(path, "PATH")))
    return find_state_dir(Path(not_blank(state_dir, "--state-dir")) if state_dir is not None else None)


def asked_stores(place: Path, agent: str | None) -> tuple[StoreLocation, ...]:
    """Return the stores that lie at a place, ordered by agent: all, or that of one agent.

    Raises:
        NoStoreError: There is none, or none of that agent; the message names the agents there are.
        StoreError: As `locate`.
    """
    locations = locate(place)
    return locations if agent is None else (only(locations, place, agent=agent),)


def one_store(locations: Sequence[StoreLocation], place: Path, *, agent: str | None) -> StoreLocation:
    """Return the one store that is meant.

    Raises:
        UsageError: There are several, and no agent is named.
        NoStoreError: There is none of that agent.
    """
    if agent is None and len(locations) > 1:
        names = ", ".join(location.agent_id for location in locations)
        raise UsageError(f"{place}: holds the stores of {len(locations)} agents; name one with --agent: {names}")
    return only(locations, place, agent=agent)


@contextlib.contextmanager
def opened(location: StoreLocation) -> Iterator[SessionStore]:
    """Open the store at a location, unless another one of the agent holds sessions, too.

    Raises:
        SplitStoreError: Naming both.
        StoreError: As `open_at`.
    """
    refuse_split(location)
    with open_at(location) as store:
        yield store


def end_with(errors: Sequence[SessionLabError], *, code: int = 0) -> NoReturn:
    """Say each error in a line of its own on stderr; exit with the highest code of them all, and of `code`."""
    for error in errors:
        click.echo(f"sessionlab: {as_called(with_next_step(error))}", err=True)
    raise click.exceptions.Exit(max([code, *(error.exit_code for error in errors)]))


def on_one_line(text: str) -> str:
    """Return a text from a store as it can be shown: what would move a terminal's cursor or colour it is written as a code."""
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
