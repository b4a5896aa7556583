"""Rewrites the committed notebooks with fresh outputs: `python -m sessionlab.reports.refresh [--check] [NAMES]`.

The result depends on the code and the sample only: no times, no output of cells that measure the machine, no widget state, fixed metadata,
execution counts from 1. So a diff of a notebook shows a real change, on any supported Python. A notebook that fails is left as it was.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sessionlab.errors import NotebookFailedError, SessionLabError, UsageError
from sessionlab.reports.parameters import load_notebook

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"},
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MACHINE_TAG = "nbval-ignore-output"
"""What a cell of this tag shows depends on the machine: it is not kept, and nbval does not compare it."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One refreshed notebook: its file, and whether its bytes differ from what was there."""

    path: Path
    changed: bool


def fresh_text(path: Path) -> str:
    """Run the notebook at `path` in its own folder and return the text that its file should hold; writes nothing.

    Raises:
        NotebookFailedError: a cell raised or ended the kernel.
        UsageError: there is no notebook at `path`.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from sessionlab.reports.kernel import client_options

    path = path.absolute()
    node, name = load_notebook(path)
    _blank(node)
    try:
        with client_options(path.parent) as options:
            NotebookClient(node, record_timing=False, coalesce_streams=True, **options).execute()
    except CellExecutionError as error:
        raise NotebookFailedError(name, _last_cell(node), f"{error.ename}: {error.evalue.partition(chr(10))[0]}", output=path) from error
    except DeadKernelError as error:
        raise NotebookFailedError(name, _last_cell(node), "the kernel died", output=path) from error
    _normalise(node)
    nbformat.validate(node)
    return str(nbformat.writes(node, version=4)) + "\n"


def refresh_notebook(path: Path) -> Refreshed:
    """Bring the outputs of a committed notebook up to date; the file is written only when something changed."""
    text = fresh_text(path)
    changed = path.read_text(encoding="utf-8") != text
    if changed:
        path.write_text(text, encoding="utf-8", newline="\n")
    return Refreshed(path, changed)


def check_notebook(path: Path) -> Refreshed:
    """Say whether `refresh_notebook` would change the file; writes nothing."""
    return Refreshed(path, path.read_text(encoding="utf-8") != fresh_text(path))


def _blank(node: Any) -> None:
    for cell in node.cells:
        cell.metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    node.metadata = {}


def _normalise(node: Any) -> None:
    import nbformat

    node.metadata = nbformat.from_dict(METADATA)
    node.nbformat, node.nbformat_minor = 4, 5
    for cell in node.cells:
        if MACHINE_TAG in cell.metadata.get("tags", []):
            cell.outputs = []
        for output in cell.get("outputs", []):
            # The id of a widget is random; its text stays, and is what a reader without a kernel sees.
            output.get("data", {}).pop(WIDGET_VIEW, None)


def _last_cell(node: Any) -> int:
    """Return the number beside the failed cell: only cells up to it have output or a count."""
    counts = [cell.execution_count or 0 for cell in node.cells if cell.cell_type == "code"]
    return max(counts, default=0)


def _notebooks(folder: Path, names: tuple[str, ...]) -> list[Path]:
    found = sorted(folder.glob("*.ipynb"))
    unknown = [name for name in names if not any(name in (path.name, path.stem) for path in found)]
    if unknown or not found:
        known = ", ".join(path.stem for path in found) or "no notebook"
        raise UsageError(f"{folder}: {unknown[0] if unknown else '*.ipynb'} is not there; it has {known}")
    return [path for path in found if not names or path.name in names or path.stem in names]


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when a file would change.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="The notebooks' folder; by default the project's.")
@click.argument("names", nargs=-1)
def main(check: bool, folder: Path | None, names: tuple[str, ...]) -> None:  # noqa: FBT001 - click passes a flag so
    """Rewrite the committed notebooks (all, or NAMES) with fresh outputs."""
    from sessionlab.resources import notebooks_dir

    try:
        results = [(check_notebook if check else refresh_notebook)(path) for path in _notebooks(folder or notebooks_dir(), names)]
    except SessionLabError as error:
        click.echo(error, err=True)
        sys.exit(error.exit_code)
    for result in results:
        click.echo(f"{result.path.name}: {('would change' if check else 'rewritten') if result.changed else 'unchanged'}")
    sys.exit(check and any(result.changed for result in results))


if __name__ == "__main__":
    main()
