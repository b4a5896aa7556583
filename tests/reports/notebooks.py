"""Small notebooks that the report tests write, run and export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4


def markdown(source: str) -> Any:
    return v4.new_markdown_cell(source)


def code(source: str, *tags: str, outputs: list[Any] | None = None) -> Any:
    cell = v4.new_code_cell(source, outputs=outputs or [])
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def shown(**data: Any) -> Any:
    """Return a display output; the keys are MIME types with `__` for `/`, and `plotly` for plotly's."""
    names = {"plotly": "application/vnd.plotly.v1+json"}
    return v4.new_output("display_data", data={names.get(key, key.replace("__", "/")): value for key, value in data.items()})


def notebook(*cells: Any) -> Any:
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # nbformat's own are random
    return v4.new_notebook(cells=list(cells))


def write(path: Path, *cells: Any) -> Path:
    nbformat.write(notebook(*cells), path)
    return path
