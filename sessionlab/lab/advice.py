"""What to do about a growing store: rules over the answers of the lab's queries, each with its evidence in numbers.

`advise` is a pure function of frames; `advise_mirror` asks a mirror for them. Nothing here changes a store: an action names the
setting or the command, and the person decides. A rule is silent below its threshold, which stands as a constant beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sessionlab.lab.findings.words import count
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

PROMPT_SHARE: Final = 0.25
PROMPT_FIELDS: Final = ("skillsSnapshot", "systemPromptReport")
CRON_SHARE: Final = 0.20
CRON_RUNS: Final = 10
STALE_SHARE: Final = 0.10
ARCHIVE_SHARE: Final = 0.10
JSON_STORE_BYTES: Final = 10 * 1024**2
JSON_STORE_SESSIONS: Final = 500
BACKUP_SHARE: Final = 0.01
KEY_CODES: Final = ("non_canonical_key", "case_variant_keys")
NOTABLE_SHARE: Final = 0.05
LOG_BYTES: Final = 4 * 1024**2
_KEYS_IN_JSON: Final = (
    "Before an upgrade to 2026.8 or later, run `openclaw doctor --fix` on a copy: "
    "an imported mixed-case key makes every later listing of sessions fail."
)
_KEYS_IN_SQLITE: Final = (
    "They are in a SQLite store already, where such a key makes OpenClaw 2026.9 refuse to list any session: "
    "stop OpenClaw, keep a backup, and run `openclaw doctor --fix`."
)


Weight = Literal["broken now", "growth", "harm later", "small change"]
_HEAVIEST_FIRST: Final[tuple[Weight, ...]] = ("broken now", "growth", "harm later", "small change")


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do. `saves_bytes` is an upper bound of what it frees; two pieces of advice may free the same bytes.

    `weight` is what the rule says of itself; advice that frees a notable part of the disk space is about growth all the same.
    """

    title: str
    evidence: str
    action: str
    saves_bytes: int
    weight: Weight = "small change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The answers that advice is drawn from, each that of the query of the same name."""

    sources: pd.DataFrame
    bytes_by_field: pd.DataFrame
    stale_share: pd.DataFrame
    cron_jobs: pd.DataFrame
    storage_parts: pd.DataFrame
    orphans_and_missing: pd.DataFrame
    problems: pd.DataFrame


def advise(findings: Findings, *, stale_days: int = 30) -> tuple[Advice, ...]:
    """Return what to do, by weight: what is broken now, growth, what does harm later, small change; then by bytes saved, most first.

    What saves `NOTABLE_SHARE` of the bytes on disk or more is about growth, whatever rule it is from.

    Args:
        findings: The frames; `stale_share` asked with the same `stale_days`.
        stale_days: Days after which a session counts as stale.
    """
    rules = (
        _errors(findings.problems),
        _odd_keys(findings.problems, findings.sources),
        _slow_store(findings.sources),
        _prompt_fields(findings.bytes_by_field, findings.sources),
        _cron_runs(findings.cron_jobs),
        _stale_sessions(findings.stale_share, stale_days),
        _orphans(findings.orphans_and_missing),
        _missing(findings.orphans_and_missing),
        _disk(findings.storage_parts),
    )
    notable = NOTABLE_SHARE * sum(_disk_parts(findings.storage_parts).values())

    def place(advice: Advice) -> tuple[int, int, str]:
        is_growth = advice.saves_bytes >= notable > 0 and advice.weight != "broken now"
        return _HEAVIEST_FIRST.index("growth" if is_growth else advice.weight), -advice.saves_bytes, advice.title

    return tuple(sorted((advice for rule in rules for advice in rule), key=place))


def advise_mirror(con: duckdb.DuckDBPyConnection, *, now_ms: int, stale_days: int = 30, agent: str | None = None) -> tuple[Advice, ...]:
    """Ask the mirror behind `con` and return its advice; see `advise`.

    Args:
        con: A connection to the mirror.
        now_ms: The clock that ages are measured against, epoch milliseconds UTC.
        stale_days: Days after which a session counts as stale.
        agent: Only this agent.
    """
    from sessionlab.lab import queries

    findings = Findings(
        sources=queries.run(con, "sources", agent=agent),
        bytes_by_field=queries.run(con, "bytes_by_field", agent=agent),
        stale_share=queries.run(con, "stale_share", now_ms=now_ms, stale_days=stale_days, agent=agent),
        cron_jobs=queries.run(con, "cron_jobs", now_ms=now_ms, agent=agent),
        storage_parts=queries.run(con, "storage_parts", agent=agent),
        orphans_and_missing=queries.run(con, "orphans_and_missing", agent=agent),
        problems=queries.run(con, "problems", agent=agent),
    )
    return advise(findings, stale_days=stale_days)


