"""Figures of cron jobs: how the sessions of their runs pile up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_OTHERS: Final = "(other jobs)"


def cron_accumulation(runs: pd.DataFrame) -> go.Figure:
    """Draw the kept run sessions by job over time, stacked; `runs` is the answer of `cron_runs_daily`."""
    import plotly.graph_objects as go

    title = "Kept sessions of cron runs, by job"
    if runs.empty:
        return style.no_data(title, "the store holds no session of a cron run in this selection")
    counts = runs.pivot_table(index="day", columns="cron_job_id", values="cumulative_runs", aggfunc="sum", fill_value=0)
    bulk = runs[runs["day"] == runs["day"].max()].set_index("cron_job_id")["cumulative_bytes"]
    last = counts.iloc[-1]
    jobs = sorted(counts.columns, key=lambda job: (job == _OTHERS, -int(last[job]), job))
    x = style.days(counts.index.to_series())
    traces = [
        go.Scatter(
            x=x,
            y=style.whole(counts[job]),
            name=style.short(str(job), 28),
            mode="lines",
            stackgroup="all",
            line={"width": 0.5, "color": _colour(position, job)},
            fillcolor=_colour(position, job),
            hovertemplate=f"%{{y:,.0f}} runs<extra>{style.short(str(job), 28)}</extra>",
        )
        for position, job in enumerate(jobs)
    ]
    return style.figure(
        traces,
        title=title,
        alt=(
            f"{int(last.sum()):,} sessions of cron runs are kept on {x[-1]}, {format_bytes(int(bulk.sum()))} of entries; "
            f"the job {jobs[0]} has {int(last[jobs[0]]):,} of them."
        ),
        caption="Each run leaves a session of its own until cron.sessionRetention (24 h unless set) removes it.",
        x_title="Day (UTC)",
        y_title="Run sessions kept",
        hovermode="x unified",
        showlegend=True,
    )


def _colour(position: int, job: str) -> str:
    return style.GREY if job == _OTHERS else style.series_colour(position)
