"""`sessionlab get`: one session's entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, NoReturn

import click

from sessionlab import codec, keys
from sessionlab.cli.asked import asked_place, asked_stores, end_with, on_one_line, opened, path_argument
from sessionlab.cli.output import agent_option, command_line, echo_json, json_option, state_dir_option
from sessionlab.entry import Entry
from sessionlab.errors import InvalidJSONError, SessionLabError, UsageError
from sessionlab.stores.base import SessionStore
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.writing import WritableStore, age_ms

_SHOWN: Final = 3
_COMPARED: Final = 5_000
"""How many keys, the newest, are compared letter by letter with one that is unknown: that takes a quarter of a second."""


class NoSessionError(SessionLabError):
    """No store at hand holds the session that is asked for, or its entry lacks a field."""


class _Hit(NamedTuple):
    location: StoreLocation
    key: str
    entry: Entry


@click.command("get")
@click.argument("key")
@path_argument
@state_dir_option
@agent_option
@click.option("--field", "fields", multiple=True, metavar="NAME", help="Only this field of the entry; repeatable.")
@json_option
def command(*, key: str, path: str | None, state_dir: str | None, agent: str | None, fields: tuple[str, ...], as_json: bool) -> None:
    """Print the entry of the session KEY, as JSON and nothing else.

    It is printed as OpenClaw writes it: two-space indent, fields in their order. With --json it comes with agent, key, store and the
    store's kind around it. Upper case and blanks around KEY do not matter; of several spellings in a store the one that KEY has counts,
    else the newest. PATH is a store, an agent's folder or a state folder; without --agent every store there is asked. Nothing is written.
    """
    if not key.strip():
        raise UsageError(f"KEY is blank: name a session, as '{command_line('list')}' shows them")
    place = asked_place(path, state_dir)
    locations = asked_stores(place, agent)
    hits, errors = _look(locations, key)
    if len(hits) > 1:
        names = ", ".join(hit.location.agent_id for hit in hits)
        raise UsageError(f"{place}: session {_quoted(key)} is in the stores of {names}; name one with --agent")
    if not hits:
        if errors:
            _refuse(errors)
        _refuse_other(locations, key)
        raise NoSessionError(f"{place}: there is no session {_quoted(key)}; {_nearest(locations, key)}")
    (hit,) = hits
    entry = _chosen(hit, fields)
    if as_json:
        where = {"agent": hit.location.agent_id, "key": hit.key, "store": str(hit.location.path), "kind": hit.location.kind}
        echo_json({**where, "entry": entry})
    else:
        click.echo(codec.encode_indented(entry))
    if errors:
        end_with(errors)


def _look(locations: Sequence[StoreLocation], key: str) -> tuple[list[_Hit], list[SessionLabError]]:
    """Look for a session in every store: what was found, and the errors of the stores that cannot be read."""
    hits: list[_Hit] = []
    errors: list[SessionLabError] = []
    for location in locations:
        try:
            with opened(location) as store:
                hits += [_Hit(location, stored, entry) for stored, entry in _found(store, key)]
        except SessionLabError as error:
            errors.append(error)
    return hits, errors


def _found(store: SessionStore, key: str) -> list[tuple[str, Entry]]:
    """Return the session of a store with its key: as it is spelled, else the newest of several spellings; nothing when there is none."""
    normal = keys.normalise(key)
    if isinstance(store, WritableStore):  # looks every spelling up itself, and reads no other session
        entry = store.get(key) if keys.refusal(normal) is None else None
        return [(normal, entry)] if entry is not None else []
    spellings = [
        (stored, _decoded(store, stored, raw))
        for stored, raw in store.raw_items()  # one pass; asking for the keys, then for the entry takes two
        if keys.normalise(stored) == normal
    ]
    exact = [found for found in spellings if found[0] == key]
    return exact or sorted(spellings, key=lambda found: age_ms(*found))[-1:]


def _decoded(store: SessionStore, key: str, raw: bytes) -> Entry:
    try:
        return codec.decode_entry(raw, path=store.path, key=key)
    except InvalidJSONError:
        store.get(key)  # which names the line, too
        raise


def _refuse(errors: Sequence[SessionLabError]) -> NoReturn:
    """Fail with the errors of the stores in which the session may be for all we know, the worst last."""
    *others, worst = sorted(errors, key=lambda error: error.exit_code)
    for error in others:
        click.echo(f"sessionlab: {error}", err=True)
    raise worst


def _refuse_other(locations: Sequence[StoreLocation], key: str) -> None:
    """Fail where a store has the name, and what it holds under it is no session."""
    normal = keys.normalise(key)
    for location in locations:
        with opened(location) as store:
            left_out = store.left_out() if isinstance(store, JSONFileStore) else ()
        for name in left_out:
            if keys.normalise(name) == normal:
                advice = f"what is wrong with it: {command_line('check', location.path)}"
                raise NoSessionError(f"{location.path}: what it holds under {_quoted(name)} is no session; {advice}")


def _chosen(hit: _Hit, fields: Sequence[str]) -> Entry:
    """Return the entry, or only the fields that are asked for, in its own order."""
    unknown = [name for name in fields if name not in hit.entry]
    if unknown:
        named = ", ".join(map(repr, unknown))
        known = ", ".join(map(on_one_line, hit.entry))
        raise NoSessionError(f"{hit.location.path}: session {_quoted(hit.key)} has no field {named}; it has {known or 'none'}")
    return {name: value for name, value in hit.entry.items() if name in fields} if fields else hit.entry


def _nearest(locations: Sequence[StoreLocation], key: str) -> str:
    """Name the sessions that may be meant: the one of that session id, those whose key has the text in it, those that look like it."""
    from difflib import get_close_matches  # 7 ms that only a mistake pays

    normal = keys.normalise(key)
    known: list[str] = []
    meant: list[str] = []
    for location in locations:
        with opened(location) as store:
            for summary in store.summaries():
                known.append(summary.key)
                if normal == (summary.session_id or "").lower():
                    meant.append(summary.key)
    with_it = [name for name in known if normal in keys.normalise(name)]
    meant += sorted(with_it, key=lambda name: (not keys.normalise(name).endswith(f":{normal}"), len(name)))[:_SHOWN]
    meant += get_close_matches(normal, known[:_COMPARED], n=_SHOWN)
    nearest = list(dict.fromkeys(meant))[:_SHOWN]
    every = f"'{command_line('list')}' shows all"
    return f"nearest: {', '.join(map(_quoted, nearest))}; {every}" if nearest else every


def _quoted(key: str) -> str:
    return f"'{on_one_line(key)}'"
