"""`sessionlab lab`: JupyterLab on the notebooks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from sessionlab import resources
from sessionlab.cli.output import echo_json, json_option, refuse_off_limits
from sessionlab.errors import UsageError


@click.command("lab", context_settings={"ignore_unknown_options": True})
@click.option("--dir", "folder", metavar="DIR", help="Work on a copy of the notebooks in DIR (made when it does not exist).")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
@json_option
def command(*, folder: str | None, jupyter_options: tuple[str, ...], as_json: bool) -> None:
    """Open JupyterLab on the notebooks; further options go to JupyterLab (such as --no-browser).

    In a checkout these are the committed notebooks; of an installed package a copy in ./sessionlab-notebooks.
    """
    place = _place(folder)
    arguments = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={place}", *jupyter_options]
    if as_json:
        echo_json({"folder": str(place), "command": arguments})
        return
    click.echo(f"JupyterLab on {place}", err=True)
    os.execv(sys.executable, arguments)  # noqa: S606  # our own interpreter, no shell; it takes this process over


def _place(folder: str | None) -> Path:
    """Return the folder to work in, copying the notebooks there unless they are in it."""
    source = resources.notebooks_dir()
    if folder is None and resources.project_root() is not None:
        return source
    place = Path(folder or "sessionlab-notebooks").absolute()
    refuse_off_limits(place, "--dir", what="folder")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")):
            if not (place / notebook.name).exists():
                shutil.copyfile(notebook, place / notebook.name)
    except OSError as error:
        raise UsageError(f"{place}: cannot hold the notebooks ({error.strerror}); name another folder with --dir") from error
    return place
