"""Tables of a rollback drill for people: what was written after the move, what came back, and the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures.dossier_tables import STANDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from sessionlab.lab.dossier import Dossier

_SHOWN_DIGITS: Final = 16


def life_table(written: pd.DataFrame) -> pd.DataFrame:
    """List what was written after the move; `written` is of `Drill.live`. Columns: Session, What happened."""
    return _frame({"Session": written["session"].tolist(), "What happened": written["life"].tolist()})


def proof_table(proof: pd.DataFrame, rows: int) -> pd.DataFrame:
    """List what came back, what was written after the move first, then what differs; `proof` is of `Drill.proof`.

    Columns: Session, What happened, Before, After, Equal.
    """
    is_plain = (proof["life"] == "moved") & proof["is_equal"]
    shown = proof.assign(is_plain=is_plain).sort_values(["is_plain", "session"], kind="stable").head(rows)
    return _frame(
        {
            "Session": shown["session"].tolist(),
            "What happened": shown["life"].tolist(),
            "Before": [digest[:_SHOWN_DIGITS] or "not there" for digest in shown["before"].tolist()],
            "After": [digest[:_SHOWN_DIGITS] or "not there" for digest in shown["after"].tolist()],
            "Equal": ["yes" if is_equal else "NO" for is_equal in shown["is_equal"].tolist()],
        }
    )


def runs_table(dossiers: Sequence[Dossier]) -> pd.DataFrame:
    """List the runs as an audit finds them now. Columns: Run, From, To, Sessions, Audit, Contradictions, Left behind in."""
    return _frame(
        {
            "Run": [f"{number}: {one.plan.operation}" for number, one in enumerate(dossiers, start=1)],
            "From": [one.shown(one.plan.source.path).rpartition("/")[2] for one in dossiers],
            "To": [one.shown(one.plan.target_path).rpartition("/")[2] for one in dossiers],
            "Sessions": [f"{len(one.plan.moved):,}" for one in dossiers],
            "Audit": [STANDINGS[one.standing] for one in dossiers],
            "Contradictions": [str(len(one.audit.contradictions)) if one.audit is not None else "" for one in dossiers],
            "Left behind in": [one.old.path.name if one.old is not None else "gone" for one in dossiers],
        }
    )


def _frame(columns: dict[str, list[str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns, dtype="str")
