"""A stand-in for an installed OpenClaw, measured: which functions are found, that nothing of a user's is touched, and what is refused.

The stand-ins are packages of a few lines with the functions' names; no OpenClaw is needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from sessionlab.bench.peers_openclaw.comparing import Row, verdicts
from sessionlab.bench.peers_openclaw.installed import OpenClaw, PeerError, find
from sessionlab.bench.peers_openclaw.measuring import Asked, measure
from sessionlab.bench.peers_openclaw.ours import Seen
from sessionlab.errors import UsageError
from tests.cli.in_process import Call, caller
from tests.cli.program import printed_json

_OLDEST_NODE: Final = 20


def _node_major() -> int:
    if shutil.which("node") is None:
        return 0
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    return int(said.strip().removeprefix("v").partition(".")[0] or 0)


needs_node = pytest.mark.skipif(_node_major() < _OLDEST_NODE, reason=f"there is no node {_OLDEST_NODE} or later on PATH")

STORE: Final = """
import fs from "node:fs";
const read = (path) => JSON.parse(fs.readFileSync(path, "utf8"));
const write = (path, store) => fs.writeFileSync(path, JSON.stringify(store, null, 2));
"""
# The JSON era, its functions only in a bundle with a hash in its name, under short names; and a file that passes them on.
JSON_ERA: Final = {
    "dist/index.js": """export { i as loadSessionStore, u as updateSessionStore } from "./store-Bx1f.js";
throw new Error("I am the program");""",
    "dist/store-Bx1f.js": f"""{STORE}
function loadSessionStore(path) {{ return read(path); }}
async function updateSessionStore(path, change) {{ const store = read(path); await change(store); write(path, store); }}
export {{ loadSessionStore as i, updateSessionStore as u }};
""",
}
# The era of a database of its own, its functions in the public module; here the database is a file with the sessions in a list.
DATABASE_ERA: Final = {
    "dist/plugin-sdk/session-store-runtime.js": f"""{STORE}
import path from "node:path";
const database = (scope) => path.join(path.dirname(scope.storePath), "database");
const load = (scope) => (fs.existsSync(database(scope)) ? read(database(scope)) : []);
const listSessionEntries = (scope) => load(scope);
const getSessionEntry = (scope) => load(scope).find((one) => one.sessionKey === scope.sessionKey)?.entry;
async function updateSessionStoreEntry(scope) {{
  const all = load(scope);
  const one = all.find((other) => other.sessionKey === scope.sessionKey);
  Object.assign(one.entry, await scope.update(one.entry));
  write(database(scope), all);
}}
export {{ listSessionEntries, getSessionEntry, updateSessionStoreEntry }};
""",
    "openclaw.mjs": f"""{STORE}
const words = process.argv.slice(2).join(" ");
if (words !== "doctor --session-sqlite import --session-sqlite-agent main --json") throw new Error(words);
const sessions = `${{process.env.OPENCLAW_STATE_DIR}}/agents/main/sessions`;
const store = read(`${{sessions}}/sessions.json`);
write(`${{sessions}}/database`, Object.entries(store).map(([sessionKey, entry]) => ({{ sessionKey, entry }})));
fs.writeFileSync(`${{process.env.HOME}}/I was here`, "");
""",
}


def package(folder: Path, version: str, files: dict[str, str], *, name: str = "openclaw") -> Path:
    """Make a package as npm does."""
    manifest = {"name": name, "version": version, "type": "module", "engines": {"node": ">=99"}}
    for place, text in {"package.json": json.dumps(manifest), **files}.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's home with a state of OpenClaw, which nothing may touch, and take temporary folders from one that is empty."""
    state = tmp_path / "home" / ".openclaw"
    state.mkdir(parents=True)
    (state / "openclaw.json").write_text("{}", encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("HOME", str(state.parent))
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(state))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return state.parent


