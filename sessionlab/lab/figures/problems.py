"""The figure of the problems found, by code and severity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLOURS: Final = {"error": style.VERMILLION, "warning": style.ORANGE, "info": style.SKY}


def problems_by_code(problems: pd.DataFrame) -> go.Figure:
    """Draw how often each problem was found, worst first; `problems` is the answer of `problems`."""
    import plotly.graph_objects as go

    title = "Problems found, by code"
    if problems.empty:
        return style.no_data(title, "no problem was found, which is good")
    counts = problems.groupby(["severity", "code"])["count"].sum()
    order = list(_COLOURS)
    rows = sorted(counts.index, key=lambda row: (order.index(row[0]) if row[0] in order else len(order), -int(counts[row]), row[1]))
    labels = list(dict.fromkeys(str(code) for _, code in rows))
    traces = [
        go.Bar(
            x=[int(counts[row]) for row in rows if row[0] == severity],
            y=[str(row[1]) for row in rows if row[0] == severity],
            orientation="h",
            name=str(severity),
            marker={"color": _COLOURS.get(severity, style.GREY)},
            text=[f"{int(counts[row]):,}" for row in rows if row[0] == severity],
            textposition="auto",
            hovertemplate="%{y}: %{x:,.0f} found<extra>" + str(severity) + "</extra>",
        )
        for severity in dict.fromkeys(row[0] for row in rows)
    ]
    totals = problems.groupby("severity")["count"].sum()
    said = ", ".join(f"{int(totals[severity]):,} of severity {severity}" for severity in dict.fromkeys(row[0] for row in rows))
    return style.figure(
        traces,
        title=title,
        alt=f"Problems found: {said}.",
        caption="The list below says for each what was found, where, and what to do.",
        x_title="Findings",
        barmode="stack",
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": labels, "title": {"text": ""}},
        height=160 + 28 * len(labels),
        showlegend=True,
    )
