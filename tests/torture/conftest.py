"""What the tests of the torture need of the system."""

from __future__ import annotations

import pytest

from tests.conftest import system_program
from tests.torture.full_disk import refusal_of_namespaces


@pytest.fixture
def own_disk() -> None:
    """Skip where a disk of our own may not be mounted."""
    system_program(("unshare",), package="util-linux")
    if (reason := refusal_of_namespaces()) is not None:
        pytest.skip(reason)
