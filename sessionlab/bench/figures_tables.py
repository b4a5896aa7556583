"""Tables of recorded measurements: where and when they were made, the stress test's runs, fits, what is comfortable, what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.bench.figures import NAMES, number
from sessionlab.bench.peers_recorded import PREFIX
from sessionlab.bench.rss import CYCLE_MS, PEAK_MB, cycle_ms
from sessionlab.bench.rss import PUBLISHED as STRESS

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.bench.evidence import Recorded, Records


_METRICS: Final = {
    "load_ms": "Load, ms",
    "update_ms": "Update one, ms",
    "list_ms": "List, ms",
    "peak_mb": "Memory, MB",
    "cpu_percent": "CPU with an update a second, %",
}
_Held = tuple[float, float | None]
"""A figure and the most that is accepted."""


def records_table(records: Records) -> pd.DataFrame:
    """Return one row for each record: when it was made (where, if not all on one machine), and how many figures missed their bound."""
    import pandas as pd

    rows = []
    is_one_machine = len({records[name].document.machine for name in records}) == 1
    for name in records:
        one = records[name]
        bounds = sum(row["bound"] is not None for row in one.document.rows)
        machine = {} if is_one_machine else {"Machine": one.document.machine.in_words}
        rows.append(
            {
                "Measurement": name,
                "Date": one.date,
                "Size": "small, not to quote" if one.is_quick else "full",
                **machine,
                "Python, SQLite": f"{one.versions.get('python', '')}, {one.versions.get('sqlite', '')}",
                "Beyond their bound": f"{len(one.document.missed)} of {bounds}" if bounds else "none has one",
            }
        )
    return pd.DataFrame(rows)


def proposal_table(record: Recorded) -> pd.DataFrame:
    """Return what the proposal expected of JSON and of SQLite beside what was measured; `record` is "proposal"."""
    import pandas as pd

    rows = record.frame("proposal")
    rows = rows[rows["entry_kb"] > 10]
    at = rows[rows["sessions"] == rows["sessions"].max()]
    naive = at[at["program"] == "naive"].iloc[0]
    sqlite = at[(at["program"] == "sqlite") & (at["durability"] == "commit")].iloc[0]
    return pd.DataFrame(
        [
            {
                "What": _METRICS[metric := row["metric"]],
                "Sessions measured": f"{int(sqlite['sessions']):,}",
                "JSON, expected": f"{row['json']:g}",
                "Naive file, measured": number(naive[metric]),
                "SQLite, expected": f"{row['sqlite']:g}",
                "SQLite, measured": number(sqlite[metric]),
                "Expectation": "holds" if sqlite[metric] <= row["sqlite"] else "does not hold",
            }
            for row in record.rows("expected")
        ]
    )


def peers_table(records: Records) -> pd.DataFrame | None:
    """Return what each recorded OpenClaw took, the newest first, with its range over processes, beside our stores; `None` without one."""
    import pandas as pd

    rows = []
    for name in (name for name in reversed(list(records)) if name.startswith(PREFIX)):
        theirs = {row["operation"]: row for row in records[name].rows("openclaw")}
        for (operation, unit), own in records[name].frame("beside").groupby(["operation", "unit"], sort=False):
            known = theirs.get(operation)
            spread = f" ({number(known['least'])} to {number(known['most'])})" if known and known["processes"] > 1 else ""
            ours: dict[str, str] = {}
            for one in own.itertuples():
                weaker = " not synced" if one.durability == "process" else ""
                ours[one.program] = "; ".join(filter(None, (ours.get(one.program), f"{number(one.ours)}{weaker}")))
            rows.append(
                {
                    "OpenClaw": f"{records[name].rows('openclaw')[0]['program'].removeprefix('OpenClaw ')}: {operation}, {unit}",
                    "its own": f"{number(own['theirs'].iloc[0])}{spread}",
                    **{store: ours.get(store, "") for store in ("json", "sqlite", "directory")},
                }
            )
    return pd.DataFrame(rows) if rows else None


def cycles_table(record: Recorded) -> pd.DataFrame:
    """Return one row for each run of the stress test, ours and the published ones; `record` is "rss"."""
    import pandas as pd

    rows = []
    for name, run in (("without reuse", "before"), ("with reuse", "after")):
        most_mb = max(one.rss_mb for one in STRESS if one.run == run)
        rows.append(_cycles_row("OpenClaw, published", name, (most_mb, None), (cycle_ms(run), None)))
    samples = record.frame("samples")
    for (store, run), own in samples.groupby(["store", "run"], sort=False):
        first, last = own.iloc[0], own.iloc[-1]
        mean_ms = (last["elapsed_ms"] - first["elapsed_ms"]) / max(1, last["cycle"] - first["cycle"])
        peak, cycle = (None, None) if "decode" in str(run) else (PEAK_MB.get(store), CYCLE_MS.get(store))
        rows.append(_cycles_row(str(store), str(run), (float(last["peak_mb"]), peak), (mean_ms, cycle)))
    return pd.DataFrame(rows)


def _cycles_row(store: str, run: str, peak_mb: _Held, cycle_ms: _Held) -> dict[str, str]:
    return {
        "Store": store,
        "Each cycle": run,
        "Peak, MB": _held(*peak_mb),
        "A cycle, ms": _held(*cycle_ms),
    }


def _held(value: float, most: float | None) -> str:
    return number(value) + ("" if most is None else f" ({'at most' if value <= most else 'MISSED, at most'} {most:g})")


def waits_table(record: Recorded) -> pd.DataFrame:
    """Return what the most writers saw of each backend, and what was published; `record` is "contention"."""
    import pandas as pd

    rows = record.frame("writers")
    found = [
        {
            "Store": NAMES.get(row.store) or f"{row.store}{', not synced' if row.durability == 'process' else ''}",
            "Writers": str(row.writers),
            "Updates a second": number(row.updates_per_s),
            "Median, ms": number(row.p50_ms),
            "99 of 100, ms": number(row.p99_ms),
            "Longest, ms": number(row.max_ms),
            "Timeouts": str(row.timeouts),
            "Stuck": str(row.stuck),
            "Lost": str(row.lost),
        }
        for row in rows[rows["writers"] == rows["writers"].max()].itertuples()
    ]
    published = {row["what"]: row for row in record.rows("published")}
    theirs = dict.fromkeys(found[0], "") | {"Store": "OpenClaw, published, three hours"}
    stuck = published["stuck sessions"]
    theirs |= {"Timeouts": str(published["lock timeouts"]["count"])}
    theirs["Stuck"] = f"{stuck['count']} sessions, {stuck['mean_s']:,.0f} s on average, at most {stuck['max_s']:,.0f}"
    return pd.DataFrame([*found, theirs])


def comfort_table(record: Recorded) -> pd.DataFrame:
    """Return how each operation grows with sessions and from which size on it is beyond its limit; `record` is "scale"."""
    import pandas as pd

    fits = {(row["grows"], row["store"], row["operation"]): row for row in record.rows("fits")}
    rows = []
    for one in record.rows("comfortable"):
        fit = fits.get((one["grows"], one["store"], one["operation"]))
        unit = "sessions" if one["grows"] == "sessions" else "bytes each"
        how = f" ({one['how']})" if one["how"] != "measured" else ""
        rows.append(
            {
                "Store": NAMES.get(one["store"], one["store"]),
                "Grows": unit,
                "Operation": one["operation"],
                "Exponent": f"{fit['exponent']:.2f}" if fit else "",
                "Largest measured": f"{one['most']:,}: {number(one['most_ms'])} ms",
                "Beyond its limit from": f"{one['size']:,.0f}{how}" if one["size"] is not None else one["how"],
                "Limit, ms": f"{one['limit_ms']:g}",
            }
        )
    return pd.DataFrame(rows)


def live_table(records: Records, live: Records) -> pd.DataFrame | None:
    """Return what was measured here beside what is recorded, where both have a size; `None` when nothing was measured."""
    import pandas as pd

    if not len(live):
        return None
    here = live["proposal"].frame("proposal")
    here = here[(here["entry_kb"] > 10) & ((here["program"] == "naive") | (here["durability"] == "commit"))]
    here = here[here["sessions"] == here["sessions"].max()]
    there = records["proposal"].frame("proposal")
    there = there[there["entry_kb"] > 10].set_index(["program", "durability", "sessions"])
    rows = []
    for row in here.itertuples():
        key = (row.program, row.durability, row.sessions)
        known = there.loc[key] if key in there.index else None
        rows.append(
            {"Store": NAMES.get(row.program, row.program), "Sessions": f"{row.sessions:,}"}
            | {
                f"{what}, {unit}": number(getattr(row, column)) + (f" (recorded: {number(known[column])})" if known is not None else "")
                for what, unit, column in (("Load", "ms", "load_ms"), ("Update", "ms", "update_ms"), ("Memory", "MB", "process_mb"))
            }
        )
    return pd.DataFrame(rows)
