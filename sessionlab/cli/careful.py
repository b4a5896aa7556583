"""What a command says of a store besides its answer: that another one disagrees with it, or that not all that lies in it was read.

None of it is an error of the command; each line says what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.output import command_line
from sessionlab.errors import StoreError
from sessionlab.stores.authority import split_rivals
from sessionlab.stores.base import SessionStore
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.locating import locate
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.units import format_count

if TYPE_CHECKING:
    import duckdb

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside the store that counts.

    Attributes:
        warnings: Of stores that hold sessions nobody has accounted for, one line each, and of those that cannot be read.
        others: The other stores, each with why it need not worry anybody.
    """

    warnings: tuple[str, ...]
    others: tuple[str, ...]


def beside(location: StoreLocation) -> Beside:
    """Look at the other stores of an agent; none of them is an error here."""
    if not location.rivals:
        return Beside((), ())
    try:
        disagreeing = split_rivals(location)
        with open_at(location) as store:
            count = store.count()
        warnings = tuple(_disagreement(location, count, rival, number) for rival, number in disagreeing)
        known = {rival.path for rival, _ in disagreeing}
        others = tuple(_harmless(rival) for rival in location.rivals if rival.path not in known)
    except StoreError as error:
        return Beside((f"whether the stores beside it disagree with it cannot be said: {error}",), ())
    return Beside(warnings, others)


def oddities(store: SessionStore, count: int) -> list[str]:
    """Return what of a store was left out without being an error, and why it may be empty.

    Args:
        store: The store, open.
        count: How many sessions it has.
    """
    left_out = store.left_out() if isinstance(store, JSONFileStore) else ()
    if left_out:
        names = ", ".join(f"'{on_one_line(key)}'" for key in left_out[:_SHOWN])
        more = f" and {format_count(len(left_out) - _SHOWN)} more" if len(left_out) > _SHOWN else ""
        is_one = len(left_out) == 1
        what = "one member is no session and was left out" if is_one else f"{len(left_out)} members are no sessions and were left out"
        return [f"{what}: {names}{more}; what is wrong with {'it' if is_one else 'them'}: {command_line('check', store.path)}"]
    # That a store has no session at all deserves a second look, which costs nothing then.
    return [f"{found.message}; {found.advice}" for found in store.check()] if count == 0 else []


def disagreements(path: Path, agent: str | None) -> list[str]:
    """Return a line for each store that disagrees with one that a command has read at a path; unreadable ones are left to that."""
    locations = [location for location in locate(path) if agent in (None, location.agent_id)]
    return [f"{location.path}: {warning}" for location in locations for warning in beside(location).warnings]


def disagreements_in(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the same of a mirror, as it was when that was made."""
    from sessionlab.lab import queries

    rows: Iterable[dict[str, Any]] = queries.as_rows(con, "problems")
    return [f"{row['path']}: {row['message']}; {row['advice']}" for row in rows if row["code"] == "split_store"]


def echo_warnings(warnings: Sequence[str]) -> None:
    """Say each on stderr, in a line of its own."""
    for warning in warnings:
        click.echo(f"sessionlab: careful: {on_one_line(warning)}", err=True)


def _disagreement(location: StoreLocation, count: int, rival: StoreLocation, number: int) -> str:
    why = ", though it has been written since the sessions moved" if location.is_promoted else ", and nothing says which of them counts"
    return (
        f"two stores disagree: this one was read ({_sessions(count)}), {rival.path} was not ({_sessions(number)}){why}; "
        f"compare them: {command_line('verify', rival.path, location.path)}; then move the one that does not count out of the folder"
    )


def _harmless(rival: StoreLocation) -> str:
    with open_at(rival) as store:
        count = store.count()
    return f"{rival.path} ({'as the migration left it, not written since' if count else 'holds no sessions'})"


def _sessions(number: int) -> str:
    return f"{format_count(number)} session{'' if number == 1 else 's'}"
