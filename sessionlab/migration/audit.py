"""Auditing a run: does what its folder says agree with itself, and does the store that it made still hold what it moved? Reads only.

The report is computed again from the plan, the manifest and the events. Sessions that came, changed or went since the run are named by key
and digest; only what the run moved and is now missing or different counts against it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec

from sessionlab import layout
from sessionlab.entry import canonical_digest
from sessionlab.errors import CorruptStoreError, StoreError
from sessionlab.migration.execute import location_of
from sessionlab.migration.reading import fingerprint
from sessionlab.migration.records import Plan
from sessionlab.migration.report import Report, make_report
from sessionlab.migration.rollback import led_on
from sessionlab.migration.run_folder import RunFolder
from sessionlab.runs import MANIFEST, REPORT
from sessionlab.stores.authority import authority
from sessionlab.stores.base import fingerprint_of
from sessionlab.stores.locating import beside
from sessionlab.stores.location import StoreLocation, open_at

Verdict = Literal["holds", "moved-on", "gone", "contradictory"]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session that is not as the run left it. A digest is "" where there is no such session.

    Attributes:
        key: Its key.
        then: SHA-256 of the canonical entry that the run moved, hex.
        now: The same of what the store holds now.
    """

    key: str
    then: str = ""
    now: str = ""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found.

    Attributes:
        run_id: Which run.
        run_dir: Its folder.
        verdict: "holds": every session that the run moved is in the store that it made, as it was moved; "moved-on": the store has changed
            since, or does not count any more; "gone": it is not there, and no later run has moved it; "contradictory": the folder's files
            do not agree, or the run did not come to its end.
        report: As computed again, with the paths that things have where the folder lies now.
        contradictions: What does not agree, in words.
        store_path: The store that the run made.
        counts_now: The store that counts there now; "" for none.
        sessions_now: How many sessions it holds; `None` when it cannot be read.
        added: Sessions that came since.
        changed: Sessions that the run moved, and that are different now.
        removed: Sessions that the run moved, and that are gone.
        files: Files that an export made beside the store; 0 of any other run.
        files_changed: Those of them that are gone, or are not what they were, by their names in the exported folder.
        notes: What else its reader should know.
        can_go_back: Whether the run can be rolled back as it is.
    """

    run_id: str
    run_dir: str
    verdict: Verdict
    report: Report
    contradictions: tuple[str, ...]
    store_path: str
    counts_now: str
    sessions_now: int | None
    added: tuple[Change, ...]
    changed: tuple[Change, ...]
    removed: tuple[Change, ...]
    files: int
    files_changed: tuple[str, ...]
    notes: tuple[str, ...]
    can_go_back: bool


def audit_run(folder: Path) -> Audit:
    """Compute the report of a run again, and compare it with the one that was written, and with the store.

    Raises:
        NoStoreError: The folder is no run's.
        CorruptStoreError: One of its files cannot be read.
        StoreError: The store cannot be read.
    """
    run = RunFolder.open(folder)
    try:
        plan, report = run.plan(), make_report(run)
    except ValueError as error:
        raise CorruptStoreError(folder / MANIFEST, f"holds a digest that is none ({error})") from error
    contradictions = tuple(_contradictions(run, plan, report))
    counts = _counting(plan)
    left_behind = tuple(_left_behind(plan, counts))
    then = {one.key: one.digest for one in plan.moved}
    now = dict(_digests(counts)) if counts is not None else {}
    added = tuple(Change(key=key, now=digest) for key, digest in now.items() if key not in then)
    changed = tuple(Change(key=key, then=then[key], now=digest) for key, digest in now.items() if then.get(key, digest) != digest)
    removed = tuple(Change(key=key, then=digest) for key, digest in then.items() if key not in now)
    files = [one for one in run.files() if not one.name.endswith(f"/{layout.JSON_STORE}")]
    files_changed = tuple(one.name for one in files if _sha256(_exported_folder(plan) / one.name) != one.sha256)
    is_where_it_was = counts is not None and (counts.kind, str(counts.path)) == (plan.target_kind, plan.target_path)
    is_gone = not os.path.lexists(plan.target_path) and led_on(run) is None
    is_as_it_was = is_where_it_was and not (changed or removed or files_changed)
    return Audit(
        run_id=plan.run_id,
        run_dir=str(folder),
        verdict="contradictory" if contradictions else "gone" if is_gone else "holds" if is_as_it_was else "moved-on",
        report=msgspec.structs.replace(
            report,
            source=plan.source,
            target_path=plan.target_path,
            retired_path=plan.retired_path or plan.source.path,
            displaced_to=plan.displaced_to,
        ),
        contradictions=contradictions,
        store_path=plan.target_path,
        counts_now=str(counts.path) if counts is not None else "",
        sessions_now=len(now) if counts is not None else None,
        added=added,
        changed=changed,
        removed=removed,
        files=len(files),
        files_changed=files_changed,
        notes=(*_notes(plan, counts, is_gone=is_gone), *left_behind),
        can_go_back=bool(report.way_back) and not contradictions and is_where_it_was and not left_behind,
    )


def _contradictions(run: RunFolder, plan: Plan, report: Report) -> Iterator[str]:
    if not report.is_complete:
        last = events[-1].act if (events := run.events()) else "nothing"
        yield f"the run did not come to its end: the last it did was {last!r}"
    in_source = [pair for one in plan.entries for pair in one.in_source()]
    if len(in_source) != plan.source.sessions:
        yield f"the manifest tells of {len(in_source)} entries of the source, the plan of {plan.source.sessions}"
    elif plan.source.sha256 and _fingerprint(in_source) != plan.source.sha256:
        yield "the source's fingerprint in the plan is not that of the manifest"
    for one in plan.entries:
        if one.action == "move" and one.source_digests != (one.digest,):
            yield f"the manifest says that {one.key[:80]!r} was moved as it was, with another digest"
    written = run.report()
    if written is None:
        if report.is_complete:
            yield f"there is no {REPORT}"
        return
    try:
        found = msgspec.json.decode(written, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield f"{REPORT} is not what a run writes"
        return
    for name in Report.__struct_fields__:
        if getattr(found, name) != getattr(report, name):
            yield f"{REPORT}: {name} is not what the other files say"


def _fingerprint(pairs: list[tuple[str, str]]) -> str:
    try:
        return fingerprint_of((key, bytes.fromhex(digest)) for key, digest in pairs).sha256
    except ValueError:
        return ""


def _counting(plan: Plan) -> StoreLocation | None:
    """Return the store that counts now in the place of the one that the run made; `None` when there is none."""
    target = replace(location_of(plan), kind=plan.target_kind, path=Path(plan.target_path))
    return authority([one for one in (target, *beside(target)) if os.path.lexists(one.path)])


def _digests(location: StoreLocation) -> Iterator[tuple[str, str]]:
    with open_at(location) as store:
        for key, entry in store.items():
            yield key, canonical_digest(entry).hex()


def _exported_folder(plan: Plan) -> Path:
    """Return the folder that an export made: its store lies in `agents/<id>/sessions`."""
    return Path(plan.target_path).parents[3]


def _sha256(path: Path) -> str:
    """Return a file's digest; "" for one that is not there or cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _notes(plan: Plan, counts: StoreLocation | None, *, is_gone: bool) -> Iterator[str]:
    if is_gone:
        yield f"{plan.target_path} is gone, and no later run beside this one has moved it: what came since the move is nowhere else"
    if counts is None:
        yield "there is no other store in its place"
    elif str(counts.path) != plan.target_path:
        yield f"{counts.path} counts now, not {plan.target_path}" + ("" if is_gone else ": the sessions were moved on, or rolled back")
    if plan.set_aside:
        old = plan.retired_path or plan.source.path
        was = "; that was written anew since" if counts is not None and str(counts.path) == old else ""
        yield f"entries that could not be read and were left out: {len(plan.set_aside)}; they lay in {old}{was}"


def _left_behind(plan: Plan, counts: StoreLocation | None) -> Iterator[str]:
    """Say what is wrong with what the run left behind: the way back asks for it as it was."""
    old = replace(location_of(plan), path=Path(plan.retired_path or plan.source.path))
    if counts is not None and counts.path == old.path:  # it was put back
        return
    if not os.path.lexists(old.path):
        yield f"{old.path}, which the run left behind, is gone"
        return
    if not plan.source.sha256 or plan.operation != "migrate":
        return
    try:
        now = fingerprint(old)
    except StoreError as error:
        yield f"{old.path}, which the run left behind, cannot be read any more: {error.reason}"
        return
    if now != plan.source.sha256:
        yield f"{old.path}, which the run left behind, has been written since: 'sessionlab verify' shows what it holds besides"
