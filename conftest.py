"""What the tests and the notebooks under nbval share: one environment, whoever starts pytest and from wherever."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent

# A user's own set-up must not reach a test: his stores, his kernels, his IPython start-up files, his terminal, his editor.
FOREIGN = (
    "COLAB_NOTEBOOK_ID",
    "FORCE_COLOR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_PATH",
    "JUPYTER_PREFER_ENV_PATH",
    "JUPYTER_RUNTIME_DIR",
    "NO_COLOR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "PLOTLY_RENDERER",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "VSCODE_PID",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the environment before nbval reads its options and before any kernel starts."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    home = Path(tempfile.mkdtemp(prefix="sessionlab-home-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    ipython = ROOT / ".run" / "ipython"
    # IPython warns, into a notebook's output, when its folder does not exist.
    ipython.mkdir(parents=True, exist_ok=True)
    os.environ.update(HOME=str(home), IPYTHONDIR=str(ipython), TZ="UTC", PYTHONHASHSEED="0", PYTHONUTF8="1", COLUMNS="100")
    time.tzset()
    # nbval opens this file relative to the working folder; made absolute, the notebooks can be checked from anywhere.
    if config.getoption("nbval", default=False) and not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval_sanitize.cfg")
