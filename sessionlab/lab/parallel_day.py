"""A simulated day led through the real session manager and a real database, by a clock that is simulated, too.

Nothing here decides what becomes of a session or a memory: it passes messages on, looks for idle sessions as often as the manager's timer
would, starts the manager anew once, and takes down what happens. The timer itself never runs, for its minutes are ours.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessionlab import layout
from sessionlab.errors import UsageError
from sessionlab.lab.dossier import PrivateFolder
from sessionlab.lab.parallel_ledger import Ledger
from sessionlab.lab.parallel_notes import Notes
from sessionlab.lab.parallel_restart import KNOWN, Address, Restart, found_by_another, states
from sessionlab.parallel import Event, SessionManager, SharedMemory
from sessionlab.parallel.manager import CHECK_IDLE_EVERY_MS
from sessionlab.settings import ParallelSessionsSettings
from sessionlab.synth.day import DAY_START_MS, Message
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE

if TYPE_CHECKING:
    import pandas as pd

SOURCE: Final = "a simulated day"
DAY_END_MS: Final = DAY_START_MS + MS_PER_DAY
SAMPLE_EVERY_MS: Final = 10 * MS_PER_MINUTE
_HOURS: Final = MS_PER_DAY // MS_PER_HOUR
_NO_RESTART: Final = -1
_NAMED: Final = 20
_Due = tuple[int, Callable[[], object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LivedDay:
    """What came of a day.

    Attributes:
        settings: Of the manager.
        messages: The day.
        notes: What was to be remembered, and what became of it; see `Notes.frame`.
        changes: How many sessions stood how; see `Ledger.changes`.
        stretches: How each session stood; see `Ledger.stretches`.
        growth: How much was remembered; see `Notes.growth`.
        briefings: What was read; see `Notes.briefings`.
        sessions: One row for each session, in the order in which they came. Columns: `session` (str), `messages` (int: all that it had),
            `counted` (int: those that it must know of, all but what a crash took), `found` (int: those that a manager knows of which
            begins after the day; -1 where it does not know the session).
        restart: What a new manager knew in the middle of the day; `None` without one.
        most_active: The most sessions that were active at once.
        looks: How often they were counted: after each message and each look for idle ones.
        is_as_told: Whether the manager's own counts were, each time, what its events come to.
        told: What each session would be told after the day.
    """

    settings: ParallelSessionsSettings
    messages: tuple[Message, ...]
    notes: pd.DataFrame
    changes: pd.DataFrame
    stretches: pd.DataFrame
    growth: pd.DataFrame
    briefings: pd.DataFrame
    sessions: pd.DataFrame
    restart: Restart | None
    most_active: int
    looks: int
    is_as_told: bool
    told: dict[str, str]

    def session(self, name: str) -> str:
        """Return the key of the session that a reader means: a key or its end; "" for the one with the most messages.

        Raises:
            UsageError: There is none, or several.
        """
        found = [key for key in self.told if key == name] or [key for key in self.told if key.endswith(f":{name}")]
        if not name:
            found = self.sessions.sort_values("messages", ascending=False, kind="stable")["session"].head(1).tolist()
        if len(found) != 1:
            known = ", ".join(key.partition(":parallel:")[2] for key in list(self.told)[:_NAMED])
            raise UsageError(f'session="{name}" is {"not one of" if not found else "the end of several of"} the day\'s sessions: {known}')
        return str(found[0])


def live_day(
    messages: Sequence[Message],
    settings: ParallelSessionsSettings,
    *,
    restart_hour: int = 16,
    is_crash: bool = False,
    expire_every_hours: int = 6,
) -> LivedDay:
    """Lead a day through a manager.

    Args:
        messages: Of `make_day`.
        settings: Of the manager; where it names a database, that is made there and stays, else it is a temporary file.
        restart_hour: Before the first message of this hour the manager is started anew; -1 for never.
        is_crash: It dies then, rather than being shut down.
        expire_every_hours: How often expired memories are removed; 0 for never.

    Raises:
        SettingsError: A setting is not supported.
        UsageError: One of the others makes no sense, or the database is there already.
        StoreError: The database cannot be made or written.
    """
    if not _NO_RESTART <= restart_hour < _HOURS:
        raise UsageError(f"restart_hour={restart_hour} makes no sense; give an hour from 0 to 23, or -1 for no restart")
    if not 0 <= expire_every_hours <= _HOURS:
        raise UsageError(f"expire_every_hours={expire_every_hours} makes no sense; give 1 to 24 hours, or 0 for never")
    restart_ms = DAY_START_MS + restart_hour * MS_PER_HOUR if restart_hour != _NO_RESTART else 0
    folder = PrivateFolder()
    try:
        living = _Living(settings, _database(settings, folder.path))
        return living.day(tuple(messages), restart_ms=restart_ms, is_crash=is_crash, expire_every_ms=expire_every_hours * MS_PER_HOUR)
    finally:
        folder.remove()


class _Living:
    """A day while it goes on."""

    def __init__(self, settings: ParallelSessionsSettings, database: Path | None) -> None:
        self._settings, self._database = settings, database
        self._now_ms = DAY_START_MS
        self._ledger, self._notes = Ledger(), Notes()
        self._addresses: dict[str, Address] = {}
        self._passed_on: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._slept_with: dict[str, int] = {}
        """How many messages a session had when it was last put to sleep: what is left of it when its process dies."""
        self._restart: Restart | None = None
        self._looks, self._is_as_told = 0, True
        self._memory, self._manager = self._started()

    def day(self, messages: tuple[Message, ...], *, restart_ms: int, is_crash: bool, expire_every_ms: int) -> LivedDay:
        # Of what is due in one moment the first kind comes first.
        kinds: list[list[_Due]] = [
            [(restart_ms, partial(self._start_anew, is_crash=is_crash))] if restart_ms else [],
            _every(expire_every_ms, self._expire),
            _every(CHECK_IDLE_EVERY_MS if self._settings.enabled else 0, self._look_for_idle),
            [(one.at_ms, partial(self._pass_on, one)) for one in messages],
            [(DAY_START_MS, self._sample), *_every(SAMPLE_EVERY_MS, self._sample)],
        ]
        try:
            for self._now_ms, act in sorted(itertools.chain(*kinds), key=lambda due: due[0]):
                act()
            told = states(self._manager, self._addresses)
            self._notes.settle(self._manager, self._memory, now_ms=self._now_ms)
            self._manager.shutdown()
        finally:
            self._close()
        if self._database is not None:
            told = found_by_another(self._database, self._settings, self._addresses.values(), clock=self._clock)
        found = {key: one.messages for key, one in told.items() if one.standing == KNOWN}
        return LivedDay(
            settings=self._settings,
            messages=messages,
            notes=self._notes.frame(),
            changes=self._ledger.changes(start_ms=DAY_START_MS, end_ms=DAY_END_MS),
            stretches=self._ledger.stretches(end_ms=DAY_END_MS),
            growth=self._notes.growth(),
            briefings=self._notes.briefings(),
            sessions=self._sessions(found),
            restart=self._restart,
            most_active=self._ledger.most_active,
            looks=self._looks,
            is_as_told=self._is_as_told,
            told={key: told[key].briefing if key in told else "" for key in self._addresses},
        )

    def _pass_on(self, message: Message) -> None:
        """Do what a program does with a message: find its session, tell it what there is to know, count, remember."""
        standings = self._ledger.standings()
        opened = self._manager.get_or_create_session(message.channel, chat_id=message.chat, peer_id=message.peer)
        key = opened.session_key
        self._addresses.setdefault(key, Address(message.channel, message.chat, message.peer))
        self._ledger.enter(key, "active", self._now_ms)  # of one that was idle no event tells
        if standings.get(key) != "active":
            self._notes.read(self._now_ms, key, message.channel, opened.briefing)
        self._manager.count_message(key)
        self._passed_on[key] += 1
        self._counted[key] += 1
        if message.note is not None:
            self._notes.save(self._manager, key, message, message.note)
        self._look()

    def _look_for_idle(self) -> None:
        self._manager.check_idle()
        self._look()

    def _look(self) -> None:
        self._looks += 1
        self._is_as_told &= len(self._manager.active_sessions()) == self._ledger.number("active")

    def _expire(self) -> None:
        self._sample()
        self._notes.expire(self._memory, now_ms=self._now_ms)

    def _sample(self) -> None:
        self._notes.sample(self._manager, self._memory, now_ms=self._now_ms)

    def _start_anew(self, *, is_crash: bool) -> None:
        """End the manager, or let it die, and begin another on the same database."""
        self._sample()
        before = states(self._manager, self._addresses)
        held = self._manager.stats()
        if not is_crash:
            self._manager.shutdown()
        self._close()
        after = found_by_another(self._database, self._settings, self._addresses.values(), clock=self._clock)
        for key, standing in self._ledger.standings().items():
            is_stored = self._database is not None and key in self._slept_with
            if standing != "hibernated" or not is_stored:
                self._counted[key] = self._slept_with[key] if is_stored else 0
                self._ledger.enter(key, "hibernated" if is_stored else "gone", self._now_ms)
        self._memory, self._manager = self._started()
        self._restart = Restart.between(before, after, held, self._manager.stats(), at_ms=self._now_ms, is_crash=is_crash)

    def _started(self) -> tuple[SharedMemory | None, SessionManager]:
        """Begin a manager; its timer is not started, for it would look for idle sessions in the minutes of the machine."""
        memory = None
        if self._database is not None:
            memory = SharedMemory(self._database, enable_wal=self._settings.memory.enable_wal, clock=self._clock)
        manager = SessionManager(self._settings, memory=memory, clock=self._clock)
        if memory is not None:
            memory.initialize()
        manager.on_event(self._hear)
        return memory, manager

    def _close(self) -> None:
        if self._memory is not None:
            self._memory.close()

    def _hear(self, event: Event) -> None:
        self._ledger.hear(event, self._now_ms)
        if event.name == "session:hibernated" and event.session is not None:
            self._slept_with[event.session.session_key] = self._counted[event.session.session_key]
        self._notes.hear(event)

    def _clock(self) -> int:
        return self._now_ms

    def _sessions(self, found: dict[str, int]) -> pd.DataFrame:
        import pandas as pd

        rows = [(key, self._passed_on[key], self._counted[key], found.get(key, -1)) for key in self._addresses]
        return pd.DataFrame(rows, columns=["session", "messages", "counted", "found"])


def _database(settings: ParallelSessionsSettings, folder: Path) -> Path | None:
    """Return where the database is to be made; none for the backend `memory`."""
    if settings.memory.backend == "memory":
        return None
    if settings.memory.db_path is None:
        return layout.shared_memory(folder)
    path = layout.expanded(Path(settings.memory.db_path))
    if path.exists() or path.is_symlink():
        raise UsageError(f"memory_db_path={path}: is there already, and a simulated day is not to be mixed with what it holds")
    return path


def _every(interval_ms: int, act: Callable[[], object]) -> list[_Due]:
    """Return when something is due that is done once in an interval; 0 is never."""
    return [(at_ms, act) for at_ms in range(DAY_START_MS + interval_ms, DAY_END_MS + 1, interval_ms)] if interval_ms else []
