"""Replacing a file: old or new, never half; what the system refuses is worded, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessionlab.errors import UncertainWriteError, UnwritableError
from sessionlab.storage import files
from sessionlab.storage.files import is_alive, make_folder, remove_leftovers, replace_file, temporary_path

UUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.json"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def dead_pid() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_pieces_are_joined_and_nothing_else_is_left(target: Path) -> None:
    """D.43."""
    found = replace_file(target, [b"new ", memoryview(b"content"), b"", bytearray(b"!")])
    assert target.read_bytes() == b"new content!"
    assert os.path.samestat(found, target.stat())
    assert (found.st_size, found.st_mtime_ns, found.st_ctime_ns) == (12, target.stat().st_mtime_ns, target.stat().st_ctime_ns)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "pieces", [[], [b""], [b"x"] * 5_000, [b"x" * 3_000_000, b"y", b"z" * 2_000_000]], ids=["none", "empty", "many", "large"]
)
def test_any_number_of_pieces_of_any_size(target: Path, pieces: list[bytes]) -> None:
    replace_file(target, pieces, durable=False)
    assert target.read_bytes() == b"".join(pieces)


def test_short_writes_are_gone_on_with(tmp_path: Path) -> None:
    """A pipe takes what fits; the rest follows where it left off, also in the middle of a piece."""
    pieces = [bytes([number]) * (number * 997 % 4_001) for number in range(256)]
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        files._write_all(writer, pieces)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"".join(pieces)
    assert os.wait()[1] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_file_is_private_whatever_it_was_and_whatever_the_umask(target: Path, umask: int) -> None:
    """D.43."""
    target.chmod(0o644)
    before = os.umask(umask)
    try:
        replace_file(target, [b"new"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_file_stays_its_owners_when_root_writes_it(target: Path) -> None:
    os.chown(target, 12345, 23456)
    replace_file(target, [b"new"])
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 23456)


def test_link_stays_and_what_it_leads_to_is_replaced(target: Path) -> None:
    folder = target.parent / "linked"
    folder.mkdir()
    link = folder / "store.json"
    link.symlink_to("../sessions.json")
    replace_file(link, [b"new"])
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert list(folder.iterdir()) == [link]


def test_other_name_of_the_old_file_keeps_the_old_content(target: Path) -> None:
    other = target.with_name("backup")
    other.hardlink_to(target)
    replace_file(target, [b"new"])
    assert other.read_bytes() == b"old"


def test_files_time_is_the_clocks_not_the_kernels_which_stands_still_for_milliseconds(tmp_path: Path) -> None:
    """Inodes are used again at once: two files of one step of the kernel's clock could be taken for one another."""
    path = tmp_path / "x"
    seen = set()
    for _ in range(50):
        before_ns = time.time_ns()
        found = replace_file(path, [b"x"], durable=False)
        assert before_ns <= found.st_mtime_ns <= time.time_ns()
        seen.add((found.st_ino, found.st_mtime_ns))
    assert len(seen) == 50


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space on the disk"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "writable for this user"),
        (errno.EIO, "the disk reports an error"),
        (errno.ELOOP, "see to the folder"),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else "",
)
def test_refusal_names_the_file_and_what_to_do(target: Path, number: int, advice: str) -> None:
    error = files.refused(target, OSError(number, os.strerror(number)))
    assert isinstance(error, UnwritableError)
    assert error.exit_code == 10
    assert str(error).startswith(f"{target}: cannot be written ({os.strerror(number)}); it is as it was; ")
    assert advice in error.advice


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS], ids=errno.errorcode.get)
def test_refusal_to_make_a_file_names_the_folder_that_is_there(tmp_path: Path, number: int) -> None:
    """Not the file, which the user looks for in vain."""
    for path in (tmp_path / "absent", tmp_path / "no folder" / "yet" / "absent"):
        error = files.refused(path, OSError(number, os.strerror(number)))
        assert str(error).startswith(f"{tmp_path}: no file can be made in this folder ({os.strerror(number)}); ")
        assert "this folder" in error.advice or number == errno.EROFS


