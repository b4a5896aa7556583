"""A JupyterLab of this interpreter, and how a test makes it run a notebook in headless Chromium."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat

from tests.browser import Page

# No question about news, and every cell in the page, not only those in view.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Give the address of a JupyterLab of this interpreter on `folder`, with no user settings and no news."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    private = folder.parent / "jupyter"
    overrides = private / "app-settings" / "overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(json.dumps(OVERRIDES), encoding="utf-8")
    places = {f"JUPYTER_{name}_DIR": str(private / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--LabApp.news_url=None"]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", f"--LabApp.app_settings_dir={overrides.parent}"]
    log = (private / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env=os.environ | places,
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        cwd=folder,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 40
        while True:
            try:
                with urllib.request.urlopen(f"{address}/api/status", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, (private / "log").read_text()
                assert time.monotonic() < end, (private / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def run_all(page: Page, address: str, notebook: Path) -> None:
    """Open a notebook that lies in the folder of the JupyterLab at `address`, and run all its cells."""
    cells = len(nbformat.read(notebook, as_version=4).cells)
    for domain in ("Page", "Network", "Runtime", "Log"):
        page.call(f"{domain}.enable")
    page.call("Page.navigate", url=f"{address}/lab/tree/{notebook.name}?reset")
    page.wait_for(f"document.querySelectorAll('.jp-Notebook .jp-Cell').length >= {cells}")
    page.click(".jp-Notebook .jp-Cell")
    # Cells that are run before the kernel is there lose their outputs and are never run.
    page.wait_for("[...document.querySelectorAll('.jp-StatusBar-TextItem')].some(e => e.innerText.includes('| Idle'))")
    page.eval("[...document.querySelectorAll('.lm-MenuBar-itemLabel')].find(e => e.innerText == 'Run').parentElement.id = 'run-menu'")
    page.click("#run-menu")
    item = ".lm-Menu-item[data-command='runmenu:run-all']"
    page.wait_for(f'!!document.querySelector("{item}")')
    x, y = page.eval(f'(b => [b.x + 20, b.y + b.height / 2])(document.querySelector("{item}").getBoundingClientRect())')
    # This menu takes a click only on the item that the mouse has moved to.
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.click(item)
