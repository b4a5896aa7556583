"""Figures of a migration: how much room the store takes before and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


def size_before_and_after(sizes: pd.DataFrame) -> go.Figure:
    """Draw what the old store, the entries and the new store take; `sizes` is of `lab.dossier_sizes`."""
    import plotly.graph_objects as go

    title = "Size before and after"
    numbers, names = style.whole(sizes["bytes"]), [style.short(name, 28) for name in sizes["what"].tolist()]
    if not any(numbers):
        return style.no_data(title, "the store holds no session")
    divisor, unit = style.byte_unit(max(numbers))
    trace = go.Bar(
        x=style.scaled(numbers, divisor),
        y=names,
        orientation="h",
        marker={"color": [style.BLUE, style.GREY, style.ORANGE][: len(names)]},
        text=[format_bytes(size) for size in numbers],
        textposition="auto",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return style.figure(
        [trace],
        title=title,
        alt="; ".join(f"{name}: {format_bytes(size)}" for name, size in zip(names, numbers, strict=True)) + ".",
        caption="The stores' own files; transcripts are not moved, and not counted.",
        x_title=unit,
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=240,
        showlegend=False,
    )
