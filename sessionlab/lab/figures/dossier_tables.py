"""Tables of a dossier for people: what became of the sessions, digests, sizes, differences, steps, and what is signed.

Every function returns a frame of text columns. Keys, digests, counts, lines and JSON paths only: no value of an entry.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sessionlab import __version__
from sessionlab.migration.records import Action
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.dossier import Dossier, Standing
    from sessionlab.lab.dossier_differences import Difference

_ACTIONS: Final[Mapping[Action, tuple[str, str]]] = {
    "move": ("Moved as they were", "the entry's digest is the same before and after"),
    "normalise": ("Normalised", "the same session under today's field names or key spelling"),
    "merge": ("Merged", "several spellings of one key: the newest counts"),
    "set-aside": ("Set aside", "cannot be read: left out, still in the old store"),
}
STANDINGS: Final[Mapping[Standing, str]] = {
    "holds": "holds",
    "changed": "does not hold any more",
    "elsewhere": "moved on",
    "gone": "gone",
    "rolled-back": "rolled back",
    "contradictory": "does not hold",
    "abandoned": "abandoned",
    "unfinished": "not finished",
}
"""What a verdict is called in a table."""

_SHOWN_DIGITS: Final = 16
_MAX_PATHS: Final = 6
_MAX_KEY: Final = 100
_ACTS: Final = {
    "locked": "took the old store's lock",
    "stage": "began the new store beside its place",
    "verify": "read the new store back and compared every session with the plan",
    "promote": "began to put the new store in its place",
    "rename": "gave an old store another name: nothing is thrown away",
    "introduce the new store to the old one": "wrote into the old store which new one takes its place",
    "finish": "went on after it had been stopped",
    "abandoned": "gave up: the old store counts, as before",
    "done": "wrote the report",
}


def fates_table(dossier: Dossier) -> pd.DataFrame:
    """List what became of the entries of the source. Columns: Sessions, Number, What it means."""
    counts = Counter(one.action for one in dossier.plan.entries)
    planned = "planned: " if dossier.audit is None else ""
    rows = [
        (_ACTIONS[action][0], planned + _ACTIONS[action][1], format_count(counts[action]))
        for action in _ACTIONS
        if counts[action] or action == "move"
    ]
    arrived = len(dossier.plan.moved) if dossier.audit is not None else 0
    rows.append(("In the new store", "sessions that were verified to be in it when the run ended", format_count(arrived)))
    if dossier.audit is not None and dossier.audit.files:
        changed = f"{format_count(len(dossier.audit.files_changed))} of them changed or gone since, by their SHA-256 in files.jsonl"
        rows.append(("Files beside it", changed, format_count(dossier.audit.files)))
    read = sum(len(one.in_source()) for one in dossier.plan.entries)
    rows.insert(0, ("Entries of the old store", "spellings of one key counted each", format_count(read)))
    return _frame({"Sessions": [row[0] for row in rows], "Number": [row[2] for row in rows], "What it means": [row[1] for row in rows]})


def digests_table(dossier: Dossier) -> pd.DataFrame:
    """List the digests that stand for everything. Columns: SHA-256 of, Digest."""
    plan, audit = dossier.plan, dossier.audit
    rows = [
        ("the old store's content (fingerprint before)", plan.source.sha256 or "none: an entry cannot be read"),
        ("the new store's content (fingerprint after)", audit.report.sha256 if audit is not None else "none: nothing was moved"),
        ("the manifest of the run", dossier.manifest_sha256 or "none: it was stopped before"),
    ]
    return _frame({"SHA-256 of": [name for name, _ in rows], "Digest": [digest for _, digest in rows]})


def entries_table(dossier: Dossier, rows: int) -> pd.DataFrame:
    """List the first sessions with their digests, in the source's order. Columns: Session, Before, After, Bytes, Equal."""
    shown = dossier.plan.moved[:rows]
    return _frame(
        {
            "Session": [_key(one.key) for one in shown],
            "Before": [", ".join(digest[:_SHOWN_DIGITS] for digest in one.source_digests) for one in shown],
            "After": [one.digest[:_SHOWN_DIGITS] for one in shown],
            "Bytes": [format_count(one.bytes) for one in shown],
            "Equal": ["yes" if one.source_digests == (one.digest,) else _ACTIONS[one.action][0].lower() for one in shown],
        }
    )