@needs_node
def test_functions_of_a_bundle_are_measured_beside_ours(call: Call, home: Path, tmp_path: Path) -> None:
    installed = package(tmp_path / "node_modules" / "openclaw", "2026.3.31", JSON_ERA)
    done = call("bench", "peers", "--openclaw", installed, "--sessions", "20", "--quick", "--store", "sqlite", "--json")
    found = printed_json(done)
    rows = found["tables"]["beside"]
    assert {(row["program"], row["sessions"]) for row in rows} == {("sqlite", 20)}
    assert [row["durability"] for row in rows if row["operation"] == "update one"] == ["commit", "process"]
    assert [row["operation"] for row in rows].count("memory") == 1
    sizes = [row for row in rows if row["factor"] is None]
    assert [(row["unit"], row["ours"]) for row in sizes] == [("KB", pytest.approx(32, rel=0.2))], "42 KB as it lies in the file, indented"
    assert sizes[0]["theirs"] == pytest.approx(sizes[0]["ours"], rel=0.01)
    rows = [row for row in rows if row["factor"] is not None]
    assert all(row["ours"] > 0 and row["factor"] == pytest.approx(row["theirs"] / row["ours"], rel=0.05, abs=0.002) for row in rows)
    (updates,) = [row for row in found["tables"]["openclaw"] if row["operation"] == "update one"]
    assert (updates["program"], updates["processes"], updates["least"] <= updates["median"]) == ("OpenClaw 2026.3.31", 1, True)
    first, *others = found["conditions"]
    assert first.endswith("its functions loadSessionStore, updateSessionStore; what it keeps sessions in: sessions.json")
    assert any(sentence.startswith("machine: ") for sentence in others)
    assert found["verdicts"][0].startswith("sqlite beside OpenClaw 2026.3.31: ")
    assert [path.name for path in home.rglob("*")] == [".openclaw", "openclaw.json"], "nothing of a user's was touched"
    assert not list((tmp_path / "temporary").iterdir()), "everything is gone"


@needs_node
def test_sessions_come_into_a_database_by_its_own_import(tmp_path: Path, home: Path) -> None:
    installed = package(tmp_path / "installed" / "node_modules" / "openclaw", "2026.9.6", DATABASE_ERA)
    place = tmp_path / "measured"
    place.mkdir()
    steps: list[tuple[str, int, int]] = []
    asked = Asked.quick(20, ("json",))
    found = measure(place, find(tmp_path / "installed"), asked, on_progress=lambda *step: steps.append(step))
    theirs = {row["operation"]: row for row in found.document()["tables"]["openclaw"]}
    assert theirs["import of the sessions.json, its own command, the whole process"]["median"] > 0
    assert "its own database, filled by its own import" in found.conditions[0]
    assert "listSessionEntries, getSessionEntry, updateSessionStoreEntry" in found.conditions[0]
    assert steps[-1][1] < steps[-1][2]
    assert list(tmp_path.rglob("I was here")) == [place / "theirs" / "home" / "I was here"], "its home is not the user's"
    assert [path.name for path in home.rglob("*")] == [".openclaw", "openclaw.json"]
    assert not (installed / "node_modules").exists()


LOAD: Final = "function loadSessionStore(path) { return read(path); }"
UPDATE: Final = "async function updateSessionStore(path, change) { const store = read(path); await change(store); write(path, store); }"
OPEN: Final = 'import net from "node:net";'


