"""Plotly outputs taken apart for a report: what the browser draws, the words around it, and the data behind it as rows.

The title leaves the drawing, so that it wraps on a phone and is read by a screen reader. Nothing is drawn here.
"""

from __future__ import annotations

import base64
import copy
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

PLOTLY_MIMETYPE = "application/vnd.plotly.v1+json"
MAX_ROWS = 200
DEFAULT_HEIGHT_PX = 420

_ARRAYS = ("x", "y", "z", "labels", "parents", "values", "r", "theta")
_PSEUDO_TAG = re.compile(r"</?(?:b|i|em|strong|sub|sup|s|u|span|a)\b[^>]*>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class FigureData:
    """The data behind a figure: at most `MAX_ROWS` of its `total` rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One plotly figure: its number in the report, its texts, the specification for plotly.js, its height, its data."""

    number: int
    title: str
    subtitle: str
    caption: str
    alt: str
    spec: Markup
    height_px: int
    data: FigureData


def figure_of(output: dict[str, Any], number: int) -> Figure:
    """Return a plotly mimetype output (a dict with `data` and `layout`) as a figure."""
    spec = copy.deepcopy(output)
    layout = spec.setdefault("layout", {})
    traces = spec.get("data", [])
    title = layout.pop("title", None) or {}
    title = {"text": title} if isinstance(title, str) else title
    meta = layout.get("meta") if isinstance(layout.get("meta"), dict) else {}
    height = int(layout.pop("height", None) or DEFAULT_HEIGHT_PX)
    layout.pop("width", None)
    if title:
        _close_the_gap(layout)
    text = plain_text(title.get("text", "")) or f"Figure {number}"
    return Figure(
        number=number,
        title=text,
        subtitle=plain_text(title.get("subtitle", {}).get("text", "")),
        caption=plain_text(str(meta.get("caption", ""))),
        alt=plain_text(str(meta.get("alt", ""))) or text,
        spec=script_json({"data": traces, "layout": layout, "frames": spec.get("frames", [])}),
        height_px=height,
        data=_data_behind(traces, layout),
    )


def plain_text(text: str) -> str:
    """Return plotly's pseudo-HTML as plain text; anything that is not plotly's markup stays, to be escaped."""
    return html.unescape(_PSEUDO_TAG.sub("", _BREAK.sub(" ", text))).strip()


def script_json(value: object) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - escaped just here


def _close_the_gap(layout: dict[str, Any]) -> None:
    """Take back the space that the title had, unless something else stands up there."""
    above = [a for a in layout.get("annotations", []) if a.get("yref") == "paper" and (a.get("y") or 0) >= 1]
    legend_above = (layout.get("legend", {}).get("y") or 0) > 1
    if not above and not legend_above and not layout.get("updatemenus") and not layout.get("sliders"):
        layout["margin"] = {**layout.get("margin", {}), "t": 24}


def _data_behind(traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> FigureData:
    shown = [(index, trace) for index, trace in enumerate(traces, start=1) if trace.get("visible", True) is not False]
    series = [(plain_text(str(t.get("name") or "")) or f"series {i}", _arrays(t), t.get("orientation") == "h") for i, t in shown]
    series = [item for item in series if item[1]]
    names = _axis_names(layout)
    keys = [set(arrays) for _, arrays, _ in series]
    if series and all(key == {"x", "y"} for key in keys):
        wide = _wide(series, names)
        if wide is not None:
            return wide
    columns = [key for key in _ARRAYS if any(key in arrays for _, arrays, _ in series)]
    rows = [
        (name, *cells)
        for name, arrays, _ in series
        for cells in zip(*(_padded(arrays.get(key), max(map(len, arrays.values()))) for key in columns), strict=True)
    ]
    heads = ("series", *(names.get(key, key.rstrip("s") if len(key) > 1 else key) for key in columns))
    if len(series) == 1:
        heads, rows = heads[1:], [row[1:] for row in rows]
    return FigureData(heads, tuple(rows[:MAX_ROWS]), len(rows))


def _wide(series: list[tuple[str, dict[str, list[object]], bool]], names: dict[str, str]) -> FigureData | None:
    """Return one row per key with one column per series; `None` when the series' keys do not fit together."""
    lying = series[0][2]
    key, value = ("y", "x") if lying else ("x", "y")
    keys = _shared_keys([arrays[key] for _, arrays, _ in series])
    if keys is None or any(flat != lying for _, _, flat in series) or len({name for name, _, _ in series}) != len(series):
        return None
    columns = [dict(zip(arrays[key], arrays[value], strict=True)) for _, arrays, _ in series]
    rows = [(at, *(column.get(at) for column in columns)) for at in keys]
    # One series is what its axis says it is; its name is often only the plotting library's counter.
    heads = [names.get(value, value)] if len(series) == 1 else [name for name, _, _ in series]
    return FigureData((names.get(key, key), *heads), tuple(rows[:MAX_ROWS]), len(rows))


def _shared_keys(every: list[list[Any]]) -> list[Any] | None:
    """Return the keys of all series in order, when each has them once and they are the same or ascending (days, say)."""
    if any(isinstance(key, list) for keys in every for key in keys) or any(len(set(keys)) != len(keys) for keys in every):
        return None
    if all(keys == every[0] for keys in every):
        return every[0]
    ascending = len({type(key) for keys in every for key in keys}) == 1 and all(keys == sorted(keys) for keys in every)
    return sorted({key for keys in every for key in keys}) if ascending else None


def _arrays(trace: dict[str, Any]) -> dict[str, list[object]]:
    arrays = {key: _listed(trace[key]) for key in _ARRAYS if _is_array(trace.get(key))}
    if "z" in arrays and arrays["z"] and isinstance(arrays["z"][0], list):
        grid: list[Any] = arrays["z"]
        ys = arrays.get("y") or list(range(len(grid)))
        xs = arrays.get("x") or list(range(len(grid[0])))
        cells = [(x, y, z) for y, line in zip(ys, grid, strict=False) for x, z in zip(xs, line, strict=False)]
        return {key: [cell[i] for cell in cells] for i, key in enumerate("xyz")}
    lengths = {len(values) for values in arrays.values()}
    if arrays.keys() == {"y"} or arrays.keys() == {"x"}:
        return arrays
    shortest = min(lengths, default=0)
    return {key: values[:shortest] for key, values in arrays.items()}


def _is_array(value: object) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and "bdata" in value)


def _listed(value: Any) -> list[object]:
    """Return an array of a specification as a list; plotly packs numpy arrays as base64 of a dtype."""
    if isinstance(value, list):
        return value
    array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]).newbyteorder("<"))
    shape = [int(n) for n in str(value["shape"]).split(",")] if "shape" in value else [-1]
    return list(array.reshape(shape).tolist())


def _padded(values: list[object] | None, length: int) -> list[object]:
    return (values or [])[:length] + [None] * (length - len(values or []))


def _axis_names(layout: dict[str, Any]) -> dict[str, str]:
    titles = {key: layout.get(f"{key}axis", {}).get("title", {}) for key in "xy"}
    texts = {key: plain_text((title if isinstance(title, str) else title.get("text")) or "") for key, title in titles.items()}
    return {key: text for key, text in texts.items() if text}
