"""Reading many transcripts on all cores: a few helper processes that parse, while the caller takes their batches over.

The helpers are plain Python processes that talk pickle over their pipes. Python's own process pools either fork, which a process with
DuckDB's threads must not, or import the caller's main module again, which runs a user's script twice.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from queue import SimpleQueue
from typing import Final, Self

from sessionlab.errors import SessionLabError
from sessionlab.lab.columns import EventBatch, ParseJob, parse

BATCH_BYTES: Final = 24 << 20
"""About how many bytes of transcripts make one batch: small enough that all helpers end together, large enough to be worth a trip."""

AHEAD: Final = 48
"""How many batches may be read before the caller takes the first: about 1 GB of transcripts, 200 MB as arrays."""

WORTH_HELPERS_BYTES: Final = 96 << 20
"""Below this, starting the helpers takes longer than they save."""


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
    threads = ThreadPoolExecutor(count)
    with contextlib.ExitStack() as stack:
        # The helpers end first: a thread that waits for one would otherwise be waited for.
        stack.callback(threads.shutdown, cancel_futures=True)
        idle: SimpleQueue[_Helper] = SimpleQueue()
        for _ in range(count):
            idle.put(stack.enter_context(_Helper()))

        def on_a_helper(batch: Sequence[ParseJob]) -> EventBatch:
            helper = idle.get()
            try:
                return helper.parse(batch)
            finally:
                idle.put(helper)

        ahead = iter(batches)
        running: set[Future[EventBatch]] = {threads.submit(on_a_helper, batch) for batch in islice(ahead, AHEAD)}

        def results() -> Iterator[EventBatch]:
            nonlocal running
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    following = next(ahead, None)
                    if following is not None:
                        running.add(threads.submit(on_a_helper, following))
                    yield future.result()

        yield results()


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


class _Helper:
    """One helper process."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", "from sessionlab.lab.workers import serve; serve()"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        # In a session of its own: Ctrl-C is for the caller, who then ends its helpers.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Killed first: closing a pipe flushes it, and waits for a thread that writes to a helper which reads no more.
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def parse(self, jobs: Sequence[ParseJob]) -> EventBatch:
        """Have the process parse a batch and wait for it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise WorkerDiedError(None)
        try:
            pickle.dump(list(jobs), stdin, pickle.HIGHEST_PROTOCOL)
            stdin.flush()
            batch = pickle.load(stdout)  # noqa: S301  # our own child wrote it
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise WorkerDiedError(self._process.poll()) from error
        if not isinstance(batch, EventBatch):
            raise WorkerDiedError(self._process.poll())
        return batch


def serve() -> None:
    """Answer batches of jobs on standard input with event batches on standard output, until the input ends."""
    gc.disable()  # a batch builds many objects and keeps no cycles
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            jobs = pickle.load(source)  # noqa: S301  # our own parent wrote it
        except EOFError:
            return
        pickle.dump(parse(jobs), sink, pickle.HIGHEST_PROTOCOL)
        sink.flush()
