"""Fixtures that several test files share: the system programs that a few tests need."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest


def system_program(names: tuple[str, ...], *, package: str) -> Path:
    """Return the first of `names` found on PATH.

    On a user's machine a missing program skips the test with the reason; where `CI=true` it fails it, since there every
    test is meant to run.
    """
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    reason = f"needs {names[0]}: on Debian or Ubuntu, apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_configure() -> None:
    """Have Ctrl-C mean something: a shell lets its background jobs ignore it, and so would every program that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the headless browser that reports are checked in."""
    return system_program(("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"), package="chromium")


@pytest.fixture(scope="session")
def strace() -> Path:
    """Return the tracer that shows which system calls a reader makes, and that can make them fail."""
    return system_program(("strace",), package="strace")
