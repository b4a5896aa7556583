"""What a migration did to the sizes: the old store, the entries themselves, the new store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sessionlab.stores.location import open_at

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.dossier import Dossier


def sizes(dossier: Dossier) -> pd.DataFrame:
    """Return what takes how much room; transcripts, which are not moved, are left out.

    Returns:
        Two or three rows: the old store's files when the run was planned, the moved entries as compact JSON, the new store's files as they
        are now, if they are there. Columns: `what` (str), `bytes` (int).

    Raises:
        StoreError: The new store cannot be read.
    """
    import pandas as pd

    plan = dossier.plan
    rows = [
        (f"{Path(plan.source.path).name}, before", plan.source.store_bytes),
        ("moved entries, compact JSON", sum(one.bytes for one in plan.moved)),
    ]
    if dossier.new is not None:
        with open_at(dossier.new) as store:
            rows.append((f"{Path(plan.target_path).name}, {'after' if dossier.private else 'now'}", store.stats().store_bytes))
    return pd.DataFrame(rows, columns=["what", "bytes"])
