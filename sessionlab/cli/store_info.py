"""`sessionlab store-info`: which kind of store is configured, which one lies there, and where (openclaw#58550).

Deviations from that proposal: nothing falls back in silence. Without a SQLite driver the effective type stays that of what lies there
(B.16), and a configuration that cannot be read is an error (B.17). Sessions are counted in a JSON store, too (B.40).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from sessionlab import layout
from sessionlab.cli.asked import asked_place, one_store, opened, path_argument
from sessionlab.cli.careful import oddities
from sessionlab.cli.output import agent_option, echo_json, echo_table, json_option, not_blank, state_dir_option
from sessionlab.errors import UnreadableError, UsageError
from sessionlab.settings import StoreSettings
from sessionlab.stores.locating import locate, places, settings_of
from sessionlab.stores.location import StoreKind, StoreLocation
from sessionlab.units import format_count

_NAMES: Final[dict[StoreKind, str]] = {"json": "JSON", "sqlite": "SQLite", "directory": "Directory", "openclaw": "OpenClaw"}


@click.command("store-info")
@path_argument
@state_dir_option
@click.option("--store", "store_file", metavar="FILE", help="This store, instead of PATH and --agent.")
@agent_option
@json_option
def command(*, path: str | None, state_dir: str | None, store_file: str | None, agent: str | None, as_json: bool) -> None:
    """Say which kind of store is configured for an agent, which kind lies there, and where.

    PATH is a store, an agent's folder or a state folder; of several agents name one with --agent. The configured type is that of
    session.storeType in the state folder's openclaw.json; the effective type is what lies there (json, sqlite, directory, or openclaw for
    OpenClaw's own SQLite store), and nothing is converted or passed over in silence: two stores that both hold sessions are an error, exit
    code 4. Nothing is written.
    """
    if store_file is not None and not (path is None and state_dir is None and agent is None):
        raise UsageError("--store names the one store: leave PATH, --state-dir and --agent out")
    place = layout.expanded(Path(not_blank(store_file, "--store"))) if store_file is not None else asked_place(path, state_dir)
    try:
        settings = settings_of(place)
        location = one_store(locate(place, settings=settings), place, agent=agent)
        if store_file is not None and location.path != place:
            raise UsageError(f"--store {place}: is a folder that holds a store; give it as PATH")
        with opened(location) as store:
            sessions = store.count()
            warnings = oddities(store, sessions)
    except ImportError as error:
        if error.name not in ("sqlite3", "_sqlite3"):
            raise
        raise UnreadableError(place, "holds a SQLite store, and this Python has no sqlite3", advice="use a Python that has it") from error
    facts = _facts(location, settings, sessions, warnings)
    if as_json:
        echo_json(facts)
    else:
        _echo(facts, location, settings)


def _is_sqlite_available() -> bool:
    """Say whether SQLite works: the driver is imported as the stores import it, and opens a database (B.15)."""
    try:
        import sqlite3
    except ImportError:
        return False
    try:
        sqlite3.connect(":memory:").close()
    except sqlite3.Error:
        return False
    return True


def _facts(location: StoreLocation, settings: StoreSettings, sessions: int, warnings: list[str]) -> dict[str, Any]:
    """Return what is said, in the names of B.40; a path besides `jsonPath` is only there when it is that of the store that lies there."""
    return {
        "agentId": location.agent_id,
        "storeType": settings.store_type or "json",
        "effectiveStoreType": location.kind,
        "sqliteAvailable": _is_sqlite_available(),
        "sessionCount": sessions,
        "jsonPath": str(_json_path(location, settings)),
        **({f"{location.kind}Path": str(location.path)} if location.kind != "json" else {}),
        **({"note": location.note} if location.note else {}),
        **({"warnings": warnings} if warnings else {}),
    }


def _json_path(location: StoreLocation, settings: StoreSettings) -> Path:
    """Return where the agent's JSON store lies, or would; ours lie beside it under the same name (B.1)."""
    match location.kind:
        case "json":
            return location.path
        case "openclaw":
            configured = settings.store_path(location.agent_id, home=Path("~"))
            return layout.expanded(configured) if configured is not None else location.sessions_dir / layout.JSON_STORE
        case _:
            return places(location)["json"]


def _echo(facts: dict[str, Any], location: StoreLocation, settings: StoreSettings) -> None:
    json_path = Path(facts["jsonPath"])
    paths = places(StoreLocation(location.agent_id, "json", json_path, json_path.parent)) | {location.kind: location.path}
    rows = [
        ["Agent", location.agent_id],
        ["Configured Type", settings.store_type or "json (by default)"],
        ["Effective Type", location.kind],
        ["SQLite Available", "yes" if facts["sqliteAvailable"] else "no"],
        ["Session Count", format_count(facts["sessionCount"])],
        *([f"{_NAMES[kind]} Path", _shown(path)] for kind, path in paths.items()),
        *([["Careful", location.note]] if location.note else []),
        *(["Careful", warning] for warning in facts.get("warnings", ())),
    ]
    echo_table(rows)


def _shown(path: Path) -> str:
    """Return a path, with a word when nothing lies there: each is said, so that a second store is seen."""
    return str(path) if os.path.lexists(path) else f"{path} (not there)"
