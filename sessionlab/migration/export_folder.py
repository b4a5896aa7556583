"""Carrying out an export: a folder is filled beside its place, forced to disk, compared with the store, and renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from sessionlab import codec, layout
from sessionlab.entry import canonical_digest
from sessionlab.errors import CorruptStoreError, MigrationFailedError
from sessionlab.migration.export import AgentExport, ExportPlan, SetAside, check_target, exported_entries
from sessionlab.migration.export_entries import prompt_file
from sessionlab.migration.json_stream import members
from sessionlab.migration.records import FileRecord
from sessionlab.migration.report import write_report
from sessionlab.migration.run_folder import RunFolder
from sessionlab.migration.stage import begin, remove_abandoned
from sessionlab.migration.verify_events import is_json
from sessionlab.migration.verify_result import Tally
from sessionlab.migration.verify_transcripts import Held, compare_transcripts, held_transcripts
from sessionlab.runs import RUNS
from sessionlab.storage.files import PRIVATE_FILE, fsync_files, fsync_folder, make_folder, refused
from sessionlab.stores.locating import locate, only
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.openclaw import OpenClawStore

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an export.

    Attributes:
        source: What was exported.
        target: The folder that holds it now.
        agents: Whose.
        sessions: Entries in the exported stores.
        transcripts: Files of events, archives included.
        events: Lines in them that were compared with the store's and are equal.
        live_events: Those of them that are not in archives.
        prompts: Files of `skills-prompts/`.
        bytes: Of all files.
        changes: What was done to entries -> to how many.
        set_aside: What cannot be read and was left out.
        warnings: Those of the plan.
        runs: The folder that tells of each agent, for an audit.
    """

    source: str
    target: str
    agents: tuple[str, ...]
    sessions: int
    transcripts: int
    events: int
    live_events: int
    prompts: int
    bytes: int
    changes: dict[str, int]
    set_aside: tuple[SetAside, ...]
    warnings: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """3 when something was left out, else 0."""
        return 3 if self.set_aside else 0


def export_openclaw(plan: ExportPlan, *, on_progress: Progress | None = None) -> ExportReport:
    """Carry out a plan. The folder has its name only when all that it should hold is in it, on disk and compared with the source.

    Raises:
        StalePlanError: The source's sessions are not what they were when the plan was made.
        UsageError: The target came into being since.
        UnwritableError: The system refuses; nothing of the target is left.
        CorruptStoreError: An event cannot be read, and may not be set aside.
        MigrationFailedError: What was written is not what the source holds.
    """
    target = Path(plan.target)
    check_target(target, Path(plan.source))
    staged = target.with_name(f"{target.name}.staging-{os.getpid()}-{plan.created_ms}")
    remove_abandoned(target)  # what a killed export left
    run = _Export(plan, staged, on_progress or (lambda _what, _done, _total: None))
    try:
        staged.mkdir(mode=0o700)
    except OSError as error:
        raise refused(staged, error) from error
    try:
        for agent in plan.agents:
            run.export(agent)
        report = run.report()
        check_target(target, Path(plan.source))
        try:
            staged.rename(target)
        except OSError as error:
            raise refused(target, error) from error
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    fsync_folder(target.parent, written=target)
    return report


