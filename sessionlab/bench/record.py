"""`python -m sessionlab.bench.record [NAME...]`: runs measurements and records what they leave in `data/benchmarks/`."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from sessionlab import resources
from sessionlab.bench import cache, contention, parallel, proposal, readme_table, rss, scale, stores
from sessionlab.bench.peers_recorded import PREFIX, version_of
from sessionlab.bench.recorded import FORM, NAMES, Document, Machine, file_of
from sessionlab.bench.results import Results
from sessionlab.bench.scope import Scope
from sessionlab.bench.stores import Findings, Progress
from sessionlab.bench.surroundings import QUICK as QUICK_RUN
from sessionlab.bench.surroundings import undisturbed
from sessionlab.bench.workplace import workplace
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.storage.files import replace_file

_CYCLES: Final = 50
_LOOK_EVERY: Final = 10
_PUBLISHED_KB: Final = 7_600
_QUOTED: Final = 1_000
_QUIET: Final = 0.5
"""Processes at work, on average of a minute, below which a machine counts as quiet."""
_MOST_WAITING_S: Final = 180


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured.

    Attributes:
        is_quick: Few rounds: no figure to quote.
        sessions: The most sessions of 42 KB; of small ones a hundred times as many.
        writers: The most processes that write at once.
        is_few: Only one writer and the most, nothing between.
    """

    is_quick: bool = False
    sessions: int = _QUOTED
    writers: int = 16
    is_few: bool = False


FULL: Final = Sizes()
QUICK: Final = Sizes(is_quick=True, sessions=100)

Measure = Callable[[Path, Sizes, Progress | None], Results | Findings]


