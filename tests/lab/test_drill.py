"""A rollback drill between every two kinds of store: what is born after the move comes back, and it refuses when it must."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from sessionlab.errors import UsageError
from sessionlab.lab.drill import Refusal, open_drill
from sessionlab.lab.figures import drill_tables as tables
from sessionlab.lab.findings import drill as findings
from sessionlab.lab.findings import migration
from sessionlab.settings import StoreType
from tests.migration.test_execute import NAMES, PAIRS


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_every_session_comes_back_byte_for_byte_and_both_runs_hold_what_they_say(
    pair: tuple[StoreType, StoreType], own_temporary_folder: Path
) -> None:
    old, new = pair
    drill = open_drill(old=old, new=new, sessions=6, born=2)
    assert drill.migrate().standing == "holds"
    assert drill.counting().kind == new
    written = drill.live()
    assert findings.life(written) == (
        "1 session changed after the move, 1 session deleted after the move and 2 sessions born after the move."
    )
    assert drill.roll_back().standing == "holds"
    assert drill.counting().path.name == NAMES[old]
    proof = drill.proof()
    assert proof["is_equal"].all()
    assert (proof["before"] != "").sum() == 6 - 1 + 2
    assert f"each of the 7 sessions is in `{NAMES[old]}` again, byte for byte, the 2 born" in findings.proof(proof, drill.counting())
    assert sorted(tables.proof_table(proof, 4)["What happened"]) == sorted(written["life"])
    first, second = drill.dossiers()
    assert (first.standing, second.standing) == ("rolled-back", "holds")
    assert "2 sessions came since" in migration.verdict(first)
    runs = tables.runs_table([first, second])
    assert runs["Run"].tolist() == ["1: migrate", "2: rollback"]
    assert runs["Contradictions"].tolist() == ["0", "0"]
    refused = drill.refusal()
    assert refused.error in ("SplitStoreError", "StalePlanError")
    assert (refused.counts, refused.is_unchanged) == (NAMES[new], True)
    assert str(own_temporary_folder) not in refused.message
    assert findings.refusal(refused).startswith(
        f"**Refused**, as it must be: `{refused.error}`. `{NAMES[new]}` counts, as before, and holds"
    )
    drill.close()
    assert list(own_temporary_folder.iterdir()) == []


def test_what_did_not_come_back_is_said() -> None:
    drill = open_drill(sessions=4, born=1)
    drill.migrate()
    drill.live()
    drill.roll_back()
    proof = drill.proof()
    proof.loc[proof.index[0], "is_equal"] = False
    assert findings.proof(proof, drill.counting()) == "**1 session did not come back as they were**: see the table."
    assert tables.proof_table(proof, 5)["Equal"].tolist().count("NO") == 1
    lost = Refusal(error="", message="", counts="sessions.json", is_unchanged=False)
    assert findings.refusal(lost).startswith("**Not refused**")
    drill.close()


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"old": "postgres"}, 'old="postgres" is no kind of store; give json, sqlite, directory'),
        ({"new": "openclaw"}, 'new="openclaw" is no kind of store'),
        ({"new": "json"}, "are the same"),
        ({"sessions": 2}, "sessions=2 makes no sense; give 3 to 10,000"),
        ({"born": 0}, "born=0 makes no sense"),
    ],
)
def test_what_makes_no_sense_is_refused(chosen: dict[str, object], words: str) -> None:
    options = {"old": "json", "new": "sqlite", "sessions": 60, "born": 3} | chosen
    with pytest.raises(UsageError) as refused:
        open_drill(
            old=str(options["old"]),
            new=str(options["new"]),
            sessions=int(str(options["sessions"])),
            born=int(str(options["born"])),
        )
    assert words in str(refused.value)
