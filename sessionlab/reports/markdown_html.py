"""Markdown to HTML for reports: headings in order and collected, no raw HTML, no image that would be fetched.

`$` is left alone: in a report about costs it is money, and there is no MathJax to typeset anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import mistune
from bs4 import BeautifulSoup
from mistune.renderers.html import HTMLRenderer
from nbconvert.filters.highlight import Highlight2HTML

# A list of this many items is folded after the first few.
MANY_ITEMS = 9
SHOWN_ITEMS = 6
_LANGUAGES = {"bash", "json", "python", "sh", "sql"}


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading of the report: its level (2 and more, 1 is the report's title), plain text and element id."""

    level: int
    text: str
    id: str


class ReportMarkdown:
    """Renders one notebook's markdown cells, in order; `headings` grows with them."""

    def __init__(self, title: str) -> None:
        self.headings: list[Heading] = []
        self._render = mistune.create_markdown(renderer=_Renderer(title, self.headings), plugins=["table", "strikethrough", "footnotes"])

    def html(self, source: str) -> str:
        """Return the HTML of one cell's markdown; text that looks like HTML is shown as text."""
        return str(self._render(source)).strip()


class _Renderer(HTMLRenderer):
    def __init__(self, title: str, headings: list[Heading]) -> None:
        super().__init__(escape=True)
        self._title = title
        self._headings = headings
        self._ids: set[str] = set()

    def heading(self, text: str, level: int, **_: Any) -> str:
        plain = _plain(text)
        if level == 1 and plain == mistune.escape(self._title) and not self._headings:
            return ""
        # One h1 (the report's title) and no skipped level, whatever the notebook does.
        deepest = self._headings[-1].level + 1 if self._headings else 2
        level = min(max(level, 2), deepest)
        heading = Heading(level, unescape(plain), self._new_id(plain))
        self._headings.append(heading)
        return f'<h{level} id="{heading.id}">{text}</h{level}>\n'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, url, title) if url.startswith("data:image/") else f"<span>[image: {_plain(text)}]</span>"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        # A relative link points into the folder of the notebook, where the report is not.
        return super().link(text, url, title) if url.startswith(("https://", "http://", "mailto:", "#")) else f"<span>{text}</span>"

    def block_code(self, code: str, info: str | None = None) -> str:
        language = (info or "").split(maxsplit=1)[:1]
        return highlighted(code, language[0]) if language and language[0] in _LANGUAGES else f"<pre>{mistune.escape(code)}</pre>\n"

    def list(self, text: str, ordered: bool, **attrs: Any) -> str:  # noqa: FBT001 - mistune's signature
        items = [str(item) for item in BeautifulSoup(text, "html.parser").find_all("li", recursive=False)]
        if len(items) < MANY_ITEMS:
            return super().list(text, ordered, **attrs)
        shown, more = items[:SHOWN_ITEMS], items[SHOWN_ITEMS:]
        rest = super().list("\n".join(more), ordered, start=attrs.get("start", 1) + len(shown) if ordered else None)
        summary = f"<summary>{len(more)} more</summary>"
        return super().list("\n".join(shown), ordered, **attrs) + f'<details class="more">{summary}\n{rest}</details>\n'

    def table(self, text: str) -> str:
        return f'<div class="table" role="region" tabindex="0" aria-label="Table"><table>{text}</table></div>\n'

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:  # noqa: FBT001, FBT002 - mistune's signature
        tag, scope = ("th", ' scope="col"') if head and text else ("td", "")
        return f"<{tag}{scope}{' class=num' if align == 'right' else ''}>{text}</{tag}>"

    def _new_id(self, plain: str) -> str:
        base = "s-" + (re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "section")
        name, number = base, 2
        while name in self._ids:
            name, number = f"{base}-{number}", number + 1
        self._ids.add(name)
        return name


def highlighted(code: str, language: str) -> str:
    """Return code as HTML with pygments' token classes."""
    return str(Highlight2HTML()(code, language=language))  # type: ignore[no-untyped-call]


def _plain(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html).strip()
