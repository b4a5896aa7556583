"""The dossier of a migration: true of every run, whatever became of it, and nothing is written to look at one."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab import resources
from sessionlab.bench.before_after import before_after
from sessionlab.errors import CorruptStoreError, NoStoreError, SplitStoreError, UsageError
from sessionlab.lab import figures
from sessionlab.lab.dossier import Dossier, open_dossier
from sessionlab.lab.dossier_differences import count_differences, differences
from sessionlab.lab.dossier_sizes import sizes
from sessionlab.lab.figures import dossier_tables as tables
from sessionlab.lab.findings import migration as findings
from sessionlab.migration.execute import execute
from sessionlab.migration.export import plan_export
from sessionlab.migration.export_folder import export_openclaw
from sessionlab.migration.plan import plan_migration
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.run_folder import RunFolder
from sessionlab.runs import RUNS
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing
from tests.fixture_states import photo, shared_state
from tests.migration.test_execute import NOW_MS, PAIRS, filled, migrated, sessions_dir
from tests.stores.sample_entries import small_store

NEW = {"sessionId": "new", "updatedAt": NOW_MS, "apiKey": "planted-value"}


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def moved(state: Path, old: StoreType = "json", new: StoreType = "sqlite") -> Path:
    filled(state, old, small_store())
    return state / RUNS / migrated(state, new).run_id


def rolled_back(state: Path, run: Path) -> Path:
    plan = plan_rollback(RunFolder.open(run), now_ms=NOW_MS + 60_000)
    return state / RUNS / execute(plan, root=state, now_ms=NOW_MS + 60_000).run_id


def cut_events(run: Path, *, last: str) -> None:
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if f'"act":"{last}"' in line)
    (run / "events.jsonl").write_text("".join(lines[: place + 1]))
    (run / "report.json").unlink()


def everything_said(dossier: Dossier) -> str:
    found = differences(dossier)
    frames = [
        tables.fates_table(dossier),
        tables.digests_table(dossier),
        tables.entries_table(dossier, 5),
        tables.steps_table(dossier),
        tables.step_times_table(dossier),
        tables.signature_table(dossier),
    ]
    listed = tables.differences_table(dossier, found)
    frames += [listed] if listed is not None else []
    words = [
        findings.verdict(dossier),
        findings.remarks(dossier),
        findings.fates(dossier),
        findings.proof(dossier),
        findings.entries_shown(dossier, 5),
        findings.sizes(sizes(dossier)),
        findings.listed_differences(dossier, found, count_differences(dossier)),
        findings.took(dossier),
        findings.way_back(dossier),
    ]
    assert figures.size_before_and_after(sizes(dossier)).layout.meta["alt"]
    return "\n".join([*words, *(frame.to_csv() for frame in frames)])


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_dossier_of_a_run_that_holds_says_so_and_writes_nothing(
    tmp_path: Path, pair: tuple[StoreType, StoreType], own_temporary_folder: Path
) -> None:
    run = moved(tmp_path / "state", *pair)
    before = photo(tmp_path / "state")
    dossier = open_dossier(run)
    said = everything_said(dossier)
    assert before_after(dossier, rounds=1)["operation"].tolist() == ["list all", "get one", "update one"] * 2
    assert photo(tmp_path / "state") == before
    assert list(own_temporary_folder.iterdir()) == []
    assert dossier.standing == "holds"
    assert findings.verdict(dossier).startswith(f"**Holds**: each of the {len(small_store())} sessions that the run moved is in `")
    assert f"sessionlab rollback {run}" in said
    assert dossier.source == str(run)
    assert (dossier.old is not None, dossier.new is not None) == (True, True)


def test_dossier_of_what_was_written_since_names_key_line_and_path_and_no_value(tmp_path: Path) -> None:
    run = moved(tmp_path)
    changed, gone, *_ = small_store()
    with open_for_writing(tmp_path) as store:
        store.update(changed, lambda _entry: {"label": "planted-value", "apiKey": "planted-value"}, now_ms=NOW_MS)
        store.delete(gone)
        store.put("agent:main:new", NEW)
    dossier = open_dossier(run)
    assert dossier.standing == "changed"
    assert "**Does not hold any more**" in findings.verdict(dossier)
    assert "1 changed since and 1 gone since; 1 session came since." in findings.verdict(dossier)
    found = {one.what: one for one in differences(dossier)}
    assert {what: one.key for what, one in found.items()} == {
        "changed since": changed,
        "gone since": gone,
        "added since": "agent:main:new",
    }
    text = (sessions_dir(tmp_path) / "sessions.json").read_text()
    assert found["changed since"].lines == (text[: text.index(json.dumps(changed))].count("\n") + 1,)
    assert {"$.label", "$.apiKey"} <= set(found["changed since"].paths)
    assert found["changed since"].then != found["changed since"].now
    assert "planted-value" not in everything_said(dossier)


def test_dossier_of_a_run_that_was_rolled_back_says_by_which_run(tmp_path: Path) -> None:
    run = moved(tmp_path)
    back = rolled_back(tmp_path, run)
    dossier = open_dossier(run)
    assert dossier.standing == "rolled-back"
    assert findings.verdict(dossier).startswith("**Rolled back** on 2026-11-18 ")
    assert f"`{back.name}`" in findings.way_back(dossier)
    assert dossier.old is not None
    assert dossier.new is not None
    assert (".json.bak." in dossier.old.path.name, ".sqlite.bak." in dossier.new.path.name) == (True, True)
    assert len(before_after(dossier, rounds=1)) == 6
    assert "has been written since" not in everything_said(dossier)
    assert findings.remarks(dossier) == ""
    assert open_dossier(back).standing == "holds"
    assert "sessionlab migrate" in findings.way_back(open_dossier(back))


def test_dossier_of_a_run_whose_store_was_moved_on_or_is_gone(tmp_path: Path) -> None:
    run = moved(tmp_path, "sqlite", "json")
    migrated(tmp_path, "directory", now_ms=NOW_MS + 1)
    assert findings.verdict(open_dossier(run)).startswith("**Moved on**: `sessions.d` counts now, not `sessions.json`")
    assert "Roll back the later run first" in everything_said(open_dossier(run))
    for path in sessions_dir(tmp_path).iterdir():
        path.rename(tmp_path / path.name)
    gone = open_dossier(run)
    assert "is gone, and there is no other store" in findings.verdict(gone)
    assert (gone.old, gone.new) == (None, None)
    assert before_after(gone).empty
    assert "There is nothing to compare" in findings.waits(before_after(gone))
    assert f"{len(small_store())} gone since" in everything_said(gone)


@pytest.mark.parametrize(
    ("last", "standing", "words"),
    [("verify", "unfinished", "**Not finished**: the last that the run did was `verify`"), ("abandoned", "abandoned", "**Abandoned**: ")],
)
def test_dossier_of_a_run_that_was_stopped(tmp_path: Path, last: str, standing: str, words: str) -> None:
    run = moved(tmp_path)
    if last == "abandoned":
        cut_events(run, last="verify")
        RunFolder.open(run).note("abandoned", seconds=1)
    else:
        cut_events(run, last=last)
    (sessions_dir(tmp_path) / "sessions.sqlite").unlink()
    dossier = open_dossier(run)
    assert dossier.standing == standing
    assert findings.verdict(dossier).startswith(words)
    assert dossier.new is None
    assert ("sessionlab migrate" in findings.way_back(dossier)) is (standing == "unfinished")
    said = everything_said(dossier)
    assert "There is no new store to compare with." in said
    assert f"{len(small_store())} of {len(small_store())} sessions would have been moved" in said
    assert "In the new store,0," in said
    assert "None that was planned; nothing was moved." in said
    (run / "manifest.jsonl").unlink()
    assert open_dossier(run).standing == standing
    assert "before it had written down what it would move" in everything_said(open_dossier(run))


def test_dossier_of_a_folder_that_contradicts_itself_does_not_hold(tmp_path: Path) -> None:
    run = moved(tmp_path)
    path = run / "report.json"
    path.write_text(path.read_text().replace('"sessions": ', '"sessions": 9', 1))
    dossier = open_dossier(run)
    assert findings.verdict(dossier) == "**Does not hold**: the run's folder contradicts itself in 1 place."
    assert "Verdict,does not hold" in everything_said(dossier)
    assert "they do not agree" in findings.proof(dossier)
    assert "- report.json: source is not what the other files say" in findings.remarks(dossier)
    assert f"sessionlab rollback --store {dossier.plan.target_path}" in findings.way_back(dossier)


def test_what_cannot_be_read_is_set_aside_and_named_with_its_line(tmp_path: Path) -> None:
    state = filled(tmp_path / "state", "json", {})
    file = sessions_dir(state) / "sessions.json"
    file.write_text('{\n  "agent:main:good": {"sessionId": "g"},\n  "agent:main:bad": {"account": 1e999}\n}')
    before = photo(state)
    tried = open_dossier(source=state)
    assert "and sets aside 1 entry that cannot be read; on a private copy, all of them arrived" in findings.verdict(tried)
    assert "unless it is called with --set-aside" in findings.remarks(tried)
    (left,) = differences(tried)
    assert (left.what, left.key, left.lines) == ("set aside", "agent:main:bad", (3,))
    assert "sessions.json line 3" in everything_said(tried)
    assert before_after(tried).empty
    tried.close()
    with pytest.raises(CorruptStoreError, match="give --set-aside"):
        open_dossier(source=state, dry_run=False)
    assert photo(state) == before
    done = open_dossier(source=state, dry_run=False, set_aside=True)
    assert "1 entry that cannot be read was **set aside**, and lies in the old store" in findings.verdict(done)
    assert done.is_move
    assert locate(state)[0].kind == "sqlite"


def test_dry_run_reads_only_and_its_copy_goes_away(tmp_path: Path, own_temporary_folder: Path) -> None:
    state = filled(tmp_path / "state", "json", small_store())
    before = photo(state)
    dossier = open_dossier(source=state, target="directory")
    said = everything_said(dossier)
    assert photo(state) == before
    assert findings.verdict(dossier).startswith(
        f"**Dry run**: would move {len(small_store())} sessions from `sessions.json` to `sessions.d`"
    )
    assert f"sessionlab migrate {state} --agent main --to directory" in said
    assert f"{sessions_dir(state)}/sessions.d" in said
    assert "-dossier-" not in said
    dossier.close()
    dossier.close()
    assert list(own_temporary_folder.iterdir()) == []


def test_sample_is_never_touched_and_its_dossier_is_the_same_everywhere(own_temporary_folder: Path) -> None:
    sample = resources.sample_dir()
    before = photo(sample)
    dossiers = [open_dossier(), open_dossier(), open_dossier(dry_run=False), open_dossier(source=sample, dry_run=False)]
    assert photo(sample) == before
    assert len({one.manifest_sha256 for one in dossiers}) == 1
    said = [findings.verdict(one) for one in dossiers]
    assert said[0] == said[1] != said[2] == said[3]
    assert all(str(own_temporary_folder) not in everything_said(one) for one in dossiers)
    kinds = [one.what for one in differences(dossiers[0])]
    assert sorted(kinds) == ["merged", "normalised", "normalised", "normalised"]
    assert all(one.lines for one in differences(dossiers[0]))
    for one in dossiers:
        one.close()
    assert list(own_temporary_folder.iterdir()) == []


def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path) -> None:
    state = filled(tmp_path / "state", "json", small_store())
    (tmp_path / "empty").mkdir()
    cases: list[tuple[type[Exception], str, Callable[[], Dossier]]] = [
        (NoStoreError, "there is no such folder; give that of a run", lambda: open_dossier(tmp_path / "nothing")),
        (NoStoreError, "is no run folder: it has no plan.json", lambda: open_dossier(tmp_path / "empty")),
        (UsageError, "give either run_dir or source", lambda: open_dossier(tmp_path / "empty", source=state)),
        (UsageError, 'target="postgres" is no kind of store; give json, sqlite', lambda: open_dossier(source=state, target="postgres")),
        (UsageError, "is a store of type json already", lambda: open_dossier(source=state, target="json")),
        (NoStoreError, "has no store of agent 'nobody'", lambda: open_dossier(source=state, agent="nobody")),
        (NoStoreError, "nowhere", lambda: open_dossier(source=tmp_path / "nowhere")),
    ]
    for kind, words, opened in cases:
        with pytest.raises(kind) as refused:
            opened()
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)
    empty = filled(tmp_path / "none", "json", {})
    with pytest.raises(UsageError, match="holds no session; there is nothing to move"):
        open_dossier(source=empty, dry_run=False)
    assert "would move 0 sessions" in findings.verdict(open_dossier(source=empty))
    (sessions_dir(empty) / "sessions.json").write_text('{"agent:main:bad": 7}')
    with pytest.raises(CorruptStoreError, match="not one of its entries can be moved; mend it first"):
        open_dossier(source=empty)
    migrated(state, "sqlite")
    (sessions_dir(state) / "sessions.json").write_text('{"agent:main:other": {"sessionId": "x"}}')
    with pytest.raises(SplitStoreError):
        open_dossier(source=state, target="directory")


def test_dossier_of_an_export_compares_its_files_too(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state("sqlite-2026.9", tmp_path_factory)
    report = export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    (run,) = report.runs
    before = photo(state)
    dossier = open_dossier(run)
    said = everything_said(dossier)
    assert photo(state) == before
    assert dossier.standing == "holds"
    assert "Nothing to roll back: an export only reads" in said
    assert before_after(dossier).empty
    assert "$.deliveryContext" in said
    (first, *_) = sorted((tmp_path / "out" / "agents").rglob("*.jsonl"))
    first.write_text("")
    assert "1 file beside them changed or gone since" in findings.verdict(open_dossier(run))


def test_run_that_cannot_be_rolled_back_by_itself_says_by_what(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "directory")
    (old,) = sessions_dir(tmp_path).glob("sessions.json.bak.*")
    old.unlink()
    dossier = open_dossier(run)
    assert dossier.standing == "holds"
    assert f"sessionlab rollback --store {sessions_dir(tmp_path) / 'sessions.d'}" in findings.way_back(dossier)
    assert "which the run left behind, is gone" in findings.remarks(dossier)


def test_run_that_was_copied_elsewhere_is_still_that_run(tmp_path: Path) -> None:
    run = moved(tmp_path / "state")
    copy = Path(shutil.copytree(run, tmp_path / "for the auditor"))
    assert open_dossier(copy).standing == "holds"
    rolled_back(tmp_path / "state", run)
    assert open_dossier(copy).standing == "rolled-back"


def test_plan_says_nothing_of_what_is_there_for_another_kind(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", small_store())
    plan = plan_migration(state, "sqlite", now_ms=NOW_MS)
    dossier = open_dossier(source=state, now_ms=NOW_MS)
    assert [one.digest for one in plan.entries] == [one.digest for one in dossier.plan.entries]
    assert str(dossier.clock) == "2026-11-18 11:06 UTC (as given)"
