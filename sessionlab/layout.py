"""Where things lie: state folders, agents, store files, transcripts, archives and backups. Paths and names only; nothing is opened.

Layout of OpenClaw 2026.2 to 2026.9: `<state>/agents/<id>/sessions/` holds `sessions.json` and transcripts, `<state>/agents/<id>/agent/`
the SQLite store of 2026.8+, `<state>/agents/<id>/session-sqlite-import-archive/` the originals that its import set aside.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

CONFIG_NAME: Final = "openclaw.json"
JSON_STORE: Final = "sessions.json"
SQLITE_STORE: Final = "openclaw-agent.sqlite"
SQLITE_SESSIONS: Final = "sessions.sqlite"
"""sessionlab's SQLite store, after openclaw#58550; see `sqlite_beside`."""
SQLITE_APPLICATION_ID: Final = 0x534C4231
"""`SLB1`, in the header of every `sessions.sqlite`, by which it is known whatever its name."""
DIRECTORY_SESSIONS: Final = "sessions.d"
"""sessionlab's directory store, after openclaw#51946; see `directory_beside`."""
IMPORT_ARCHIVE: Final = "session-sqlite-import-archive"
STATE_DIR_VARIABLE: Final = "OPENCLAW_STATE_DIR"
SYNTH_MARKER: Final = "synth.json"
SYNTH_FORMAT: Final = "sessionlab-synth"

Source = Literal["live", "archive-deleted", "archive-reset", "cold"]
"""Where a transcript's events come from. Usage totals count them all once (OpenClaw's own summary does, too)."""

FilePart = Literal[
    "store file",
    "write-ahead log",
    "store backups",
    "transcripts",
    "transcript archives",
    "transcript copies",
    "import archive",
    "other files",
]

_SESSION_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}\Z", re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}(?:\.\d{3})?Z\Z")
_ARCHIVE: Final = re.compile(r"(?P<stem>.+)\.jsonl\.(?P<reason>deleted|reset|bak)\.(?P<time>[^.]+(?:\.\d{3}Z)?)(?P<zst>\.zst)?\Z")
_TOPIC: Final = re.compile(r"(?P<id>.+?)-topic-(?P<topic>.+)\Z")
_FORK: Final = re.compile(r"\d{4}-\d{2}-\d{2}T[\d-]+Z_(?P<id>.+)\Z")
_COPY: Final = re.compile(r".+\.(?:checkpoint\.[0-9a-fA-F-]{36}|trajectory)\.jsonl\Z")
_BACKUP: Final = re.compile(r"sessions\.json\.bak\.\d+\Z")


@dataclass(frozen=True, slots=True)
class AgentFolder:
    """One agent's places under a state folder; none of them need exist."""

    agent_id: str
    root: Path

    @property
    def sessions_dir(self) -> Path:
        """The folder of `sessions.json` and the transcripts."""
        return self.root / "sessions"

    @property
    def json_store(self) -> Path:
        """The JSON era's session store."""
        return self.sessions_dir / JSON_STORE

    @property
    def sqlite_store(self) -> Path:
        """The SQLite store of OpenClaw 2026.8 and later."""
        return self.root / "agent" / SQLITE_STORE

    @property
    def import_archive(self) -> Path:
        """The originals that OpenClaw's SQLite import moved away; already counted in the database."""
        return self.root / IMPORT_ARCHIVE


@dataclass(frozen=True, slots=True)
class TranscriptName:
    """What a transcript's file name says.

    Attributes:
        stem: The name up to `.jsonl`: the session id, with the topic or fork form around it.
        session_id: The session id in it.
        topic: The topic of a Telegram group, when the name carries one.
        source: "live", "archive-deleted" or "archive-reset".
        compressed: Whether the file is zstd-compressed (`.zst`).
    """

    stem: str
    session_id: str
    topic: str | None
    source: Source
    compressed: bool


def default_state_dir(environment: Mapping[str, str] | None = None) -> Path:
    """Return the state folder that OpenClaw itself would use: `$OPENCLAW_STATE_DIR`, else `~/.openclaw`."""
    variables = os.environ if environment is None else environment
    named = variables.get(STATE_DIR_VARIABLE, "").strip()
    return expanded(Path(named or "~/.openclaw"))


def expanded(path: Path) -> Path:
    """Return the path absolute, `~` replaced; that of a user who does not exist stays as it is, and leads nowhere."""
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        return path.absolute()


def agents_dir(state_dir: Path) -> Path:
    """Return the folder that holds one folder per agent."""
    return state_dir / "agents"


