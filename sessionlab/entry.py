"""The session entry: the only module that knows its field names.

An entry is a plain JSON object and stays one; unknown fields are kept. Here are its index columns (what a listing needs, in every OpenClaw
version from 2026.2 to 2026.9), the normalisation of legacy names, the fields that make stores big, and its canonical digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sessionlab import codec
from sessionlab.errors import InvalidEntryError, InvalidJSONError, UsageError

Entry = dict[str, Any]
"""A session entry: one JSON object as it lies in the store, unknown fields included."""

LEGACY_FIELDS: Final[Mapping[str, str]] = {"provider": "channel", "lastProvider": "lastChannel", "room": "groupChannel"}
"""Old field name -> today's. OpenClaw 2026.2 to 2026.7 renames them when it loads a store; 2026.8 and later no longer do."""

BIG_FIELDS: Final = ("skillsSnapshot", "systemPromptReport", "acp")
"""The fields that make stores big, in the order of the mirror's columns (F.1, bulk)."""

REST_FIELD: Final = "(key and punctuation)"
"""The name under which the bytes of an entry that belong to no field's value are counted."""

_MOST: Final = 1 << 53
"""Beyond this JavaScript holds no whole number."""

canonical_digest = codec.canonical_digest


class SessionSummary(msgspec.Struct, frozen=True, gc=False):
    """The index columns of one session: everything a listing needs, none of the big fields.

    Legacy field names are already normalised (`provider` -> `channel`, ...) and the routing of both the JSON era and
    OpenClaw 2026.8+ (`delivery`) is read. Times are epoch milliseconds, UTC; `None` means that the entry does not say.
    Token counters are the entry's own (a snapshot of its latest run), not sums over the transcript.
    Made with keywords, except where listings of thousands come from: keywords would be a third of such a listing.
    """

    key: str
    session_id: str | None
    updated_ms: int | None
    created_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    status: str | None = None
    chat_type: str | None = None
    channel: str | None = None
    label: str | None = None
    display_name: str | None = None
    model_provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    context_tokens: int | None = None
    compaction_count: int | None = None
    parent_key: str | None = None
    session_file: str | None = None
    thread_id: str | None = None
    archived: bool = False


class IndexFields(codec.Counted, gc=False, rename="camel"):
    """The entry fields that a summary is made from. Undeclared fields are skipped, never built: that is what makes listing fast.

    The types are `Any` on purpose: one entry with `updatedAt: "yesterday"` must not make the other thousand unreadable.
    """

    session_id: Any = None
    updated_at: Any = None
    created_at: Any = None
    session_started_at: Any = None
    started_at: Any = None
    ended_at: Any = None
    archived_at: Any = None
    status: Any = None
    chat_type: Any = None
    channel: Any = None
    provider: Any = None
    last_channel: Any = None
    last_provider: Any = None
    last_thread_id: Any = None
    label: Any = None
    display_name: Any = None
    model_provider: Any = None
    model: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    total_tokens: Any = None
    context_tokens: Any = None
    compaction_count: Any = None
    parent_session_key: Any = None
    spawned_by: Any = None
    session_file: Any = None
    delivery: Any = None


INDEX_NAMES: Final = frozenset({*IndexFields.__struct_encode_fields__, "lastTo", "lastAccountId"})
"""Every field that `summary_of`, `last_route` and `merge` look at: an entry without its other fields has the same summary."""


def summary_of(key: str, entry: Mapping[str, Any]) -> SessionSummary:
    """Return the index columns of one decoded entry; see `SessionSummary` for their meaning."""
    return summarise(key, msgspec.convert(entry, IndexFields))


def updated_ms_of(entry: Mapping[str, Any]) -> int | None:
    """Return when an entry says that it was last updated, epoch ms, as its summary has it; `None` when it does not."""
    return _whole(entry.get("updatedAt"))