@pytest.fixture
def small_limit() -> Iterator[None]:
    """Let no file grow beyond 100,000 bytes: as on a full disk, the first pieces still fit."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_limit")
def test_write_that_does_not_fit_leaves_the_old_file_and_nothing_else(target: Path) -> None:
    with pytest.raises(UnwritableError, match="File too large"):
        replace_file(target, [b"x" * 60_000] * 3)
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def folder_in_its_place(target: Path) -> None:
    target.unlink()
    target.mkdir()


def no_folder(target: Path) -> None:
    target.unlink()
    target.parent.rmdir()


@pytest.mark.parametrize("spoil", [folder_in_its_place, no_folder])
def test_what_cannot_be_replaced_is_an_error_and_leaves_nothing(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    target = tmp_path / "folder" / "sessions.json"
    target.parent.mkdir()
    target.write_bytes(b"old")
    spoil(target)
    with pytest.raises(UnwritableError) as caught:
        replace_file(target, [b"new"])
    assert str(target) in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")] == []


def test_interruption_leaves_the_old_file_and_nothing_else(target: Path) -> None:
    class Interrupting(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(target, Interrupting([b"new"]))
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


INJECTED = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from sessionlab.errors import StoreError
from sessionlab.storage.files import replace_file
import uuid
try:
    replace_file(Path(sys.argv[1]), [b"new"])
except StoreError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("injected", "error", "content"),
    [
        ("openat:error=EROFS:when={open}", UnwritableError, b"old"),
        ("writev:error=ENOSPC:when=1", UnwritableError, b"old"),
        ("fsync:error=EIO:when=1", UnwritableError, b"old"),
        ("rename:error=EACCES:when=1", UnwritableError, b"old"),
        ("fsync:error=EIO:when=2", UncertainWriteError, b"new"),
    ],
    ids=["make", "write", "fsync", "rename", "fsync-folder"],
)
def test_system_call_that_fails(target: Path, strace: Path, injected: str, error: type[Exception], content: bytes) -> None:
    """T3: the old file before the rename; after it the new one, and an error that says that it may not last."""
    script = target.with_name("script.py")
    script.write_text(INJECTED.format(paths=[path for path in sys.path if path] + [str(Path(files.__file__).parents[2])]), encoding="utf-8")
    program = [os.path.realpath(sys.executable), "-B", "-S", "-I", str(script), str(target)]
    trace = [str(strace), "-f", "-qq", "-e", "signal=none"]
    if "{open}" in injected:
        log = target.with_name("log")
        subprocess.run([*trace, "-o", str(log), "-e", "trace=openat", *program], check=True, capture_output=True, timeout=60)
        calls = log.read_text(encoding="utf-8").splitlines()
        injected = injected.format(open=next(place for place, call in enumerate(calls, 1) if ".tmp" in call))
        log.unlink()
        target.write_bytes(b"old")
    done = subprocess.run(
        [*trace, "-o", "/dev/null", "-e", f"inject={injected}", *program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == error.__name__, done.stderr
    assert target.read_bytes() == content
    assert {path.name for path in target.parent.iterdir()} == {"sessions.json", "script.py"}


# -- folders and leftovers


def test_folder_is_private_and_may_be_there_already(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        make_folder(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableError):
        make_folder(tmp_path / "file" / "folder")


def test_temporary_files_of_dead_processes_are_removed_and_no_others(target: Path, dead_pid: int) -> None:
    """F.24."""
    gone = [f"sessions.json.{dead_pid}.{UUID}.tmp", f"sessions.json.lock.{dead_pid}.{UUID}.tmp"]
    kept = [
        f"sessions.json.{os.getpid()}.{UUID}.tmp",
        f"other.json.{dead_pid}.{UUID}.tmp",
        f"sessions.json.{dead_pid}.tmp",
        f"sessions.json.{dead_pid}.{UUID}.tmp.jsonl",
        "sessions.json.bak.1791244800000",
        "sessions.json",
    ]
    for name in (*gone, *kept):
        (target.parent / name).write_bytes(b"x")
    remove_leftovers(target, of=("sessions.json", "sessions.json.lock"))
    assert {path.name for path in target.parent.iterdir()} == set(kept)


def test_temporary_names_are_those_that_are_swept(target: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int) -> None:
    monkeypatch.setattr(os, "getpid", lambda: dead_pid)
    temporary = temporary_path(target)
    temporary.write_bytes(b"x")
    remove_leftovers(target, of=(target.name,))
    assert list(target.parent.iterdir()) == [target]


def test_process_that_has_ended_is_not_alive_even_before_it_is_collected(dead_pid: int) -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)
    assert not is_alive(dead_pid)
    assert not is_alive(0)
    assert not is_alive(-1)
    assert not is_alive(1 << 70)
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(ended.pid)