def sizes_table(sizes: pd.DataFrame) -> pd.DataFrame:
    """List what takes how much room; `sizes` is of `lab.dossier_sizes`. Columns: What, Size, Bytes."""
    return _frame(
        {
            "What": sizes["what"].tolist(),
            "Size": [format_bytes(size) for size in sizes["bytes"].tolist()],
            "Bytes": [format_count(int(size)) for size in sizes["bytes"].tolist()],
        }
    )


def differences_table(dossier: Dossier, found: Sequence[Difference]) -> pd.DataFrame | None:
    """List the differences; `None` when there are none. Columns: Session, What and why, Where, Digest."""
    if not found:
        return None
    file = dossier.shown(dossier.plan.source.path).rpartition("/")[2]
    return _frame(
        {
            "Session": [_key(one.key) for one in found],
            "What and why": [f"{one.what}: {one.why}" if one.why else one.what for one in found],
            "Where": [_where(one, file) for one in found],
            "Digest": [" → ".join(digest[:_SHOWN_DIGITS] for digest in (one.then, one.now) if digest) for one in found],
        }
    )


def steps_table(dossier: Dossier) -> pd.DataFrame:
    """List what the run did, in order, without the times. Columns: Step, What it did, To what."""
    return _frame(
        {
            "Step": _steps(dossier),
            "What it did": [_ACTS.get(one.act, "") for one in dossier.events],
            "To what": [dossier.shown(one.detail) for one in dossier.events],
        }
    )


def step_times_table(dossier: Dossier) -> pd.DataFrame:
    """List when the run did what, from when it had the lock. Columns: Step, After, Took."""
    began = [one.seconds for one in dossier.events]
    lasted = [*(f"{(later - one) * 1000:,.0f} ms" for one, later in itertools.pairwise(began)), ""]
    return _frame(
        {
            "Step": _steps(dossier),
            "After": [f"{seconds:,.3f} s" for seconds in began],
            "Took": lasted[: len(began)],
        }
    )


def signature_table(dossier: Dossier) -> pd.DataFrame:
    """List what an auditor signs for, and the lines to do it on. Columns: Statement, Value."""
    plan = dossier.plan
    rows = [
        ("Verdict", f"dry run, on a private copy: {STANDINGS[dossier.standing]}" if dossier.is_dry_run else STANDINGS[dossier.standing]),
        ("Run", "of a private copy, gone with this page's making" if dossier.private is not None else plan.run_id),
        ("From", f"{dossier.shown(plan.source.path)} ({plan.source.kind})"),
        ("To", f"{dossier.shown(plan.target_path)} ({plan.target_kind})"),
        ("Sessions", f"{format_count(len(plan.moved))} moved, {format_count(len(plan.set_aside))} set aside"),
        ("SHA-256 of the manifest", dossier.manifest_sha256 or "there is none"),
        ("Looked at", str(dossier.clock)),
        ("With", f"sessionlab {__version__}"),
        ("Name", ""),
        ("Date", ""),
        ("Signature", ""),
    ]
    return _frame({"Statement": [name for name, _ in rows], "Value": [value for _, value in rows]})


def _steps(dossier: Dossier) -> list[str]:
    return [f"{number}. {one.act}" for number, one in enumerate(dossier.events, start=1)]


def _where(one: Difference, file: str) -> str:
    parts = [f"{file} line {', '.join(str(line) for line in one.lines)}"] if one.lines else []
    shown = list(one.paths[:_MAX_PATHS])
    if len(one.paths) > _MAX_PATHS:
        shown.append(f"and {len(one.paths) - _MAX_PATHS} more")
    return "; ".join([*parts, *([", ".join(shown)] if shown else [])])


def _key(key: str) -> str:
    plain = " ".join("".join(char if char.isprintable() else "�" for char in key).split())
    return plain if len(plain) <= _MAX_KEY else f"{plain[:_MAX_KEY]}…"


def _frame(columns: dict[str, list[str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns, dtype="str")
