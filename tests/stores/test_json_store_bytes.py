"""The bytes that the JSON store writes are those that OpenClaw's writer would write; what it does not change it carries over."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, NoStoreError, StoreError, StoreLockedError, UnreadableError, UnwritableError, UsageError
from sessionlab.storage.lock import StoreLock
from sessionlab.stores.json_store import JSONStore
from tests.fixture_states import shared_state
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.torture.backends import JSON, ROOT

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


def stringified(content: Any) -> bytes:
    """Return what `JSON.stringify(content, null, 2)` gives, for content without floats, by a writer that is not ours."""
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


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


# -- what others do meanwhile


def test_change_behind_the_locks_back_is_not_overwritten(path: Path) -> None:
    """A program that takes no lock wrote after we read: its change stays, ours is refused."""
    store = JSONStore(path)
    store.save(small_store())
    theirs = stringified({GAMMA: session(8)})

    def change(_: object) -> dict[str, int]:
        path.write_bytes(theirs)
        return {"x": 1}

    with pytest.raises(UnwritableError, match="does not take the lock"):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert path.read_bytes() == theirs
    assert store.update(GAMMA, lambda _: {"x": 1}, now_ms=NOW_MS) == session(8, x=1, updatedAt=NOW_MS)


def test_file_that_vanishes_during_an_update_is_not_made_of_old_content(path: Path) -> None:
    store = JSONStore(path)
    store.save(small_store())

    def change(_: object) -> dict[str, int]:
        path.unlink()
        return {"x": 1}

    with pytest.raises(UnwritableError, match="does not take the lock"):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert store.count() == 0
    assert not path.exists()


def test_lock_that_openclaw_took_away_stops_the_write(path: Path) -> None:
    """D.40: it takes one that is older than 30 s; whoever holds it now must not be overwritten."""
    store = JSONStore(path)
    store.save(small_store())
    before = path.read_bytes()
    lock = path.with_name("sessions.json.lock")

    def change(_: object) -> dict[str, int]:
        lock.unlink()
        lock.write_text(json.dumps({"pid": 1, "createdAt": "2026-01-01T00:00:00.000Z"}), encoding="utf-8")
        return {"x": 1}

    with pytest.raises(StoreLockedError, match="taken by another program"):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert path.read_bytes() == before
    assert json.loads(lock.read_bytes())["pid"] == 1


def test_openclaws_lock_file_keeps_writers_out_and_readers_not(path: Path) -> None:
    """D.38, D.41."""
    store = JSONStore(path, timeout_ms=50)
    store.save(small_store())
    path.with_name("sessions.json.lock").write_text(json.dumps({"pid": 1}), encoding="utf-8")
    with pytest.raises(StoreLockedError, match=r"session file locked \(timeout 50ms\): pid=1 "):
        store.put(ALPHA, session())
    assert dict(store.items()) == small_store()


def test_store_behind_a_link_is_locked_in_both_places(path: Path) -> None:
    (path.parent / "real").mkdir()
    real_path = path.parent / "real" / "store.json"
    JSONStore(real_path).save(small_store())
    path.symlink_to(real_path)
    store = JSONStore(path, timeout_ms=50)
    with StoreLock(real_path).held(), pytest.raises(StoreLockedError):
        store.put(ALPHA, session())
    store.put(ALPHA, session(9))
    assert path.is_symlink()
    assert JSONStore(real_path).get(ALPHA) == session(9)


def test_change_must_not_write_to_its_own_store(path: Path) -> None:
    store = JSONStore(path)
    store.save(small_store())
    with pytest.raises(StoreLockedError, match="this very thread"):
        store.update(ALPHA, lambda _: store.put(BETA, session(5)), now_ms=NOW_MS)
    assert dict(store.items()) == small_store()


def test_leftovers_of_a_killed_writer_go_with_the_next_write(path: Path) -> None:
    """D.43, F.24."""
    store = JSONStore(path)
    store.save(small_store())
    killed = JSON.start(path, "import os\nprint(os.getpid())")
    pid = killed.communicate()[0].strip()
    left = path.with_name(f"sessions.json.{pid}.01234567-89ab-cdef-0123-456789abcdef.tmp")
    left.write_bytes(path.read_bytes()[:100])
    JSONStore(path).put(ALPHA, session())
    assert not left.exists()


def test_read_only_folder_is_an_error_and_the_store_as_it_was(path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    store = JSONStore(path)
    store.save(small_store())
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StoreError) as caught:
            store.put(ALPHA, session())
        assert caught.value.exit_code == 10
        assert dict(store.items()) == small_store()
    finally:
        path.parent.chmod(0o700)


def test_canonical_form_survives_a_hundred_writes(path: Path) -> None:
    """What is carried over stays byte for byte, however often."""
    store = JSONStore(path, durable=False)
    content = small_store()
    store.save(content)
    for number in range(100):
        key = list(content)[number % 3]
        content[key] = content[key] | {"x": "y" * number, "z": [{}] * (number % 4)}
        store.put(key, content[key])
    assert path.read_bytes() == stringified(content) == codec.encode_indented(content)


def test_leftovers_behind_a_link_go_too(path: Path) -> None:
    target = path.parent / "real" / "store.json"
    target.parent.mkdir()
    JSONStore(target).save(small_store())
    path.symlink_to(target)
    killed = JSON.start(path, "import os\nprint(os.getpid())")
    left = target.with_name(f"store.json.{killed.communicate()[0].strip()}.01234567-89ab-cdef-0123-456789abcdef.tmp")
    left.write_bytes(b"half")
    JSONStore(path).put(ALPHA, session(9))
    assert list(target.parent.iterdir()) == [target]