def agent_id_of(path: Path) -> str | None:
    """Return the agent that a path lies under (`.../agents/<id>/...`), or `None`."""
    parts = path.parts
    places = [place for place, part in enumerate(parts[:-1]) if part == "agents"]
    return parts[places[-1] + 1] if places else None


def sqlite_beside(json_store: Path) -> Path:
    """Return where our SQLite store lies when the JSON store would lie here: `.json` becomes `.sqlite`, or that is appended (B.1)."""
    return json_store.with_name(json_store.name.removesuffix(".json") + ".sqlite")


def directory_beside(json_store: Path) -> Path:
    """Return where our directory store lies when the JSON store would lie here.

    openclaw#51946 calls it `sessions.d` whatever the file is called; named after the file, two stores in one folder do not collide.
    """
    return json_store.with_name(json_store.name.removesuffix(".json") + ".d")


def shared_memory(state_dir: Path) -> Path:
    """Return where the shared memory of parallel sessions lies unless the configuration says something else (A.1)."""
    return state_dir / "data" / "shared-memory.db"


def is_session_id(text: str) -> bool:
    """Say whether `text` may be a session id, and so part of a file name (F.19)."""
    return _SESSION_ID.match(text) is not None


@lru_cache(maxsize=1 << 15)
def parse_transcript_name(name: str) -> TranscriptName | None:
    """Take a transcript's file name apart; `None` for a file that is none, or that only repeats one (backup, checkpoint, trajectory).

    An archive counts as one only if its timestamp parses (F.24).
    """
    if name.startswith("."):
        return None
    archive = _ARCHIVE.match(name)
    source: Source = "live"
    if archive is not None:
        if archive["reason"] == "bak" or not _TIMESTAMP.match(archive["time"]):
            return None
        stem, compressed = archive["stem"], archive["zst"] is not None
        source = "archive-deleted" if archive["reason"] == "deleted" else "archive-reset"
    elif name.endswith(".jsonl"):
        stem, compressed = name.removesuffix(".jsonl"), False
    else:
        return None
    if _COPY.match(f"{stem}.jsonl"):
        return None
    topic = _TOPIC.match(stem)
    fork = _FORK.match(stem)
    session_id = topic["id"] if topic else fork["id"] if fork else stem
    return TranscriptName(stem, session_id, _unescaped(topic["topic"]) if topic else None, source, compressed)


def archived_ms(name: str) -> int | None:
    """Return when a transcript was archived, as its name says, epoch ms; `None` when it says no such time."""
    archive = _ARCHIVE.match(name)
    if archive is None or not _TIMESTAMP.match(archive["time"]):
        return None
    day, _, time = archive["time"].partition("T")
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{time.replace('-', ':')}")
    except ValueError:
        return None
    return round(moment.timestamp() * 1000)


def _unescaped(text: str) -> str:
    from urllib.parse import unquote  # 3 ms that a program which only lists stores need not pay

    return unquote(text)


def part_of(name: str) -> FilePart:
    """Say to which part of a store's disk space a file in a sessions folder belongs, by its name."""
    if name == JSON_STORE:
        return "store file"
    if _BACKUP.match(name):
        return "store backups"
    parsed = parse_transcript_name(name)
    if parsed is not None:
        return "transcripts" if parsed.source == "live" else "transcript archives"
    archive = _ARCHIVE.match(name)
    is_copy = _COPY.match(name if archive is None else f"{archive['stem']}.jsonl") is not None
    if is_copy or (archive is not None and archive["reason"] == "bak"):
        return "transcript copies"
    return "other files"


def transcript_candidates(session_id: str | None, *, session_file: str | None, thread_id: str | None) -> tuple[str, ...]:
    """Return the file names under which a session's transcript may lie in its sessions folder, most telling first (F.18, F.20).

    `session_file` is an absolute or relative path written by the machine that ran OpenClaw; a store that was copied elsewhere still finds
    its transcripts because only the file name is used, inside the folder at hand.
    """
    names: list[str] = []
    if session_file:
        names.append(session_file.replace("\\", "/").rpartition("/")[2])
    if session_id and is_session_id(session_id):
        if thread_id:
            # Escaped as JavaScript's encodeURIComponent does; so no thread id leads out of the folder either.
            from urllib.parse import quote  # see _unescaped

            topic = quote(thread_id, safe="!~*'()", errors="replace")
            names.append(f"{session_id}-topic-{topic}.jsonl")
        names.append(f"{session_id}.jsonl")
    return tuple(dict.fromkeys(name for name in names if name.endswith(".jsonl") and "\0" not in name))
