"""The one kind of kernel that runs notebooks: the running interpreter, in an environment that we decide.

A user's kernelspecs, IPython profile, start-up files, time zone or plotly renderer must not change a report or a committed
notebook, so all of these are set here. It must not know what is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, ClassVar

import ipykernel.kernelspec
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from traitlets import default
from traitlets.config import Config

from sessionlab import scratch

KERNEL_NAME = "python3"
_GONE_S = 2.0
"""How long a killed process may take to end: the system does it in milliseconds, unless it is very busy."""

ENVIRONMENT = {
    "COLUMNS": "120",
    "PLOTLY_RENDERER": "plotly_mimetype",
    "PYTHONHASHSEED": "0",
    # An empty value means no start-up file: IPython would run the one of the user's interactive Python.
    "PYTHONSTARTUP": "",
    "TZ": "UTC",
}


class OwnKernelSpecManager(KernelSpecManager):
    """Answers every kernel name with the running interpreter; looks into no kernelspec folder."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002 - the name is what we disregard
        """Return the kernel specification of `sys.executable`, whatever `kernel_name` is."""
        spec: dict[str, Any] = dict(ipykernel.kernelspec.get_kernel_dict())
        spec |= {"argv": [sys.executable, *spec["argv"][1:]], "env": ENVIRONMENT}
        return KernelSpec(resource_dir=str(ipykernel.kernelspec.RESOURCES), **spec)


class Kernels:
    """The kernels of one run of notebooks, each driven by a thread of its own; another thread may end them all."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = Lock()
        self._by_thread: dict[int, OwnKernelManager] = {}
        self._are_ending = False

    def begin_cell(self) -> bool:
        """Say whether the calling thread may begin its next cell."""
        with self._lock:
            self._by_thread[get_ident()].is_working = True
            return not self._are_ending

    def started(self, kernel: OwnKernelManager) -> None:
        """Take in the kernel that the calling thread has just started."""
        with self._lock:
            self._by_thread[get_ident()] = kernel
            if self._are_ending:
                kernel.kill()

    def interrupt(self) -> None:
        """Interrupt the cells that run, so that they put their own things away, and let no other begin."""
        with self._lock:
            self._are_ending = True
            for kernel in self._by_thread.values():
                if kernel.is_working:
                    kernel.send(signal.SIGINT)
                else:  # it only starts: has nothing to put away, and would print where it was interrupted
                    kernel.kill()

    def kill(self) -> None:
        """End the kernels that are still there, and their threads' waiting for them."""
        with self._lock:
            for kernel in self._by_thread.values():
                kernel.kill()


class OwnKernelManager(AsyncKernelManager):
    """A kernel manager that starts our kernel."""

    kernels: ClassVar[Kernels]
    is_working = False
    _loop: asyncio.AbstractEventLoop

    @default("kernel_spec_manager")
    def _own_kernel_specs(self) -> KernelSpecManager:
        return OwnKernelSpecManager(parent=self)

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # an attribute there
        """Start the kernel, and say so to the run that it belongs to."""
        self._loop = asyncio.get_running_loop()
        await super().start_kernel(**options)
        self.kernels.started(self)

    def kill(self) -> None:
        """End the kernel from any thread, and see it gone; nbclient, which looks only every second whether it is alive, is woken."""
        self.send(signal.SIGKILL)
        process = getattr(self.provisioner, "process", None)
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it is in the kernel's hands then
                process.wait(_GONE_S)
        with contextlib.suppress(RuntimeError):  # closed: nobody waits
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(self._loop)])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the kernel and the processes of its group, if it is still there."""
        process = getattr(self.provisioner, "process", None)
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)  # jupyter_client starts it in a session of its own


@contextmanager
def client_options(folder: Path, kernels: Kernels | None = None) -> Iterator[dict[str, Any]]:
    """Give the options that nbclient (or papermill's engine, which passes them on) needs to run cells in `folder`.

    The folder goes through `resources`, never by changing the directory of this process: threads share that.
    Widget state is not stored: one plotly widget would add 5 MB to the notebook. The kernel's IPython folder and its connection file
    are private and gone afterwards. `kernels` is the run that the kernel belongs to.
    """
    private = scratch.make_folder("kernel")
    try:
        with _event_loop_closed_at_the_end():
            yield {
                "kernel_name": KERNEL_NAME,
                # nbclient makes the manager itself, from nothing but its class.
                "kernel_manager_class": type("RunKernelManager", (OwnKernelManager,), {"kernels": kernels or Kernels()}),
                "resources": {"metadata": {"path": str(folder)}},
                "store_widget_state": False,
                # Else ipykernel announces on the terminal that its loopback TCP is plain, and now and then an interrupt at its end.
                "config": Config({"KernelManager": {"transport_encryption": "auto", "connection_file": str(private / "kernel.json")}}),
                "extra_arguments": ["--log-level=50", "--HistoryManager.hist_file=:memory:", f"--ipython-dir={private}"],
            }
    finally:
        shutil.rmtree(private, ignore_errors=True)


@contextmanager
def _event_loop_closed_at_the_end() -> Iterator[None]:
    """Close the event loop that jupyter_core makes for this thread and leaves open (it makes a new one when asked again)."""
    try:
        yield
    finally:
        loop = ensure_event_loop()
        if not loop.is_running():
            left = asyncio.all_tasks(loop)  # of a kernel that died: asyncio complains about those that nobody ended
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)