def summarise(key: str, fields: IndexFields) -> SessionSummary:
    """Return the index columns of one entry that was decoded as `IndexFields`.

    A value of the wrong type counts as absent; `stores.checks` reports it.
    """
    route_channel, route_thread = (None, None) if fields.delivery is None else _route(fields.delivery)
    model = _text(fields.model)
    return SessionSummary(  # by place: with keywords it takes a third longer
        key,
        _text(fields.session_id),
        _whole(fields.updated_at),
        _whole(fields.session_started_at) or _whole(fields.created_at),
        _whole(fields.started_at),
        _whole(fields.ended_at),
        _text(fields.status),
        _text(fields.chat_type),
        _text(fields.channel) or route_channel or _text(fields.provider) or _text(fields.last_channel) or _text(fields.last_provider),
        _text(fields.label),
        _text(fields.display_name),
        _text(fields.model_provider) if model is not None else None,
        model,
        _whole(fields.input_tokens),
        _whole(fields.output_tokens),
        _whole(fields.total_tokens),
        _whole(fields.context_tokens),
        _whole(fields.compaction_count),
        _text(fields.parent_session_key) or _text(fields.spawned_by),
        _text(fields.session_file),
        _thread(fields.last_thread_id) or route_thread,
        _whole(fields.archived_at) is not None,
    )


