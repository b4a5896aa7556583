"""An installed OpenClaw and the node that runs it: found, checked, and run with a home of its own and without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench.peers_openclaw.ours import Seen
from sessionlab.errors import SessionLabError, UsageError

MEASURED: Final = ((2026, 3), (2026, 9))
"""The first and the last year and month whose functions are known."""
_HERE: Final = Path(__file__).parent
_TIMEOUT_S: Final = 1800
_MARK: Final = '{"sessionlab":'
_SHOWN: Final = 300


class _Manifest(msgspec.Struct):
    """The part of a package.json that is looked at."""

    name: str = ""
    version: str = ""
    engines: dict[str, str] = {}


class _Refusal(msgspec.Struct):
    """Why the process in node did nothing."""

    reason: str


class _Answer(msgspec.Struct):
    """What a process in node prints."""

    sessionlab: _Refusal | None = None


class _Report(msgspec.Struct):
    """What it prints when it could do it."""

    sessionlab: Seen


class PeerError(SessionLabError):
    """An OpenClaw could not be measured."""

    def __init__(self, program: str, reason: str) -> None:
        self.program, self.reason = program, reason
        super().__init__(f"{program}: {reason}")


class OpenClaw(msgspec.Struct, frozen=True, kw_only=True):
    """An OpenClaw in a folder.

    Attributes:
        wants: Which versions of node its package.json asks for.
        node: The node that runs it.
    """

    folder: Path
    version: str
    wants: str
    node: Path
    node_version: str

    @property
    def name(self) -> str:
        """What it is called."""
        return f"OpenClaw {self.version}"

    def run(self, task: Mapping[str, object], *, state: Path) -> Seen:
        """Do a task of `theirs.mjs` in a fresh process.

        Raises:
            PeerError: A function was not found or failed, or node could not run it.
        """
        done = self._node([str(_HERE / "theirs.mjs"), msgspec.json.encode({"folder": str(self.folder), **task}).decode()], state)
        lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
        if not lines:
            raise PeerError(self.name, self._failure(done))
        try:
            return msgspec.json.decode(lines[-1], type=_Report).sessionlab
        except msgspec.ValidationError:
            refusal = msgspec.json.decode(lines[-1], type=_Answer).sessionlab
        raise PeerError(self.name, f"{refusal.reason if refusal else 'said nothing'}; {self._runs_on}")

    def import_sessions(self, *, state: Path, agent: str) -> None:
        """Let it move the sessions of a `sessions.json` into its own database, by its own command.

        Raises:
            PeerError: It has none. Whether the sessions are there afterwards is for the caller to see: what it calls an issue may be none.
        """
        program = self.folder / "openclaw.mjs"
        if not program.is_file():
            raise PeerError(self.name, f"it lists no session of a sessions.json, and there is no {program} that could import them")
        self._node([str(program), "doctor", "--session-sqlite", "import", "--session-sqlite-agent", agent, "--json"], state)

    def _node(self, words: Sequence[str], state: Path) -> subprocess.CompletedProcess[str]:
        home = state.parent / "home"
        home.mkdir(exist_ok=True)
        own = {
            "HOME": str(home),
            "TMPDIR": str(home),
            "PATH": os.environ.get("PATH", os.defpath),
            "OPENCLAW_HOME": str(home),
            "OPENCLAW_STATE_DIR": str(state),
            "OPENCLAW_CONFIG_PATH": str(state / "openclaw.json"),
            "OPENCLAW_NO_RESPAWN": "1",
            "NODE_OPTIONS": f"--import={(_HERE / 'offline.mjs').as_uri()}",
            "NO_COLOR": "1",
        }
        try:
            return subprocess.run(
                [str(self.node), *words],
                cwd=home,
                env=own,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PeerError(self.name, f"a process of it was still running after {_TIMEOUT_S // 60} minutes, and was ended") from None

    @property
    def _runs_on(self) -> str:
        return f"node is {self.node_version}, and it asks for {self.wants or 'none in particular'} (--node FILE names another)"

    def _failure(self, done: subprocess.CompletedProcess[str]) -> str:
        said = [line.strip() for line in done.stderr.splitlines() if "Error" in line or "error" in line]
        return f"its process ended with {done.returncode}{f' ({said[0][:_SHOWN]})' if said else ''}; {self._runs_on}"


def find(folder: Path, node: str = "node") -> OpenClaw:
    """Return the OpenClaw in a folder: that of its package, or one into which it was installed.

    Raises:
        UsageError: There is none, or one of another time; or there is no node.
    """
    packages = [place for place in (folder, folder / "node_modules" / "openclaw") if (place / "package.json").is_file()]
    if not packages:
        raise UsageError(
            f"{folder}: is no folder of a package, there is no package.json; give the one that npm made, node_modules/openclaw"
        )
    manifest = None
    for package in packages:
        try:
            manifest = msgspec.json.decode((package / "package.json").read_bytes(), type=_Manifest)
        except msgspec.MsgspecError:
            continue
        if manifest.name == "openclaw":
            break
    else:
        found = f"the package {manifest.name!r}" if manifest and manifest.name else "something else"
        raise UsageError(f"{folder}: is {found}, not openclaw")
    number = re.match(r"(\d{4})\.(\d{1,2})\.", manifest.version)
    first, last = MEASURED
    if number is None or not first <= (int(number[1]), int(number[2])) <= last:
        known = " to ".join(f"{year}.{month}" for year, month in MEASURED)
        raise UsageError(f"{folder}: is OpenClaw {manifest.version or 'of no version'}, and those that are measured are {known}")
    if not (package / "dist").is_dir():
        raise UsageError(f"{folder}: has no dist, where the functions of OpenClaw {manifest.version} would be")
    program = shutil.which(node)
    if program is None:
        raise UsageError(f"{node}: is no program that can be run, and OpenClaw needs node; install it, or name one with --node FILE")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return OpenClaw(
        folder=package.resolve(),
        version=manifest.version,
        wants=manifest.engines.get("node", ""),
        node=Path(program).absolute(),
        node_version=said.removeprefix("v") or "unknown",
    )