class _Export:
    """One export into its staged folder."""

    def __init__(self, plan: ExportPlan, staged: Path, tell: Progress) -> None:
        self._plan, self._staged, self._tell = plan, staged, tell
        self._aside = list(plan.set_aside)
        self._changes: dict[str, int] = {}
        self._sessions = self._events = self._live_events = self._transcripts = self._prompts = self._bytes = 0

    def export(self, agent: AgentExport) -> None:
        """Write one agent's files, compare them with its store, and note what they are."""
        started = time.monotonic()
        path = Path(agent.plan.source.path)
        location = only(locate(path), path, agent=None)
        run = RunFolder.create(agent.plan, root=self._staged)
        with OpenClawStore.open(path, agent_id=agent.plan.agent_id) as store:
            held = held_transcripts(location, store)
            folder = layout.AgentFolder(agent.plan.agent_id, layout.agents_dir(self._staged) / agent.plan.agent_id).sessions_dir
            make_folder(folder)
            run.note("export", seconds=0, detail=self._plan.target)
            self._write_store(agent, store, held, folder / layout.JSON_STORE)
            partial: set[str] = set()
            for number, (name, one) in enumerate(held.items(), 1):
                if not self._write_transcript(agent, store, one, folder / _checked(name, path)):
                    partial.add(name)
                self._tell("transcripts", number, len(held))
            prompts = [_copied_prompt(prompt_file(location.sessions_dir, one), prompt_file(folder, one)) for one in agent.prompts]
            files = [*(folder / name for name in held), *prompts]
            fsync_files(files)
            for place in (folder, folder.parent, folder.parent.parent, self._staged):
                fsync_folder(place, written=place)
            run.note("verify", seconds=time.monotonic() - started)
            self._verify(agent, (location, store), folder, partial)
        records = [self._record(file) for file in (folder / layout.JSON_STORE, *files)]
        run.write_files(records)
        run.note("done", seconds=time.monotonic() - started)
        write_report(run)
        self._bytes += sum(one.bytes for one in records)
        self._sessions += len(agent.plan.moved)
        self._transcripts += len(held)
        self._prompts += len(prompts)
        for what, number in agent.changes.items():
            self._changes[what] = self._changes.get(what, 0) + number

    def _write_store(self, agent: AgentExport, store: OpenClawStore, held: dict[str, Held], path: Path) -> None:
        stage = begin("json", path, now_ms=self._plan.created_ms)
        try:
            for number, (key, entry, data) in enumerate(exported_entries(store, agent, held), 1):
                stage.add(key, entry, data)
                self._tell("sessions", number, len(agent.plan.moved))
        except BaseException:
            stage.discard()
            raise
        stage.finish(None)
        stage.path.rename(path)

    def _write_transcript(self, agent: AgentExport, store: OpenClawStore, one: Held, path: Path) -> bool:
        """Write one transcript, a line for each event; say whether all of it could be read."""
        lines = bad = 0
        reason = ""
        try:
            with os.fdopen(os.open(path, _NEW, PRIVATE_FILE), "wb", buffering=1 << 20) as file:
                if isinstance(one.where, Path) and one.where.suffix != ".zst":
                    lines = _copy(one.where, file)
                else:
                    for line in one.lines(store):
                        if line.reason or not is_json(line.data):
                            bad, reason = bad + 1, reason or f"event {line.number}: {line.reason or 'is not JSON'}"
                        else:
                            file.write(line.data + b"\n")
                            lines += 1
        except OSError as error:
            raise refused(path, error) from error
        if bad and not self._plan.may_set_aside:
            advice = "give --set-aside to leave out what cannot be read, and have it reported"
            raise CorruptStoreError(
                Path(agent.plan.source.path), f"transcript {one.name}: {reason}; {bad} events cannot be read", advice=advice
            )
        if bad:
            self._aside.append(SetAside(agent_id=agent.plan.agent_id, name=one.name, reason=f"{bad} events left out; {reason}"))
        self._live_events += lines if one.source == "live" else 0
        return not bad

    def _verify(self, agent: AgentExport, source: tuple[StoreLocation, OpenClawStore], folder: Path, partial: set[str]) -> None:
        """Compare what was written with the plan and the store."""
        path = folder / layout.JSON_STORE
        wanted = {one.key: one.digest for one in agent.plan.moved}
        wrong = []
        for member in members(path):
            entry = codec.decode_entry(member.raw, path=path, key=member.key, line=member.line)
            if wanted.pop(member.key, None) != canonical_digest(entry).hex():
                wrong.append(member.key)
        if wrong or wanted:
            reason = f"the entry of {(wrong or list(wanted))[0][:80]!r} is not what it should be"
            raise MigrationFailedError(self._staged, reason, advice="nothing was exported: run it again")
        tally = Tally()
        compare_transcripts(tally, agent.plan.agent_id, source, (StoreLocation(agent.plan.agent_id, "json", path, folder), None))
        differing = [one for one in tally.listed if one.what != "unreadable before" and one.name not in partial]
        if differing:
            first = differing[0]
            reason = f"transcript {first.name[:80]!r} is {first.what}: {first.reason}"
            raise MigrationFailedError(self._staged, reason, advice="nothing was exported: run it again")
        self._events += tally.events

    def _record(self, file: Path) -> FileRecord:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return FileRecord(name=file.relative_to(self._staged).as_posix(), bytes=opened.tell(), sha256=digest)

    def report(self) -> ExportReport:
        """Return what was written."""
        return ExportReport(
            source=self._plan.source,
            target=self._plan.target,
            agents=tuple(agent.plan.agent_id for agent in self._plan.agents),
            sessions=self._sessions,
            transcripts=self._transcripts,
            events=self._events,
            live_events=self._live_events,
            prompts=self._prompts,
            bytes=self._bytes,
            changes=dict(sorted(self._changes.items())),
            set_aside=tuple(self._aside),
            warnings=self._plan.warnings,
            runs=tuple(str(Path(self._plan.target) / RUNS / agent.plan.run_id) for agent in self._plan.agents),
        )


def _copy(path: Path, file: BinaryIO) -> int:
    """Copy a file as it is, and return its lines."""
    lines = 0
    with path.open("rb") as source:
        while piece := source.read(1 << 20):
            file.write(piece)
            lines += piece.count(b"\n")
    return lines


def _copied_prompt(path: Path, to: Path) -> Path:
    """Copy a prompt, which other entries may refer to, too.

    Raises:
        UnwritableError: The system refused.
    """
    try:
        make_folder(to.parent)
        with path.open("rb") as source, os.fdopen(os.open(to, _NEW, PRIVATE_FILE), "wb") as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise refused(to, error) from error
    return to


def _checked(name: str, store: Path) -> str:
    """Return a transcript's name when it may be a file's: it comes from a database.

    Raises:
        CorruptStoreError: It may not.
    """
    parsed = layout.parse_transcript_name(name)
    if "/" in name or "\0" in name or len(os.fsencode(name)) > 250 or parsed is None:
        raise CorruptStoreError(store, f"holds a transcript of the name {name[:80]!r}, which is none that a file may have")
    return name
