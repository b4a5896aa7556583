"""Tables for reports: a DataFrame's HTML made accessible, and rows of values written as a table.

Every table gets column and row scopes, no empty header cell, and a region that scrolls sideways by keyboard.
All other HTML that a cell shows passes here too, and loses whatever is not plain text structure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import bleach
from bs4 import BeautifulSoup, Tag
from markupsafe import Markup

_CELL = ["colspan", "rowspan", "scope", "class"]
_TAGS = """
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure h3 h4 h5 h6 hr i ins kbd li
    ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var
""".split()  # noqa: SIM905 - one name a line would be a page
_ATTRIBUTES = {"a": ["href"], "th": _CELL, "td": _CELL, "div": ["class", "role", "tabindex", "aria-label"], "p": ["class"]}
_NUMBER = re.compile(r"[-+−$€]{0,2}\d[\d,._ ]*(?:e[-+]?\d+)?\s?(?:%|[KMGT]?B|ms|s|h|d)?", re.IGNORECASE)  # noqa: RUF001 - the real minus

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def safe_html(html: str, *, label: str) -> Markup:
    """Return a cell's HTML output with its tables made accessible and everything active removed.

    Args:
        html: what the cell showed.
        label: what a screen reader calls the tables' scroll regions.
    """
    soup = BeautifulSoup(html, "html.parser")
    for active in soup.select("script, style, template, iframe, object, embed, svg, link, meta"):
        active.decompose()
    for table in soup.find_all("table"):
        _make_accessible(table)
        region = soup.new_tag("div", attrs={"class": "table", "role": "region", "tabindex": "0", "aria-label": label})
        table.wrap(region)
    return Markup(bleach.clean(str(soup), tags=_TAGS, attributes=_ATTRIBUTES, strip=True))  # noqa: S704 - bleach has just cleaned it


def table_html(columns: Sequence[str], rows: Sequence[Sequence[object]], *, label: str) -> Markup:
    """Return rows of plain values as a table; numbers are aligned right and written with thousands separators."""
    head = Markup("").join(Markup("<th scope=col{}>{}</th>").format(_num(_column(rows, i)), name) for i, name in enumerate(columns))
    body = Markup("\n").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td{}>{}</td>").format(_num([v]), value_text(v)) for v in row)) for row in rows
    )
    return Markup(
        '<div class=table role=region tabindex=0 aria-label="{}"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(label, head, body)


def value_text(value: object) -> str:
    """Return a value as a reader wants it: `1,234`, at most six digits of a fraction, nothing for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return re.sub(r"[T ]00:00:00(\.0+)?$", "", str(value))
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.6g}"


def _column(rows: Sequence[Sequence[object]], index: int) -> list[object]:
    return [row[index] for row in rows[:5]]


def _num(values: Sequence[object]) -> Markup:
    if len(values) == 1 and isinstance(values[0], str) and _DATE.match(values[0]):
        return Markup(" class=date")
    numeric = any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return Markup(" class=num") if numeric else Markup("")


def _make_accessible(table: Tag) -> None:
    for tag in [table, *table.select("*")]:
        tag.attrs = {name: value for name, value in tag.attrs.items() if name in ("colspan", "rowspan", "href")}
    _merge_index_names(table)
    _drop_running_numbers(table)
    for cell in table.select("thead th"):
        if not cell.get_text(strip=True):
            cell.name = "td"
        else:
            cell["scope"] = "colgroup" if cell.get("colspan") else "col"
    for cell in table.select("tbody th"):
        cell["scope"] = "rowgroup" if cell.get("rowspan") else "row"
    for row in table.select("tbody tr"):
        for cell in row.find_all("td"):
            if kind := _class_of(cell.get_text(strip=True)):
                cell["class"] = kind
    _align_heads(table)


def _class_of(text: str) -> str:
    if _DIGEST.fullmatch(text):
        return "digest"
    return "num" if _NUMBER.fullmatch(text) else "date" if _DATE.fullmatch(text) else ""


def _merge_index_names(table: Tag) -> None:
    """Pandas writes index names into a header row of their own; move them up into the row of column names."""
    rows = table.select("thead tr")
    if len(rows) != 2:
        return
    upper, lower = (row.find_all("th", recursive=False) for row in rows)
    names = [cell.get_text(strip=True) for cell in lower]
    width = sum(bool(name) for name in names)
    free = not any(names[width:]) and not any(cell.get_text(strip=True) for cell in upper[:width])
    if free and len(upper) == len(lower) and 0 < width < len(names):
        for above, name in zip(upper, names[:width], strict=False):
            above.string = name
        rows[1].decompose()


def _drop_running_numbers(table: Tag) -> None:
    """Drop a nameless index 0, 1, 2 …: it says nothing, and the rows are read faster without it."""
    heads = table.select("thead tr")
    rows = table.select("tbody tr")
    firsts: list[Any] = [row.find("th", recursive=False) for row in rows]
    if not rows or len(heads) != 1 or not all(firsts) or any(len(row.find_all("th", recursive=False)) != 1 for row in rows):
        return
    corner = heads[0].find("th", recursive=False)
    numbers = [cell.get_text(strip=True) for cell in firsts]
    if corner is not None and not corner.get_text(strip=True) and numbers == [str(i) for i in range(len(numbers))]:
        for cell in [corner, *firsts]:
            cell.decompose()
        # What a row is about now stands in its first cell.
        for cell in [row.find("td", recursive=False) for row in rows]:
            if cell is not None and not _NUMBER.fullmatch(cell.get_text(strip=True)):
                cell.name = "th"


def _align_heads(table: Tag) -> None:
    rows = table.select("tbody tr")
    heads = table.select("thead tr:last-child > *")
    for position, head in enumerate(heads):
        cells = [cells[position] for row in rows[:10] if len(cells := row.find_all(["th", "td"], recursive=False)) == len(heads)]
        if any(cell.get("class") == "num" for cell in cells):
            head["class"] = "num"
