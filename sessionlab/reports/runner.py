"""Runs notebooks with parameters, through papermill's Python interface.

Owns the executed copy and the one-line errors. The notebook itself is never changed, and neither is this process:
no directory change (papermill's `cwd=` makes one), no kernel registered, nothing printed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sessionlab.errors import NotebookFailedError, SessionLabError, UsageError, exit_code_of
from sessionlab.reports.parameters import check_parameters, load_notebook

if TYPE_CHECKING:
    from sessionlab.reports.kernel import Kernels

START_TIMEOUT_S = 120

_LOOK_S = 0.1
"""How often the waiting thread wakes: it alone handles signals, but the system may give one to any thread, and wake that."""

GRACE_S = 0.7
"""How long an interrupted cell may take to put its own things away (helper processes, private copies) before its kernel is killed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running notebook is: cell `cell` of `cells` (1-based, all cells), under the heading `title`."""

    notebook: str
    cell: int
    cells: int
    title: str


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class NotebookJob:
    """One notebook to run: its source, where the executed copy goes, and the parameters."""

    source: Path
    output: Path
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutedNotebook:
    """A notebook that ran to its end: the file, its node and the seconds it took."""

    source: Path
    output: Path
    node: Any
    parameters: Mapping[str, object]
    seconds: float


def run_notebook(
    source: Path, output: Path, parameters: Mapping[str, object], *, on_progress: OnProgress | None = None
) -> ExecutedNotebook:
    """Run a notebook and write its executed copy to `output`, whose folder is created.

    The kernel is the running interpreter and works in the notebook's own folder. `on_progress` is called before each cell,
    from the thread that runs the notebook. Interrupted, it ends its kernel first.

    Raises:
        NotebookParameterError: a parameter is unknown or of the wrong type; nothing was run.
        NotebookFailedError: a cell raised, ended the kernel, or stopped the notebook early; `output` holds what was done.
        UsageError: the notebook is missing or unreadable, or the output is no `.ipynb` file or cannot be written.
    """
    (result,) = run_notebooks([NotebookJob(source, output, parameters)], workers=1, on_progress=on_progress)
    if isinstance(result, SessionLabError):
        raise result
    return result


def run_notebooks(
    jobs: Sequence[NotebookJob], *, workers: int = 2, on_progress: OnProgress | None = None
) -> tuple[ExecutedNotebook | SessionLabError, ...]:
    """Run several notebooks at once and return their results in the order of `jobs`; a failure is returned, not raised.

    Threads are enough, each notebook has its own kernel process; more workers than cores bring nothing. This thread only waits: what
    interrupts it never meets an event loop half-way, and ends all kernels before it goes on.
    """
    import papermill  # noqa: F401  # takes a second or two: here it can be interrupted, in a thread not

    from sessionlab.reports.kernel import Kernels

    kernels = Kernels()

    def run(job: NotebookJob) -> ExecutedNotebook | SessionLabError:
        try:
            return _run(job, kernels, on_progress)
        except SessionLabError as error:
            return error

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="notebook") as pool:
        futures = [pool.submit(run, job) for job in jobs]
        try:
            while wait(futures, timeout=_LOOK_S).not_done:
                pass
            return tuple(future.result() for future in futures)
        except BaseException:
            _end(futures, kernels)
            raise


def _end(futures: Sequence[Future[Any]], kernels: Kernels) -> None:
    """End the kernels, those that run a cell after a moment for that; their threads end with them."""
    for future in futures:
        future.cancel()
    kernels.interrupt()
    try:
        wait(futures, timeout=GRACE_S)
    finally:
        kernels.kill()


def _run(job: NotebookJob, kernels: Kernels, on_progress: OnProgress | None) -> ExecutedNotebook:
    source, output = job.source.absolute(), job.output.absolute()
    node, name = load_notebook(source)
    values = check_parameters(source, job.parameters)
    if output == source:
        raise UsageError(f"{source}: the executed copy would replace the notebook itself; choose another output")
    if output.suffix != ".ipynb":
        raise UsageError(f"{output}: the executed copy is a notebook; choose a name that ends in .ipynb")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output.parent}: this folder cannot be made ({error.strerror})") from error
    titles = _titles(node, injected=bool(values))
    started = perf_counter()
    executed = _execute(source, output, values, _Watcher(name, titles, kernels, on_progress))
    return ExecutedNotebook(source, output, executed, values, perf_counter() - started)


@dataclass(slots=True)
class _Watcher:
    """Follows a run: reports progress, and remembers the cell at which a kernel died."""

    name: str
    titles: list[str]
    kernels: Kernels
    on_progress: OnProgress | None
    index: int = 0

    def cell_starts(self, *, cell_index: int, **_: object) -> None:
        self.index = cell_index
        if not self.kernels.begin_cell():
            raise SessionLabError(f"{self.name}: interrupted")
        if self.on_progress is not None:
            self.on_progress(Progress(self.name, cell_index + 1, len(self.titles), self.titles[cell_index]))


def _execute(source: Path, output: Path, values: Mapping[str, object], watcher: _Watcher) -> Any:
    import papermill
    from nbclient.exceptions import DeadKernelError

    from sessionlab.reports.kernel import client_options

    # Everything papermill would log comes back as an exception, or is about files the caller named.
    logging.getLogger("papermill").setLevel(logging.CRITICAL + 1)
    try:
        with client_options(source.parent, watcher.kernels) as options:
            executed = papermill.execute_notebook(
                _literal(source),
                _literal(output),
                dict(values),
                language="python",
                progress_bar=False,
                start_timeout=START_TIMEOUT_S,
                on_cell_start=watcher.cell_starts,
                **options,
            )
    except papermill.PapermillExecutionError as error:
        reason = f"{error.ename}: {_first_line(error.evalue)}".rstrip(": ")
        cell, code = _code_cell(output, watcher.index), exit_code_of(error.ename)
        raise NotebookFailedError(watcher.name, cell, reason, output=output, exit_code=code) from error
    except RuntimeError as error:  # DeadKernelError, or in nbclient's words that the kernel did not start
        reason = "the kernel died" if isinstance(error, DeadKernelError) else _first_line(str(error))
        raise NotebookFailedError(watcher.name, _code_cell(output, watcher.index), reason, output=output) from error
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror})") from error
    _refuse_early_end(executed, watcher, output)
    return executed


def _literal(path: Path) -> str:
    """Return a path that papermill leaves alone: it formats paths with the parameters, and folders may have braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _refuse_early_end(executed: Any, watcher: _Watcher, output: Path) -> None:
    """Refuse a notebook that ended before its last cell: papermill takes `exit()` in a cell for success."""
    code = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    if any(cell.execution_count is None for cell in code):
        raise NotebookFailedError(watcher.name, _code_cell(output, watcher.index), "it ended the notebook early", output=output)


def _code_cell(output: Path, index: int) -> int:
    """Return the number that Jupyter shows beside the cell at `index`: its place among the code cells that are not empty."""
    from papermill.execute import ERROR_MARKER_TAG

    node, _ = load_notebook(output)
    cells = [cell for cell in node.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    return sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in cells[: index + 1])


def _titles(node: Any, *, injected: bool) -> list[str]:
    """Return for every cell the text of the nearest markdown heading at or above it; `injected` counts papermill's own cell."""
    titles: list[str] = []
    title = ""
    for cell in node.cells:
        if cell.cell_type == "markdown":
            headings = [line.lstrip("#").strip() for line in cell.source.splitlines() if line.startswith("#")]
            title = headings[0] if headings else title
        titles.append(title)
        if injected and "parameters" in cell.metadata.get("tags", []):
            titles.append(title)
    return titles or [""]


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
