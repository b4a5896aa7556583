"""How every figure looks: one template, one colour per kind of session, legible on light and on dark paper.

Owns colours, units on axes, and the text alternative that each figure carries in `layout.meta`. Draws nothing itself.
Colours are those of Okabe and Ito, made for colour-blind readers; two kinds that share a hue differ by a hatch.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

TEMPLATE: Final = "sessionlab"

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
TEXT: Final = "#767676"  # the one grey that is legible on white and on black
GRID: Final = "rgba(128,128,128,0.25)"
EDGE: Final = "rgba(128,128,128,0.6)"
FRAME: Final = "#BDBDBD"  # solid, so that a label on it is legible whatever the paper

HATCH: Final = {"fillmode": "overlay", "size": 6}

NO_SESSION: Final = "(no session)"

# Related kinds share a hue; the second of a pair is hatched.
_KINDS: Final[dict[str, tuple[str, str]]] = {
    "main": (BLUE, ""),
    "direct": (SKY, ""),
    "group": (GREEN, ""),
    "channel": (ORANGE, ""),
    "thread": (ORANGE, "/"),
    "cron": (VERMILLION, "/"),
    "cron-run": (VERMILLION, ""),
    "subagent": (PURPLE, ""),
    "hook": (PURPLE, "/"),
    "acp": (YELLOW, ""),
    "node": (YELLOW, "/"),
    "parallel": (BLUE, "/"),
    "other": (GREY, ""),
    NO_SESSION: (GREY, "/"),
}
_SERIES: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW)
MAX_SERIES: Final = len(_SERIES)
_BYTE_UNITS: Final = ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"))


def kind_colour(kind: str) -> str:
    """Return the colour that `kind` has in every figure; an unknown kind has that of 'other'."""
    return _KINDS.get(kind, _KINDS["other"])[0]


def kind_hatch(kind: str) -> str:
    """Return the hatch that tells `kind` from the kind of the same colour, "" for none."""
    return _KINDS.get(kind, _KINDS["other"])[1]


def kind_marks(kinds: Sequence[str]) -> dict[str, Any]:
    """Return the marker of bars that are one kind each: its colour and its hatch. Label such bars outside, on the paper."""
    return {"color": [kind_colour(kind) for kind in kinds], "pattern": {"shape": [kind_hatch(kind) for kind in kinds], **HATCH}}


def ink_on(colour: str) -> str:
    """Return black or white, whichever is more legible on `colour` (`#RRGGBB`; contrast as WCAG 2 defines it)."""
    return max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, colour))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (`#RRGGBB`), 1 to 21; labels need 4.5 (WCAG 2, level AA)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def in_kind_order(kinds: Iterable[str]) -> list[str]:
    """Sort kinds as every legend lists them; unknown ones come last, by name."""
    order = {kind: position for position, kind in enumerate(_KINDS)}
    return sorted(set(kinds), key=lambda kind: (order.get(kind, len(order)), kind))


def series_colour(position: int) -> str:
    """Return the colour of the n-th series that is not a kind (agents, models, jobs); grey past the seventh."""
    return _SERIES[position] if position < MAX_SERIES else GREY


def byte_unit(largest: float) -> tuple[int, str]:
    """Return (divisor, name) of the 1024-based unit in which `largest` is at least 1."""
    return next(((size, name) for size, name in _BYTE_UNITS if largest >= size), (1, "bytes"))


def scaled(values: Iterable[Any], divisor: int) -> list[float]:
    """Divide and round to four decimals, as a plain list: figures must be equal in every committed notebook."""
    return [round(float(value) / divisor, 4) for value in values]


def whole(values: Iterable[Any]) -> list[int]:
    """Turn a column of integers into a plain list."""
    return [int(value) for value in values]


def days(column: pd.Series) -> list[str]:
    """Turn a column of days into ISO texts."""
    return [str(text) for text in column.dt.strftime("%Y-%m-%d").tolist()]


def percent(part: float, whole: float) -> str:
    """Write a part of a whole for people: `41.2 %`; of nothing it is `0.0 %`."""
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def short(text: str, width: int = 24) -> str:
    """Shorten from the middle, so that axis labels leave room for the plot; the hover has the whole text."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


@cache
def template() -> str:
    """Register the plotly template, once, and return its name."""
    import plotly.graph_objects as go
    import plotly.io as pio

    axis = {"gridcolor": GRID, "linecolor": GRID, "zerolinecolor": GRID, "automargin": True, "title": {"standoff": 12}}
    pio.templates[TEMPLATE] = go.layout.Template(
        layout={
            # The only text colour anywhere: a report recolours this one for dark paper.
            "font": {"color": TEXT, "size": 12, "family": "system-ui, sans-serif"},
            "title": {"x": 0, "xref": "container", "pad": {"l": 8}, "yref": "container", "y": 0.97, "yanchor": "top", "font": {"size": 15}},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal"},
            "margin": {"l": 8, "r": 12, "t": 64, "b": 8},
            # Away from the axis, or the first day touches the zero of the other axis.
            "xaxis": {**axis, "ticklabelstandoff": 8},
            "yaxis": axis,
            "bargap": 0.15,
            "colorway": list(_SERIES),
        },
        # A number turned sideways in a flat bar is not read.
        data={"bar": [{"textangle": 0}]},
    )
    return TEMPLATE


def figure(
    traces: Sequence[Any],
    *,
    title: str,
    alt: str,
    caption: str,
    x_title: str = "",
    y_title: str = "",
    height: int = 420,
    **layout: Any,
) -> go.Figure:
    """Assemble a figure in the house style.

    Args:
        traces: Plotly traces whose data are plain lists.
        title: What is shown; wrapped for narrow screens.
        alt: One sentence that says what a reader would see, with numbers.
        caption: What the numbers mean and what they leave out.
        x_title: Axis label with its unit.
        y_title: Axis label with its unit.
        height: In pixels; the width is the page's.
        layout: Further plotly layout.
    """
    import plotly.graph_objects as go

    drawn = go.Figure(data=list(traces))
    drawn.update_layout(
        template=template(),
        title={"text": "<br>".join(textwrap.wrap(title, 46))},
        height=height,
        meta={"alt": alt, "caption": caption},
    )
    drawn.update_xaxes(title={"text": x_title})
    drawn.update_yaxes(title={"text": y_title})
    drawn.update_layout(**layout)
    return drawn


def no_data(title: str, why: str) -> go.Figure:
    """Draw the figure that stands where there is nothing to draw, and say why."""
    drawn = figure([], title=title, alt=f"No data: {why}.", caption=f"No data: {why}.", height=220)
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
    text = "<br>".join(textwrap.wrap(f"No data: {why}", 46))
    drawn.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return drawn
