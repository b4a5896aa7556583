"""Put the notebooks and the sample into the wheel; the only thing of our own that runs at build time.

A static `force-include` in pyproject.toml would do the same for wheels, but an editable install would then copy both folders
into site-packages as well, where they go stale, and would fail in a checkout that lacks one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleHook(BuildHookInterface[Any]):
    """Bundle `notebooks/` and `data/sample/` where sessionlab/resources.py looks for them in an installed wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the two folders to a standard wheel, and nothing to an editable one."""
        if version != "standard":
            return
        # File by file: an editor's checkpoints beside the notebooks must not travel, and both folders must be there.
        notebooks = sorted(Path(self.root, "notebooks").glob("*.ipynb"))
        if not notebooks or not Path(self.root, "data", "sample").is_dir():
            raise FileNotFoundError("notebooks/*.ipynb or data/sample/ is missing: build the wheel from a complete checkout or sdist")
        bundled = {f"notebooks/{path.name}": f"sessionlab/_bundled/notebooks/{path.name}" for path in notebooks}
        build_data["force_include"].update(bundled | {"data/sample": "sessionlab/_bundled/data/sample"})
