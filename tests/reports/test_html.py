"""The HTML export, looked at as text: what is in the page, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from bs4 import BeautifulSoup, Tag

from sessionlab.errors import UsageError
from sessionlab.reports.figures_html import MAX_ROWS, figure_of
from sessionlab.reports.html import AgentFacts, ExportResult, ReportHeader, export_html
from sessionlab.reports.record import MIMETYPE
from tests.reports.notebooks import code, markdown, notebook, shown

HOSTILE = "<script>alert(1)</script>"
HEADER = ReportHeader(
    source="data/sample",
    agents=(AgentFacts("main", "json", "read in place", "204:9f3c1a55", 204, 7_340_032), AgentFacts(HOSTILE, "json", "copy", "1:0", 1, 10)),
    clock="2026-11-18 00:00 UTC",
    problems="1 error, 2 warnings",
    versions={"sessionlab": "0.1.0", "duckdb": "2.0.0"},
)


def plot(*traces: Any, **layout: Any) -> Any:
    return shown(plotly=json.loads(pio.to_json(go.Figure(list(traces), layout=layout))))


def exported(tmp_path: Path, *cells: Any, title: str = "A question?") -> tuple[ExportResult, BeautifulSoup]:
    result = export_html(notebook(*cells), tmp_path / "new folder" / "report.html", title=title, header=HEADER)
    page = result.path.read_text(encoding="utf-8")
    head, _, rest = page.partition("<script>")
    return result, BeautifulSoup(head + rest.partition("</script>")[2], "html.parser")


def one(soup: BeautifulSoup | Tag, selector: str) -> Tag:
    (found,) = soup.select(selector)
    return found


def rows_of(table: Tag) -> list[list[str]]:
    return [[cell.get_text(strip=True) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


def test_the_header_names_source_stores_clock_and_versions(tmp_path: Path) -> None:
    _, soup = exported(tmp_path, markdown("# A question?\n\nAn answer."))
    header = one(soup, "header")
    assert one(header, "h1").get_text() == "A question?"
    facts = {pair.dt.get_text(): pair.dd.get_text() for pair in header.select(".facts div") if pair.dt and pair.dd}
    assert facts == {"Source": "data/sample", "As of": "2026-11-18 00:00 UTC", "Problems found": "1 error, 2 warnings"}
    folded = one(header, "details.making")
    assert not folded.has_attr("open"), "the answer is what the first screen is for"
    assert one(folded, "summary").get_text() == "Stores, fingerprints, parameters and versions"
    assert rows_of(one(folded, "table"))[1:] == [
        ["main", "json", "204", "7.0 MB", "read in place", "204:9f3c1a55"],
        [HOSTILE, "json", "1", "10 B", "copy", "1:0"],
    ]
    assert one(header, ".versions").get_text(" ", strip=True) == "sessionlab 0.1.0 duckdb 2.0.0"
    assert one(soup, "html")["lang"] == "en"
    assert one(soup, "main").get_text(strip=True).endswith("An answer.")


def test_parameters_are_a_table_and_not_code(tmp_path: Path) -> None:
    declared = code('state_dir: str = "x"  # the folder\nlimit: int = 3  # a limit', "parameters")
    _, soup = exported(tmp_path, declared, code("# Parameters\nlimit = 7\n", "injected-parameters"), code("1"))
    table = one(soup, '.table[aria-label="Parameters"] table')
    assert rows_of(table)[1:] == [["state_dir", '"x"', "same", "the folder"], ["limit", "7", "3", "a limit"]]
    assert [block.get_text(strip=True) for block in soup.select("main .code")] == ["1"]


def test_widget_cells_and_records_are_left_out(tmp_path: Path) -> None:
    widget = code("explore()", "widget", outputs=[shown(text__plain="Explorer(...)")])
    recorded = code("record(a=1)", outputs=[shown(text__plain="Recorded results: a", **{MIMETYPE: {"a": 1}})])
    _, soup = exported(tmp_path, widget, recorded)
    text = one(soup, "main").get_text()
    assert "explore" not in text
    assert "Explorer" not in text
    assert "Recorded" not in text


def test_headings_are_in_order_unique_and_in_the_contents(tmp_path: Path) -> None:
    _, soup = exported(
        tmp_path, markdown("# A question?\n\nx"), markdown("#### Deep\n\n## Part\n\n### Sub `code`\n\n##### Deeper\n\n# Part")
    )
    found = [(tag.name, tag["id"], tag.get_text()) for tag in soup.select("main :is(h1, h2, h3, h4, h5, h6)")]
    assert found == [
        ("h2", "s-deep", "Deep"),
        ("h2", "s-part", "Part"),
        ("h3", "s-sub-code", "Sub code"),
        ("h4", "s-deeper", "Deeper"),
        ("h2", "s-part-2", "Part"),
    ]
    assert [link["href"] for link in soup.select("nav a")] == ["#s-deep", "#s-part", "#s-sub-code", "#s-part-2"]
    assert len(soup.find_all("h1")) == 1


def test_a_long_list_is_folded_after_its_first_items(tmp_path: Path) -> None:
    numbered = "\n".join(f"{number}. item {number}\n   - inner" for number in range(1, 10))
    _, soup = exported(tmp_path, markdown("\n".join(f"- item {number}" for number in range(8))), markdown(numbered))
    short, long = soup.select("main .prose")
    assert not short.select("details")
    assert len(short.select("li")) == 8
    shown, more = long.find_all(["ol", "details"], recursive=False)
    assert len(shown.find_all("li", recursive=False)) == 6
    assert one(more, "summary").get_text() == "3 more"
    assert one(more, "ol")["start"] == "7"
    assert [item.get_text(" ", strip=True) for item in one(more, "ol").find_all("li", recursive=False)][0] == "item 7 inner"


def test_markdown_keeps_money_and_fetches_nothing(tmp_path: Path) -> None:
    source = (
        f"It costs **$5** and *$6* a day. {HOSTILE}\n\n![a picture](https://example.com/x.png) [rel](../x.md) [web](https://example.com/)"
    )
    _, soup = exported(tmp_path, markdown(source))
    prose = one(soup, "main .prose")
    assert [tag.get_text() for tag in prose.find_all(["strong", "em"])] == ["$5", "$6"]
    assert HOSTILE in prose.get_text()
    assert not prose.find_all(["img", "script"])
    assert [link["href"] for link in prose.find_all("a")] == ["https://example.com/"]


def test_a_figure_has_title_caption_alternative_and_its_data(tmp_path: Path) -> None:
    drawn = plot(
        go.Scatter(x=["2026-01-01", "2026-01-02"], y=[1, 2000], name="created"),
        go.Scatter(x=["2026-01-01", "2026-01-02"], y=[3.5, None], name=HOSTILE),
        title={"text": "Sessions<br>over <b>time</b> &amp; " + HOSTILE},
        meta={"caption": "What it <i>means</i>.", "alt": "Rises to 2,000."},
        xaxis_title="day (UTC)",
    )
    result, soup = exported(tmp_path, code("draw()", outputs=[drawn]))
    figure = one(soup, "figure")
    assert result.figures == 1
    assert one(figure, ".title").get_text() == "Sessions over time & " + HOSTILE
    assert one(figure, ".caption").get_text() == "What it means."
    assert one(figure, ".chart")["aria-label"] == "Rises to 2,000."
    assert figure["aria-labelledby"] == one(figure, ".title")["id"]
    assert rows_of(one(figure, "details table")) == [
        ["day (UTC)", "created", HOSTILE],
        ["2026-01-01", "1", "3.5"],
        ["2026-01-02", "2,000", ""],
    ]
    spec = json.loads(one(figure, "script[type='application/json']").get_text())
    assert spec["data"][1]["name"] == HOSTILE
    assert "title" not in spec["layout"]


@pytest.mark.parametrize(
    ("trace", "columns", "first", "total"),
    [
        (go.Bar(y=["a", "b"], x=[1, 2], orientation="h"), ("y", "x"), ("a", 1), 2),
        (go.Treemap(labels=["all", "a"], parents=["", "all"], values=[0, 5]), ("label", "parent", "value"), ("all", "", 0), 2),
        (go.Heatmap(x=["Mon", "Tue"], y=[0, 6], z=[[1, 2], [3, 4]]), ("x", "y", "z"), ("Mon", 0, 1), 4),
        (go.Histogram(x=list(range(MAX_ROWS + 1))), ("x",), (0,), MAX_ROWS + 1),
        (go.Scatter(y=pd.Series([1.5, 2.5]), x=pd.Series([1, 2])), ("x", "y"), (1, 1.5), 2),
        (go.Indicator(value=3), (), None, 0),
    ],
)
def test_the_data_of_every_kind_of_trace_is_found(
    trace: Any, columns: tuple[str, ...], first: tuple[object, ...] | None, total: int
) -> None:
    data = figure_of(json.loads(pio.to_json(go.Figure(trace))), 1).data
    assert data.total == total
    assert len(data.rows) == min(total, MAX_ROWS)
    assert (data.rows[0] if data.rows else None) == first
    if first is not None:
        assert data.columns == columns


def test_series_with_different_days_share_rows_where_they_can() -> None:
    traces = [go.Scatter(x=["d1", "d3"], y=[3, 4], name="a"), go.Scatter(x=["d2", "d3"], y=[5, 6], name="b")]
    data = figure_of(json.loads(pio.to_json(go.Figure(traces))), 1).data
    assert data.columns == ("x", "a", "b")
    assert data.rows == (("d1", 3, None), ("d2", None, 5), ("d3", 4, 6))


def test_series_whose_keys_do_not_fit_together_are_listed_below_each_other() -> None:
    traces = [go.Scatter(x=[1, 2], y=[3, 4], name="a"), go.Scatter(x=[2, 2], y=[5, 6], name="b")]
    data = figure_of(json.loads(pio.to_json(go.Figure(traces))), 1).data
    assert data.columns == ("series", "x", "y")
    assert data.rows == (("a", 1, 3), ("a", 2, 4), ("b", 2, 5), ("b", 2, 6))


def test_a_data_frame_becomes_an_accessible_table(tmp_path: Path) -> None:
    plain = pd.DataFrame({"label": [HOSTILE, "b"], "bytes": [10, 2_000], "share": ["9.1 %", "x"]})
    indexed = pd.DataFrame({"median": [1.5]}, index=pd.Index(["direct"], name="kind"))
    outputs = [shown(text__html=frame.to_html(), text__plain="") for frame in (plain, indexed)]
    _, soup = exported(tmp_path, markdown("## Sizes"), code("x", outputs=outputs))
    first, second = soup.select("main .output .table")
    assert [th["scope"] for th in first.select("tbody th")] == ["row", "row"]
    assert rows_of(first) == [["label", "bytes", "share"], [HOSTILE, "10", "9.1 %"], ["b", "2000", "x"]]
    assert rows_of(second) == [["kind", "median"], ["direct", "1.5"]]
    assert first["tabindex"] == "0"
    assert (first["role"], first["aria-label"], second["aria-label"]) == ("region", "Table 1: Sizes", "Table 2: Sizes")
    assert {th["scope"] for th in first.select("thead th")} == {"col"}
    assert [th["scope"] for th in second.select("tbody th")] == ["row"]
    assert not [th for th in soup.find_all("th") if not th.get_text(strip=True)]
    assert [cell.get_text() for cell in first.select("td.num")] == ["10", "9.1 %", "2000"]


def test_active_html_of_an_output_is_made_harmless(tmp_path: Path) -> None:
    html = '<p onclick="x()">text<img src="https://example.com/x.png"><script>evil()</script><a href="javascript:x()">a</a></p>'
    _, soup = exported(tmp_path, code("x", outputs=[shown(text__html=html)]))
    assert str(one(soup, "main .output")) == '<div class="output"><p>text<a>a</a></p></div>'


def test_the_page_asks_for_nothing_and_lets_no_other_script_run(tmp_path: Path) -> None:
    _, soup = exported(tmp_path, markdown("x"), code("1", outputs=[plot(go.Bar(y=[1]))]))
    assert not soup.select("[src], link[href^=http], iframe, object")
    policy = one(soup, "meta[http-equiv=Content-Security-Policy]")["content"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in str(policy).partition("script-src")[2].partition(";")[0]


def test_a_report_with_fifteen_figures_is_below_six_megabytes_and_reproducible(tmp_path: Path) -> None:
    days = [f"2026-{month:02}-{day:02}" for month in (8, 9, 10) for day in range(1, 31)]
    traces = [go.Scatter(x=days, y=list(range(90)), name=name) for name in "abcdef"]
    cells = [code("draw()", outputs=[plot(*traces, title={"text": "t"})]) for _ in range(15)]
    result, _ = exported(tmp_path, *cells)
    first = result.path.read_bytes()
    again, _ = exported(tmp_path, *cells)
    assert result == again
    assert result.figures == 15
    assert result.bytes == len(first) < 6_000_000
    assert again.path.read_bytes() == first
    assert [file.name for file in result.path.parent.iterdir()] == ["report.html"]


def test_an_output_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        export_html(notebook(code("1")), tmp_path / "report.html", title="t", header=HEADER)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
