"""An executed notebook as a list of report blocks: what each cell says and shows, ready for the page.

Decides what a reader sees. Cells tagged `parameters` and `injected-parameters` become the header's table, cells tagged
`widget` need a kernel and are left out; a record is for machines. Knows nothing of the page around the blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup
from nbconvert.filters import ansi

from sessionlab.reports.figures_html import PLOTLY_MIMETYPE, Figure, figure_of
from sessionlab.reports.markdown_html import Heading, ReportMarkdown, highlighted
from sessionlab.reports.parameters import INJECTED_TAG, PARAMETERS_TAG
from sessionlab.reports.record import MIMETYPE as RECORD_MIMETYPE
from sessionlab.reports.tables_html import safe_html

_LEFT_OUT = {PARAMETERS_TAG, INJECTED_TAG, "widget"}
_ERROR_MARKER = "papermill-error-cell-tag"


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of the report's body; `html` is finished HTML, a figure block has a `figure` instead."""

    kind: Literal["prose", "code", "output", "text", "error", "figure"]
    html: Markup = Markup("")  # noqa: RUF009 - Markup is immutable
    figure: Figure | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The report's body: its blocks, the headings among them, and how many figures there are."""

    blocks: tuple[Block, ...]
    headings: tuple[Heading, ...]
    figures: int


def body_of(node: Any, *, title: str) -> Body:
    """Return the body of an executed notebook; a first heading that repeats `title` is dropped."""
    markdown = ReportMarkdown(title)
    blocks: list[Block] = []
    figures = tables = 0
    for cell in node.cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & _LEFT_OUT or _ERROR_MARKER in tags or not cell.source.strip():
            continue
        if cell.cell_type == "markdown":
            blocks.append(Block("prose", Markup(markdown.html(cell.source))))  # noqa: S704 - the renderer escapes
        elif cell.cell_type == "code":
            blocks.append(Block("code", Markup(highlighted(cell.source, "ipython3"))))  # noqa: S704 - pygments escapes
            for output in _shown(cell.outputs):
                data = output.get("data", {})
                if PLOTLY_MIMETYPE in data:
                    figures += 1
                    blocks.append(Block("figure", figure=figure_of(data[PLOTLY_MIMETYPE], figures)))
                    continue
                tables += "text/html" in data
                label = f"Table {tables}: {markdown.headings[-1].text if markdown.headings else title}"
                blocks.append(_block_of(output, markdown, label))
    return Body(tuple(blocks), tuple(markdown.headings), figures)


def _shown(outputs: list[Any]) -> Iterator[Any]:
    for output in outputs:
        if RECORD_MIMETYPE not in output.get("data", {}):
            yield output


def _block_of(output: Any, markdown: ReportMarkdown, label: str) -> Block:
    if output.output_type == "error":
        return Block("error", Markup("<pre>{}</pre>").format(_plain("\n".join(output.traceback))))
    if output.output_type == "stream":
        return Block("text", Markup("<pre>{}</pre>").format(_plain(output.text).rstrip()))
    data = output.data
    if "text/html" in data:
        return Block("output", safe_html(data["text/html"], label=label))
    if "text/markdown" in data:
        return Block("prose", Markup(markdown.html(data["text/markdown"])))  # noqa: S704 - the renderer escapes
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            picture = Markup('<img src="data:{};base64,{}" alt="{}">')
            return Block("output", picture.format(kind, data[kind].strip(), data.get("text/plain", label)))
    text = data.get("text/plain") or json.dumps(dict(data), sort_keys=True)
    return Block("text", Markup("<pre>{}</pre>").format(_plain(text)))


def _plain(text: str) -> str:
    return str(ansi.strip_ansi(text))  # type: ignore[no-untyped-call]
