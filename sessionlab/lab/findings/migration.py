"""What a dossier says of a migration, in sentences. Keys, digests, counts and places only: no value of an entry is ever written."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessionlab.lab.findings.words import count, listing, name, plain
from sessionlab.units import format_bytes, format_measured_ms, format_ms_utc

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.dossier import Dossier
    from sessionlab.lab.dossier_differences import Difference
    from sessionlab.migration.audit import Audit

_UNDO: Final = "sessionlab rollback RUN"


def verdict(dossier: Dossier) -> str:
    """Say in one sentence whether the migration holds."""
    plan, audit = dossier.plan, dossier.audit
    sessions, new = count(len(plan.moved), "session"), name(Path(plan.target_path).name)
    if audit is None:
        return _without_end(dossier)
    if dossier.is_dry_run:
        aside = count(len(plan.set_aside), "entry", "entries") + " that cannot be read" if plan.set_aside else "none"
        tried = "all of them arrived as planned" if dossier.standing == "holds" else f"that did **not** hold ({audit.contradictions[0]})"
        old = name(Path(plan.source.path).name)
        return f"**Dry run**: would move {sessions} from {old} to {new}, and sets aside {aside}; on a private copy, {tried}."
    match dossier.standing:
        case "holds":
            aside = f"; {_left_out(dossier)}" if plan.set_aside else ""
            added = f"; {count(len(audit.added), 'session')} came since" if audit.added else ""
            every = f"each of the {sessions} that the run moved" if len(plan.moved) > 1 else f"the {sessions} that the run moved"
            return f"**Holds**: {every} is in {new}, with the digest that its manifest names{aside}{added}."
        case "changed":
            return f"**Does not hold any more**: of the {sessions} that the run moved to {new}, {_since(audit)}."
        case "rolled-back":
            when = format_ms_utc(dossier.back.created_ms) if dossier.back is not None else ""
            where = name(Path(audit.counts_now).name)
            return f"**Rolled back** on {when}: {where} counts again; of the {sessions} that the run moved, {_since(audit)}."
        case "elsewhere" if not audit.counts_now:
            return f"**Does not hold any more**: {new} is gone, and there is no other store in its place."
        case "gone":
            rest = f"{name(Path(audit.counts_now).name)} counts now" if audit.counts_now else "there is no other store in its place"
            return f"**Gone**: {new} is not there any more, and no later run has moved what was in it; {rest}."
        case "elsewhere":
            return f"**Moved on**: {name(Path(audit.counts_now).name)} counts now, not {new}; of the {sessions} moved, {_since(audit)}."
        case _:
            return f"**Does not hold**: the run's folder contradicts itself in {count(len(audit.contradictions), 'place')}."


def remarks(dossier: Dossier) -> str:
    """List what else its reader must know; "" for nothing."""
    plan, audit = dossier.plan, dossier.audit
    found = list(plan.warnings) if dossier.is_dry_run or audit is None else [*audit.contradictions, *audit.notes]
    if dossier.is_dry_run and plan.set_aside:
        found.append("the migration itself refuses entries that cannot be read, unless it is called with --set-aside")
    if dossier.standing == "rolled-back" and audit is not None:
        found = [text for text in found if not text.startswith(f"{audit.counts_now} counts now")]  # the verdict says so
    return "\n".join(f"- {plain(dossier.shown(text))}" for text in found)


def fates(dossier: Dossier) -> str:
    """Say what became of the entries."""
    plan, counts = dossier.plan, Counter[str](one.action for one in dossier.plan.entries)
    if not plan.entries:
        return "The run was stopped before it had written down what it would move."
    were = "would be" if dossier.is_dry_run else "would have been" if dossier.audit is None else "was" if counts["move"] == 1 else "were"
    parts = [f"{counts['move']:,} of {count(len(plan.entries), 'session')} {were} moved as they were"]
    for action, words in (("normalise", "normalised"), ("merge", "merged from several spellings"), ("set-aside", "set aside")):
        if counts[action]:
            parts.append(f"{counts[action]:,} {words}")
    return f"{listing(parts)}. Each is in the manifest with its digest, those that did not simply move are listed below."


def proof(dossier: Dossier) -> str:
    """Say what the digests prove."""
    plan, audit = dossier.plan, dossier.audit
    if audit is None:
        return "There is no new store to compare with."
    if not plan.source.sha256:
        return "The old store has no fingerprint, because an entry of it cannot be read; the digests of all others are in the manifest."
    if dossier.standing == "contradictory":
        return "What follows is what the run's files say, and they do not agree."
    if plan.source.sha256 == audit.report.sha256:
        return "The fingerprints are equal: what was verified to be in the new store is what the old one held, session by session."
    changed = sum(one.action != "move" for one in plan.entries)
    return (
        f"The fingerprints differ by {count(changed, 'session')}, which the run changed on purpose: see the differences. "
        "That of the manifest's source digests is the one before, that of its digests the one after."
    )


def entries_shown(dossier: Dossier, rows: int) -> str:
    """Say how many of the sessions are listed."""
    total = len(dossier.plan.moved)
    if total <= rows:
        return f"All {count(total, 'session')}; digests are SHA-256 of the canonical entry, their first digits."
    return f"The first {rows:,} of {count(total, 'session')}, first digits of the SHA-256 of the canonical entry; all are in the manifest."


def sizes(frame: pd.DataFrame) -> str:
    """Say what the sizes are; `frame` is of `lab.dossier_sizes`."""
    names = [name(what.rpartition(",")[0]) for what in frame["what"].tolist()]
    amounts = [format_bytes(int(size)) for size in frame["bytes"].tolist()]
    after = f"; {names[2]} takes {amounts[2]}" if len(names) > 2 else ""
    return f"{names[0]} took {amounts[0]}; the entries that were moved are {amounts[1]} of compact JSON{after}."


def listed_differences(dossier: Dossier, found: Sequence[Difference], total: int) -> str:
    """Say how many differences there are, and of which kind."""
    if not total and dossier.audit is None:
        return "None that was planned; nothing was moved."
    if not total:
        return "None: every session is where it was moved to, as it was."
    kinds = Counter(one.what for one in found)
    shown = "" if len(found) == total else f"; the first {len(found):,} are listed, `sessionlab audit RUN --json` has all"
    return f"{count(total, 'difference')}{shown}: {listing([f'{number:,} {what}' for what, number in kinds.items()])}."


def took(dossier: Dossier) -> str:
    """Say how long the run took, on the machine that it ran on."""
    if not dossier.events:
        return "Nothing was done."
    number, seconds = len(dossier.plan.moved), dossier.events[-1].seconds
    rate = f", {round(number / seconds):,} sessions a second" if seconds > 0 and number else ""
    return f"From the lock to the last act it took {seconds:,.3f} s, verification included{rate}."


def waits(times: pd.DataFrame) -> str:
    """Say how much longer or shorter a program waits; `times` is of `bench.before_after`."""
    if times.empty:
        return "There is nothing to compare: one of the two stores is gone, empty, OpenClaw's own, or holds an entry that cannot be read."
    parts = []
    for operation, own in times.groupby("operation", sort=False):
        before, after = (float(value) for value in own["median_ms"].tolist())
        parts.append(f"{operation} takes {format_measured_ms(before)} before and {format_measured_ms(after)} after")
    return f"On this machine, in private copies of both: {'; '.join(parts)}."


def way_back(dossier: Dossier) -> str:
    """Say how to roll back, as a command that can be pasted."""
    plan = dossier.plan
    if dossier.is_dry_run:
        do = _command("migrate", _original(dossier), "--agent", plan.agent_id, "--to", plan.target_kind)
        return f"Nothing was done, so there is nothing to roll back. To do it, and then to undo it:{_block(do, _UNDO)}"
    match dossier.standing:
        case _ if plan.operation == "export":
            return "Nothing to roll back: an export only reads, and what it made is a folder of its own."
        case "rolled-back":
            by = f" by the run {name(dossier.back.run_id)}" if dossier.back is not None else ""
            return f"Nothing to do: it was rolled back{by}."
        case "abandoned":
            return "Nothing to do: the run moved nothing."
        case "unfinished":
            again = _command("migrate", plan.source.path, "--to", plan.target_kind)
            return f"It is finished, or cleaned up, by the same call again, unless it is going on right now:{_block(again)}"
        case "gone":
            return "There is nothing to roll back: restore the store from a backup first."
        case "elsewhere":
            return "Not by this run: its sessions are not where it put them any more. Roll back the later run first, if there is one."
        case "contradictory":
            by_store = _command("rollback", "--store", plan.target_path)
            return f"Not by this run, before it is clear what changed its folder. Without it:{_block(by_store)}"
        case _ if plan.operation == "rollback":
            again = _command("migrate", plan.target_path, "--to", plan.source.kind)
            return f"The run was itself a way back. To move the sessions again:{_block(again)}"
        case _ if dossier.private is not None:
            return f"The copy goes away with this notebook. Of a run of your own, with the folder that the move prints:{_block(_UNDO)}"
        case _ if dossier.audit is not None and not dossier.audit.can_go_back:
            by_store = _command("rollback", "--store", plan.target_path)
            return f"By this run it is refused: what it left behind is not what it was. From what the store holds now:{_block(by_store)}"
        case _:
            back = _command("rollback", dossier.run.path)
            return f"Sessions born since come along; the store that is rolled back is kept under another name:{_block(back)}"


def _without_end(dossier: Dossier) -> str:
    if dossier.standing == "abandoned":
        return "**Abandoned**: the run was stopped before its new store counted, and moved nothing."
    last = dossier.events[-1].act if dossier.events else "nothing"
    return f"**Not finished**: the last that the run did was {_code(last)}; either it is going on right now, or it was stopped."


def _since(audit: Audit) -> str:
    kept = audit.report.sessions - len(audit.changed) - len(audit.removed)
    parts = [f"{kept:,} are as they were moved"]
    parts += [f"{len(audit.changed):,} changed since"] if audit.changed else []
    parts += [f"{len(audit.removed):,} gone since"] if audit.removed else []
    parts += [f"{count(len(audit.files_changed), 'file')} beside them changed or gone since"] if audit.files_changed else []
    return listing(parts) + (f"; {count(len(audit.added), 'session')} came since" if audit.added else "")


def _left_out(dossier: Dossier) -> str:
    number = len(dossier.plan.set_aside)
    were, lie = ("was", "lies") if number == 1 else ("were", "lie")
    return f"{count(number, 'entry', 'entries')} that cannot be read {were} **set aside**, and {lie} in the old store"


def _original(dossier: Dossier) -> str:
    """Return what the command line takes for what was tried on a copy."""
    from sessionlab.lab.session import SAMPLE_NAME

    return "STATE_DIR" if dossier.source == SAMPLE_NAME else dossier.source


def _block(*lines: str) -> str:
    return "\n".join(["", "", "```sh", *lines, "```"])


def _command(*words: str | Path) -> str:
    return shlex.join(["sessionlab", *map(str, words)])


def _code(text: str) -> str:
    plain = " ".join(text.replace("`", "'").split())
    return f"`{plain}`"