def _errors(problems: pd.DataFrame) -> Iterator[Advice]:
    errors = problems[(problems["severity"] == "error") & ~problems["code"].isin(KEY_CODES)]
    if len(errors):
        codes = ", ".join(sorted(set(errors["code"])))
        yield Advice(
            "Look at the errors first",
            f"Found with severity error: {int(errors['count'].sum()):,} ({codes}).",
            "Read them in the list of problems; what could not be read is missing from the numbers here.",
            0,
            "broken now",
        )


def _odd_keys(problems: pd.DataFrame, sources: pd.DataFrame) -> Iterator[Advice]:
    odd = problems[problems["code"].isin(KEY_CODES)]
    if odd.empty:
        return
    moved = set(sources.loc[sources["store_kind"] != "json", "agent_id"])
    inside, outside = bool(moved & set(odd["agent_id"])), bool(set(odd["agent_id"]) - moved)
    # A key with two spellings is found twice: as the spelling that is not canonical, and as the pair.
    keys = int(odd.loc[odd["code"] == "non_canonical_key", "count"].sum())
    pairs = int((odd["code"] == "case_variant_keys").sum())
    found = [f"{count(keys, 'session key')} {'is' if keys == 1 else 'are'} in a form that OpenClaw does not write itself"] * bool(keys)
    found += [f"{count(pairs, 'session')} {'has' if pairs == 1 else 'have'} more than one spelling"] * bool(pairs)
    yield Advice(
        "Mend keys that are not canonical",
        f"{'; '.join(found)}.",
        " ".join([_KEYS_IN_SQLITE] * inside + [_KEYS_IN_JSON] * outside),
        0,
        "broken now" if inside else "harm later",
    )


def _slow_store(sources: pd.DataFrame) -> Iterator[Advice]:
    stores = sources[sources["store_kind"] == "json"]
    big = stores[(stores["store_bytes"] > JSON_STORE_BYTES) | (stores["sessions"] > JSON_STORE_SESSIONS)]
    for agent, size, sessions in zip(big["agent_id"], big["store_bytes"], big["sessions"], strict=True):
        yield Advice(
            f"Move the store of {agent} off one JSON file",
            f"sessions.json holds {int(sessions):,} sessions in {format_bytes(int(size))}; every update rewrites all of it.",
            "Shrink it by what is listed here, or move to a store that writes one session at a time (OpenClaw 2026.8 and later: SQLite).",
            0,
            "growth",
        )


def _prompt_fields(fields: pd.DataFrame, sources: pd.DataFrame) -> Iterator[Advice]:
    total = int(fields["bytes"].sum())
    found = fields[fields["field"].isin(PROMPT_FIELDS)]
    size = int(found["bytes"].sum())
    if total and size >= PROMPT_SHARE * total:
        json_only = set(sources["store_kind"]) <= {"json"}
        newer = "OpenClaw 2026.5 and later keeps long skill prompts once, in skills-prompts/; " if json_only else ""
        helps = "fewer skills per agent and smaller workspace files help in every version."
        yield Advice(
            "Stop keeping the prompt in every entry",
            f"{_verb(' and '.join(sorted(found['field'])), len(found))} {format_bytes(size)}, {_percent(size / total)} of all entry bytes.",
            f"{'It is a copy' if len(found) == 1 else 'Both are copies'} of what goes into the prompt. "
            + (newer + helps if newer else helps[0].upper() + helps[1:]),
            size,
        )


def _cron_runs(jobs: pd.DataFrame) -> Iterator[Advice]:
    runs = int(jobs["runs_kept"].sum())
    old = int(jobs["runs_older_than_1_day"].sum())
    if not runs:
        return
    worst = jobs.loc[jobs["share_of_sessions"].idxmax()]
    share, kept = float(worst["share_of_sessions"]), int(worst["runs_kept"])
    # A share says nothing in a store of a handful of sessions.
    if old < CRON_RUNS and (share < CRON_SHARE or kept < CRON_RUNS):
        return
    yield Advice(
        "Let the sessions of old cron runs go",
        f"{runs:,} run session{' is' if runs == 1 else 's are'} kept, {old:,} of them older than a day; "
        f"the job {worst['cron_job_id']} has {kept:,}, {_percent(share)} of its agent's sessions.",
        "Set cron.sessionRetention (24h is OpenClaw's default, false keeps everything) and let the sweep run; "
        "a job that runs often can also report into one session instead of a new one.",
        int(jobs["bytes_older_than_1_day"].sum()),
    )


