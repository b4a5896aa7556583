"""The one kind of kernel that runs notebooks: the running interpreter, in an environment that we decide.

A user's kernelspecs, IPython profile, start-up files, time zone or plotly renderer must not change a report or a committed
notebook, so all of these are set here. It must not know what is run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ipykernel.kernelspec
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from traitlets import default
from traitlets.config import Config

KERNEL_NAME = "python3"

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


class OwnKernelManager(AsyncKernelManager):
    """A kernel manager that starts our kernel."""

    @default("kernel_spec_manager")
    def _own_kernel_specs(self) -> KernelSpecManager:
        return OwnKernelSpecManager(parent=self)


@contextmanager
def client_options(folder: Path) -> Iterator[dict[str, Any]]:
    """Give the options that nbclient (or papermill's engine, which passes them on) needs to run cells in `folder`.

    The folder goes through `resources`, never by changing the directory of this process: threads share that.
    Widget state is not stored: one plotly widget would add 5 MB to the notebook. The kernel's IPython folder is private
    and gone afterwards.
    """
    with _event_loop_closed_at_the_end(), TemporaryDirectory(prefix="sessionlab-ipython-", ignore_cleanup_errors=True) as ipython_dir:
        yield {
            "kernel_name": KERNEL_NAME,
            "kernel_manager_class": OwnKernelManager,
            "resources": {"metadata": {"path": str(folder)}},
            "store_widget_state": False,
            # Else ipykernel announces on the terminal that its loopback TCP is plain, and now and then an interrupt at its end.
            "config": Config({"KernelManager": {"transport_encryption": "auto"}}),
            "extra_arguments": ["--log-level=50", "--HistoryManager.hist_file=:memory:", f"--ipython-dir={ipython_dir}"],
        }


@contextmanager
def _event_loop_closed_at_the_end() -> Iterator[None]:
    """Close the event loop that jupyter_core makes for this thread and leaves open (it makes a new one when asked again)."""
    try:
        yield
    finally:
        loop = ensure_event_loop()
        if not loop.is_running():
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)
