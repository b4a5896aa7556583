"""OpenClaw's lock file with a kernel lock on it: never robbed while its holder lives, free when it dies (D.38 to D.42)."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import StoreLockedError, UnwritableError
from sessionlab.storage.kernel_lock import has_kernel_lock
from sessionlab.storage.lock import StoreLock, start_time_of
from tests.storage.lock_files import is_free, lock_file, payload, plant
from tests.storage.processes import Other

HOLD = """
with StoreLock(path).held():
    tell("held")
    wait()
tell("free")
"""
INCREMENT = """
tell("ready"); wait()
counter = os.open(path, os.O_RDWR)
lock = StoreLock(path, 60_000)
for _ in range(200):
    with lock.held():
        os.pwrite(counter, b"%09d" % (int(os.pread(counter, 9, 0)) + 1), 0)
tell("done")
"""


# -- the file


def test_file_is_openclaws_and_goes_again(store: Path) -> None:
    """D.38: {pid, createdAt, starttime}, indented, and nothing else is left beside the store."""
    with StoreLock(store).held():
        content = lock_file(store).read_text(encoding="utf-8")
        said = json.loads(content)
        assert content == json.dumps(said, indent=2)
        assert list(said) == ["pid", "createdAt", "starttime"]
        assert said["pid"] == os.getpid()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["createdAt"])
        assert said["starttime"] == start_time_of(os.getpid())
        assert lock_file(store).stat().st_mode & 0o777 == 0o600
        assert {path.name for path in store.parent.iterdir()} == {"sessions.json", "sessions.json.lock"}
    assert list(store.parent.iterdir()) == [store]


def fail(store: Path) -> None:
    with StoreLock(store).held():
        raise ZeroDivisionError


def test_file_goes_after_an_error_too(store: Path) -> None:
    """D.38."""
    with pytest.raises(ZeroDivisionError):
        fail(store)
    assert list(store.parent.iterdir()) == [store]


def test_file_appears_complete_and_held(store: Path) -> None:
    """Nobody ever sees it empty, half written or without its kernel lock."""
    body = """
import fcntl, json
tell("ready")
seen = 0
while seen < 200:
    try:
        descriptor = os.open(str(path) + ".lock", os.O_RDONLY)
    except FileNotFoundError:
        continue
    seen += 1
    assert json.loads(os.read(descriptor, 4096))["pid"] > 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        assert os.fstat(descriptor).st_nlink == 0, "seen without its lock"
    os.close(descriptor)
tell("sound")
"""
    end = threading.Event()

    def take() -> None:
        lock = StoreLock(store)
        while not end.is_set():
            with lock.held():
                time.sleep(0.0005)

    taker = threading.Thread(target=take)
    taker.start()
    try:
        with Other(body, store) as other:
            assert other.says() == "ready"
            assert other.says() == "sound"
    finally:
        end.set()
        taker.join()


def test_file_system_without_hard_links(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for _ in range(2):
        with StoreLock(store).held():
            assert json.loads(lock_file(store).read_bytes())["pid"] == os.getpid()
            assert {path.name for path in store.parent.iterdir()} - {"sessions.json"} == {"sessions.json.lock"}
            with Other("try:\n  StoreLock(path, 50).held().__enter__()\nexcept StoreLockedError as e: tell(e)", store) as other:
                assert f"pid={os.getpid()}" in other.says()
    assert list(store.parent.iterdir()) == [store]


def test_file_that_is_tidied_away_before_it_is_in_place_is_made_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in another container does not see the one that the name of the temporary file names."""
    link = os.link

    def tidied(source: Path, target: Path) -> None:
        source.unlink()
        monkeypatch.setattr(os, "link", link)
        link(source, target)

    monkeypatch.setattr(os, "link", tidied)
    with StoreLock(store).held():
        assert lock_file(store).exists()
    assert list(store.parent.iterdir()) == [store]


@pytest.mark.parametrize("make", ["link", "folder"])
def test_link_or_folder_in_its_place_is_refused(store: Path, make: str) -> None:
    if make == "link":
        lock_file(store).symlink_to("elsewhere")
    else:
        lock_file(store).mkdir()
    with pytest.raises(UnwritableError) as caught, StoreLock(store, 20).held():
        pytest.fail("locked something that is no file")
    assert str(lock_file(store)) in str(caught.value)
    assert not store.with_name("elsewhere").exists()


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match="no folder"), StoreLock(tmp_path / "absent" / "store").held():
        pytest.fail("locked nothing")


# -- holders of ours


def test_slow_live_holder_is_never_robbed(store: Path) -> None:
    """D.40: whatever the age that its file shows."""
    with Other(HOLD, store) as other:
        assert other.says() == "held"
        said = json.loads(lock_file(store).read_bytes()) | {"createdAt": "2020-01-01T00:00:00.000Z"}
        lock_file(store).write_text(json.dumps(said), encoding="utf-8")
        os.utime(lock_file(store), (0, 0))
        begun = time.monotonic()
        with pytest.raises(StoreLockedError) as caught, StoreLock(store, 80).held():
            pytest.fail("two hold one lock")
        assert 0.075 < time.monotonic() - begun < 10
        assert f"session file locked (timeout 80ms): pid={other.process.pid} {lock_file(store)}" in str(caught.value)
        assert caught.value.exit_code == 11
        threading.Timer(0.05, other.go_on).start()
        with StoreLock(store).held():
            assert other.says() == "free"
    assert list(store.parent.iterdir()) == [store]