def last_route(entry: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return (channel, recipient, account) of the route last used, as the JSON era's own fields say."""
    channel = _text(entry.get("lastChannel")) or _text(entry.get("lastProvider"))
    return channel, _text(entry.get("lastTo")), _text(entry.get("lastAccountId"))


def normalise_legacy(entry: Entry) -> Entry:
    """Return the entry under today's field names, as OpenClaw 2026.2 to 2026.7 does when it loads one (D.48, F.1).

    An old name moves to the new one only when the new one holds no string. Afterwards a `room` that is left over is dropped, other
    leftovers are kept. Model fields are trimmed: a blank model removes both, a blank provider only itself (F.3).
    The argument is not changed; field order is kept, moved fields come last.
    """
    result = dict(entry)
    for old, new in LEGACY_FIELDS.items():
        if isinstance(result.get(old), str) and not isinstance(result.get(new), str):
            result.pop(new, None)
            result[new] = result.pop(old)
    result.pop("room", None)
    return _with_trimmed_model(result)


def _with_trimmed_model(entry: Entry) -> Entry:
    """Trim the model fields in place and return the entry: a blank model removes both, a blank provider only itself (F.3)."""
    for field in ("model", "modelProvider"):
        if isinstance(entry.get(field), str):
            entry[field] = entry[field].strip()
    if entry.get("model") == "":
        entry.pop("model")
        entry.pop("modelProvider", None)
    elif entry.get("modelProvider") == "":
        entry.pop("modelProvider")
    return entry


def merge(existing: Entry | None, patch: Mapping[str, Any], *, now_ms: int, keep_activity: bool = False) -> Entry:
    """Return an entry with a patch laid over it, as OpenClaw's `mergeSessionEntry` does (F.1 to F.3).

    The session id is the patch's, else the entry's, else a new UUID. `updatedAt` is the latest of the entry's, the patch's and `now_ms`.
    A patch that names another model without a provider drops the old provider; a blank model drops both, a blank provider itself.
    Order: the entry's fields where they are, new ones behind. The arguments are not changed.

    Args:
        existing: The entry, or `None` when there is none yet.
        patch: Fields to set; one that is `msgspec.UNSET` is removed.
        now_ms: The clock, epoch ms.
        keep_activity: Leave `updatedAt` as the entry has it: what was not an activity does not make a session younger.

    Raises:
        UsageError: The clock says no whole number: an entry with such a time would be the newest for ever, or none at all.
    """
    if type(now_ms) is not int:
        raise UsageError(f"now_ms={now_ms!r}: must be a whole number of milliseconds")
    before = existing or {}
    merged = {name: value for name, value in (before | dict(patch)).items() if value is not msgspec.UNSET}
    if not _text(merged.get("sessionId")):
        import uuid  # 10 ms that a listing need not pay

        merged["sessionId"] = before.get("sessionId") if _text(before.get("sessionId")) else str(uuid.uuid4())
    times = [_whole(before.get("updatedAt")), _whole(patch.get("updatedAt")), now_ms]
    if not (keep_activity and times[0] is not None):
        merged["updatedAt"] = max(time for time in times if time is not None)
    elif "updatedAt" in before:
        merged["updatedAt"] = before["updatedAt"]
    if "model" in patch and "modelProvider" not in patch and merged.get("model") != before.get("model"):
        merged.pop("modelProvider", None)
    return _with_trimmed_model(merged) if "model" in patch or "modelProvider" in patch else merged


def copied(entry: Entry) -> Entry:
    """Return an independent copy of an entry that was read from a store; `copy.deepcopy` costs a second for a large one."""
    copy: Entry = codec.copied_decoded(entry)
    return copy


def encode(key: str, entry: Any, *, known: bytes = b"") -> bytes:
    """Return an entry as compact JSON, after making sure that reading it gives the same entry back.

    Args:
        key: Its key, for messages.
        entry: The entry.
        known: That JSON, if it is known already (`codec.decode_and_compact`).

    Raises:
        InvalidEntryError: It is no object, has no session id, or holds what JSON cannot carry: NaN, half a surrogate pair, a tuple,
            a key that is no text, an integer beyond 64 bits, nesting beyond `codec`'s limit, ...
    """
    if not isinstance(entry, dict):
        raise InvalidEntryError(key, f"is {codec.json_type_name(entry)}, not an object")
    if not isinstance(entry.get("sessionId"), str) or not entry["sessionId"].strip():
        raise InvalidEntryError(key, "has no sessionId")
    try:
        return known or codec.encode_faithful(entry)
    except InvalidJSONError as error:
        reason = error.reason
    except codec.UnfaithfulError:
        reason = "holds what JSON would give back as something else (NaN, a tuple, a key that is no text, ...)"
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = f"cannot be written as JSON ({str(error)[:120]})"
    raise InvalidEntryError(key, reason)


def legacy_fields(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which of the legacy names the entry uses, in a fixed order."""
    return tuple(old for old in LEGACY_FIELDS if isinstance(entry.get(old), str))


def has_lost_route(entry: Mapping[str, Any]) -> bool:
    """Say whether an import left the entry's route under legacy names that OpenClaw 2026.8+ does not read: `delivery` says "none"."""
    delivery = entry.get("delivery")
    return isinstance(delivery, dict) and delivery.get("kind") == "none" and bool({"provider", "lastProvider"} & set(legacy_fields(entry)))


def field_sizes(raw: bytes | memoryview) -> dict[str, int]:
    """Return the bytes that each top-level field's value takes as written, in file order, and `REST_FIELD` for all else.

    The sizes add up to `len(raw)`.

    Raises:
        msgspec.DecodeError: `raw` is not a JSON object.
    """
    # A field of that very name is counted with the rest: the sizes still add up.
    sizes = {name: len(memoryview(value)) for name, value in _FIELDS.decode(raw).items() if name != REST_FIELD}
    sizes[REST_FIELD] = len(raw) - sum(sizes.values())
    return sizes


_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _text(value: object) -> str | None:
    """Return a non-blank string trimmed; anything else counts as absent."""
    if value is None:  # most fields of most entries
        return None
    return (value.strip() or None) if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    """Return a number as an integer, whether written 5 or 5.0, which JavaScript does not tell apart; anything else counts as absent.

    So does what lies beyond the integers that JavaScript can hold: no time and no count is that large.
    """
    if value is None:
        return None
    if type(value) is int:
        return value if -_MOST <= value <= _MOST else None
    return int(value) if isinstance(value, float) and abs(value) <= _MOST else None


def _thread(value: object) -> str | None:
    """Return a thread id, which is a string or a number; "" counts as absent (F.7)."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _route(delivery: object) -> tuple[str | None, str | None]:
    """Return (channel, thread id) of the `delivery` that OpenClaw 2026.8+ writes in place of the JSON era's routing fields."""
    if not isinstance(delivery, dict):
        return None, None
    context = delivery.get("context")
    if not isinstance(context, dict):
        # An import keeps a JSON-era main session's web chat as {"kind": "internal"} and no more.
        return ("webchat" if delivery.get("kind") == "internal" else None), None
    return _text(context.get("channel")), _thread(context.get("threadId"))
