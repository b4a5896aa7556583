"""The lock that the kernel keeps: one holder among threads and processes, free when the holder dies, never taken from one who lives."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sessionlab.errors import StoreLockedError, UnwritableError
from sessionlab.storage import kernel_lock
from sessionlab.storage.kernel_lock import KernelLock
from tests.storage.processes import Other

HOLD = """
with KernelLock(path).held():
    tell("held")
    wait()
tell("free")
"""
INCREMENT = """
tell("ready"); wait()
counter = os.open(path.with_name("counter"), os.O_RDWR)
lock = KernelLock(path)
for _ in range(200):
    with lock.held():
        os.pwrite(counter, b"%09d" % (int(os.pread(counter, 9, 0)) + 1), 0)
tell("done")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def is_free(path: Path) -> bool:
    try:
        with KernelLock(path, 20).held():
            return True
    except StoreLockedError:
        return False


def test_lock_file_is_private_and_stays(path: Path) -> None:
    lock = KernelLock(path)
    for _ in range(3):
        with lock.held():
            assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b""


IN_VAIN = """
import os, sys, uuid
from pathlib import Path
from sessionlab.errors import UnwritableError
from sessionlab.storage.kernel_lock import KernelLock
from sessionlab.storage.lock import StoreLock
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
folder = Path(sys.argv[1])
for lock in (KernelLock(folder / "lock"), StoreLock(folder / "sessions.json")):
    try:
        with lock.held():
            print("held")
    except UnwritableError as error:
        print(error)
"""


def test_folder_in_which_no_lock_file_can_be_made_is_named(tmp_path: Path) -> None:
    """The lock file is not there, so that removing it is no advice."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in list(tmp_path.parents)[:2]:
        place.chmod(0o711)
    tmp_path.chmod(0o711)
    folder.chmod(0o555)
    command = [sys.executable, "-c", IN_VAIN, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    wanted = f"{folder}: no file can be made in this folder (Permission denied); make this folder writable for this user"
    assert (done.stdout.splitlines(), done.stderr) == ([wanted] * 2, "")


def test_descriptor_is_kept_until_closed(path: Path) -> None:
    before = set(kernel_lock._kept)
    lock = KernelLock(path)
    with lock.held():
        kept = kernel_lock._kept - before
        lock.close()
        assert not is_free_elsewhere(path), "closing it while it is held must not free it"
    assert not kernel_lock._kept - before
    for _ in range(2):
        with lock.held():
            assert len(kept) == len(kernel_lock._kept - before) == 1
    del lock
    gc.collect()
    assert not kernel_lock._kept - before


def is_free_elsewhere(path: Path) -> bool:
    """Ask another process, as this thread would only be told that it holds the lock itself."""
    with Other("tell('yes')\nwith KernelLock(path, 50).held(): tell('free')", path) as other:
        assert other.says() == "yes"
        return other.says() == "free"


def test_several_objects_and_spellings_exclude_each_other(path: Path) -> None:
    (path.parent / "link").symlink_to(".")
    other = KernelLock(path.parent / "link" / path.name, 20)
    with KernelLock(path).held(), pytest.raises(StoreLockedError, match="this very thread"), other.held():
        pytest.fail("two hold one lock")


def test_holder_in_another_process_is_waited_for(path: Path) -> None:
    """B.20, D.34."""
    with Other(HOLD, path) as other:
        assert other.says() == "held"
        begun = time.monotonic()
        with pytest.raises(StoreLockedError, match=r"session file locked \(timeout 60ms\)") as caught, KernelLock(path, 60).held():
            pytest.fail("two hold one lock")
        assert 0.055 < time.monotonic() - begun < 10
        assert str(path) in str(caught.value)
        threading.Timer(0.05, other.go_on).start()
        with KernelLock(path).held():
            assert other.says() == "free"


@pytest.mark.parametrize("where", ["_reserve", "_is_in_place", "_unlock"])
def test_who_is_interrupted_keeps_it_from_nobody(path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Neither while it is taken nor while it is freed: Ctrl-C comes at any time, and a notebook goes on after it."""
    mine, other = KernelLock(path, 300), KernelLock(path, 300)
    step = getattr(KernelLock, where)
    is_first = [True]

    def interrupted(lock: KernelLock) -> object:
        if where != "_unlock":
            step(lock)
        if is_first:
            is_first.clear()
            raise KeyboardInterrupt
        return step(lock)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(KernelLock, where, interrupted)
        with mine.held():
            pass
    assert not is_first
    for lock in (other, mine):
        with lock.held():
            pass


