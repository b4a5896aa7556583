"""Every figure: plain lists, rounded, the same twice, with units and a text alternative, and never an exception."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas as pd
import plotly.graph_objects as go
import pytest

from sessionlab.lab import figures, forecast, queries
from sessionlab.lab.advice import advise_mirror
from sessionlab.lab.figures import style, tables
from sessionlab.units import format_bytes
from tests.lab.made_mirror import NOW_MS, make, make_lively

Ask = Callable[..., pd.DataFrame]
Draw = Callable[[Ask], go.Figure]


def _forecast(ask: Ask) -> go.Figure:
    history = ask("store_bytes_daily")
    made = forecast.forecast(history, [5 * 1024**2, 10 * 1024**2, 10**12])
    return figures.size_forecast(history, made, forecast.backtest(history))


def _side_by_side(ask: Ask) -> pd.DataFrame:
    """Return what stands for three stores side by side, or for three empty ones."""
    frame = pd.DataFrame({"store": ["sessions.json", "sessions.sqlite", "sessions.d"], "written_bytes": [500_000, 8_000, 3_000]})
    frame = frame.assign(operation="update one", median_ms=[40.0, 0.61234, 1.1], peak_mb=1.25)
    return frame if len(ask("bytes_by_kind")) else frame.head(0)


def _sizes(ask: Ask) -> pd.DataFrame:
    """Return what stands for the sizes of a migration, or for those of an empty store."""
    sizes = [5_000_000, 3_100_000, 3_400_000] if len(ask("bytes_by_kind")) else [0, 0]
    names = ["sessions.json, before", "moved entries, compact JSON", "sessions.sqlite, after"]
    return pd.DataFrame({"what": names[: len(sizes)], "bytes": sizes})


DRAWN: dict[str, Draw] = {
    "sessions_over_time": lambda ask: figures.sessions_over_time(ask("growth_daily")),
    "bytes_over_time": lambda ask: figures.bytes_over_time(ask("growth_daily")),
    "bytes_over_time_by_agent": lambda ask: figures.bytes_over_time(ask("growth_daily"), by="agent"),
    "created_and_active": lambda ask: figures.created_and_active(ask("growth_daily"), ask("activity_daily")),
    "bytes_by_field": lambda ask: figures.bytes_by_field(ask("bytes_by_field"), top=4),
    "bytes_by_kind": lambda ask: figures.bytes_by_kind(ask("bytes_by_kind")),
    "size_treemap": lambda ask: figures.size_treemap(ask("size_tree")),
    "biggest_sessions": lambda ask: figures.biggest_sessions(ask("biggest_sessions")),
    "size_distribution": lambda ask: figures.size_distribution(ask("size_distribution")),
    "age_distribution": lambda ask: figures.age_distribution(ask("age_distribution")),
    "stale_share": lambda ask: figures.stale_share(ask("stale_share")),
    "tokens_by_day": lambda ask: figures.tokens_by_day(ask("tokens_daily")),
    "cost_by_day": lambda ask: figures.cost_by_day(ask("tokens_daily")),
    "cron_accumulation": lambda ask: figures.cron_accumulation(ask("cron_runs_daily")),
    "storage_parts": lambda ask: figures.storage_parts(ask("storage_parts")),
    "inside_the_store": lambda ask: figures.inside_the_store(ask("storage_parts")),
    "transcripts_by_source": lambda ask: figures.transcripts_by_source(ask("transcripts_by_source")),
    "problems_by_code": lambda ask: figures.problems_by_code(ask("problems")),
    "size_forecast": _forecast,
    "bytes_per_update": lambda ask: figures.bytes_per_update(_side_by_side(ask)),
    "operation_times": lambda ask: figures.operation_times(_side_by_side(ask)),
    "listing_memory": lambda ask: figures.listing_memory(_side_by_side(ask)),
    "size_before_and_after": lambda ask: figures.size_before_and_after(_sizes(ask)),
}
CONNECTED = {"created_and_active", "tokens_by_day", "cost_by_day"}


def asker(con: duckdb.DuckDBPyConnection) -> Ask:
    def ask(name: str, **params: Any) -> pd.DataFrame:
        if any(param.name == "now_ms" for param in queries.describe(name).params):
            params["now_ms"] = NOW_MS
        return queries.run(con, name, **params)

    return ask


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with make_lively() as con:
        yield asker(con)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def test_every_public_figure_is_tested() -> None:
    assert {name.removesuffix("_by_agent") for name in DRAWN} == set(figures.__all__)


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_plain_rounded_and_the_same_twice(name: str, ask: Ask) -> None:
    first, second = DRAWN[name](ask), DRAWN[name](ask)
    assert first.to_json() == second.to_json()
    drawn = json.loads(first.to_json())
    assert drawn["data"]
    assert "bdata" not in first.to_json()
    assert not any("uid" in trace for trace in drawn["data"])
    for number in (value for value in leaves(drawn["data"]) if isinstance(value, float)):
        assert round(number, 6) == number


@pytest.mark.parametrize("name", DRAWN)
def test_figure_says_what_it_shows(name: str, ask: Ask) -> None:
    drawn = DRAWN[name](ask)
    assert drawn.layout.title.text
    assert re.search(r"\d", drawn.layout.meta["alt"]), "the alternative has numbers"
    assert drawn.layout.meta["alt"].endswith(".")
    assert drawn.layout.meta["caption"].endswith(".")
    assert all(trace.hovertemplate for trace in drawn.data)
    if name != "size_treemap":
        assert drawn.layout.xaxis.title.text or drawn.layout.yaxis.title.text


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_legible_on_light_and_dark_and_at_400_px(name: str, ask: Ask) -> None:
    drawn = DRAWN[name](ask)
    layout = drawn.layout.template.layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.legend.orientation == "h"
    assert layout.xaxis.automargin
    assert layout.yaxis.automargin
    assert drawn.layout.width is None, "the page decides"
    # One colour for all text, in layout.font, so that a dark page can recolour it.
    fonts = re.findall(r'"(\w*font)":\{[^}]*"color"', drawn.to_json())
    assert [font for font in fonts if name != "size_treemap" or font != "textfont"] == ["font"], "on coloured boxes the paper is no matter"
    assert max(len(line) for line in drawn.layout.title.text.split("<br>")) <= 46
    assert all(len(str(label)) <= 28 for trace in drawn.data if trace.type == "bar" and trace.orientation == "h" for label in trace.y)


@pytest.mark.parametrize("name", DRAWN)
def test_an_empty_mirror_gives_a_figure_that_says_why(name: str) -> None:
    with make() as con:
        drawn = DRAWN[name](asker(con))
    assert len(drawn.data) == 0
    (note,) = drawn.layout.annotations
    assert note.text.startswith("No data: ")
    assert drawn.layout.meta["alt"].startswith("No data: ")


@pytest.mark.parametrize("name", DRAWN)
def test_a_single_session_is_enough(name: str) -> None:
    with make(
        sessions=[{"session_key": "agent:main:main", "kind": "main", "created_ms": NOW_MS, "updated_ms": NOW_MS, "entry_bytes": 0}],
        transcripts=[{"transcript_id": 1, "session_key": "agent:main:main"}],
        events=[{"transcript_id": 1, "time_ms": NOW_MS, "role": "assistant", "total_tokens": 1}],
    ) as con:
        drawn = DRAWN[name](asker(con))
    assert drawn.layout.meta["alt"]


def test_a_kind_has_one_colour_everywhere(ask: Ask) -> None:
    area = {trace.name: trace.fillcolor for trace in DRAWN["sessions_over_time"](ask).data}
    (bars,) = DRAWN["bytes_by_kind"](ask).data
    (stale,) = DRAWN["stale_share"](ask).data
    assert dict(zip(bars.y, bars.marker.color, strict=True)) == area
    assert dict(zip(stale.y, stale.marker.color, strict=True)) == area


def test_kinds_of_one_colour_differ_by_their_hatch() -> None:
    from sessionlab.keys import KINDS

    looks = [(style.kind_colour(kind), style.kind_hatch(kind)) for kind in (*KINDS, style.NO_SESSION)]
    assert len(set(looks)) == len(looks)


def test_bars_of_kinds_are_told_apart_and_labelled_on_the_paper(ask: Ask) -> None:
    for name in ("bytes_by_kind", "stale_share"):
        drawn = DRAWN[name](ask)
        (bars,) = drawn.data
        looks = list(zip(bars.marker.color, bars.marker.pattern.shape, strict=True))
        assert len(set(looks)) == len(looks) > len(set(bars.marker.color)), name
        assert bars.textposition == "outside", "a hatch runs through no label"
        assert drawn.layout.xaxis.range[1] >= 1.19 * max(bars.x), "there is room for the label of the longest bar"


def test_no_label_is_turned_and_the_first_day_keeps_off_the_zero(ask: Ask) -> None:
    layout = DRAWN["size_distribution"](ask).layout.template
    assert layout.data.bar[0].textangle == 0
    assert layout.layout.xaxis.ticklabelstandoff >= 8


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("systemPromptReport", ["system", "Prompt", "Report"]),
        ("sessionId", ["sessionId"]),
        ("(key and punctuation)", ["(key and", "punctuation)"]),
        ("23 smaller fields", ["23 smaller", "fields"]),
    ],
)
def test_labels_of_tiles_are_broken_so_that_more_of_them_fit(label: str, lines: list[str]) -> None:
    tree = pd.DataFrame({"agent_id": ["main"] * 2, "kind": ["direct"] * 2, "field": [label, "big"], "bytes": [15, 985]})
    (drawn,) = figures.size_treemap(tree).data
    assert list(drawn.texttemplate)[-2:] == ["<br>".join(lines), "big<br>%{text}"]


def test_stacked_sessions_end_with_the_number_of_sessions(ask: Ask) -> None:
    assert sum(trace.y[-1] for trace in DRAWN["sessions_over_time"](ask).data) == 240


def test_labels_of_the_treemap_have_contrast_on_every_colour_and_are_never_cut(ask: Ask) -> None:
    drawn = DRAWN["size_treemap"](ask)
    (tree,) = drawn.data
    pairs = zip(tree.textfont.color, tree.marker.colors, strict=True)
    assert min(style.contrast(ink, paper) for ink, paper in pairs) >= 4.5
    assert all(style.contrast(style.ink_on(style.kind_colour(kind)), style.kind_colour(kind)) >= 4.5 for kind in style._KINDS)
    assert (style.contrast("#000000", "#FFFFFF"), style.contrast("#777777", "#777777")) == (21, 1)
    assert (drawn.layout.uniformtext.minsize, drawn.layout.uniformtext.mode) == (10, "hide")
    assert tree.texttemplate[0] == "%{label}"


def test_treemap_adds_up(ask: Ask) -> None:
    (tree,) = DRAWN["size_treemap"](ask).data
    sizes = dict(zip(tree.ids, tree.values, strict=True))
    assert sizes["all"] == int(ask("overview")["entry_bytes"].iloc[0])
    for parent in set(tree.parents) - {""}:
        assert sizes[parent] == sum(size for size, above in zip(tree.values, tree.parents, strict=True) if above == parent), parent


def test_folded_fields_keep_the_total(ask: Ask) -> None:
    shares = DRAWN["bytes_by_field"](ask).data[0].text
    assert len(shares) == 5
    assert round(sum(float(text.split()[0]) for text in shares)) == 100


def test_days_without_activity_are_drawn_as_zero() -> None:
    day = 86_400_000
    with make(
        transcripts=[{"transcript_id": 1, "session_id": "x"}],
        events=[{"transcript_id": 1, "time_ms": NOW_MS - 3 * day}, {"transcript_id": 1, "time_ms": NOW_MS}],
    ) as con:
        (active,) = DRAWN["created_and_active"](asker(con)).data
    assert list(active.y) == [1, 0, 0, 1]


def test_models_past_the_seventh_are_folded_and_none_is_lost() -> None:
    events = [
        {"transcript_id": 1, "time_ms": NOW_MS, "role": "assistant", "provider": "p", "model": f"m{number}", "total_tokens": 100 - number}
        for number in range(10)
    ]
    with make(transcripts=[{"transcript_id": 1}], events=events) as con:
        drawn = DRAWN["tokens_by_day"](asker(con))
    assert [trace.name for trace in drawn.data][-1] == "3 other models"
    assert sum(trace.y[0] for trace in drawn.data) == 955


def test_calls_without_a_cost_are_named_under_the_cost(ask: Ask) -> None:
    assert "257 calls have no recorded cost: the true cost is higher." in DRAWN["cost_by_day"](ask).layout.meta["caption"]


def test_limits_out_of_reach_are_not_in_the_picture_and_the_caption_is_short(ask: Ask) -> None:
    drawn = DRAWN["size_forecast"](ask)
    assert [trace.name for trace in drawn.data if trace.name.startswith("limit")] == ["limit 5.0 MB", "limit 10.0 MB"]
    assert f"{format_bytes(10**12)} is not expected within 2 years" in drawn.layout.meta["alt"]
    assert len(drawn.layout.meta["caption"]) < 260
    assert "Tried on the last third of this history, it was good enough to plan by." in drawn.layout.meta["caption"]


def test_of_several_stores_together_no_limit_is_drawn(ask: Ask) -> None:
    history = ask("store_bytes_daily")
    drawn = figures.size_forecast(history, forecast.forecast(history, [5 * 1024**2]), stores=3)
    assert not [trace.name for trace in drawn.data if trace.name.startswith("limit")]
    assert drawn.layout.title.text.startswith("Size of all stores together")
    assert "expected in" not in drawn.layout.meta["alt"]


@pytest.mark.parametrize(
    ("stale_days", "groups"),
    [
        (30, ["fresh", "stale", "no usable time"]),
        (45, ["fresh", "partly stale", "stale", "no usable time"]),
        (90, ["fresh", "stale", "no usable time"]),
    ],
)
def test_the_stale_threshold_colours_the_buckets(stale_days: int, groups: list[str], ask: Ask) -> None:
    assert [trace.name for trace in figures.age_distribution(ask("age_distribution"), stale_days).data] == groups


def test_tables_are_text_with_units(ask: Ask) -> None:
    history = ask("store_bytes_daily")
    with make_lively() as con:
        advice = advise_mirror(con, now_ms=NOW_MS)
    shown = {
        "overview": tables.overview_table(ask("overview")),
        "biggest": tables.biggest_sessions_table(ask("biggest_sessions", limit=3)),
        "cron": tables.cron_jobs_table(ask("cron_jobs")),
        "models": tables.models_table(ask("tokens_by_model")),
        "problems": tables.problems_table(ask("problems")),
        "limits": tables.agent_limits_table({"main": forecast.forecast(history)}),
        "advice": tables.advice_table(advice),
    }
    assert all(str(kind) == "str" for frame in shown.values() for kind in frame.dtypes)
    assert all(len(frame) and not frame.isna().any().any() for frame in shown.values())
    facts = shown["overview"].set_index("Fact")["Value"]
    assert facts["Sessions"] == "240"
    assert facts["Transcript events (48 copies in forks left out)"] == "2,832"
    assert shown["problems"]["Where"].tolist() == ["/state/17.jsonl line 9", "Agent:Main:X", ""]


def test_tables_of_nothing_are_empty() -> None:
    with make() as con:
        empty = asker(con)
        assert len(tables.problems_table(empty("problems"))) == 0
        assert len(tables.biggest_sessions_table(empty("biggest_sessions"))) == 0
        assert len(tables.cron_jobs_table(empty("cron_jobs"))) == 0
        assert tables.overview_table(empty("overview"))["Value"].iloc[0] == "0"


def test_importing_the_figures_loads_nothing_heavy() -> None:
    heavy = "('plotly', 'pandas', 'duckdb', 'numpy')"
    code = f"import sys, sessionlab.lab.figures, sessionlab.lab.advice; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
