"""Tables of a day of parallel sessions for people: what became of memories, where a briefing's lines come from, what a restart kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sessionlab.lab.figures import style
from sessionlab.lab.figures.parallel import times
from sessionlab.lab.parallel_notes import lines_of
from sessionlab.units import MS_PER_MINUTE, format_age_ms, format_count

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.parallel_day import LivedDay
    from sessionlab.lab.parallel_own import Own
    from sessionlab.lab.parallel_restart import Restart

_BLOCKS: Final = {"channel": "Channel Context", "global": "Global Knowledge"}


def memories_table(lived: LivedDay) -> pd.DataFrame:
    """List what became of memories, by sort; a row for all at the end.

    Columns: Sort, To be remembered, Left out by autoSave, Acknowledged, Promoted, Removed when expired, Kept; and Lost, or Dropped with
    the process, where there are any.
    """
    import pandas as pd

    notes = lived.notes
    rows = []
    for sort, group in [*notes.groupby("sort"), ("all", notes)]:
        fates = group["fate"].value_counts().to_dict()
        left_out = int(fates.get("left out by autoSave", 0))
        rows.append(
            {
                "Sort": str(sort),
                "To be remembered": format_count(len(group)),
                "Left out by autoSave": format_count(left_out),
                "Acknowledged": format_count(len(group) - left_out),
                "Promoted": format_count(int(group["is_promoted"].sum())),
                "Removed when expired": format_count(int(fates.get("removed when expired", 0))),
                "Kept": format_count(int(fates.get("kept", 0))),
                "Lost": format_count(int(fates.get("lost", 0))),
                "Dropped with the process": format_count(int(fates.get("dropped with the process", 0))),
            }
        )
    frame = pd.DataFrame(rows, dtype="str")
    return frame.drop(columns=[name for name in ("Lost", "Dropped with the process") if frame[name].iloc[-1] == "0"])


def sessions_table(lived: LivedDay, rows: int) -> pd.DataFrame:
    """List the sessions with the most messages. Columns: Session, Messages, Active, Idle, Asleep, Put to sleep, Woken.

    The end of the day, when all are put to sleep, is not counted.
    """
    stretches = lived.stretches.assign(length=lived.stretches["to_ms"] - lived.stretches["from_ms"])
    lengths = stretches.pivot_table(index="session", columns="standing", values="length", aggfunc="sum", fill_value=0)
    asleep = stretches[stretches["standing"] == "hibernated"]
    slept = asleep["session"].value_counts().to_dict()
    woken = asleep[asleep["to_ms"] < lived.stretches["to_ms"].max()]["session"].value_counts().to_dict()
    shown = lived.sessions.sort_values("messages", ascending=False, kind="stable").head(rows)

    def minutes(standing: str) -> list[str]:
        found = lengths[standing].to_dict() if standing in lengths else {}
        return [f"{int(found.get(key, 0)) // MS_PER_MINUTE:,} min" for key in shown["session"]]

    return _frame(
        {
            "Session": shown["session"].tolist(),
            "Messages": [format_count(number) for number in style.whole(shown["messages"])],
            "Active": minutes("active"),
            "Idle": minutes("idle"),
            "Asleep": minutes("hibernated"),
            "Put to sleep": [format_count(int(slept.get(key, 0))) for key in shown["session"]],
            "Woken": [format_count(int(woken.get(key, 0))) for key in shown["session"]],
        }
    )


def briefing_table(lived: LivedDay, key: str) -> pd.DataFrame:
    """List the lines of what a session would be told after the day, and why they are there.

    Columns: Text, Block, Sort, Importance, Learned on, At (UTC).
    """
    notes: dict[str, Any] = {one.content: one for one in lived.notes.itertuples()}
    lines = [(line, notes[line.content]) for line in lines_of(lived.told[key]) if line.content in notes]
    return _frame(
        {
            "Text": [line.content for line, _ in lines],
            "Block": [_BLOCKS[line.block] for line, _ in lines],
            "Sort": [str(one.sort) for _, one in lines],
            "Importance": [f"{one.importance} of 10" for _, one in lines],
            "Learned on": [str(one.channel) for _, one in lines],
            "At (UTC)": [text[11:16] for text in times([one.at_ms for _, one in lines])],
        }
    )


def restart_table(restart: Restart | None, rows: int) -> pd.DataFrame | None:
    """List what a new manager knows of sessions, what is not as it was first; `None` without a restart.

    Columns: Session, Stood before, Found, Messages before, Messages found, Briefing.
    """
    if restart is None:
        return None
    is_kept = (restart.sessions["after"] == "known again") & restart.sessions["is_briefing_equal"]
    found = restart.sessions.assign(is_kept=is_kept).sort_values("is_kept", kind="stable").head(rows)
    lines = zip(style.whole(found["lines"]), found["is_briefing_equal"], strict=True)
    return _frame(
        {
            "Session": found["session"].tolist(),
            "Stood before": found["before"].tolist(),
            "Found": found["after"].tolist(),
            "Messages before": [format_count(number) for number in style.whole(found["messages_before"])],
            "Messages found": [format_count(number) for number in style.whole(found["messages_after"])],
            "Briefing": [f"{number} line{'' if number == 1 else 's'}, {'the same' if same else 'ANOTHER'}" for number, same in lines],
        }
    )


def own_table(own: Own | None) -> pd.DataFrame | None:
    """List what a shared memory of the reader's own holds, in numbers; `None` of none. Columns: What, Number."""
    if own is None:
        return None
    facts = {
        "Memories": format_count(own.memories),
        "of them expired": format_count(own.expired),
        "of them promoted": format_count(own.promoted),
        **{f"of them of sort {sort}": format_count(number) for sort, number in own.by_sort.items()},
        "What all channels know": format_count(own.knowledge),
        "Action items open": format_count(own.actions_open),
        "Persons": format_count(own.persons),
        "Sessions asleep": format_count(own.sessions),
        "Age of the newest memory": format_age_ms(own.newest_age_ms) if own.memories else "there is none",
    }
    return _frame({"What": list(facts), "Number": list(facts.values())})


def _frame(columns: dict[str, list[str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns, dtype="str")
