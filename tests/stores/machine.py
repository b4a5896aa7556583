"""T6: any sequence of operations, done to a store in files and to the store in memory; after every step they must be equal."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionlab.entry import Entry
from sessionlab.errors import InvalidEntryError, InvalidKeyError
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore
from tests.stores.store_contract import StoreContract

# Few keys, so that operations meet; spellings of one another, twins, and such as must be refused.
KEYS: Final = st.sampled_from(
    [
        "agent:main:main",
        "Agent:Main:MAIN",
        " agent:main:main ",
        "agent:main:caf\u00e9",
        "agent:main:cafe\u0301",
        "../x",
        "x" * 200,
        "a--b",
        "a:b",
    ]
)
REFUSED_KEYS: Final = st.sampled_from(["", "__proto__", "a\0b", "y" * 5_000])
VALUES: Final = st.none() | st.integers(-9, 9) | st.text("ab", max_size=2) | st.lists(st.integers(0, 1), max_size=2)
ENTRIES: Final = st.fixed_dictionaries(
    {"sessionId": st.sampled_from(["a", "b"])}, optional=dict.fromkeys(("updatedAt", "label", "channel", "unknown"), VALUES)
)
PATCHES: Final = st.dictionaries(
    st.sampled_from(["label", "model", "updatedAt", "new", "sessionId"]),
    st.none() | st.integers(-9, 9) | st.text("ab", max_size=2),
    max_size=3,
)
CONTENTS: Final = st.dictionaries(KEYS, ENTRIES, max_size=4)
NOW_MS: Final = st.integers(0, 100)


class StoreMachine(RuleBasedStateMachine):
    """The store under test, a second object on the same path, the oracle, and what their callers have loaded."""

    contract: StoreContract
    bases = Bundle("bases")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.oracle = MemoryStore()
        self.store = self.contract.fresh(self.folder)
        self.other = self.contract.fresh(self.folder)

    def teardown(self) -> None:
        self.store.close()
        self.other.close()
        shutil.rmtree(self.folder)

    def both(self, work: Callable[[WritableStore], Any], *, second: bool) -> None:
        """Do the same to the oracle and to one of the two store objects; they must return the same, or refuse for the same reason."""
        outcomes = []
        for store in (self.oracle, self.other if second else self.store):
            try:
                outcomes.append(work(store))
            except (InvalidKeyError, InvalidEntryError) as error:
                outcomes.append(repr(error))
        assert outcomes[0] == outcomes[1]

    @initialize(content=CONTENTS)
    def begin(self, content: dict[str, Entry]) -> None:
        """Begin with an empty store as often as with a filled one."""
        self.both(lambda store: store.save(content), second=False)

    @rule(key=KEYS, entry=ENTRIES, second=st.booleans())
    def put(self, key: str, entry: Entry, *, second: bool) -> None:
        self.both(lambda store: store.put(key, entry), second=second)

    @rule(key=KEYS, patch=PATCHES | st.none(), now_ms=NOW_MS, second=st.booleans())
    def update(self, key: str, patch: dict[str, Any] | None, now_ms: int, *, second: bool) -> None:
        self.both(lambda store: store.update(key, lambda _: patch, now_ms=now_ms), second=second)

    @rule(key=KEYS | REFUSED_KEYS, second=st.booleans())
    def delete(self, key: str, *, second: bool) -> None:
        self.both(lambda store: store.delete(key), second=second)

    @rule(content=CONTENTS, second=st.booleans())
    def save(self, content: dict[str, Entry], *, second: bool) -> None:
        self.both(lambda store: store.save(content), second=second)

    @rule(changes=CONTENTS, gone=st.sets(KEYS, max_size=2), second=st.booleans())
    def save_difference(self, changes: dict[str, Entry], gone: set[str], *, second: bool) -> None:
        self.both(
            lambda store: store.save({key: entry for key, entry in {**store.load(), **changes}.items() if key not in gone}), second=second
        )

    @rule(key=REFUSED_KEYS, entry=ENTRIES, second=st.booleans())
    def put_what_is_refused(self, key: str, entry: Entry, *, second: bool) -> None:
        self.both(lambda store: store.put(key, entry), second=second)
        self.both(lambda store: store.put("agent:main:main", {**entry, "x": float("nan")}), second=second)
        self.both(lambda store: store.save({"agent:main:new": entry, key: entry}), second=second)

    @rule(target=bases, look=st.booleans(), second=st.booleans())
    def load(self, *, look: bool, second: bool) -> Snapshot:
        loaded = (self.other if second else self.store).load()
        if look:
            assert dict(loaded) == dict(self.oracle.load())
        return loaded

    @rule(base=bases, key=KEYS, entry=ENTRIES)
    def change_what_was_loaded(self, base: Snapshot, key: str, entry: Entry) -> None:
        """Change what was loaded, and do not save it."""
        base[key] = entry

    @rule(base=bases | st.none(), changes=CONTENTS, gone=st.sets(KEYS, max_size=2), fail=st.booleans(), second=st.booleans())
    def transform(self, base: Snapshot | None, changes: dict[str, Entry], gone: set[str], *, fail: bool, second: bool) -> None:
        """Transform with a base or without, current or stale, changed or not: the outcome is the oracle's, who never gets one."""

        def change(draft: Snapshot) -> None:
            for key in gone:
                draft.pop(key, None)
            draft.update(changes)
            if fail:
                raise InvalidKeyError("", "the caller has changed his mind")

        before = None if base is None else dict(base)
        self.both(lambda store: dict(store.transform(change, base=None if store is self.oracle else base)), second=second)
        if fail and base is not None:
            assert dict(base) == before

    @rule(second=st.booleans())
    def reopen(self, *, second: bool) -> None:
        if second:
            self.other.close()
            self.other = self.contract.fresh(self.folder)
        else:
            self.store.close()
            self.store = self.contract.fresh(self.folder)

    @precondition(lambda self: any(key.isascii() for key in self.oracle.load()))
    @rule(number=st.integers(0, 9))
    def touch_from_outside(self, number: int) -> None:
        """Let another program write one session."""
        key = next(key for key in self.oracle.load() if key.isascii())  # other programs write others in more than one way
        entry = {"sessionId": "outside", "updatedAt": number}
        self.oracle.put(key, entry)
        self.contract.plant(self.store.path, {key: json.dumps(entry, separators=(",", ":")).encode()})
        found = self.contract.content(self.store.path)
        assert found == dict(self.oracle.items())
        self.oracle.save({})
        self.oracle.save(found)  # in the order that the other program left

    @invariant()
    def is_the_oracles_equal(self) -> None:
        wanted = dict(self.oracle.items())
        for store in (self.store, self.other):
            assert dict(store.items()) == wanted
            assert list(store.summaries()) == list(self.oracle.summaries())
            assert (store.count(), store.fingerprint()) == (len(wanted), self.oracle.fingerprint())
            assert all(store.get(key) == entry for key, entry in wanted.items())
            assert [problem.code for problem in store.check()] == [problem.code for problem in self.oracle.check()]
        if wanted:
            assert self.contract.content(self.store.path) == wanted
        if self.contract.keeps_places:
            assert [key for key, _ in self.store.items()] == list(wanted)
