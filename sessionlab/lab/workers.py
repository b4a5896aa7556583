"""Reading many transcripts on all cores: a few helper processes that parse, while the caller takes their batches over.

The helpers are plain Python processes. Python's own process pools either fork, which a process with DuckDB's threads must not, or import
the caller's main module again, which runs a user's script twice.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sessionlab import scratch
from sessionlab.errors import SessionLabError
from sessionlab.lab.columns import EventBatch, ParseJob, parse

BATCH_BYTES: Final = 24 << 20
"""About how many bytes of transcripts make one batch: small enough that all helpers end together, large enough to be worth a trip."""

AHEAD: Final = 48
"""How many batches may be read before the caller takes the first: about 1 GB of transcripts, 200 MB as arrays."""

WORTH_HELPERS_BYTES: Final = 96 << 20
"""Below this, starting the helpers takes longer than they save."""

_JOBS: Final = "jobs"
_NUMBER: Final = struct.Struct("=i")
"""How a batch's number travels: so short that a pipe never tears it, whoever reads beside."""


class WorkerDiedError(SessionLabError):
    """A helper process ended before its work did (killed, or out of memory)."""

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(
            f"a process reading transcripts ended early (status {exit_status}); run it again, with more memory if it was killed"
        )


def parse_all(jobs: Sequence[ParseJob], *, processes: int | None = None) -> Iterator[EventBatch]:
    """Read transcripts and yield them in batches; see `reading`."""
    with reading(jobs, processes=processes) as batches:
        yield from batches


@contextlib.contextmanager
def reading(jobs: Sequence[ParseJob], *, processes: int | None = None) -> Iterator[Iterator[EventBatch]]:
    """Begin to read transcripts, and give an iterator over them in batches, in no fixed order; each transcript lies whole in one batch.

    With helpers the reading goes on while the caller does something else first. Leaving the block ends it.

    Args:
        jobs: What to read.
        processes: How many helpers; by default one per core for a large amount and none, reading in this process, for a small one.

    Raises:
        WorkerDiedError: A helper did not come back (raised by the iterator).
    """
    batches = _batches(jobs)
    total = sum(_weight(job) for job in jobs)
    count = processes if processes is not None else (os.cpu_count() or 1) if total >= WORTH_HELPERS_BYTES else 0
    count = min(count, len(batches))
    if count < 2:
        yield (parse(batch) for batch in batches)
        return
    with contextlib.closing(_Crew(batches, count)) as crew:
        yield crew.results()


def _batches(jobs: Sequence[ParseJob]) -> list[list[ParseJob]]:
    """Cut the jobs into runs of about `BATCH_BYTES`, in order."""
    batches: list[list[ParseJob]] = []
    room = 0
    for job in jobs:
        weight = _weight(job)
        if not batches or weight > room:
            batches.append([])
            room = BATCH_BYTES
        batches[-1].append(job)
        room -= weight
    return batches


def _weight(job: ParseJob) -> int:
    return len(job.data) if job.data is not None else job.limit_bytes


class _Crew:
    """Helper processes that take the numbers of batches from one pipe and say on another which they have done.

    What they made of a batch lies in a private folder until it is asked for: they never wait for a caller who is busy, not even for a
    moment of the interpreter's lock.
    """

    def __init__(self, batches: Sequence[Sequence[ParseJob]], count: int) -> None:
        self._batches = len(batches)
        self._ordered = 0
        self._helpers: list[subprocess.Popen[bytes]] = []
        try:
            self._folder = scratch.make_folder("reading")
        except OSError as error:
            raise _no_room(error) from error
        orders, self._orders = os.pipe()
        self._news, news = os.pipe()
        try:
            (self._folder / _JOBS).write_bytes(pickle.dumps(batches, pickle.HIGHEST_PROTOCOL))
            for _ in range(AHEAD):
                self._order()
            command = [sys.executable, "-c", "from sessionlab.lab.workers import serve; serve()", str(self._folder)]
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "OPENBLAS_NUM_THREADS": "1",  # numpy starts threads for linear algebra, of which there is none
            }
            for _ in range(count):
                # In a group of its own: Ctrl-C is for the caller, who then ends its helpers.
                helper = subprocess.Popen(command, stdin=orders, stdout=news, env=environment, process_group=0)
                self._helpers.append(helper)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise _no_room(error) from error
            raise
        finally:
            os.close(orders)
            os.close(news)

    def results(self) -> Iterator[EventBatch]:
        """Yield every batch as it is done."""
        for _ in range(self._batches):
            done = os.read(self._news, _NUMBER.size)
            statuses = {helper.poll() for helper in self._helpers}
            if not done or statuses - {None, 0}:
                raise WorkerDiedError(max((status for status in statuses if status), key=abs, default=None))
            file = self._folder / str(_NUMBER.unpack(done)[0])
            with file.open("rb") as made:
                batch: EventBatch = pickle.load(made)  # noqa: S301  # our own child wrote it
            file.unlink()
            self._order()
            yield batch

    def _order(self) -> None:
        """Let one more batch be read; after the last one, let the helpers end."""
        if self._ordered < self._batches:
            with contextlib.suppress(BrokenPipeError):  # they are dead, and the news says so
                os.write(self._orders, _NUMBER.pack(self._ordered))
            self._ordered += 1
        elif self._orders >= 0:
            os.close(self._orders)
            self._orders = -1

    def close(self) -> None:
        """End the helpers and remove what they left."""
        for helper in self._helpers:
            helper.kill()
            helper.wait()
        for pipe in (self._news, self._orders):
            if pipe >= 0:
                os.close(pipe)
        shutil.rmtree(self._folder, ignore_errors=True)


def serve() -> None:
    """Read the batches whose numbers come in, into files of the folder that the command line names, until no more numbers come."""
    os.nice(5)  # the caller has the longer way to go: where cores are few, its work comes first
    gc.disable()  # a batch builds many objects and keeps no cycles
    folder = Path(sys.argv[1])
    batches = pickle.loads((folder / _JOBS).read_bytes())  # noqa: S301  # our own parent wrote it
    while order := os.read(0, _NUMBER.size):
        (number,) = _NUMBER.unpack(order)
        made = pickle.dumps(parse(batches[number]), pickle.HIGHEST_PROTOCOL)
        try:
            (folder / str(number)).write_bytes(made)
        except OSError as error:
            raise SystemExit(str(_no_room(error))) from error
        os.write(1, order)


def _no_room(error: OSError) -> SessionLabError:
    where = tempfile.tempdir or os.environ.get("TMPDIR", "the temporary folder")
    return SessionLabError(f"{where}: cannot be written ({error.strerror}); free some space there, or set TMPDIR to another folder")
