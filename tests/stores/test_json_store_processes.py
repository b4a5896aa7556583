"""The JSON store among processes: what a reader sees while others write, and what a killed writer leaves."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from sessionlab.stores.json_store import JSONStore
from tests.stores.sample_entries import ALPHA, session
from tests.torture.backends import JSON

OTHERS = {f"agent:main:{number}": session(number, payload="x" * 500) for number in range(40)}

READ = """
import json, os
acknowledged = path.with_name("acknowledged")
print("ready", flush=True)
seen = -1
rounds = 0
while True:
    least = int.from_bytes(acknowledged.read_bytes(), "big")
    if least >= 400:
        break
    ways = [
        lambda: store.get("agent:main:main")["counter"],
        lambda: store.load()["agent:main:main"]["counter"],
        lambda: opened().get("agent:main:main")["counter"],
        lambda: dict(store.items())["agent:main:main"]["counter"],
        lambda: json.loads(path.read_bytes())["agent:main:main"]["counter"],
    ]
    for way in ways:
        counter = way()
        assert counter >= max(least, seen), (counter, least, seen)
        seen = counter
    assert store.count() == len(list(store.summaries())) == 41
    rounds += 1
print(rounds, flush=True)
"""
WRITE_FOR_EVER = """
import itertools
for number in itertools.count(int(sys.argv[2])):
    store.update("agent:main:main", lambda entry: {"counter": number, "payload": str(number) * 2000}, now_ms=1)
    print(number, flush=True)
"""


def test_reader_never_sees_an_empty_torn_or_older_store(tmp_path: Path) -> None:
    """D.46: in every way to read, cached or not, while another process updates."""
    path = tmp_path / "sessions.json"
    store = JSONStore(path, durable=False)
    store.save({ALPHA: session(counter=0)} | OTHERS)
    acknowledged = path.with_name("acknowledged")
    acknowledged.write_bytes(bytes(4))
    readers = [JSON.start(path, READ) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n", reader.communicate()[1]
    with acknowledged.open("r+b", buffering=0) as file:
        for number in range(1, 401):
            store.update(ALPHA, lambda _, number=number: {"counter": number}, now_ms=1)  # type: ignore[misc]
            file.seek(0)
            file.write(number.to_bytes(4, "big"))
    for reader in readers:
        out, err = reader.communicate(timeout=60)
        assert (reader.returncode, err) == (0, "")
        assert int(out) > 5


def test_writer_that_is_killed_leaves_the_old_or_the_new_store(tmp_path: Path) -> None:
    """T1 at random moments: whole, at least what was acknowledged, one leftover at most, and the next write works and tidies up."""
    path = tmp_path / "sessions.json"
    JSONStore(path).save({ALPHA: session(counter=0)} | OTHERS)
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(12):
        writer = JSON.start(path, WRITE_FOR_EVER, str(acknowledged + 1))
        assert writer.stdout is not None
        assert writer.stdout.readline() == f"{acknowledged + 1}\n"
        time.sleep(chance.uniform(0, 0.03))
        writer.kill()
        said = writer.stdout.read().split()  # not communicate(): that does not know what readline() has read beyond its line
        writer.communicate()
        acknowledged = int(said[-1]) if said else acknowledged + 1
        content = json.loads(path.read_bytes())
        assert {key: entry for key, entry in content.items() if key != ALPHA} == OTHERS
        assert content[ALPHA]["counter"] in (acknowledged, acknowledged + 1)
        assert content[ALPHA]["payload"] == str(content[ALPHA]["counter"]) * 2_000
        assert len([name for name in path.parent.iterdir() if name.suffix == ".tmp"]) <= 2
        with JSONStore(path, timeout_ms=2_000) as store:
            assert store.check() == ()
            acknowledged = content[ALPHA]["counter"] + 1
            store.update(ALPHA, lambda _, number=acknowledged: {"counter": number}, now_ms=1)  # type: ignore[misc]
        assert list(path.parent.iterdir()) == [path]
