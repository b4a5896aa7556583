"""The explorer at the end of a growth notebook: choose days, agent and kind, and two figures and the numbers follow.

Every change asks the mirror again through the lab's queries; nothing is computed in the browser. Without a front end it is only
its fixed text, and nothing is lost: the notebook's static figures stand above it. Nothing here reads a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sessionlab.lab import figures
from sessionlab.lab.explorer import Explorer
from sessionlab.units import format_bytes, format_count, format_usd

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sessionlab.lab.session import Lab

ALL: Final = "all"
METRICS: Final = ("Sessions", "Bytes", "Tokens", "Cost")
# What one figure has and the next has not must be taken away by name: the browser keeps what is not mentioned.
_BLANK: Final = {"annotations": (), "shapes": (), "barmode": None, "hovermode": None, "showlegend": None}
# As wide as the notebook, and with tools that do not cover the title.
_SCREEN: Final = {"autosize": True, "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#767676", "activecolor": "#0072B2"}}


class GrowthExplorer(Explorer):
    """Controls, numbers and two figures on one lab; show it as the last expression of a cell.

    Attributes:
        since: First UTC day, inclusive; an empty one is the beginning.
        until: Last UTC day, inclusive; an empty one is the end.
        agent: One agent, or "all".
        kind: One kind of session, or "all".
        metric: What the first figure shows, one of `METRICS`.
        reset: The button that puts every control back.
        trend: The first figure, over time.
        activity: The second figure, sessions created and active per day.
        numbers: What lies in the range, as HTML.
        status: What is wrong with the choice, as HTML; empty when nothing is.
        view: All of it, as one widget.
    """

    def __init__(self, lab: Lab) -> None:
        import ipywidgets
        import plotly.graph_objects as go

        self._lab = lab
        growth = lab.query("growth_daily")
        self._first = growth["day"].min().date() if len(growth) else None
        self._last = growth["day"].max().date() if len(growth) else None
        self._agents = [str(agent) for agent in dict.fromkeys(lab.query("sources")["agent_id"].tolist())]
        self._kinds = sorted(str(kind) for kind in lab.query("bytes_by_kind")["kind"].tolist())
        narrow, wide = ipywidgets.Layout(width="230px"), ipywidgets.Layout(width="100%")
        self.since = ipywidgets.DatePicker(description="From day", value=self._first, layout=narrow)
        self.until = ipywidgets.DatePicker(description="To day", value=self._last, layout=narrow)
        self.agent = ipywidgets.Dropdown(description="Agent", options=[ALL, *self._agents], layout=narrow)
        self.kind = ipywidgets.Dropdown(description="Kind", options=[ALL, *self._kinds], layout=narrow)
        self.metric = ipywidgets.ToggleButtons(description="Show", options=METRICS, style={"button_width": "90px"})
        self.reset = ipywidgets.Button(description="Reset", tooltip="Show everything again", icon="undo")
        self.numbers = ipywidgets.HTML()
        self.status = ipywidgets.HTML()
        self.trend, self.activity = go.FigureWidget(), go.FigureWidget()
        controls = [self.since, self.until, self.agent, self.kind, self.metric, self.reset]
        row = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        self.view = ipywidgets.VBox(
            [ipywidgets.Box(controls, layout=row), self.status, self.numbers, self.trend, self.activity], layout=wide
        )
        self._update()
        for control in (self.since, self.until, self.agent, self.kind, self.metric):
            control.observe(self._update, names="value")
        self.reset.on_click(self._reset)

    def __repr__(self) -> str:
        span = f"{self._first} to {self._last}" if self._first else "no session"
        return (
            f"Growth explorer: {len(self._agents)} agents, {len(self._kinds)} kinds of session, {span}. "
            "It needs a running kernel: open this notebook in JupyterLab and run all cells."
        )

    def _reset(self, _button: object) -> None:
        with self._silence():
            self.since.value, self.until.value = self._first, self._last
            self.agent.value = self.kind.value = ALL
            self.metric.value = METRICS[0]
        self._update()

    def _draw(self) -> None:
        since, until = self.since.value, self.until.value
        if since and until and since > until:
            self._complain(f"The first day, {since}, is after the last, {until}: the figures show the choice before.")
            return
        chosen = {name: None if widget.value == ALL else widget.value for name, widget in (("agent", self.agent), ("kind", self.kind))}
        span = {**chosen, "since_day": since, "until_day": until}
        growth, tokens = self._lab.query("growth_daily", **span, now_ms=self._lab.now_ms), self._lab.query("tokens_daily", **span)
        trend = {
            "Sessions": lambda: figures.sessions_over_time(growth),
            "Bytes": lambda: figures.bytes_over_time(growth),
            "Tokens": lambda: figures.tokens_by_day(tokens),
            "Cost": lambda: figures.cost_by_day(tokens),
        }[self.metric.value]()
        redraw(self.trend, trend)
        redraw(self.activity, figures.created_and_active(growth, self._lab.query("activity_daily", **span)))
        self.numbers.value = _numbers(growth, tokens)
        self.status.value = ""


def redraw(widget: Any, figure: go.Figure) -> None:
    """Let a `FigureWidget` show another figure; nothing of the one before stays."""
    with widget.batch_update():
        widget.data = ()
        widget.add_traces(figure.data)
        widget.update_layout({**_BLANK, **_SCREEN, **figure.layout.to_plotly_json()}, overwrite=True)


def _numbers(growth: pd.DataFrame, tokens: pd.DataFrame) -> str:
    cells = (
        ("Sessions created", format_count(int(growth["created"].sum()))),
        ("Size of their entries", format_bytes(int(growth["created_bytes"].sum()))),
        ("Model calls", format_count(int(tokens["calls"].sum()))),
        ("Tokens", format_count(int(tokens["total_tokens"].sum()))),
        ("Cost as recorded", format_usd(int(tokens["cost_microusd"].sum()))),
    )
    parts = "".join(f'<span style="margin-right: 2em">{label}: <strong>{value}</strong></span> ' for label, value in cells)
    return f'<p role="status">In this range &mdash; {parts}</p>'
