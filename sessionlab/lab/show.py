"""How a notebook shows things: sentences as prose, frames as tables, figures with words for who cannot see them.

Each thing shown has a text that is worth reading (on GitHub, by a screen reader, in a diff) and depends on nothing but itself:
no pandas option, no plotly renderer, no address in memory. Draws and computes nothing.
"""

from __future__ import annotations

import builtins
import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

PLOTLY_MIMETYPE: Final = "application/vnd.plotly.v1+json"
WIDE: Final = 140


class Prose:
    """A computed sentence or paragraph, in Markdown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return re.sub(r"\\([\\$*_\[\]<>#])", r"\1", self.text)

    def _repr_markdown_(self) -> str:
        return self.text


class Table:
    """A frame whose first column names the rows; nothing is cut off, whatever pandas is set to."""

    def __init__(self, frame: pd.DataFrame) -> None:
        # With the first column's name in the corner, every row and every column has a header cell of its own.
        first = str(frame.columns[0])
        self._frame = frame.set_index(first).rename_axis(index=None, columns=first)

    def __repr__(self) -> str:
        if not len(self._frame):
            return "(no row)"
        text = str(self._frame.to_string())
        # Padding a wide table fills a screen with blanks and a diff with noise.
        return text if text.find("\n") <= WIDE else str(self._frame.to_csv(sep="|", index_label=self._frame.columns.name)).rstrip()

    def _repr_html_(self) -> str:
        import pandas as pd

        if not len(self._frame):
            return "<p>(no row)</p>"
        with pd.option_context("display.max_colwidth", None):
            return str(self._frame.to_html(border=0, notebook=False))


class Drawing:
    """A plotly figure that brings its alternative text along."""

    def __init__(self, figure: go.Figure) -> None:
        self._figure = figure

    def __repr__(self) -> str:
        layout = self._figure.layout
        title = str(layout.title.text or "Figure").replace("<br>", " ")
        return f"Figure: {title}. {(layout.meta or {}).get('alt', '')}".strip()

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        import plotly.io as pio

        # plotly's own way to JSON, with the engine that is always there: the other one is used only where it is installed.
        content = json.loads(pio.to_json(self._figure, engine="json"))
        return {"text/plain": repr(self), PLOTLY_MIMETYPE: {**content, "config": {"displaylogo": False, "responsive": True}}}


def shown(thing: Any) -> Any:
    """Return a sentence (str), a frame, a plotly figure, or what is already shown well, as it is to be displayed."""
    if isinstance(thing, str):
        return Prose(thing)
    if hasattr(thing, "to_html") and hasattr(thing, "columns"):
        return Table(thing)
    return Drawing(thing) if hasattr(thing, "to_plotly_json") else thing


def show(*things: Any) -> None:
    """Display sentences, frames and figures one below the other; an empty sentence and None are left out.

    Outside of a notebook their texts are printed.
    """
    # IPython puts its `display` among the builtins while a cell runs.
    put = getattr(builtins, "display", print)
    for thing in things:
        if thing is not None and not (isinstance(thing, str) and not thing):
            put(shown(thing))
