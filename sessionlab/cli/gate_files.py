"""What a gate leaves for the service that runs it: JUnit's XML, and a job summary in Markdown."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.off_limits import same_file
from sessionlab.errors import UsageError

if TYPE_CHECKING:
    from sessionlab.maintenance.growth import Finding, Verdict

STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""The variable with which GitHub Actions names a step's summary: a file that several commands of a step write one after the other."""

_SUITE: Final = "sessionlab check-growth"
_MARKS: Final[dict[Verdict, str]] = {"ok": "✅", "breach": "❌", "unknown": "⚪"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One store: what was found, or why it cannot be read."""

    agent_id: str
    path: Path
    findings: Sequence[Finding] = ()
    error: str = ""
    error_type: str = ""
    seconds: float = 0.0


def junit(stores: Sequence[Checked], limits: Mapping[str, str], *, now_ms: int) -> bytes:
    """Return one test case for each store and limit: failed where it is broken, skipped where it cannot be told.

    Args:
        stores: What was found, by agent.
        limits: Limit -> what is allowed; those of a store that cannot be read are errors, under the same names.
        now_ms: The clock, epoch ms.
    """
    suite = ET.Element("testsuite", name=_SUITE)
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for store in stores:
        classname = f"sessionlab.check-growth.{on_one_line(store.agent_id)}"
        seconds = store.seconds / max(len(limits), 1)
        for place, (name, allowed) in enumerate(limits.items()):
            counts["tests"] += 1
            finding = store.findings[place] if not store.error else None
            case = ET.SubElement(suite, "testcase", classname=classname, name=f"{name} {allowed}", time=f"{seconds:.3f}")
            if finding is None:
                counts["errors"] += 1
                ET.SubElement(case, "error", message=on_one_line(store.error), type=store.error_type)
                continue
            told = f"{finding.found}; {finding.detail}"
            if finding.verdict == "breach":
                counts["failures"] += 1
                message = f"{finding.found} is more than {finding.allowed}"
                ET.SubElement(case, "failure", message=message, type=finding.limit).text = told
            elif finding.verdict == "unknown":
                counts["skipped"] += 1
                ET.SubElement(case, "skipped", message=finding.detail)
            ET.SubElement(case, "system-out").text = on_one_line(f"{store.path}: {told}")
    figures = {name: str(number) for name, number in counts.items()} | {"time": f"{sum(one.seconds for one in stores):.3f}"}
    for name, value in figures.items():
        suite.set(name, value)
    suite.set("timestamp", f"{dt.datetime.fromtimestamp(now_ms // 1000, tz=dt.UTC):%Y-%m-%dT%H:%M:%S}")
    root = ET.Element("testsuites", {"name": _SUITE, **figures})
    root.append(suite)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def markdown(stores: Sequence[Checked], verdict: str) -> bytes:
    """Return a heading, what came of it all, and a table with one line for each store and limit."""
    lines = ["## Session stores", "", _plain(verdict), "", "| | agent | limit | allowed | found | how |", "|---|---|---|---|---|---|"]
    for store in stores:
        if store.error:
            lines.append(f"| ❌ | {_plain(store.agent_id)} | | | cannot be read | {_plain(store.error)} |")
        for one in store.findings:
            cells = (one.agent_id, one.limit, one.allowed, one.found, one.detail)
            lines.append(f"| {_MARKS[one.verdict]} | {' | '.join(map(_plain, cells))} |")
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def write(path: Path, data: bytes) -> None:
    """Write a file; a step's summary is written on, since other commands of the step write there, too.

    Raises:
        UsageError: The system refuses.
    """
    shared = os.environ.get(STEP_SUMMARY, "").strip()
    is_shared = bool(shared) and same_file(path, Path(shared))
    try:
        with path.open("ab" if is_shared else "wb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error


def _plain(text: str) -> str:
    """Return a text as a cell of a table shows it: nothing in it ends the cell, or is taken for markup."""
    escaped = "".join(f"\\{char}" if char in "\\|`*_[]<>" else char for char in on_one_line(text))
    return escaped.replace("&", "&amp;")
