"""Put the notebooks, the sample and the recorded measurements into the wheel; the only thing of our own that runs at build time.

A static `force-include` in pyproject.toml would do the same for wheels, but an editable install would then copy these folders
into site-packages as well, where they go stale, and would fail in a checkout that lacks one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleHook(BuildHookInterface[Any]):
    """Bundle `notebooks/`, `data/sample/` and `data/benchmarks/` where sessionlab/resources.py looks for them in an installed wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders to a standard wheel, and nothing to an editable one."""
        if version != "standard":
            return
        # File by file: an editor's checkpoints beside the notebooks must not travel, and all folders must be there.
        notebooks = sorted(Path(self.root, "notebooks").glob("*.ipynb"))
        records = sorted(Path(self.root, "data", "benchmarks").glob("*.json"))
        if not notebooks or not records or not Path(self.root, "data", "sample").is_dir():
            raise FileNotFoundError(
                "notebooks/*.ipynb, data/benchmarks/*.json or data/sample/ is missing: build the wheel from a complete checkout or sdist"
            )
        bundled = {f"notebooks/{path.name}": f"sessionlab/_bundled/notebooks/{path.name}" for path in notebooks}
        bundled |= {f"data/benchmarks/{path.name}": f"sessionlab/_bundled/data/benchmarks/{path.name}" for path in records}
        build_data["force_include"].update(bundled | {"data/sample": "sessionlab/_bundled/data/sample"})
