"""The bytes that the JSON store writes are those that OpenClaw's writer would write; what it does not change it carries over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import CorruptStoreError, NoStoreError, UnreadableError, UsageError
from sessionlab.stores.json_store import JSONStore
from tests.fixture_states import shared_state
from tests.stores.json_files import stringified
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, session, small_store
from tests.torture.backends import ROOT

REAL = ("fixture", "main", "ops", "research")
ODD: dict[str, Any] = {
    "sessionId": "odd",
    "empty": [{}, [], "", [{}], {"x": []}],
    "text": '\u2028\u2029\u007f\b\f\n\r\t"\\/\u0001é😀',
    "numbers": [0, -5, 1.5, 1e-7, 1e21, 1e300, 2**53],
    "kinds": [None, True, False, {"deep": {"deeper": [1, [2, {"z": []}]]}}],
}
ODD_WRITTEN = rb"""{
    "sessionId": "odd",
    "empty": [
      {},
      [],
      "",
      [
        {}
      ],
      {
        "x": []
      }
    ],
    "text": "@\b\f\n\r\t\"\\/\u0001#",
    "numbers": [
      0,
      -5,
      1.5,
      1e-7,
      1e+21,
      1e+300,
      9007199254740992
    ],
    "kinds": [
      null,
      true,
      false,
      {
        "deep": {
          "deeper": [
            1,
            [
              2,
              {
                "z": []
              }
            ]
          ]
        }
      }
    ]
  }""".replace(b"@", "\u2028\u2029\u007f".encode()).replace(b"#", "é😀".encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


def real(name: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a store that OpenClaw wrote, or one of the sample."""
    agents = shared_state("json-2026.3", tmp_path_factory) / "agents/main" if name == "fixture" else ROOT / "data/sample/agents" / name
    return (agents / "sessions/sessions.json").read_bytes()


# -- as OpenClaw writes it