def test_holder_that_is_killed_frees_it_at_once(path: Path) -> None:
    for _ in range(3):
        with Other(HOLD, path) as other:
            assert other.says() == "held"
            assert not is_free(path)
            other.kill()
            assert is_free(path)


def test_eight_processes_lose_nothing(path: Path) -> None:
    path.with_name("counter").write_text("0", encoding="utf-8")
    others = [Other(INCREMENT, path) for _ in range(8)]
    assert [other.says() for other in others] == ["ready"] * 8
    for other in others:
        other.go_on()
    assert [other.says() for other in others] == ["done"] * 8
    for other in others:
        other.__exit__(None, None, None)
    assert path.with_name("counter").read_text(encoding="utf-8") == "000001600"


def test_file_that_is_removed_is_made_again(path: Path) -> None:
    """Holding what the file was would exclude nobody."""
    lock = KernelLock(path)
    with lock.held():
        path.unlink()
    with Other(HOLD, path) as other:
        assert other.says() == "held"
        with pytest.raises(StoreLockedError), KernelLock(path, 20).held():
            pytest.fail("two hold one lock")
        lock.timeout_ms = 20
        with pytest.raises(StoreLockedError), lock.held():
            pytest.fail("two hold one lock")
    with lock.held():
        assert path.exists()


def test_file_that_is_replaced_while_somebody_waits_is_noticed(path: Path) -> None:
    waiter = """
lock = KernelLock(path)
tell("ready")
with lock.held():
    tell(path.stat().st_ino)
    wait()
"""
    with Other(HOLD, path) as holder:
        assert holder.says() == "held"
        with Other(waiter, path) as other:
            assert other.says() == "ready"
            path.rename(path.with_name("moved"))
            path.write_bytes(b"")
            holder.go_on()
            assert other.says() == str(path.stat().st_ino)
            assert not is_free(path)


@pytest.mark.parametrize("make", ["link", "folder", "pipe"])
def test_link_or_something_else_in_its_place_is_refused(path: Path, make: str) -> None:
    if make == "link":
        path.symlink_to("elsewhere")
    elif make == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(UnwritableError) as caught, KernelLock(path, 20).held():
        pytest.fail("locked something that is no file")
    assert str(path) in str(caught.value)
    assert not path.with_name("elsewhere").exists()


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match="no folder"), KernelLock(tmp_path / "absent" / "lock").held():
        pytest.fail("locked nothing")


FORK = """
lock = KernelLock(path, 100)
with lock.held():
    child = os.fork()
    if child == 0:
        try:
            with lock.held():
                tell("child holds it, too")
        except StoreLockedError:
            tell("child is locked out")
    else:
        os.waitpid(child, 0)
        wait()
        tell("parent leaves")
        if sys.argv[1].endswith("dies"):
            os._exit(1)
if child == 0:
    tell("child has left")
    os._exit(0)
tell("parent has left")
"""


def test_forked_process_does_not_hold_it_and_frees_nothing(path: Path) -> None:
    with Other(FORK, path) as other:
        assert [other.says(), other.says()] == ["child is locked out", "child has left"]
        assert not is_free(path)
        other.go_on()
        assert [other.says(), other.says()] == ["parent leaves", "parent has left"]
        assert is_free(path)


def test_forked_process_that_lives_on_keeps_nothing_locked(path: Path) -> None:
    body = """
with KernelLock(path).held():
    child = os.fork()
    if child:
        tell(child)
    time.sleep(600)
"""
    with Other(body, path) as other:
        child = int(other.says())
        try:
            assert not is_free(path)
            other.kill()
            assert is_free(path)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no line elsewhere")
def test_nobody_passes_the_first_in_line_but_who_has_its_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = """
import fcntl
file = os.open(path, os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
tell("first")
wait()
"""
    monkeypatch.setattr(kernel_lock, "_TURN_S", 60.0)
    lock = KernelLock(path, 50)
    with lock.held():
        pass
    with Other(first, path) as other:
        assert other.says() == "first"
        with lock.held():
            pass
        with pytest.raises(StoreLockedError), KernelLock(path, 50).held():
            pytest.fail("passed the first in line")
        lock._turn_end_s = time.monotonic()
        with pytest.raises(StoreLockedError), lock.held():
            pytest.fail("passed the first in line")
        other.kill()
        with lock.held():  # whoever stands in line and dies keeps nobody waiting
            pass
