"""Session keys: every documented form is told apart, hostile ones are refused, and parsing never raises."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import keys
from sessionlab.errors import InvalidKeyError
from sessionlab.keys import Kind

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

FORMS: list[tuple[str, Kind, str | None, str | None]] = [
    # rest after `agent:ops:`, kind, channel, cron job
    ("main", "main", None, None),
    ("main:thread:17", "thread", None, None),
    ("direct:+491701234567", "direct", None, None),
    ("dm:alice", "direct", None, None),
    ("telegram:direct:123", "direct", "telegram", None),
    ("telegram:dm:123", "direct", "telegram", None),
    ("telegram:account-2:direct:123", "direct", "telegram", None),
    ("telegram:group:-100123", "group", "telegram", None),
    ("telegram:group:-100123:topic:7", "thread", "telegram", None),
    ("discord:channel:42", "channel", "discord", None),
    ("slack:channel:c1:thread:1699.22", "thread", "slack", None),
    ("slack:work:direct:u1:thread:1699.22", "thread", "slack", None),
    ("cron:daily", "cron", None, "daily"),
    (f"cron:daily:run:{UUID}", "cron-run", None, "daily"),
    ("cron:daily:run:", "cron", None, "daily"),
    ("cron:daily:run:a:b", "cron", None, "daily"),
    ("cron::run:x", "cron", None, None),
    ("slack:cron:job:run:x", "other", None, None),
    (f"subagent:{UUID}", "subagent", None, None),
    (f"subagent:{UUID}:subagent:{UUID}", "subagent", None, None),
    (f"hook:{UUID}", "hook", None, None),
    (f"acp:{UUID}", "acp", None, None),
    ("node-kitchen", "node", None, None),
    ("node:kitchen", "node", None, None),
    ("parallel:telegram:1", "parallel", "telegram", None),
    ("parallel:main", "parallel", None, None),
    ("parallel:peer:alice", "parallel", None, None),
    (f"dashboard:{UUID}", "other", None, None),
    (f"openai:{UUID}", "other", None, None),
    ("openai-user:alice", "other", None, None),
    (f"explicit:model-run-{UUID}", "other", None, None),
    ("telegram:group", "other", None, None),
    ("direct", "other", None, None),
    ("cron", "other", None, None),
    ("subagent", "other", None, None),
]


@pytest.mark.parametrize(("rest", "kind", "channel", "job"), FORMS, ids=[form[0] for form in FORMS])
def test_each_documented_form_is_told_apart(rest: str, kind: Kind, channel: str | None, job: str | None) -> None:
    parsed = keys.parse(f"agent:ops:{rest}")
    assert (parsed.agent_id, parsed.rest, parsed.kind, parsed.channel, parsed.cron_job_id) == ("ops", rest, kind, channel, job)
    legacy = keys.parse(rest)
    assert (legacy.agent_id, legacy.kind, legacy.channel, legacy.cron_job_id) == (None, kind, channel, job)


def test_every_kind_has_a_form() -> None:
    assert {form[1] for form in FORMS} == set(keys.KINDS)


@pytest.mark.parametrize(
    ("key", "canonical"),
    [
        ("global", True),
        ("unknown", True),
        ("Global", False),
        ("agent:main:main", True),
        ("agent:a:telegram:direct:1", True),
        ("agent:Main:main", False),
        ("agent:main:Telegram:Group:-1000", False),
        (" agent:main:main", False),
        ("agent:main:main\n", False),
        ("agent:main", False),
        ("agent:main:", False),
        ("agent::main", False),
        ("agent:main:a::b", False),
        ("agent:main:a:", False),
        ("agent:-main:main", False),
        ("agent:ma in:main", False),
        (f"agent:{'a' * 64}:main", True),
        (f"agent:{'a' * 65}:main", False),
        ("telegram:direct:1", False),
        ("main", False),
        ("", False),
    ],
)
def test_only_todays_spelling_is_canonical(key: str, canonical: bool) -> None:  # noqa: FBT001 - a column of the table
    assert keys.parse(key).is_canonical is canonical


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("agent:main:cron:job:run:uuid", True),
        (" Agent:Main:CRON:job:RUN:uuid ", True),
        ("agent:main:cron:job", False),
        ("cron:job:run:uuid", False),
        ("agent:main:slack:cron:job:run:x", False),
        ("agent:main:cron:job:run:uuid:more", False),
        ("agent:main:cron::run:uuid", False),
        ("agent:main:subagent:cron:job:run:x", False),
    ],
)
def test_only_an_agents_cron_run_is_one(key: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert keys.is_cron_run(key) is expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("agent:main:hook:0b5a7d0e", True),
        (" Agent:Main:HOOK:0b5a7d0e ", True),
        ("agent:main:hook:gmail:18f3a", True),
        ("hook:0b5a7d0e", False),
        ("agent:main:hook", False),
        ("agent:main:hook:", False),
        ("agent:main:hook:gmail:", False),
        ("agent:main:hooks:0b5a7d0e", False),
        ("agent:main:slack:hook:0b5a7d0e", False),
        ("agent:main:direct:hook:0b5a7d0e", False),
    ],
)
def test_only_what_a_webhook_left_is_its_session(key: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """D.29: of several words as well, as OpenClaw's preset for mail has them."""
    assert keys.is_hook(key) is expected


