"""`sessionlab info`, and what bare `sessionlab` says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from sessionlab import layout
from sessionlab.cli.asked import asked_place, asked_stores, path_argument
from sessionlab.cli.calling import as_called
from sessionlab.cli.careful import beside, oddities
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import agent_option, command_line, echo_json, echo_table, has_state_dir, json_option, state_dir_option
from sessionlab.errors import NoStoreError, SessionLabError, UnreadableError
from sessionlab.stores.locating import agents_without_store, find_state_dir, locate
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.units import format_bytes, format_count, format_ms_utc

_KINDS: Final = {
    "json": "sessions.json",
    "openclaw": "OpenClaw's SQLite store",
    "sqlite": "sessionlab's SQLite store",
    "directory": "directory store",
}


@click.command("info")
@path_argument
@state_dir_option
@agent_option
@json_option
def command(*, path: str | None, state_dir: str | None, agent: str | None, as_json: bool) -> None:
    """Say what stores lie at PATH: kind, sessions, bytes.

    PATH is a store file, an agent's folder or a state folder. Nothing is written. With --json the content fingerprint is included, for
    which every entry is read. A store that cannot be read does not hide the others; the exit code is then its own, and the JSON has no
    totals. That two stores of an agent disagree is a warning here, with the one named that was read.
    """
    folder = asked_place(path, state_dir)
    locations = asked_stores(folder, agent)
    stores, errors = _facts_of_all(locations, with_fingerprint=as_json)
    if errors and len(locations) == 1:
        raise errors[0]
    lost = agents_without_store(folder) if agent is None else ()
    if as_json:
        totals = {} if errors else _together(stores)
        echo_json({"path": str(folder), **totals, "stores": stores, "agents_without_store": lost})
    else:
        for store in stores:
            if "error" not in store:
                _echo(store)
        _echo_lost(lost)
        _echo_next(folder)
    for error in errors:
        click.echo(f"sessionlab: {as_called(with_next_step(error))}", err=True)
    if errors:
        raise click.exceptions.Exit(max(error.exit_code for error in errors))


def overview(*, as_json: bool) -> None:
    """Say which stores the usual state folder holds, how big they are and what to do next."""
    folder = layout.default_state_dir()
    try:
        locations = locate(find_state_dir())
    except (NoStoreError, UnreadableError) as error:
        if has_state_dir():
            if error.path != folder or error.advice.startswith("it is what"):
                raise
            # The usual advice is an option, which a command has and this does not.
            raise type(error)(folder, error.reason, advice=f"to look elsewhere: {command_line('info', 'PATH')}") from error
        if as_json:
            echo_json({"path": str(folder), "stores": []})
            return
        click.echo(f"No session stores found: {error.path}: {error.reason}.")
        click.echo(f"\nTo see a report without one:     {command_line('report')}")
        click.echo(f"In another folder:               {command_line('info', 'PATH')}")
        click.echo(f"All commands:                    {command_line('--help')}")
        return
    stores, _ = _facts_of_all(locations, with_fingerprint=False)
    lost = agents_without_store(folder)
    if as_json:
        echo_json({"path": str(folder), "stores": stores, "agents_without_store": lost})
        return
    click.echo(f"{folder} holds {len(stores)} session store{'s' if len(stores) != 1 else ''}:\n")
    rows = [
        [store["agent"], "cannot be read", "", "", store["error"]]
        if "error" in store
        else [
            store["agent"],
            f"{format_count(store['count'])} sessions",
            format_bytes(store["bytes"]),
            _KINDS[store["kind"]],
            store["path"],
        ]
        for store in stores
    ]
    echo_table(rows, right=frozenset({1, 2}), indent="  ")
    for store in stores:
        for warning in store.get("warnings", ()):
            click.echo(f"\n{store['path']}: {warning}")
    _echo_lost(lost)
    _echo_next(folder)


def _facts_of_all(locations: Sequence[StoreLocation], *, with_fingerprint: bool) -> tuple[list[dict[str, Any]], list[SessionLabError]]:
    """Return what is said about each store, and the errors of those that cannot be read."""
    stores, errors = [], []
    for location in locations:
        try:
            stores.append(_facts(location, with_fingerprint=with_fingerprint))
        except SessionLabError as error:
            stores.append({"agent": location.agent_id, "kind": location.kind, "path": str(location.path), "error": with_next_step(error)})
            errors.append(error)
    return stores, errors


def _facts(location: StoreLocation, *, with_fingerprint: bool) -> dict[str, Any]:
    """Return what is said about one store."""
    with open_at(location) as store:
        newest = next((summary.updated_ms for summary in store.summaries()), None)
        stats = store.stats()
        facts: dict[str, Any] = {
            "agent": location.agent_id,
            "kind": stats.kind,
            "path": str(location.path),
            "count": stats.sessions,
            "bytes": stats.store_bytes,
            "newest_ms": newest,
            "format_version": stats.schema_version,
            "app_version": stats.app_version,
            "snapshot_method": store.snapshot_method,
            "warnings": oddities(store, stats.sessions),
        }
        if with_fingerprint:
            facts["fingerprint"] = store.fingerprint().sha256
    if location.rivals:
        facts["second_store"] = str(location.rivals[0].path)
        found = beside(location)
        facts["warnings"] = [*found.warnings, *facts["warnings"]]
        facts["beside"] = list(found.others)
    if location.note:
        facts["note"] = location.note
    return facts


def _together(stores: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the facts of all stores as one; the fingerprint of several is taken over (agent, fingerprint), ordered by agent."""
    if len(stores) == 1:
        return {name: stores[0][name] for name in ("kind", "count", "bytes", "fingerprint")}
    import hashlib  # a few milliseconds that the common case need not pay

    kinds = {store["kind"] for store in stores}
    listing = "".join(f"{store['agent']}\0{store['fingerprint']}\n" for store in sorted(stores, key=lambda store: str(store["agent"])))
    return {
        "kind": kinds.pop() if len(kinds) == 1 else "mixed",
        "count": sum(store["count"] for store in stores),
        "bytes": sum(store["bytes"] for store in stores),
        "fingerprint": hashlib.sha256(listing.encode()).hexdigest(),
    }


def _echo(store: dict[str, Any]) -> None:
    writer = f", written by {store['app_version']}" if store["app_version"] is not None else ""  # sessionlab's own do not say
    version = f"{writer}, schema {store['format_version']}" if store["format_version"] is not None else ""
    click.echo(store["path"])
    rows = [
        ["agent", store["agent"]],
        ["kind", f"{_KINDS[store['kind']]}{version}"],
        ["sessions", format_count(store["count"])],
        ["bytes", f"{format_bytes(store['bytes'])} ({format_count(store['bytes'])})"],
        ["newest", format_ms_utc(store["newest_ms"]) if store["newest_ms"] is not None else "unknown"],
        ["read by", store["snapshot_method"]],
    ]
    rows += [["beside it", other] for other in store.get("beside", ())]
    rows += [["careful", warning] for warning in (*store["warnings"], *([store["note"]] if "note" in store else []))]
    echo_table(rows, indent="  ")


def _echo_lost(agents: Sequence[str]) -> None:
    if agents:
        click.echo(f"\nTranscripts, but no session store, of: {', '.join(agents)}. Restore their sessions.json from a backup.")


def _echo_next(folder: Path) -> None:
    command = command_line("report", "growth", "--state-dir", folder, "-o", "growth.html")
    click.echo(f"\nHow it grows, what makes it big, what to do about it:\n  {command}")
