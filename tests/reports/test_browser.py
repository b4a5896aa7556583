"""The HTML export, looked at in headless Chromium: offline, drawn, readable, switchable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from sessionlab.lab.figures import tables
from sessionlab.lab.forecast import forecast
from sessionlab.lab.show import Table
from sessionlab.reports.html import AgentFacts, ReportHeader, export_html
from tests.browser import Page, chromium_page
from tests.reports.notebooks import code, markdown, notebook, shown

HOSTILE = "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
LONG = "agent:main:telegram:group:-1001234567890:thread:" + "9" * 60
TEMPLATE = {"layout": {"font": {"color": "#444444"}, "xaxis": {"gridcolor": "#eeeeee"}, "yaxis": {"gridcolor": "#eeeeee"}}}
KEYS = (
    "<table class=dataframe><thead><tr><th>Key</th><th>Runs</th><th>What to do</th><th>Last run</th></tr></thead><tbody>"
    f"<tr><th>{LONG}</th><td>7</td><td>{'a long sentence ' * 30}</td><td>2026-11-20</td></tr></tbody></table>"
)
DAYS = [f"2026-10-{day:02}" for day in range(1, 31)]
FIGURES: list[Any] = [
    go.Figure(
        [go.Scatter(x=DAYS, y=list(range(30)), name=name, hovertext=HOSTILE) for name in ("direct", HOSTILE, "a rather long series name")]
    ),
    go.Figure(go.Bar(y=["cron run", LONG[:40]], x=[3, 4], orientation="h")),
    go.Figure(
        go.Treemap(
            labels=["all", "skills", "origin"],
            parents=["", "all", "all"],
            values=[0, 5, 1],
            marker={"colors": ["#BDBDBD", "#0072B2", "#E69F00"]},
            textfont={"color": ["#000000", "#FFFFFF", "#000000"]},
        )
    ),
    go.Figure(go.Heatmap(x=["Mon", "Tue"], y=[0, 6], z=[[1, 2], [3, 4]])),
]
CONTRAST = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = rgb => rgb.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = element => {
    for (; element; element = element.parentElement) {
      const colour = parts(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  const contrast = (element, property) => {
    const [a, b] = [light(parts(getComputedStyle(element)[property])), light(paper(element))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const all = selector => [...document.querySelectorAll(selector)];
  const drawn = all('.xtick text, .ytick text, .xtitle, .ytitle, .legendtext, .cbaxis text').map(e => contrast(e, 'fill'));
  const words = all('p, h1, h2, dt, dd, th, td, a, summary, .title, .caption, .highlight span')
    .filter(e => e.offsetParent).map(e => contrast(e, 'color'));
  return {drawn: [drawn.length, Math.min(...drawn)], words: [words.length, Math.min(...words)]};
})()
"""


def limits_table() -> pd.DataFrame:
    days = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=90), "added_bytes": [9_000 + 150 * day for day in range(90)]})
    return tables.agent_limits_table({"main": forecast(days), "research": forecast(days, [10 * 1024**2, 50 * 1024**2])})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = [markdown("# Title\n\nSome prose.\n\n## Part one\n\nMore prose with `code` and a [link](https://example.com/).")]
    for number, figure in enumerate(FIGURES):
        figure.update_layout(title=f"Figure about {HOSTILE}", meta={"caption": "A caption.", "alt": f"alt {number}"}, template=TEMPLATE)
        cells.append(code("draw('x')  # comment", outputs=[shown(plotly=json.loads(pio.to_json(figure)))]))
    wide = "<table class=dataframe><thead><tr><th></th>" + "<th>a column</th>" * 30 + "</tr></thead><tbody><tr><th>r</th>"
    cells += [
        code("wide", outputs=[shown(text__html=wide + "<td>1,234,567</td>" * 30 + "</tr></tbody></table>")]),
        code("keys", outputs=[shown(text__html=KEYS)]),
        code("limits", outputs=[shown(text__html=Table(limits_table())._repr_html_())]),
        code(f"print('{LONG}')", outputs=[shown(text__plain=LONG * 3)]),
        markdown("## Part two\n\n" + LONG),
    ]
    header = ReportHeader(LONG, (AgentFacts("main", "json", "private copy of db and wal", "2:ab", 2, 2048),), "now", versions={"a": "1"})
    return export_html(notebook(*cells), tmp_path_factory.mktemp("report") / "r.html", title="Title", header=header).path


@pytest.fixture(scope="module")
def page(report: Path, chromium: Path) -> Iterator[Page]:
    with chromium_page(str(chromium)) as opened:
        opened.view(1400)
        opened.open(report)
        yield opened


def test_the_report_asks_for_nothing_but_itself_and_complains_of_nothing(page: Page, report: Path) -> None:
    page.view(400, scheme="dark")
    page.view(1400)
    outside = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert outside == [report.as_uri()]
    assert page.complaints == []
    assert page.eval("document.title") == "Title"


@pytest.mark.parametrize("width", [400, 1400])
def test_every_figure_is_drawn_and_nothing_is_wider_than_the_page(page: Page, width: int) -> None:
    page.view(width)
    boxes = page.eval(
        "[...document.querySelectorAll('.chart')].map(chart => {"
        " const [svg, box] = [chart.querySelector('.main-svg').getBoundingClientRect(), chart.getBoundingClientRect()];"
        " return [svg.width, svg.height, box.width, box.height, chart.querySelectorAll('path').length] })"
    )
    assert len(boxes) == len(FIGURES)
    for svg_width, svg_height, box_width, box_height, paths in boxes:
        assert (round(svg_width), round(svg_height)) == (round(box_width), round(box_height))
        assert svg_width > 0.6 * min(width, 1100)
        assert svg_height >= 300
        assert paths > 0
    assert page.eval("document.documentElement.scrollWidth") == width
    assert page.eval(
        "document.querySelector('main .output .table').scrollWidth > document.querySelector('main .output .table').clientWidth"
    )


