"""`sessionlab run`: notebooks with parameters, several at once, for continuous integration."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionlab import layout
from sessionlab.cli.output import cell_progress, echo_json, has_state_dir, json_option, notebook_parameters, progress, refuse_off_limits
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.resources import notebooks_dir

if TYPE_CHECKING:
    from sessionlab.reports.runner import ExecutedNotebook


@click.command("run")
@click.argument("notebooks", nargs=-1, required=True)
@click.option("-o", "--output-dir", default="out", show_default=True, metavar="DIR", help="Where the executed notebooks go.")
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; each notebook must declare it. Repeatable."
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="How many run at once.")
@click.option("--html", "as_html", is_flag=True, help="Write each as one HTML file that opens offline, too, beside the executed copy.")
@json_option
def command(*, notebooks: tuple[str, ...], output_dir: str, params: tuple[str, ...], workers: int, as_html: bool, as_json: bool) -> None:
    """Run NOTEBOOKS (files, or names of sessionlab's own such as 01_growth) and keep the executed copies.

    A failing notebook leaves its executed file with the error in it, the others go on, and the exit code is 1, or that of the error
    when it is one of sessionlab's. A parameter source, or one whose name ends in _dir, _file or _path, is a path as seen from here.

    What is not given keeps the notebook's own default: for state_dir that is the bundled sample, as in the committed notebook, even where
    there is a ~/.openclaw.
    """
    from sessionlab.reports.runner import NotebookJob, run_notebooks

    values = notebook_parameters(params)
    folder = Path(output_dir).absolute()
    sources = [_source(name) for name in notebooks]
    if len({source.name for source in sources}) != len(sources):
        raise UsageError("two notebooks have the same file name: their executed copies would overwrite each other")
    for source in sources:
        for suffix in (".ipynb", *((".html",) if as_html else ())):
            refuse_off_limits(folder / source.with_suffix(suffix).name, "-o", what="folder")
    _tell_of_sample(sources, values)
    jobs = [NotebookJob(source, folder / source.name, values) for source in sources]
    with progress() as on_stage:
        results = run_notebooks(jobs, workers=workers, on_progress=cell_progress(on_stage))
    rows: list[dict[str, Any]] = []
    for job, result in zip(jobs, results, strict=True):
        failed = isinstance(result, SessionLabError)
        row = {"notebook": str(job.source), "output": str(job.output), "ok": not failed, "error": str(result) if failed else None}
        if as_html and not isinstance(result, SessionLabError):
            row["html"] = str(_page(result))
        rows.append(row)
    if as_json:
        echo_json({"notebooks": rows})
    for row in rows:
        if row["error"] is not None:
            click.echo(f"sessionlab: {row['error']}", err=True)
        elif not as_json:
            click.echo(row["output"])
            if "html" in row:
                click.echo(row["html"])
    codes = [result.exit_code for result in results if isinstance(result, SessionLabError)]
    if codes:
        raise click.exceptions.Exit(max(codes))


def _tell_of_sample(sources: Sequence[Path], values: Mapping[str, object]) -> None:
    """Say on stderr that notebooks take the sample by their own default, where another command would take the usual folder."""
    if "state_dir" in values or not has_state_dir():
        return
    from sessionlab.reports.parameters import declared_parameters

    taking = [source.stem for source in sources if source.exists() and any(one.name == "state_dir" for one in declared_parameters(source))]
    if taking:
        yours = "-p state_dir=" + shlex.quote(str(layout.default_state_dir()))
        click.echo(f"{', '.join(taking)}: with the default of state_dir, the bundled sample; for your own sessions: {yours}", err=True)


def _page(executed: ExecutedNotebook) -> Path:
    from sessionlab.reports.page import export_page

    return export_page(executed, executed.output.with_suffix(".html"), generated_ms=time.time_ns() // 1_000_000).path


def _source(name: str) -> Path:
    """Return the notebook that a name on the command line means: a file, or one that comes with sessionlab."""
    path = Path(name)
    if path.suffix == ".ipynb" or path.exists():
        return path.absolute()
    own = notebooks_dir() / f"{name}.ipynb"
    if not own.exists():
        known = ", ".join(sorted(file.stem for file in notebooks_dir().glob("*.ipynb")))
        raise UsageError(f"no notebook {name!r}; give a file, or one of {known}")
    return own