@needs_node
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (f"{LOAD} export {{ loadSessionStore }};", "exports updateSessionStoreEntry or updateSessionStore"),
        ("export const nothing = 1;", "exports listSessionEntries or loadSessionStore"),
        (f"{LOAD} {UPDATE.replace('write(path, store);', '')} export {{ loadSessionStore, updateSessionStore }};", "was not there when it"),
        (
            f"export function loadSessionStore(path) {{ return Object.fromEntries(Object.entries(read(path)).slice(1)); }} export {UPDATE}",
            "it lists 19 of 20 sessions",
        ),
        (f"{OPEN} net.connect(80, 'localhost'); {LOAD} {UPDATE} export {{ loadSessionStore, updateSessionStore }};", "without a network"),
        ("export function loadSessionStore() { process.exit(7); }", "exports updateSessionStoreEntry or updateSessionStore"),
        (f"export function loadSessionStore() {{ process.exit(7); }} export {UPDATE}", "its process ended with 7; node is "),
        (f"export function loadSessionStore() {{ throw new TypeError('no store'); }} export {UPDATE}", "TypeError: no store; node is "),
        (f"export const loadSessionStore = () => ({{}}); export {UPDATE}", "no session of a sessions.json, and there is no"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path: Path, code: str, reason: str) -> None:
    installed = package(tmp_path / "openclaw", "2026.4.29", {"dist/store-1.js": STORE + code})
    place = tmp_path / "measured"
    place.mkdir()
    with pytest.raises(PeerError) as failed:
        measure(place, find(installed), Asked.quick(20, ()))
    assert reason in str(failed.value)
    assert str(failed.value).startswith("OpenClaw 2026.4.29: ")
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("name", "version", "files", "reason"),
    [
        ("zod", "4.0.0", {}, "is the package 'zod', not openclaw"),
        ("", "4.0.0", {}, "is something else, not openclaw"),
        ("openclaw", "2026.2.9", {}, "is OpenClaw 2026.2.9, and those that are measured are 2026.3 to 2026.9"),
        ("openclaw", "2026.10.1", {}, "is OpenClaw 2026.10.1, and"),
        ("openclaw", "next", {}, "is OpenClaw next, and"),
        ("openclaw", "", {}, "is OpenClaw of no version, and"),
        ("openclaw", "2026.9.6-beta.1", {}, "has no dist"),
        ("openclaw", "2026.9.6", {"package.json": "{"}, "is something else, not openclaw"),
    ],
)
def test_folder_that_holds_no_known_openclaw_is_refused(
    tmp_path: Path, name: str, version: str, files: dict[str, str], reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        find(package(tmp_path, version, files, name=name))
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_missing_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no package.json" in call("bench", "peers", "--openclaw", tmp_path / "empty").stderr
    gone = call("bench", "peers", "--openclaw", tmp_path / "gone")
    assert (gone.returncode, "there is no such folder" in gone.stderr, len(gone.stderr.splitlines())) == (2, True, 1)
    installed = package(tmp_path / "openclaw", "2026.7.1-2", JSON_ERA)
    no_node = call("bench", "peers", "--openclaw", installed, "--node", tmp_path / "node")
    assert (no_node.returncode, len(no_node.stderr.splitlines())) == (2, 1)
    assert f"{tmp_path / 'node'}: is no program that can be run, and OpenClaw needs node" in no_node.stderr


def test_without_one_the_recorded_figures_are_shown(call: Call) -> None:
    found = printed_json(call("bench", "peers", "--json"))
    assert {row["name"] for row in found["tables"]["recorded"]} >= {"OpenClaw 2026.3.31, JSON", "OpenClaw 2026.9.6, SQLite"}
    assert any("nothing was measured now" in sentence for sentence in found["conditions"])


def test_verdict_says_what_is_better_and_what_is_worse() -> None:
    def row(operation: str, factor: float, durability: str | None = None) -> Row:
        values = {"ours": 1.0, "theirs": factor, "factor": factor}
        return Row(program="json", durability=durability, operation=operation, sessions=20, unit="ms", **values)

    rows = [row("first list", 12), row("get one", 0.25), row("memory", 1.02), row("update one", 3, "commit")]
    (said,) = verdicts("OpenClaw 2026.9.6", rows)
    better = "better: first list 12.0 times, update one [commit] 3.0 times"
    assert said == f"json beside OpenClaw 2026.9.6: {better}; about the same: memory; worse: get one 4.0 times"


@needs_node
def test_process_of_theirs_sees_what_it_has_done(tmp_path: Path) -> None:
    installed: OpenClaw = find(package(tmp_path / "openclaw", "2026.5.28", JSON_ERA))
    state = tmp_path / "state"
    state.mkdir()
    store = state / "sessions.json"
    store.write_text(json.dumps({f"agent:main:{n}": {"sessionId": str(n), "updatedAt": n} for n in range(4)}), encoding="utf-8")
    task = {"store": str(store), "agent": "main", "key": "agent:main:2", "word": "once", "rounds": 3, "updates": 5, "budget_ms": 1000}
    seen: Seen = installed.run(task, state=state)
    assert (seen.listed, seen.is_updated) == (4, True)
    assert seen.peak_mb >= seen.base_mb > 1
    assert seen.entry_kb == pytest.approx(0.033, abs=0.01)
    label = json.loads(store.read_text(encoding="utf-8"))["agent:main:2"]["label"]
    assert label == "once 4 xxxx"