def test_unreadable_file_of_a_live_holder_is_not_broken(store: Path) -> None:
    with Other(HOLD, store) as other:
        assert other.says() == "held"
        lock_file(store).write_bytes(b"")
        os.utime(lock_file(store), (0, 0))
        assert not is_free(store)


def test_holder_that_is_killed_frees_it_at_once(store: Path) -> None:
    for _ in range(3):
        with Other(HOLD, store) as other:
            assert other.says() == "held"
            assert not is_free(store)
            other.process.send_signal(signal.SIGKILL)
            assert is_free(store, 2_000)
    assert list(store.parent.iterdir()) == [store]


@pytest.mark.parametrize(
    "end", ["sys.exit(3)", "1 / 0", "os.kill(os.getpid(), 2); wait()", "os.kill(os.getpid(), 15); wait()", "os._exit(3)"]
)
def test_lock_is_free_however_its_holder_ends(store: Path, end: str) -> None:
    """D.42: at its exit, after an error and on signals; it needs no watchdog, and takes no lock from one who lives."""
    with Other(f"sys.stderr.close()\nwith StoreLock(path).held():\n    tell('held'); wait(); {end}", store) as other:
        assert other.says() == "held"
        assert not is_free(store)
        other.go_on()
        other.process.wait(30)
        assert other.process.returncode
        assert is_free(store)
    assert list(store.parent.iterdir()) == [store]


def test_lock_of_the_dead_is_broken_by_one_only(store: Path) -> None:
    """Those who wait all see it go at the same moment."""
    store.write_text("0", encoding="utf-8")
    with Other(HOLD, store) as holder:
        assert holder.says() == "held"
        others = [Other(INCREMENT.replace("200", "20"), store) for _ in range(6)]
        assert [other.says() for other in others] == ["ready"] * 6
        for other in others:
            other.go_on()
        holder.kill()
        assert [other.says() for other in others] == ["done"] * 6
    for other in others:
        other.__exit__(None, None, None)
    assert int(store.read_text(encoding="utf-8")) == 120


def test_eight_processes_lose_nothing(store: Path) -> None:
    """D.38."""
    others = [Other(INCREMENT, store) for _ in range(8)]
    assert [other.says() for other in others] == ["ready"] * 8
    for other in others:
        other.go_on()
    assert [other.says() for other in others] == ["done"] * 8
    for other in others:
        other.__exit__(None, None, None)
    assert int(store.read_text(encoding="utf-8")) == 1_600
    assert list(store.parent.iterdir()) == [store]


def test_late_waiter_for_a_dead_holder_leaves_its_successor_alone(
    store: Path, dead: int, living: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the dead one's file and getting its kernel lock, another has broken it and put its own in place."""
    file = plant(store, payload(dead))

    def late(*arguments: Any, **more: Any) -> bool:
        file.unlink()
        plant(store, payload(living))
        monkeypatch.undo()
        return has_kernel_lock(*arguments, **more)

    monkeypatch.setattr("sessionlab.storage.lock.has_kernel_lock", late)
    with pytest.raises(StoreLockedError, match=f"pid={living}"), StoreLock(store, 50).held():
        pytest.fail("broke the lock of a living process")
    assert json.loads(file.read_bytes())["pid"] == living


def test_nested_use_in_one_thread_is_an_error_not_a_deadlock(store: Path) -> None:
    """D.42 counts references and lets it in: of two changes that know nothing of each other one would be lost."""
    with StoreLock(store).held():
        with pytest.raises(StoreLockedError, match="this very thread"), StoreLock(store).held():
            pytest.fail("two hold one lock")
        assert lock_file(store).exists()


def test_forked_process_does_not_hold_it_and_frees_nothing(store: Path) -> None:
    body = """
lock = StoreLock(path, 100)
with lock.held():
    child = os.fork()
    if child == 0:
        try:
            StoreLock(path, 100).held().__enter__()
        except StoreLockedError:
            tell("child is locked out")
    else:
        os.waitpid(child, 0)
        wait()
tell("child has left" if child == 0 else "parent has left")
"""
    with Other(body, store) as other:
        assert [other.says(), other.says()] == ["child is locked out", "child has left"]
        assert not is_free(store)
        other.go_on()
        assert other.says() == "parent has left"
        assert is_free(store)


def test_file_of_another_is_not_removed_and_the_loss_is_seen(store: Path, living: int) -> None:
    """D.40: OpenClaw takes a lock that is older than 30 s; then it is no longer ours to remove."""
    lock = StoreLock(store)
    assert not lock.is_ours()
    with lock.held():
        assert lock.is_ours()
        lock_file(store).unlink()
        assert not lock.is_ours()
        foreign = plant(store, payload(living))
        assert not lock.is_ours()
    assert json.loads(foreign.read_bytes())["pid"] == living
    assert not lock.is_ours()