def _proposal(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Results:
    most = sizes.sessions
    large, many = (most // 10, most), (10 * most, 100 * most)
    return proposal.measure(
        folder, large, many if sizes.is_quick else (*large, *many), rounds=1 if sizes.is_quick else 3, on_progress=on_progress
    )


def _rss(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Results:
    target_kb = _PUBLISHED_KB * sizes.sessions // _QUOTED
    return rss.measure(folder, rss.Asked(target_kb=target_kb, cycles=_CYCLES, sample_every=_LOOK_EVERY), on_progress=on_progress)


def _cache(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Results:
    counts = [count * sizes.sessions // _QUOTED for count in cache.COUNTS]
    return cache.measure(folder, counts, on_progress=on_progress)


def _contention(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Results:
    sessions = contention.SESSIONS * sizes.sessions // _QUOTED
    between = () if sizes.is_few else (writers for writers in contention.WRITERS if writers < sizes.writers)
    writers = tuple(sorted({1, *between, sizes.writers}))
    asked = contention.Asked(sessions=sessions, writers=writers, is_quick=sizes.is_quick)
    return contention.measure(folder, asked, on_progress=on_progress)


def _scale(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Results:
    return scale.measure(folder, scale.Asked(is_quick=sizes.is_quick, is_large=not sizes.is_quick), on_progress=on_progress)


def _stores(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Findings:
    return stores.measure(folder, Scope(sessions=sizes.sessions, is_quick=sizes.is_quick), on_progress=on_progress)


def _parallel(folder: Path, sizes: Sizes, on_progress: Progress | None) -> Findings:
    return parallel.measure(folder, Scope(is_quick=sizes.is_quick), on_progress=on_progress)


MEASUREMENTS: Final[Mapping[str, Measure]] = dict(
    zip(NAMES, (_proposal, _rss, _cache, _contention, _scale, _stores, _parallel), strict=True)
)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Small sizes and few rounds: to try it; the records say so.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to; by default data/benchmarks of the checkout.")
@click.option(
    "--peers",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Measure nothing: record what `sessionlab bench peers --openclaw DIR --json` printed on this machine; repeatable.",
)
@click.option("--readme", is_flag=True, help="Measure nothing: only write the README's table anew from the records.")
def main(*, names: tuple[str, ...], quick: bool, folder: Path | None, peers: tuple[Path, ...], readme: bool) -> None:
    """Run measurements (all, or the NAMEs) and record them; each file is replaced whole, when its measurement is done.

    About twenty-five minutes, 2 GB below $TMPDIR, on a machine that does nothing else. In a checkout the README's tables follow.
    """
    try:
        unknown = [name for name in names if name not in MEASUREMENTS]
        if unknown:
            raise UsageError(f"{unknown[0]}: no such measurement; there are {', '.join(NAMES)}")
        if names and (readme or peers):
            raise UsageError("--readme and --peers measure nothing: give no NAME beside them")
        root = resources.project_root()
        if folder is None and root is None:
            raise UsageError("give --folder DIR: the records that came with this installation stay as they are")
        target = folder or resources.benchmarks_dir()
        _make(target)
        for file in peers:
            click.echo(f"{write(target, adopt(file)).name}: recorded")
        for name in () if readme or peers else names or NAMES:
            if not quick:
                _wait_for_quiet()
            click.echo(f"{write(target, record(name, QUICK if quick else FULL)).name}: recorded")
        if folder is None and root is not None:
            is_changed = readme_table.refresh(root / "README.md", target)
            click.echo(f"README.md: {'its table is rewritten' if is_changed else 'unchanged'}")
    except SessionLabError as error:
        click.echo(error, err=True)
        sys.exit(error.exit_code)


def _wait_for_quiet() -> None:
    """Wait until the last measurement, or whatever was at work, has left the machine alone; not for ever: its load is in the record."""
    end_s = time.monotonic() + _MOST_WAITING_S
    while os.getloadavg()[0] > _QUIET and time.monotonic() < end_s:
        time.sleep(1)


def _make(folder: Path) -> None:
    """Make the folder of the records, and see that it can be written, before anything is measured for it.

    Raises:
        UsageError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # only trying tells
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}); name another one with --folder") from error


def record(name: str, sizes: Sizes = FULL) -> Document:
    """Run a measurement and return what is to be recorded of it."""
    with workplace() as folder, undisturbed():
        return document_of(name, MEASUREMENTS[name](folder, sizes, None), folder, is_quick=sizes.is_quick)


def adopt(file: Path) -> Document:
    """Return the record of what `sessionlab bench peers --openclaw DIR --json` printed, on this machine.

    Raises:
        UsageError: The file is something else.
    """
    try:
        made = json.loads(file.read_bytes())
        version = version_of(made["tables"])
        return _document(f"{PREFIX}{version}", made, file.parent, is_quick=QUICK_RUN in made["conditions"], date=made["date"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        what = f"not what `sessionlab bench peers --openclaw DIR --json` prints ({type(error).__name__})"
        raise UsageError(f"{file}: {what}; give the file that its output went to") from None


def document_of(name: str, found: Results | Findings, folder: Path, *, is_quick: bool) -> Document:
    """Return the record of what was found by a measurement in `folder`, made today (UTC)."""
    made = found.document()
    made["versions"] |= commit()
    return _document(name, made, folder, is_quick=is_quick, date=dt.datetime.now(dt.UTC).date().isoformat())


def _document(name: str, made: Mapping[str, Any], folder: Path, *, is_quick: bool, date: str) -> Document:
    # The older measurements have lists of rows beside their figures; here every list of rows is a table.
    tables = made.get("tables") or {key: made[key] for key in ("contention", "peers", "factors") if made.get(key)}
    return Document(
        form=FORM,
        name=name,
        date=date,
        is_quick=is_quick,
        machine=machine(folder),
        versions=made["versions"],
        conditions=made["conditions"],
        verdicts=made.get("verdicts", []),
        missed=made["missed"],
        rows=made["rows"],
        tables=tables,
    )


def commit() -> dict[str, str]:
    """Return which commit of a checkout is measured, `{"commit": ...}`, with a plus when files differ from it; of no checkout nothing."""
    root = resources.project_root()
    git = shutil.which("git")
    if root is None or git is None or not (root / ".git").exists():
        return {}
    words = [git, "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=10"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return {"commit": done.stdout.strip()} if done.returncode == 0 else {}


def write(folder: Path, document: Document) -> Path:
    """Write a record, readable by people, in the place of the one that is there; return its file."""
    path = file_of(folder, document.name)
    replace_file(path, [f"{_pretty(msgspec.to_builtins(document))}\n".encode()])
    path.chmod(0o644)
    return path


def _pretty(value: Any, indent: str = "") -> str:
    """Write JSON with a line for every row of a table and every sentence."""
    deeper = f"{indent} "
    if isinstance(value, list):
        lines = [json.dumps(one, ensure_ascii=False, allow_nan=False) for one in value]
    elif isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {_pretty(one, deeper)}" for key, one in value.items()]
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    first, last = "[]" if isinstance(value, list) else "{}"
    joined = f",\n{deeper}".join(lines)
    return f"{first}\n{deeper}{joined}\n{indent}{last}" if lines else first + last


def machine(folder: Path) -> Machine:
    """Return what kind of machine this is, of which `folder` is on the measured disk."""
    cpu = _line("/proc/cpuinfo", "model name") or platform.machine()
    memory_kb = int((_line("/proc/meminfo", "MemTotal") or "0 kB").split()[0])
    return Machine(
        processors=os.cpu_count() or 1,
        cpu=cpu,
        memory_gb=round(memory_kb * 1024 / 1e9, 1),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        filesystem=_filesystem(folder),
    )


def _line(path: str, name: str) -> str | None:
    """Return the value of the first `name: value` of a file of /proc."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _filesystem(folder: Path) -> str:
    """Return the type of the file system that a folder is on: that of the longest mount point above it, the last of equal ones."""
    found = ("", "unknown")
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if folder.resolve().is_relative_to(place.replace("\\040", " ")) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]


if __name__ == "__main__":
    main()
