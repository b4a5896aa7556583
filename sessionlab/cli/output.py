"""What the commands share in printing: JSON with its version, aligned lines, progress on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from sessionlab import layout
from sessionlab.cli import calling
from sessionlab.errors import UsageError
from sessionlab.stores.locating import find_state_dir

JSON_SCHEMA_VERSION: Final = 1
"""Raised when a key of any command's JSON changes its meaning or goes away; new keys do not count."""


def _wherever_given(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001  # click's signature
    """Return whether JSON is wanted: said here, or before this command's name."""
    wanted = bool(value or ctx.meta.get("sessionlab.json"))
    ctx.meta["sessionlab.json"] = wanted
    return wanted


json_option = click.option("--json", "as_json", is_flag=True, callback=_wherever_given, help="Print JSON with a schema_version.")
state_dir_option = click.option(
    "--state-dir", metavar="DIR", help="The state folder of OpenClaw. Default: $OPENCLAW_STATE_DIR, else ~/.openclaw."
)
source_option = click.option(
    "--state-dir",
    metavar="DIR",
    help="State folder, agent's folder or store. Default: $OPENCLAW_STATE_DIR, else ~/.openclaw, else the bundled sample.",
)
sample_option = click.option("--sample", is_flag=True, help="The bundled sample, whatever else there is.")
agent_option = click.option("--agent", metavar="ID", help="Only this agent.")
now_option = click.option("--now-ms", type=int, default=0, metavar="MS", help="The clock, epoch milliseconds. Default: now.")


def named_source(state_dir: str | None, *, sample: bool) -> str:
    """Return what a command is to look at: `--state-dir`, else the usual state folder; "" for the sample.

    That is for whoever asks for it with `sample`, and, said on stderr, where there is no usual state folder.

    Raises:
        UsageError: Both are given, or the folder's name is blank, as that of a shell variable which is not set.
        NoStoreError: `$OPENCLAW_STATE_DIR` leads nowhere.
    """
    if state_dir is not None:
        if sample:
            raise UsageError("give either --sample or --state-dir, not both")
        return not_blank(state_dir, "--state-dir")
    if sample:
        return ""
    if has_state_dir():
        return str(find_state_dir())
    click.echo(f"There is no {layout.default_state_dir()}: this is the bundled sample. For another folder: --state-dir DIR", err=True)
    return ""


def has_state_dir() -> bool:
    """Say whether there is a usual state folder: `$OPENCLAW_STATE_DIR` is set, wherever it leads, or `~/.openclaw` is there."""
    return bool(os.environ.get(layout.STATE_DIR_VARIABLE, "").strip()) or os.path.lexists(layout.default_state_dir())


def output_file(text: str, option: str) -> Path:
    """Return, absolute, a file that a command is to write, before it begins to work for it.

    Raises:
        UsageError: It is a folder, or its folder does not exist or cannot be written to; or it is a store, a transcript or the
            configuration, or would lie among those.
    """
    path = Path(not_blank(text, option)).absolute()
    refuse_off_limits(path, option)
    if os.path.isdir(path):  # noqa: PTH112  # of a name that is too long, Path's raises
        raise UsageError(f"{path}: is a folder; name a file with {option}")
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise UsageError(f"{path}: cannot be written (there is no such folder); make it first, or name another file with {option}")
    import tempfile  # 8 ms that a listing need not pay

    try:
        tempfile.TemporaryFile(dir=path.parent).close()  # only trying tells: root may do what a file system cannot
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another file with {option}") from error
    return path


def output_files(*asked: tuple[str, str | None]) -> dict[str, Path]:
    """Return the files that a command is to write: option -> file, of those that were given.

    Args:
        asked: Each option with what was given for it, `None` for nothing.

    Raises:
        UsageError: As for `output_file`, or two of them are one file.
    """
    from sessionlab.cli.off_limits import same_file

    files: dict[str, Path] = {}
    for option, text in asked:
        if text is None:
            continue
        path = output_file(text, option)
        twin = next((name for name, other in files.items() if same_file(path, other)), None)
        if twin is not None:
            raise UsageError(f"{path}: is named twice, with {twin} and {option}; name another file with {option}")
        files[option] = path
    return files


def refuse_off_limits(path: Path, option: str, *, what: str = "file") -> None:
    """Refuse to write where sessions lie.

    Args:
        path: The file or folder that is to be written, absolute.
        option: What named it.
        what: Which of the two it is.

    Raises:
        UsageError: It is a store, a transcript or the configuration, or would lie among those.
    """
    from sessionlab.cli.off_limits import off_limits

    reason = off_limits(path) or (off_limits(path / "new") if what == "folder" else "")
    if reason:
        raise UsageError(f"{path}: {reason}; name another {what} with {option}")


def command_line(*words: str | Path) -> str:
    """Return a command as it can be pasted into a shell, beginning with what started this program: `sessionlab`, or `./run`."""
    return shlex.join([calling.program(), *map(str, words)])


def not_blank(text: str, name: str) -> str:
    """Return a path given on the command line.

    Raises:
        UsageError: It is blank, as that of a shell variable which is not set.
    """
    if not text.strip():
        raise UsageError(f"{name} is blank: name a folder or a file")
    return text


def notebook_parameters(params: Sequence[str]) -> dict[str, object]:
    """Take NAME=VALUE texts apart; the notebook's own declarations decide their types.

    Raises:
        UsageError: One is not of that form.
    """
    values: dict[str, object] = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"-p {text}: write NAME=VALUE")
        values[name] = value
    return values


def cell_progress(on_stage: Callable[[str, int, int], None] | None) -> Any:
    """Return a cell-by-cell progress callback for the runner, or `None` without a terminal."""
    if on_stage is None:
        return None
    return lambda step: on_stage(f"{step.notebook}: {step.title}"[:60], step.cell - 1, step.cells)


def echo_json(document: dict[str, Any]) -> None:
    """Print one JSON object, `schema_version` first."""
    click.echo(json.dumps({"schema_version": JSON_SCHEMA_VERSION, **document}, indent=2, ensure_ascii=False))


def echo_table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), indent: str = "") -> None:
    """Print rows as aligned columns; `right` names the columns that are set flush right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo((indent + "  ".join(cells)).rstrip())


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a progress bar on stderr while the block runs, when that is a terminal; give what is to be called with (what, done, total)."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or 1)