@pytest.mark.parametrize("name", REAL)
def test_real_store_is_loaded_and_saved_byte_for_byte(name: str, path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """F.9, F.10: every entry written anew, and only one of them."""
    data = real(name, tmp_path_factory)
    path.write_bytes(b"{}")
    store = JSONStore(path)
    store.save(json.loads(data))
    again = store.load()
    written = path.read_bytes()
    normal = {key.strip().lower(): entry for key, entry in json.loads(data).items()}
    assert written == stringified(normal)
    key = list(again)[len(again) // 2]
    entry = dict(again[key])
    store.put(key, entry | {"x": 1})
    assert path.read_bytes() == stringified(normal | {key: entry | {"x": 1}})
    store.put(key, entry)
    assert path.read_bytes() == written


@pytest.mark.parametrize("name", REAL)
def test_change_of_one_entry_carries_the_others_over(name: str, path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """F.4, F.9: those of the fixture in legacy and hostile form among them."""
    data = real(name, tmp_path_factory)
    path.write_bytes(data)
    store = JSONStore(path)
    content = json.loads(data)
    key = next(key for key in reversed(content) if key == key.strip().lower())
    store.put(key, content[key] | {"x": [1]})
    assert path.read_bytes() == stringified(content | {key: content[key] | {"x": [1]}})
    store.update(key, lambda _: {"y": {}}, now_ms=1)
    store.put(key, content[key])
    assert path.read_bytes() == data
    store.put("agent:main:new", session())
    store.delete("agent:main:new")
    assert path.read_bytes() == data


def test_form_is_that_of_json_stringify(path: Path) -> None:
    """F.9, F.10: as Node writes this very document."""
    store = JSONStore(path)
    store.put(ALPHA, ODD)
    store.put(BETA, {"sessionId": "b"})
    assert (
        path.read_bytes()
        == b'{\n  "' + ALPHA.encode() + b'": ' + ODD_WRITTEN + b',\n  "' + BETA.encode() + b'": {\n    "sessionId": "b"\n  }\n}'
    )
    store.delete(ALPHA)
    store.delete(BETA)
    assert path.read_bytes() == b"{}"


def test_key_is_written_as_json_stringify_writes_it(path: Path) -> None:
    keys = ['agent:main:"q\\', "agent:main:é😀\u2028"]
    path.write_bytes(b'{"\\u0061gent:main:' + b'\\u00e9\\ud83d\\ude00\\u2028": {"sessionId": "x"}}')
    store = JSONStore(path)
    store.put(keys[0], session())
    assert path.read_bytes() == stringified({keys[1]: {"sessionId": "x"}, keys[0]: session()})


FORMS = {
    "ascii": lambda content: json.dumps(content).encode(),
    "compact": lambda content: json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(),
    "four-spaces": lambda content: json.dumps(content, ensure_ascii=False, indent=4).encode(),
    "one-line": lambda content: json.dumps(content, ensure_ascii=False).encode(),
    "newline-at-the-end": lambda content: stringified(content) + b"\n",
    "blanks-in-front": lambda content: b"\r\n " + stringified(content),
    "tabs": lambda content: json.dumps(content, ensure_ascii=False, indent="\t").encode(),
    "frame-only": lambda content: (
        b"{\n  " + b",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}".encode() for k, v in content.items()) + b"\n}"
    ),
    "frame-of-the-right-length": lambda content: stringified(content).replace(b"{\n  ", b"{  \n", 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_file_that_is_formatted_otherwise_is_formatted_anew_by_the_next_write(path: Path, form: str) -> None:
    """F.9: bytes carried over would not be what OpenClaw writes. What writes nothing leaves the form alone."""
    content = small_store()
    data = FORMS[form](content)
    path.write_bytes(data)
    store = JSONStore(path)
    assert not store.save(content)
    assert path.read_bytes() == data
    store.put(BETA, content[BETA] | {"x": 1})
    assert path.read_bytes() == stringified(content | {BETA: content[BETA] | {"x": 1}})


# -- what is no session


ODD_MEMBERS: dict[str, Any] = {"a:number": 5, "a:null": None, "a:list": [1, {"x": [2]}], "__proto__": {"sessionId": "x"}, "CONSTRUCTOR": 7}


def test_members_that_are_no_sessions_are_reported_and_carried_over(path: Path) -> None:
    """F.15: neither listed, nor found, nor loaded; and no write elsewhere touches them."""
    content = {"a:number": 5, **small_store(), **ODD_MEMBERS}
    path.write_bytes(stringified(content))
    store = JSONStore(path)
    assert (store.count(), set(store.load()), dict(store.items())) == (3, set(small_store()), small_store())
    assert store.get("a:number") is store.get("__proto__") is None
    assert {problem.code for problem in store.check()} >= {"bad_entry", "blocked_key"}
    assert not store.delete("a:number")
    assert not store.delete("__proto__")
    assert path.read_bytes() == stringified(content)
    store.put("agent:main:new", session())
    store.delete("agent:main:new")
    store.update(ALPHA, lambda _: {"x": 1}, now_ms=1)
    store.transform(lambda draft: draft.__delitem__(BETA))
    expected = {key: value for key, value in content.items() if key != BETA} | {ALPHA: small_store()[ALPHA] | {"x": 1}}
    assert path.read_bytes() == stringified(expected)
    store.save({})
    assert path.read_bytes() == stringified(ODD_MEMBERS)
    path.write_bytes(json.dumps(content).encode())
    store.put(GAMMA, session(9))
    assert path.read_bytes() == stringified(content | {GAMMA: session(9)})


def test_put_over_a_member_that_is_no_session_makes_it_one(path: Path) -> None:
    path.write_bytes(stringified(ODD_MEMBERS))
    store = JSONStore(path)
    store.put("a:null", session())
    assert path.read_bytes() == stringified(ODD_MEMBERS | {"a:null": session()})


def test_entry_that_cannot_be_read_is_carried_over_by_a_write_elsewhere(path: Path) -> None:
    """Its bytes are somebody's, and mending them is not a write's business."""
    bad = b'{"sessionId":"x","sessionId":"y","n":1e999}'
    data = stringified(small_store() | {"a:bad": 0, "a:last": {}}).replace(b'"a:bad": 0', b'"a:bad": ' + bad)
    path.write_bytes(data)
    store = JSONStore(path)
    store.put(ALPHA, small_store()[ALPHA] | {"x": 1})
    assert b'"a:bad": ' + bad in path.read_bytes()
    with pytest.raises(CorruptStoreError, match="line "):
        store.get("a:bad")


def test_error_in_an_entry_names_the_line_in_the_file(path: Path) -> None:
    path.write_bytes(b'{\n\n"a:b": {\n"sessionId": "x",\n"n": 1e999}\n}')
    for attempt in (
        lambda store: store.get("a:b"),
        lambda store: dict(store.load()),
        lambda store: store.update("a:b", lambda _: {}, now_ms=1),
    ):
        with pytest.raises(CorruptStoreError, match="line 5"):
            attempt(JSONStore(path))


# -- blank, missing, and not a store


@pytest.mark.parametrize("blank", [b"", b" \n\t\r\n", b" " * 9_000])
def test_blank_file_is_an_empty_store(path: Path, blank: bytes) -> None:
    path.write_bytes(blank)
    store = JSONStore(path)
    assert (store.count(), store.get(ALPHA), dict(store.load()), list(store.items())) == (0, None, {}, [])
    assert not store.save({})
    assert not store.delete(ALPHA)
    assert path.read_bytes() == blank
    store.put(ALPHA, session())
    assert path.read_bytes() == stringified({ALPHA: session()})


def test_missing_file_is_made_by_the_first_write_only(tmp_path: Path) -> None:
    """D.47: with its folder, also one that has vanished since (D.49)."""
    path = tmp_path / "agents/ops/sessions/sessions.json"
    store = JSONStore(path)
    assert store.agent_id == "ops"
    for _ in range(2):
        store.put(ALPHA, session())
        assert dict(store.items()) == {ALPHA: session()}
        path.unlink()
        path.parent.rmdir()
        assert store.get(ALPHA) is None
        assert store.count() == 0


EVERY_WAY: list[Callable[[JSONStore], object]] = [
    lambda store: store.get(ALPHA),
    lambda store: store.put(ALPHA, session()),
    JSONStore.count,
    JSONStore.load,
]


@pytest.mark.parametrize("attempt", EVERY_WAY)
def test_folder_in_its_place_is_no_empty_store(path: Path, attempt: Callable[[JSONStore], object]) -> None:
    path.mkdir()
    with pytest.raises(NoStoreError, match="not a regular file"):
        attempt(JSONStore(path))
    assert list(path.parent.iterdir()) == [path]


def test_empty_path_is_refused() -> None:
    """D.37."""
    with pytest.raises(UsageError, match="must not be empty"):
        JSONStore(Path())


@pytest.mark.parametrize("attempt", EVERY_WAY)
def test_link_in_a_circle_is_unreadable(path: Path, attempt: Callable[[JSONStore], object]) -> None:
    path.symlink_to(path.name)
    with pytest.raises(UnreadableError):
        attempt(JSONStore(path))


def test_number_that_would_be_written_unreadable_is_carried_over_as_it_is(tmp_path: Path) -> None:
    """JavaScript writes 1e20 in digits, and 21 digits are no number that this reads: then the blanks change, and nothing else."""
    path = tmp_path / "sessions.json"
    path.write_text('{"agent:main:big": {"sessionId": "b", "v": 1e20, "w": 1e16}}')
    with JSONStore(path) as store:
        store.put("agent:main:other", {"sessionId": "o"})
        assert store.get("agent:main:big") == {"sessionId": "b", "v": 1e20, "w": 1e16}
        assert [one for one in store.check() if one.severity == "error"] == []
