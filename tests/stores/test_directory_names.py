"""File names of the directory store (C.1 to C.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab.stores import directory_names as names
from tests.stores.directory_files import file_name

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


def test_name_is_that_of_the_specification() -> None:
    """C.1, C.2."""
    assert names.encode("agent:main:main") == "session-YWdlbnQ6bWFpbjptYWlu.json"
    assert names.encode("x" * 120) == f"session-{'eHh4' * 40}.json"
    assert names.encode("x" * 121).startswith("session-hash-")


@given(TEXT)
def test_name_carries_the_key_or_its_digest(key: str) -> None:
    """C.1, C.2, C.4: the same name as by an independent way, below 255 characters, and the key comes back where it is in there."""
    name = names.encode(key)
    is_long = len(key.encode()) > 120
    assert name == file_name(key)
    assert name.isascii()
    assert names.is_entry(name)
    assert names.is_hashed(name) is is_long
    assert names.decode(name) == (None if is_long else key)
    assert len(name) < (80 if is_long else 180)


@given(TEXT, TEXT)
def test_two_keys_have_two_names(one: str, other: str) -> None:
    """C.4."""
    assert (names.encode(one) == names.encode(other)) is (one == other)


@pytest.mark.parametrize("key", ["a:b", "a--b", "a/b", "a\\b", "a%2fb", "a+b", "../x", "A:B", "cafe\u0301", "caf\u00e9", "a\0b", " "])
def test_odd_key_comes_back(key: str) -> None:
    """C.4: NFC and NFD, capitals, slashes, NUL and percent signs are told apart."""
    assert names.decode(names.encode(key)) == key


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"session-hash-{'A' * 43}.json", id="hashed"),
        pytest.param("session-.json", id="empty"),
        pytest.param(".session-YQ.json", id="dotfile"),
        pytest.param("sessions-YQ.json", id="prefix"),
        pytest.param("session-YQ.jsonl", id="suffix"),
        pytest.param("session-YQ.json.bak", id="backup"),
        pytest.param("session-YQ==.json", id="padded"),
        pytest.param("session-YR.json", id="left-over-bits"),
        pytest.param("session-Y.json", id="length"),
        pytest.param("session-Y Q.json", id="blank"),
        pytest.param("session-_-8.json", id="not-utf-8"),
        pytest.param("session-a+b/.json", id="other-alphabet"),
        pytest.param("session-\u00e9.json", id="not-ascii"),
        pytest.param(f"session-{'eHh4' * 41}.json", id="too-long-for-inline"),
        pytest.param("state.json", id="state"),
    ],
)
def test_name_that_no_key_has_gives_none(name: str) -> None:
    """C.5."""
    assert names.decode(name) is None


@given(TEXT)
def test_inline_name_never_looks_hashed(key: str) -> None:
    """C.5: no UTF-8 text begins with the bytes that base64 writes as `hash-`."""
    assert names.encode(key).startswith(names.HASH_PREFIX) is (len(key.encode()) > 120)


@pytest.mark.parametrize("key", ["__proto__", "prototype", "constructor", " __PROTO__ "])
def test_blocked_name_is_told(key: str) -> None:
    """C.10."""
    assert names.is_blocked(file_name(key))
    assert not names.is_blocked(file_name(f"agent:main:{key}"))