def test_case_variants_and_padding_are_one_session() -> None:
    assert len({keys.normalise(key) for key in ("agent:main:Telegram:1", "AGENT:main:telegram:1", "\tagent:main:telegram:1 ")}) == 1


def test_composed_and_decomposed_letters_are_two_sessions() -> None:
    composed = "agent:main:direct:zoë"
    assert keys.normalise(composed) != keys.normalise(unicodedata.normalize("NFD", composed))


@pytest.mark.parametrize("agent", ["main", "a", "0", "a-b_c", "a" * 64])
def test_agent_ids_as_openclaw_makes_them_are_accepted(agent: str) -> None:
    assert keys.is_agent_id(agent)


@pytest.mark.parametrize("agent", ["", "Main", "-a", "_a", "a.b", "../x", "a/b", "a\n", "ä", "a" * 65])
def test_other_agent_ids_are_refused(agent: str) -> None:
    assert not keys.is_agent_id(agent)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "is blank"),
        (" \t\n", "is blank"),
        ("__proto__", "reserve"),
        (" __PROTO__ ", "reserve"),
        ("constructor", "reserve"),
        ("Prototype", "reserve"),
        ("agent:main:\0", "control character"),
        ("agent:main:a\nb", "control character"),
        ("agent:main:\x7f", "control character"),
        ("agent:main:\ud800", "half of a surrogate pair"),
        ("agent:main:" + "x" * 10_000, "longer than 4096 bytes"),
        ("é" * 2049, "longer than 4096 bytes"),
    ],
)
def test_hostile_key_is_refused_with_its_reason_in_one_short_line(key: str, reason: str) -> None:
    assert reason in (keys.refusal(key) or "")
    with pytest.raises(InvalidKeyError) as caught:
        keys.checked(key)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "key",
    ["agent:main:main", "../x", "agent:main:../../etc/passwd", "agent:main:direct:zoë", "x" * 4096, "é" * 2048, "agent:main:__proto__"],
)
def test_odd_but_storable_key_is_returned_as_it_is(key: str) -> None:
    assert keys.refusal(key) is None
    assert keys.checked(key) is key


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_parse_never_raises_and_normalise_is_idempotent(key: str) -> None:
    normal = keys.normalise(key)
    assert keys.normalise(normal) == normal
    parsed, again = keys.parse(key), keys.parse(normal)
    assert parsed.kind in keys.KINDS
    assert (parsed.agent_id, parsed.rest, parsed.kind, parsed.channel, parsed.cron_job_id) == (
        again.agent_id,
        again.rest,
        again.kind,
        again.channel,
        again.cron_job_id,
    )
    keys.refusal(key)


WORDS = st.sampled_from(
    ["agent", "main", "cron", "run", "direct", "dm", "group", "channel", "thread", "topic", "telegram", "Main", "", "node-1", "x"]
)


@given(st.lists(WORDS, max_size=8).map(":".join))
def test_canonical_key_says_its_own_agent_and_rest(key: str) -> None:
    parsed = keys.parse(key)
    if parsed.is_canonical and parsed.agent_id is not None:
        assert key == f"agent:{parsed.agent_id}:{parsed.rest}"
    if parsed.kind == "cron-run":
        assert parsed.cron_job_id
    if parsed.cron_job_id is not None:
        assert parsed.kind in ("cron", "cron-run")
