"""Write a synthetic OpenClaw state folder: plan, entries, transcripts, archives, and the truth about them.

The only module of this package that touches the disk. Equal arguments give equal bytes in every file; modification times follow the
events, so that a folder looks lived in, but nothing depends on them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.errors import UsageError
from sessionlab.keys import is_agent_id
from sessionlab.synth.catalogue import Salad
from sessionlab.synth.dice import DAY_MS, Dice
from sessionlab.synth.entries import EntryWriter, transcript_path, workspace
from sessionlab.synth.flaws import LEAST_SESSIONS, archives, orphans, spoil
from sessionlab.synth.population import Planner
from sessionlab.synth.session import Session, Window
from sessionlab.synth.transcripts import Line, Transcript, TranscriptWriter
from sessionlab.synth.truth import FORMAT, TRUTH_FILE, VERSION, AgentTruth, SynthTruth

DEFAULT_NOW_MS: Final = 1_795_132_800_000
"""2026-11-20T00:00:00Z, the fixed end of a synthetic history."""

_SETTINGS_FILE: Final = "openclaw.json"
_BACKUP_ENTRIES: Final = 8
_ARCHIVE_SHARE: Final = 25  # one archive for so many sessions


class SynthArgumentError(UsageError):
    """An argument of `write_state` that makes no sense; says which value would."""

    def __init__(self, name: str, value: object, advice: str) -> None:
        self.name, self.value, self.advice = name, value, advice
        super().__init__(f"{name} {value!r}: {advice}")


class SynthFolderError(UsageError):
    """A synthetic folder cannot be written where it was asked for; nothing that lay there was changed."""

    def __init__(self, folder: Path, reason: str, advice: str) -> None:
        self.folder, self.reason, self.advice = folder, reason, advice
        super().__init__(f"{folder}: {reason}; {advice}")


def write_state(
    folder: Path,
    *,
    seed: int,
    sessions: int,
    days: int = 90,
    now_ms: int = DEFAULT_NOW_MS,
    agents: Sequence[str] = ("main", "ops", "research"),
    entry_bytes: int | None = None,
    transcripts: bool = True,
    flaws: bool = True,
    transcript_bytes: int | None = None,
) -> SynthTruth:
    """Write a realistic OpenClaw state folder of the JSON era (2026.3), and return what is true about it.

    The folder holds `openclaw.json`, for each agent `agents/<id>/sessions/` with `sessions.json`, transcripts and archives, one backup of
    a store, and `synth.json` with the arguments and the truth. Files are private (0600, folders 0700). Equal arguments give equal bytes,
    on every Python version. If writing fails or is interrupted half-way, what was written is removed again.

    Args:
        folder: Where to write; made when missing, with its parents. Must be empty.
        seed: Any integer from 0; another seed, other data.
        sessions: How many session entries, over all agents.
        days: Length of the history in days, ending at `now_ms`.
        now_ms: The end of the history, epoch ms UTC.
        agents: Agent ids. The first has the people, the second the flooding cron job, the third the research; fewer share.
        entry_bytes: Mean bytes of an entry in `sessions.json`; realistic small ones (1 to 6 KB, a few of 20 KB) when `None`.
        transcripts: Whether to write transcripts and archives.
        flaws: Whether to make the things wrong that are wrong in real folders; all are listed in the truth.
        transcript_bytes: Mean bytes of a transcript; realistic short ones when `None`.

    Raises:
        SynthArgumentError: When an argument is out of range.
        SynthFolderError: When the folder is not empty, not a folder, or cannot be written.
    """
    _check(
        seed=seed,
        sessions=sessions,
        days=days,
        now_ms=now_ms,
        agents=agents,
        entry_bytes=entry_bytes,
        flaws=flaws,
        transcript_bytes=transcript_bytes,
    )
    is_new = _prepare(folder)
    try:
        writer = _StateWriter(
            folder,
            seed=seed,
            window=Window(now_ms - days * DAY_MS, now_ms),
            agents=agents,
            entry_bytes=entry_bytes,
            transcript_bytes=transcript_bytes,
        )
        truth = writer.write(sessions, with_transcripts=transcripts, with_flaws=flaws)
        _write_settings(folder, agents, now_ms)
        arguments = {
            "seed": seed,
            "sessions": sessions,
            "days": days,
            "now_ms": now_ms,
            "agents": list(agents),
            "entry_bytes": entry_bytes,
            "transcripts": transcripts,
            "flaws": flaws,
            "transcript_bytes": transcript_bytes,
        }
        _write(folder / TRUTH_FILE, _document({"format": FORMAT, "version": VERSION, **arguments, "truth": truth}), now_ms)
    except BaseException as error:
        _remove(folder, is_new=is_new)
        if isinstance(error, OSError):
            raise _unwritable(folder, error) from error
        raise
    return truth


class _StateWriter:
    """Writes the agents of one folder and counts what it writes."""

    def __init__(
        self, folder: Path, *, seed: int, window: Window, agents: Sequence[str], entry_bytes: int | None, transcript_bytes: int | None
    ) -> None:
        self._folder, self._seed, self._window, self._agents = folder, seed, window, agents
        self._transcript_bytes = transcript_bytes
        self._dice = Dice(seed)
        self._salad = Salad(self._dice)
        self._planner = Planner(self._dice, window, agents, self._salad)
        self._entries = EntryWriter(Dice(_seed(seed, 1)), self._salad, now_ms=window.now_ms, entry_bytes=entry_bytes)
        self._truth = SynthTruth(now_ms=window.now_ms, agents={agent: AgentTruth() for agent in agents})
        self._fork_parents: dict[str, tuple[str, list[Line]]] = {}
        self._transcripts = 1

    def write(self, sessions: int, *, with_transcripts: bool, with_flaws: bool) -> SynthTruth:
        plan = self._planner.plan(sessions)
        if with_flaws:
            plan = spoil(plan, self._planner, self._truth)
        plan.sort(key=lambda session: (session.created_ms, session.key))
        for agent in self._agents:
            (self._folder / "agents" / agent / "sessions").mkdir(parents=True, mode=0o700)
        _make_private(self._folder / "agents", self._agents)
        for agent in self._agents:
            own = [session for session in plan if session.agent == agent]
            self._store(agent, own)
            if with_transcripts:
                for session in own:
                    self._transcript(session)
            else:
                self._truth.agents[agent].missing_transcripts = len(own)
        if with_transcripts:
            self._leftovers(len(plan), with_orphans=with_flaws)
        else:
            for flaw in ("missing_transcript", "forked"):
                self._truth.flaws.pop(flaw, None)
        self._truth.close()
        return self._truth

    def _sessions_folder(self, agent: str) -> Path:
        return self._folder / "agents" / agent / "sessions"

    def _store(self, agent: str, sessions: list[Session]) -> None:
        """Write one agent's sessions.json, and the first agent's backup of it."""
        folder, truth = self._sessions_folder(agent), self._truth.agents[agent]
        newest_ms = max((session.last_ms for session in sessions), default=self._window.start_ms)
        first_texts: list[bytes] = []

        def texts() -> Iterable[bytes]:
            for session in sessions:
                text = self._entries.text(session)
                if len(first_texts) < _BACKUP_ENTRIES:
                    first_texts.append(text)
                self._count(session, truth)
                yield text

        truth.store_bytes = _write_parts(folder / "sessions.json", texts(), newest_ms)
        truth.sessions = len(sessions)
        if agent == self._agents[0] and sessions:
            rotated_ms = self._window.at(0.5)
            truth.backup_bytes = _write_parts(folder / f"sessions.json.bak.{rotated_ms}", first_texts, rotated_ms)
            truth.backups = 1

    def _count(self, session: Session, truth: AgentTruth) -> None:
        truth.kinds[session.kind] = truth.kinds.get(session.kind, 0) + 1
        if not {"no_updated_at", "future"} & session.flaws:
            age_ms = self._window.now_ms - session.last_ms
            self._truth.stale_30d += age_ms > 30 * DAY_MS
            self._truth.stale_60d += age_ms > 60 * DAY_MS

    def _transcript(self, session: Session) -> None:
        """Write a live session's transcript, unless it is to be missing."""
        truth = self._truth.agents[session.agent]
        self._transcripts += 1
        if "missing" in session.flaws:
            truth.missing_transcripts += 1
            return
        path = self._sessions_folder(session.agent) / session.file_name
        parent_path, copied = None, None
        if "fork" in session.flaws and session.parent_key is not None:
            parent_path, lines = self._fork_parents[session.parent_key]
            copied = [line for line in lines[1:] if line.time_ms < session.created_ms]
        made = self._make(session, parent_path=parent_path, copied=copied)
        if "fork_parent" in session.flaws:
            self._fork_parents[session.key] = (transcript_path(session), made.lines)
        for flaw, line in made.flaw_lines.items():
            self._truth.note(flaw, path=path.relative_to(self._folder).as_posix(), line=line, keys=[session.key])
        _write(path, made.data, session.last_ms)
        truth.live.add(made.tally)

    def _make(self, session: Session, *, parent_path: str | None = None, copied: list[Line] | None = None) -> Transcript:
        dice = Dice(_seed(self._seed, self._transcripts))
        writer = TranscriptWriter(session, dice, self._salad, mean_bytes=self._transcript_bytes)
        return writer.write(cwd=workspace(session.agent), parent_path=parent_path, copied=copied)

    def _leftovers(self, sessions: int, *, with_orphans: bool) -> None:
        """Write the files that no entry names: archives, and orphans when flaws are wanted."""
        for session, suffix in archives(self._planner, sessions // _ARCHIVE_SHARE):
            self._transcripts += 1
            made = self._make(session)
            _write(self._sessions_folder(session.agent) / f"{session.file_name}{suffix}", made.data, session.last_ms)
            self._truth.agents[session.agent].archives.add(made.tally)
        for session in orphans(self._planner) if with_orphans else ():
            self._transcripts += 1
            made = self._make(session)
            path = self._sessions_folder(session.agent) / session.file_name
            _write(path, made.data, session.last_ms)
            truth = self._truth.agents[session.agent]
            truth.live.add(made.tally)
            truth.orphans += 1
            self._truth.note("orphan", path=path.relative_to(self._folder).as_posix())


def _seed(seed: int, number: int) -> int:
    """Return the seed of the folder's `number`-th own stream of chance."""
    return seed << 32 | number


def _check(
    *,
    seed: int,
    sessions: int,
    days: int,
    now_ms: int,
    agents: Sequence[str],
    entry_bytes: int | None,
    flaws: bool,
    transcript_bytes: int | None,
) -> None:
    if seed < 0:
        raise SynthArgumentError("seed", seed, "give an integer from 0")
    if sessions < 1:
        raise SynthArgumentError("sessions", sessions, "give at least 1")
    if flaws and sessions < LEAST_SESSIONS:
        raise SynthArgumentError("sessions", sessions, f"give at least {LEAST_SESSIONS}, or a folder without flaws (--no-flaws)")
    if days < 1:
        raise SynthArgumentError("days", days, "give at least 1")
    if now_ms - days * DAY_MS < 0:
        raise SynthArgumentError("days", days, "the history must begin after 1970-01-01; give fewer days or a later now_ms")
    for name, size in (("entry_bytes", entry_bytes), ("transcript_bytes", transcript_bytes)):
        if size is not None and size < 1:
            raise SynthArgumentError(name, size, "give at least 1 byte, or leave it out")
    if not agents or len(set(agents)) != len(agents):
        raise SynthArgumentError("agents", list(agents), "give one or more different agent ids")
    for agent in agents:
        if not is_agent_id(agent):
            raise SynthArgumentError("agents", agent, "an agent id has lower-case letters, digits, '-' and '_', at most 64")


def _unwritable(folder: Path, error: OSError) -> SynthFolderError:
    return SynthFolderError(folder, f"cannot be written: {error.strerror or error}", "choose a folder you may write to")


def _prepare(folder: Path) -> bool:
    """Make the folder, or make sure that it is empty; return whether it was made."""
    try:
        is_new = not folder.exists()
        if not is_new and not folder.is_dir():
            raise SynthFolderError(folder, "is a file", "give a new or an empty folder")
        if not is_new and any(folder.iterdir()):
            raise SynthFolderError(folder, "is not empty", "give a new or an empty folder; nothing there was changed")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return is_new


def _remove(folder: Path, *, is_new: bool) -> None:
    """Remove what a run that did not come to its end has written, by name: the folder was empty before."""
    shutil.rmtree(folder / "agents", ignore_errors=True)
    with contextlib.suppress(OSError):
        for name in (_SETTINGS_FILE, TRUTH_FILE):
            (folder / name).unlink(missing_ok=True)
        if is_new:
            folder.rmdir()


def _make_private(top: Path, agents: Sequence[str]) -> None:
    """Close the folders between `top` and the stores to others; `mkdir(parents=True)` gives only the last one its mode."""
    for path in (top, *(top / agent for agent in agents)):
        path.chmod(0o700)


def _write_settings(folder: Path, agents: Sequence[str], now_ms: int) -> None:
    settings = {
        "agents": {"list": [{"id": agent, "default": True} if place == 0 else {"id": agent} for place, agent in enumerate(agents)]},
        "session": {"dmScope": "per-channel-peer", "maintenance": {"mode": "warn", "pruneAfter": "30d", "maxEntries": 500}},
        "cron": {"sessionRetention": False},
    }
    _write(folder / _SETTINGS_FILE, _document(settings), now_ms)


def _document(value: object) -> bytes:
    """Return `value` as `JSON.stringify(value, null, 2)` writes it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def _write(path: Path, data: bytes, time_ms: int) -> None:
    """Write a new private file whose modification time is `time_ms`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.utime(handle, ns=(time_ms * 1_000_000, time_ms * 1_000_000))


def _write_parts(path: Path, texts: Iterable[bytes], time_ms: int) -> int:
    """Write a store of ready-made `"key": {...}` texts and return its size, without ever holding it in memory."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        before = b"{\n"
        for text in texts:
            file.write(before)
            file.write(text)
            before = b",\n"
        file.write(b"{}" if before == b"{\n" else b"\n}")
        file.flush()
        os.utime(handle, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
        return file.tell()