def test_a_phone_shows_the_answer_before_all_folded_things(page: Page) -> None:
    top = "document.querySelector('main p').getBoundingClientRect().top + scrollY"
    folded = "[...document.querySelectorAll('.making, .contents')].map(part => part.open)"
    page.view(400)
    assert page.eval(folded) == [False, False]
    # Without the chrome of the page: a source of 90 characters takes lines of its own.
    assert page.eval(f"{top} - document.querySelector('.facts').offsetHeight") < 320
    page.view(1366, 768)
    assert page.eval(folded) == [False, True]
    assert page.eval(top) < 260
    page.eval("dispatchEvent(new Event('beforeprint'))")
    assert page.eval("document.querySelector('.making').open") is True
    page.eval("dispatchEvent(new Event('afterprint'))")
    page.settle()
    assert page.eval("document.querySelector('.making').open") is False
    page.view(1400)


def test_a_phone_shows_when_the_first_limit_is_reached_and_that_there_is_more(page: Page) -> None:
    table = "[...document.querySelectorAll('main .table')].find(t => t.innerText.includes('10.0 MB'))"
    page.view(400)
    cell, box, more = page.eval(
        f"(t => [t.querySelector('tbody td').getBoundingClientRect().right, t.getBoundingClientRect().right,"
        f" t.scrollWidth > t.clientWidth])({table})"
    )
    assert cell <= box
    assert more
    assert "gradient" in page.eval(f"getComputedStyle({table}).backgroundImage")
    page.view(1400)


def test_a_table_of_keys_and_sentences_wraps_and_keeps_its_first_column_in_view(page: Page) -> None:
    table = "[...document.querySelectorAll('main .table')].find(t => t.innerText.includes('What to do'))"
    page.view(1400)
    assert page.eval(f"(t => t.scrollWidth === t.clientWidth)({table})")
    assert page.eval(f"(t => getComputedStyle(t.querySelector('td.date')).whiteSpace)({table})") == "nowrap"
    page.view(400)
    assert page.eval(f"(t => {{ t.scrollLeft = 1000; return t.scrollLeft > 0 }})({table})")
    left, right, box = page.eval(
        f"(t => [t.querySelector('tbody th').getBoundingClientRect().left, t.querySelector('tbody th').getBoundingClientRect().right,"
        f" t.getBoundingClientRect().left])({table})"
    )
    assert left == box
    assert right - left < 200
    page.view(1400)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_axis_labels_have_contrast_in_both_schemes(page: Page, scheme: str) -> None:
    page.view(1400, scheme=scheme)
    page.eval("document.querySelectorAll('main details, header details').forEach(d => d.open = true)")
    page.eval("document.documentElement.classList.add('show-code')")
    measured = page.eval(CONTRAST)
    page.eval("document.documentElement.classList.remove('show-code')")
    page.eval("document.querySelectorAll('main details, header details').forEach(d => d.open = false)")
    for count, least in measured.values():
        assert count > 20
        assert least >= 4.5
    background = page.eval("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_of_tiles_keep_their_ink_and_the_root_without_a_tile_has_the_pages(page: Page, scheme: str) -> None:
    page.view(1400, scheme=scheme)
    inks = page.eval(
        "Object.fromEntries([...document.querySelectorAll('.treemaplayer .slicetext')].map(t => [t.textContent, getComputedStyle(t).fill]))"
    )
    assert inks["skills"] == "rgb(255, 255, 255)"
    assert inks["origin"] == "rgb(0, 0, 0)"
    assert inks["all"] == page.eval("getComputedStyle(document.body).color")
    page.view(1400)


def test_printing_uses_dark_ink_on_white_whatever_the_scheme(page: Page) -> None:
    page.view(1400, scheme="dark")
    colour = "getComputedStyle(document.querySelector('.chart .xtick text')).fill"
    on_dark = page.eval(colour)
    page.eval("dispatchEvent(new Event('beforeprint'))")
    page.settle()
    in_print = page.eval(colour)
    page.eval("dispatchEvent(new Event('afterprint'))")
    page.settle()
    assert in_print != on_dark
    assert page.eval(colour) == on_dark
    page.view(1400, scheme="light")
    assert page.eval(colour) == in_print


def test_the_code_switch_works_by_mouse_and_by_keyboard(page: Page) -> None:
    page.view(1400)
    state = "[document.getElementById('code-switch').getAttribute('aria-pressed'), document.querySelector('main .code').offsetHeight > 0]"
    assert page.eval(state) == ["false", False]
    page.click("#code-switch")
    assert page.eval(state) == ["true", True]
    page.eval("document.querySelector('nav a:last-of-type').focus(); [...document.querySelectorAll('nav a')].at(-1).focus()")
    page.press("Tab", code="Tab", number=9)
    assert page.eval("document.activeElement.id") == "code-switch"
    page.press(" ", code="Space", text=" ", number=32)
    assert page.eval(state) == ["false", False]
    page.press("Enter", code="Enter", text="\r", number=13)
    assert page.eval(state) == ["true", True]
    page.click("#code-switch")


def test_a_picture_has_the_size_asked_for(page: Page, tmp_path: Path) -> None:
    page.screenshot(tmp_path / "picture.png", width=800, height=600)
    content = (tmp_path / "picture.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (800, 600)
