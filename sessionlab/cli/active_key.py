"""`--active-key`: which entry of which store is the session that is being talked in, found before anything is done to any of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessionlab import keys
from sessionlab.cli.moving import shown_key
from sessionlab.cli.output import command_line
from sessionlab.errors import StoreError, UsageError
from sessionlab.stores.location import StoreLocation, open_at

_OF_NO_AGENT: Final = frozenset({"global", "unknown"})


def active_keys(locations: Iterable[StoreLocation], text: str) -> dict[StoreLocation, str]:
    """Return the active session's key, normalised, for each store that holds it in whatever spelling.

    A key without `agent:` is one of the store's own agent, as OpenClaw takes it; where an old store holds both forms, the one that was
    updated last is talked in.

    Args:
        locations: The stores that are to be looked after.
        text: What was given.

    Raises:
        UsageError: It is blank or no key, or no store holds it.
        StoreError: No store that can be read holds it, and one cannot be read.
    """
    reason = keys.refusal(text)
    if reason is not None:
        raise UsageError(f"--active-key {shown_key(text)!r}: {reason}; give a session's key, such as agent:main:main")
    given = keys.normalise(text)
    found: dict[StoreLocation, str] = {}
    unread: list[StoreError] = []
    looked = []
    for location in locations:
        if location.kind == "openclaw":
            continue
        looked.append(str(location.path))
        try:
            key = _held(location, {given, _completed(given, location.agent_id)})
        except StoreError as error:
            unread.append(error)
            continue
        if key is not None:
            found[location] = key
    if found or not looked:
        return found
    if unread:
        raise unread[0]
    where = looked[0] if len(looked) == 1 else f"any of these {len(looked)} stores"
    raise UsageError(f"--active-key {shown_key(text)}: there is no such session in {where}; {command_line('list')} shows the keys")


def _completed(key: str, agent_id: str) -> str:
    return key if keys.parse(key).agent_id is not None or key in _OF_NO_AGENT else f"agent:{agent_id}:{key}"


def _held(location: StoreLocation, wanted: set[str]) -> str | None:
    """Return which of these normalised keys the store holds, the one updated last of several; `None` when it holds none."""
    with open_at(location) as store:
        there = [(one.updated_ms or 0, keys.normalise(one.key)) for one in store.summaries() if keys.normalise(one.key) in wanted]
    return max(there)[1] if there else None
