"""Figures of what makes the store big: fields, kinds, single sessions, and how entry sizes are distributed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_PARTS: Final = (
    ("skills_snapshot_bytes", "skillsSnapshot", style.ORANGE),
    ("system_prompt_report_bytes", "systemPromptReport", style.VERMILLION),
    ("acp_bytes", "acp", style.PURPLE),
    ("other_bytes", "other fields", style.GREY),
)
_TILE_LINE: Final = 10
_EMPTY: Final = "the store holds no session in this selection"


def bytes_by_field(fields: pd.DataFrame, top: int = 10) -> go.Figure:
    """Draw the biggest entry fields as bars, the rest folded into one; `fields` is the answer of `bytes_by_field`."""
    import plotly.graph_objects as go

    title = "Bytes by field of the session entry"
    if fields.empty:
        return style.no_data(title, _EMPTY)
    names = [str(name) for name in fields["field"].tolist()]
    sizes = style.whole(fields["bytes"])
    total = sum(sizes)
    if len(names) > top:
        rest = f"{len(names) - top} smaller fields"
        names, sizes = [*names[:top], rest], [*sizes[:top], sum(sizes[top:])]
    divisor, unit = style.byte_unit(max(sizes))
    share = style.percent(sizes[0], total)
    bar = go.Bar(
        x=style.scaled(sizes, divisor),
        y=[style.short(name, 22) for name in names],
        orientation="h",
        marker={"color": style.BLUE},
        text=[style.percent(size, total) for size in sizes],
        textposition="auto",
        customdata=[[name, format_bytes(size)] for name, size in zip(names, sizes, strict=True)],
        hovertemplate="%{customdata[0]}: %{customdata[1]} (%{text})<extra></extra>",
    )
    return style.figure(
        [bar],
        title=title,
        alt=f"The field {names[0]} takes {format_bytes(sizes[0])}, {share} of {format_bytes(total)} in all entries.",
        caption="Size of each top-level field over all entries as they are stored; transcripts are not included.",
        x_title=f"Size ({unit})",
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=140 + 26 * len(names),
    )


def bytes_by_kind(kinds: pd.DataFrame) -> go.Figure:
    """Draw entry bytes by kind of session; `kinds` is the answer of `bytes_by_kind`."""
    import plotly.graph_objects as go

    title = "Bytes by kind of session"
    if kinds.empty:
        return style.no_data(title, _EMPTY)
    names = [str(name) for name in kinds["kind"].tolist()]
    sizes, counts = style.whole(kinds["entry_bytes"]), style.whole(kinds["sessions"])
    total = sum(sizes)
    divisor, unit = style.byte_unit(max(sizes))
    bar = go.Bar(
        x=style.scaled(sizes, divisor),
        y=names,
        orientation="h",
        marker=style.kind_marks(names),
        text=[style.percent(size, total) for size in sizes],
        textposition="outside",
        customdata=[[format_bytes(size), format_count(count)] for size, count in zip(sizes, counts, strict=True)],
        hovertemplate="%{y}: %{customdata[0]} in %{customdata[1]} sessions (%{text})<extra></extra>",
    )
    share = style.percent(sizes[0], total)
    return style.figure(
        [bar],
        title=title,
        alt=f"Sessions of the kind {names[0]} take {format_bytes(sizes[0])}, {share} of all entry bytes, in {counts[0]:,} sessions.",
        caption="Size of the entries; their transcripts are not included.",
        x_title=f"Size of entries ({unit})",
        # Room for the label of the longest bar.
        xaxis={"range": [0, round(1.2 * max(*sizes, 1) / divisor, 4)], "title": {"text": f"Size of entries ({unit})"}},
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=140 + 26 * len(names),
    )


def size_treemap(tree: pd.DataFrame) -> go.Figure:
    """Draw agent > kind > field as a treemap; `tree` is the answer of `size_tree`. Fields below 1 % of their kind are folded."""
    import plotly.graph_objects as go

    title = "Where the bytes are: agent, kind, field"
    total = int(tree["bytes"].sum()) if not tree.empty else 0
    if total == 0:
        return style.no_data(title, _EMPTY)
    ids, labels, parents, values, colours = ["all"], ["all agents"], [""], [total], [style.FRAME]

    def add(node: str, label: str, parent: str, size: int, colour: str) -> None:
        ids.append(node)
        labels.append(label)
        parents.append(parent)
        values.append(size)
        colours.append(colour)

    for agent, of_agent in tree.groupby("agent_id", sort=True):
        add(f"all/{agent}", str(agent), "all", int(of_agent["bytes"].sum()), style.FRAME)
        for kind in style.in_kind_order(of_agent["kind"]):
            of_kind = of_agent[of_agent["kind"] == kind]
            size = int(of_kind["bytes"].sum())
            node, colour = f"all/{agent}/{kind}", style.kind_colour(kind)
            add(node, kind, f"all/{agent}", size, colour)
            big = of_kind[of_kind["bytes"] * 100 >= size]
            for field, part in zip(big["field"].tolist(), style.whole(big["bytes"]), strict=True):
                add(f"{node}/{field}", str(field), node, part, colour)
            rest = size - int(big["bytes"].sum())
            if rest:
                add(f"{node}//rest", f"{len(of_kind) - len(big)} smaller fields", node, rest, colour)
    inner = set(parents)
    trace = go.Treemap(
        ids=ids,
        labels=labels,
        parents=parents,
        values=values,
        branchvalues="total",
        sort=True,
        marker={"colors": colours, "line": {"width": 1, "color": style.EDGE}, "pad": {"t": 19, "l": 1, "r": 1, "b": 1}},
        text=[format_bytes(size) for size in values],
        # A box with others in it has one line for its name; one without breaks it, and drops its size where it is small.
        texttemplate=[
            "%{label}" if node in inner else "<br>".join([*_broken(label), *["%{text}"] * (50 * size >= total)])
            for node, label, size in zip(ids, labels, values, strict=True)
        ],
        textfont={"color": [style.ink_on(colour) for colour in colours]},
        hovertemplate="%{id}<br>%{text}, %{percentRoot:.1%} of all entries<extra></extra>",
        tiling={"pad": 1},
    )
    leaves = tree.groupby("kind")["bytes"].sum()
    kind = str(leaves.idxmax())
    return style.figure(
        [trace],
        title=title,
        alt=(
            f"{format_bytes(total)} of entries in {tree['agent_id'].nunique()} agents; "
            f"the biggest kind is {kind} with {format_bytes(int(leaves.max()))}."
        ),
        caption="The area is the size of the fields. Point at a box for its size, choose it to look inside; small ones have no label.",
        # A label that does not fit at this size is left out; plotly would shrink it until nobody can read it.
        uniformtext={"minsize": 10, "mode": "hide"},
        height=480,
    )


def biggest_sessions(sessions: pd.DataFrame) -> go.Figure:
    """Draw the biggest entries, split by what fills them; `sessions` is the answer of `biggest_sessions`."""
    import plotly.graph_objects as go

    title = "The biggest sessions, and what fills them"
    if sessions.empty:
        return style.no_data(title, _EMPTY)
    keys = [str(key) for key in sessions["session_key"].tolist()]
    agents = [str(agent) for agent in sessions["agent_id"].tolist()]
    ranks, sizes = style.whole(sessions["rank"]), style.whole(sessions["entry_bytes"])
    labels = [
        f"{rank} {style.short(key.removeprefix(f'agent:{agent}:'), 20)}" for rank, key, agent in zip(ranks, keys, agents, strict=True)
    ]
    divisor, unit = style.byte_unit(max(sizes))
    traces = [
        go.Bar(
            x=style.scaled(sessions[column], divisor),
            y=labels,
            orientation="h",
            name=name,
            marker={"color": colour},
            customdata=[[key, format_bytes(size)] for key, size in zip(keys, style.whole(sessions[column]), strict=True)],
            hovertemplate="%{customdata[0]}<br>" + name + ": %{customdata[1]}<extra></extra>",
        )
        for column, name, colour in _PARTS
        if sessions[column].sum() > 0
    ]
    share = float(sessions["share"].sum())
    return style.figure(
        traces,
        title=title,
        alt=(
            f"The biggest of {len(keys)} sessions shown has an entry of {format_bytes(sizes[0])}; "
            f"together they take {style.percent(share, 1)} of all entry bytes."
        ),
        caption="Size of the store's entries. The transcript of a session may be much bigger; it is not part of the entry.",
        x_title=f"Size of the entry ({unit})",
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        barmode="stack",
        height=180 + 24 * len(keys),
        showlegend=True,
    )


def size_distribution(sizes: pd.DataFrame) -> go.Figure:
    """Draw how many entries are how big, in power-of-two buckets; `sizes` is the answer of `size_distribution`."""
    import plotly.graph_objects as go

    title = "How big the entries are"
    if sizes.empty:
        return style.no_data(title, _EMPTY)
    lows, highs = style.whole(sizes["low_bytes"]), style.whole(sizes["high_bytes"])
    counts, bulk = style.whole(sizes["sessions"]), style.whole(sizes["entry_bytes"])
    labels = [_bucket(low, high) for low, high in zip(lows, highs, strict=True)]
    bar = go.Bar(
        x=labels,
        y=counts,
        marker={"color": style.GREEN},
        text=[format_count(count) for count in counts],
        textposition="auto",
        customdata=[format_bytes(size) for size in bulk],
        hovertemplate="%{x}: %{y:,.0f} sessions, %{customdata} in all<extra></extra>",
    )
    most = max(range(len(counts)), key=lambda index: (counts[index], index))
    return style.figure(
        [bar],
        title=title,
        alt=f"Most entries, {counts[most]:,} of {sum(counts):,}, are {labels[most]} in size; the biggest are {labels[-1]}.",
        caption="Each bar is twice as wide in bytes as the one before it.",
        x_title="Size of the entry (1024-based, upper bound excluded)",
        y_title="Sessions",
        xaxis={"type": "category", "title": {"text": "Size of the entry (1024-based)"}},
    )


def _broken(label: str) -> list[str]:
    """Break a field's name into short lines, at blanks and at the humps of its camel case; a tile is often narrow."""
    lines: list[str] = []
    for word in re.sub(r"(?<=[a-z])(?=[A-Z])|(?<= )", "\n", label).split("\n"):
        if lines and len((lines[-1] + word).strip()) <= _TILE_LINE:
            lines[-1] += word
        else:
            lines.append(word)
    return [line.strip() for line in lines]


def _bucket(low: int, high: int) -> str:
    start, end = format_bytes(low).replace(".0 ", " "), format_bytes(high).replace(".0 ", " ")
    # "2-4 KB" leaves room for the bars on a narrow screen; "512 B-1 KB" needs both units.
    return f"{start.split()[0]}-{end}" if start.split()[1] == end.split()[1] else f"{start}-{end}"
