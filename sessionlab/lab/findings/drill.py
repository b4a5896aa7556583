"""What a rollback drill shows, in sentences: its frames and its refusal in, Markdown out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlab.lab.findings.words import count, listing, name, plain

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.drill import Refusal
    from sessionlab.stores.location import StoreLocation


def life(written: pd.DataFrame) -> str:
    """Say what happened to the store between the move and the way back; `written` is of `Drill.live`."""
    counts = written.groupby("life", sort=False)["session"].count()
    return listing([f"{count(int(number), 'session')} {what}" for what, number in counts.items()]) + "."


def proof(frame: pd.DataFrame, counting: StoreLocation) -> str:
    """Say whether every session came back; `frame` is of `Drill.proof`, `counting` the store that counts after the way back."""
    there = frame[frame["before"] != ""]
    differing = int((~frame["is_equal"]).sum())
    if differing:
        return f"**{count(differing, 'session')} did not come back as they were**: see the table."
    born = int((frame["life"] == "born after the move").sum())
    gone = int((frame["life"] == "deleted after the move").sum())
    return (
        f"**Proved**: each of the {count(len(there), 'session')} is in {name(counting.path.name)} again, byte for byte, the {born:,} born "
        f"after the move among them; {count(gone, 'session')} deleted after the move did not come back."
    )


def refusal(refused: Refusal) -> str:
    """Say how a rollback was refused."""
    if not refused.error:
        return f"**Not refused**, though the old store had been written in between; {name(refused.counts)} counts now."
    rest = "holds what it held before" if refused.is_unchanged else "does **not** hold what it held before"
    return (
        f"**Refused**, as it must be: {name(refused.error)}. {name(refused.counts)} counts, as before, and {rest}.\n\n"
        f"> {plain(refused.message)}"
    )
