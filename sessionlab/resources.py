"""Where the files that come with sessionlab lie: the notebooks, the sample state folder and the recorded measurements.

In a checkout they are the top-level `notebooks/`, `data/sample/` and `data/benchmarks/`; in an installed wheel they were put under
`sessionlab/_bundled/` when it was built. Knows paths only; must not read, copy or write what lies there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sessionlab.errors import SessionLabError

_PACKAGE: Final = Path(__file__).resolve().parent
_BUNDLED: Final = _PACKAGE / "_bundled"


class MissingResourceError(SessionLabError):
    """A file that comes with sessionlab is not where this installation should have it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: is missing from this installation; reinstall sessionlab, or run it from a complete checkout")


def project_root() -> Path | None:
    """Return the top folder of the checkout that this package runs from, or `None` when it is installed from a wheel."""
    top = _PACKAGE.parent
    # A wheel's parent is site-packages; only a checkout has the project file beside the package, and never `_bundled`.
    return top if not _BUNDLED.exists() and (top / "pyproject.toml").is_file() else None


def notebooks_dir() -> Path:
    """Return the folder that holds the notebooks, absolute.

    Raises:
        MissingResourceError: This installation lacks it.
    """
    return _existing("notebooks")


def sample_dir() -> Path:
    """Return the sample state folder, absolute; it is to be read only.

    Raises:
        MissingResourceError: This installation lacks it.
    """
    return _existing("data/sample")


def benchmarks_dir() -> Path:
    """Return the folder of the recorded measurements, absolute; only `bench.record` writes there.

    Raises:
        MissingResourceError: This installation lacks it.
    """
    return _existing("data/benchmarks")


def _existing(relative: str) -> Path:
    folder = (project_root() or _BUNDLED) / relative
    if not folder.is_dir():
        raise MissingResourceError(folder)
    return folder