def _stale_sessions(stale: pd.DataFrame, stale_days: int) -> Iterator[Advice]:
    sessions, old = int(stale["sessions"].sum()), int(stale["stale_sessions"].sum())
    if not old or old < STALE_SHARE * sessions:
        return
    size, beside = int(stale["stale_bytes"].sum()), int(stale["stale_transcript_bytes"].sum())
    yield Advice(
        "Prune sessions that nobody uses",
        f"{old:,} of {count(sessions, 'session')} ({_percent(old / sessions)}) {'was' if old == 1 else 'were'} not updated "
        f"for more than {count(stale_days, 'day')}: "
        f"{format_bytes(size)} of entries, and {format_bytes(beside)} of their transcripts.",
        f'Set session.maintenance.pruneAfter to "{stale_days}d" and mode to "enforce" (in "warn" nothing is removed); '
        "transcripts are archived, not deleted.",
        size,
    )


def _orphans(counts: pd.DataFrame) -> Iterator[Advice]:
    orphans, size = int(counts["orphan_transcripts"].sum()), int(counts["orphan_bytes"].sum())
    if orphans:
        yield Advice(
            "Archive transcripts that no session refers to",
            f"{orphans:,} orphaned transcript{'' if orphans == 1 else 's'}, {format_bytes(size)}.",
            "Check that no program is about to adopt them, then move them out of the sessions folder; a disk budget "
            "(session.maintenance.maxDiskBytes) removes them as well.",
            size,
        )


def _missing(counts: pd.DataFrame) -> Iterator[Advice]:
    missing = int(counts["missing_transcripts"].sum())
    if missing:
        yield Advice(
            "Find out where missing transcripts went",
            f"{missing:,} of {count(int(counts['sessions'].sum()), 'session')} {'points' if missing == 1 else 'point'} "
            "to a transcript that is gone.",
            "Look among the archives and backups; a session that lost its transcript starts anew when it is used next.",
            0,
            "harm later",
        )


def _disk(storage: pd.DataFrame) -> Iterator[Advice]:
    parts = _disk_parts(storage)
    total = sum(parts.values())
    imported, backups = parts.get("import archive", 0), parts.get("store backups", 0)
    archives, log = parts.get("transcript archives", 0), parts.get("write-ahead log", 0)
    if imported:
        yield Advice(
            "Put away the originals of the SQLite import",
            f"The import archive takes {format_bytes(imported)}, {_percent(imported / total)} of the disk space; it is not read any more.",
            "Keep it until you are sure of the new store (it is the only way back), then move it to a backup.",
            imported,
        )
    if backups and backups >= BACKUP_SHARE * total:
        yield Advice(
            "Drop old backups of the store",
            f"Backups of the store take {format_bytes(backups)}.",
            "Remove sessions.json.bak.* files that you will not restore from; versions after 2026.4 neither write nor clean them up.",
            backups,
        )
    if archives and archives >= ARCHIVE_SHARE * total:
        yield Advice(
            "Let archived transcripts expire",
            f"Archives of deleted and reset sessions take {format_bytes(archives)}, {_percent(archives / total)} of the disk space.",
            "Set session.maintenance.resetArchiveRetention (as long as pruneAfter unless set), or move the archives to a backup.",
            archives,
        )
    if log >= LOG_BYTES and log >= parts.get("store file", 0):
        yield Advice(
            "Let SQLite fold its write-ahead log in",
            f"The write-ahead log takes {format_bytes(log)}, as much as the store file itself or more.",
            "A reader that never ends keeps it from being folded in; stop what holds the database open, then restart OpenClaw.",
            log,
        )


def _disk_parts(storage: pd.DataFrame) -> dict[str, int]:
    files = storage[~storage["is_detail"].astype(bool)]
    return {str(part): int(size) for part, size in files.groupby("part")["bytes"].sum().items()}


def _verb(subject: str, number: int) -> str:
    return f"{subject} {'takes' if number == 1 else 'take'}"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.1f} %"
