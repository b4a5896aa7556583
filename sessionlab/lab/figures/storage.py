"""Figures of the disk: what lies in and around the store, and which transcripts there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


def storage_parts(storage: pd.DataFrame) -> go.Figure:
    """Draw bytes on disk by part, stacked by agent; `storage` is the answer of `storage_parts`."""
    title = "Bytes on disk, by what they are"
    files = storage[~storage["is_detail"].astype(bool)]
    if files.empty:
        return style.no_data(title, "no file of this selection was measured")
    return _bars(files, label="part", title=title, caption="Everything that lies in the agents' folders, each file once.")


def inside_the_store(storage: pd.DataFrame) -> go.Figure:
    """Draw what fills an SQLite store, by group of tables; `storage` is the answer of `storage_parts`."""
    title = "Inside the SQLite store"
    tables = storage[storage["is_detail"].astype(bool)]
    if tables.empty:
        return style.no_data(title, "no store of this selection is an SQLite store")
    return _bars(tables, label="detail", title=title, caption="The pages of the store's tables and indexes, by what they hold.")


def transcripts_by_source(transcripts: pd.DataFrame) -> go.Figure:
    """Draw transcript bytes in use, in cold storage and archived, by agent; the answer of `transcripts_by_source`."""
    title = "Bytes of transcripts, in use and archived"
    if transcripts.empty:
        return style.no_data(title, "no transcript lies beside the store")
    frame = transcripts.rename(columns={"transcripts": "files"})
    return _bars(frame, label="source", title=title, caption="Archives are what OpenClaw renames when a session is deleted or reset.")


def _bars(frame: pd.DataFrame, *, label: str, title: str, caption: str) -> go.Figure:
    import plotly.graph_objects as go

    totals = frame.groupby(label)["bytes"].sum()
    names = sorted(totals.index, key=lambda name: (-int(totals[name]), name))
    agents = sorted(frame["agent_id"].unique())
    divisor, unit = style.byte_unit(float(totals.max()))
    traces = []
    for position, agent in enumerate(agents):
        own = frame[frame["agent_id"] == agent].groupby(label)[["bytes", "files"]].sum().reindex(names, fill_value=0)
        sizes, counts = style.whole(own["bytes"]), style.whole(own["files"])
        traces.append(
            go.Bar(
                x=style.scaled(sizes, divisor),
                y=names,
                orientation="h",
                name=agent,
                marker={"color": style.series_colour(position)},
                customdata=[[format_bytes(size), format_count(count)] for size, count in zip(sizes, counts, strict=True)],
                hovertemplate="%{y}: %{customdata[0]}, count %{customdata[1]}<extra>" + agent + "</extra>",
            )
        )
    total = int(totals.sum())
    return style.figure(
        traces,
        title=title,
        alt=f"{format_bytes(total)} in all; the largest part is {names[0]} with {format_bytes(int(totals[names[0]]))}.",
        caption=caption,
        x_title=f"Size ({unit})",
        barmode="stack",
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=160 + 28 * len(names),
        showlegend=len(agents) > 1,
    )
