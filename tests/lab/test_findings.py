"""Findings in sentences: true numbers, harmless names, and something sensible to say about nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from sessionlab.errors import UsageError
from sessionlab.lab import findings, queries
from sessionlab.lab.advice import Advice, advise_mirror
from sessionlab.lab.choices import checked
from sessionlab.lab.figures import tables
from sessionlab.lab.figures.forecast import roughly
from sessionlab.lab.findings import words
from sessionlab.lab.findings.growth import rough_words
from sessionlab.lab.forecast import Crossing, backtest, forecast, forecast_agents
from sessionlab.lab.session import Lab, open_lab
from sessionlab.lab.show import Drawing, Prose, Table, show, shown
from sessionlab.units import format_bytes
from tests.lab.made_mirror import DAY_MS, NOW_MS, make

HOSTILE = "agent:`<b>$x$</b>`\n# *boo*"


@pytest.fixture(scope="module")
def sample() -> Iterator[Lab]:
    with open_lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def nothing() -> Any:
    con = make(agents=[{}])
    yield lambda name, **params: queries.run(con, name, **params)
    con.close()


def test_growth_counts_what_was_there_before_the_days_shown(sample: Lab) -> None:
    said = findings.growth(sample.query("growth_daily", since_day="2026-11-01", until_day="2026-11-10"))
    before, added = sample.con.execute(
        "SELECT COUNT(*) FILTER (created_day < DATE '2026-11-01'), COUNT(*) FILTER (created_day BETWEEN '2026-11-01' AND '2026-11-10') "
        "FROM sessions"
    ).fetchall()[0]
    assert f"gained **{added} sessions**" in said
    assert f"on top of the {before} that were there before" in said
    assert f"reached {before + added} sessions" in said


def test_the_fields_named_make_up_most_of_the_bytes() -> None:
    frame = pd.DataFrame({"field": ["a", "b", "c"], "sessions": [1, 1, 1], "bytes": [400, 350, 250], "share": [0.4, 0.35, 0.25]})
    assert findings.fields(frame) == "Most of the 1000 B of entries lies in `a` (40 %) and `b` (35 %); 1 other field has the other 25 %."


def test_usage_says_what_the_cost_leaves_out(sample: Lab) -> None:
    models, totals = sample.query("tokens_by_model"), sample.query("usage_totals")
    problems = sample.query("problems")
    said = findings.usage(models, totals, problems)
    assert said.startswith(
        "**1,674 model calls** used 37,174,740 tokens (87 % of them read from the cache) and cost **\\$34.52** as recorded."
    )
    assert "1 call has no recorded cost" in said
    assert said.endswith(
        "1 transcript line that cannot be read, 1 unfinished line and 2 missing transcripts may hide further calls, "
        "so these numbers are lower bounds."
    )
    part = findings.usage(sample.query("tokens_by_model", since_day="2026-11-01"), totals, problems.head(0))
    assert "In all, 1,674 calls cost \\$34.52." in part


def test_stale_and_cron_sentences_agree_with_their_tables(sample: Lab) -> None:
    stale, jobs = sample.query("stale_share", stale_days=30), sample.query("cron_jobs")
    assert f"**{stale['stale_sessions'].sum()} of 300 sessions (24 %)**" in findings.ages(stale, 30)
    kinds = sample.query("bytes_by_kind").set_index("kind")
    bulk = format_bytes(int(kinds["entry_bytes"]["cron-run"]))
    assert f"**{jobs['runs_kept'].sum()} run sessions** of 2 jobs are kept ({bulk} of entries)" in findings.cron(jobs)


def test_the_agent_whose_store_reaches_a_limit_first_is_named(sample: Lab) -> None:
    limits = (200 * 1024, 400 * 1024, 800 * 1024, 10 * 1024**2)
    made = forecast_agents(sample.query, limits)
    assert list(made) == ["main", "ops", "research"]
    assert sum(one.level_bytes for one in made.values()) == forecast(sample.query("store_bytes_daily")).level_bytes
    said = findings.agents_words(made)
    assert said.startswith("The store of `ops` has been at 400.0 KB or more since 2026-11-")
    assert f"The store of `research` reaches the next limit first: 200.0 KB is expected on {made['research'].crossings[0].expected}" in said
    assert [made["research"].today, forecast(sample.query("store_bytes_daily").head(3)).today] == [dt.date(2026, 11, 20), None]
    table = tables.agent_limits_table(made)
    assert list(table.columns) == ["Agent", "200.0 KB", "400.0 KB", "800.0 KB", "10.0 MB", "Size now", "Growth a week"]
    assert table["200.0 KB"].str.startswith("since 2026-").tolist() == [True, True, False]
    assert findings.agents_words(forecast_agents(sample.query, [2**50])).startswith("No agent's store is expected to reach ")


def test_a_forecast_says_its_model_and_how_good_it_would_have_been(sample: Lab) -> None:
    history = sample.query("store_bytes_daily")
    tested = backtest(history)
    said = findings.forecast_words(forecast(history), tested, stores=3)
    assert said.startswith("The 3 stores together take 1.0 MB now, and they are expected to grow by about **")
    assert tested.facts in said
    assert f"This is {tested.verdict}." in said
    assert "No forecast: not enough history" in findings.forecast_words(forecast(history.head(10)), backtest(history.head(10)))


def short(lab: Lab, agent: str | None = None) -> str:
    history = lab.query("store_bytes_daily", agent=agent)
    agents = forecast_agents(lab.query)
    return findings.short_answer(
        lab.query("overview", agent=agent),
        lab.query("bytes_by_kind", agent=agent),
        lab.query("bytes_by_field", agent=agent),
        forecast=forecast(history),
        tested=backtest(history),
        agents=agents if agent is None else {agent: agents[agent]},
        limit_bytes=10 * 1024**2,
        problems=lab.query("problems", agent=agent),
        advice=advise_mirror(lab.con, now_ms=lab.now_ms, agent=agent),
    )


def test_the_short_answer_claims_no_more_than_the_forecast_can_keep(sample: Lab) -> None:
    size, why, leads, to_do = short(sample).splitlines()
    assert "cost at least \\$34.52 as recorded" in size
    assert "74 %" in why
    assert "10.0 MB is expected in October 2027 (80 % interval: April 2027 to more than 2 years from now). Take it as rough:" in leads
    assert "too far off to plan by" in leads
    assert to_do.startswith("- **What to do first:** stop keeping the prompt in every entry, let ")
    assert "10.0 MB is not expected within 2 years; the early end of the 80 % interval is 2028." in short(sample, "main")
    assert "cost at least" not in short(sample, "research"), "nothing of it was unreadable"


@pytest.mark.parametrize(("days", "said"), [(31, "2026-02-01"), (32, "February 2026"), (366, "January 2027"), (367, "2027")])
def test_a_day_is_written_as_finely_as_a_forecast_can_mean_it(days: int, said: str) -> None:
    today = dt.date(2026, 1, 1)
    assert roughly(today + dt.timedelta(days=days), today) == said


def test_a_good_forecast_is_rough_only_far_ahead() -> None:
    tested = backtest(pd.DataFrame({"day": pd.date_range("2026-01-01", periods=90), "added_bytes": [100] * 90}))
    today = dt.date(2026, 3, 31)
    near, far = (Crossing(1, expected=today + dt.timedelta(days=days)) for days in (92, 93))
    assert rough_words(tested, near, today) == ""
    assert rough_words(tested, far, today) == "Take it as rough: months ahead the interval is too narrow."


def test_limits_say_whose_they_are_and_where_they_come_from() -> None:
    said = findings.limits_words(100 * 1024**2)
    assert "A limit is that of one store" in said
    assert "10.0 MB is where OpenClaw up to 2026.4 rotates sessions.json" in said
    assert said.endswith("and 100.0 MB is the parameter `limit_bytes`.")
    assert "limit_bytes" not in findings.limits_words(10 * 1024**2)


def test_days_shown_say_what_keeps_to_them_and_when_they_are_empty(sample: Lab) -> None:
    history = sample.query("store_bytes_daily")

    def said(since: str = "", until: str = "") -> str:
        choices = checked(since=since, until=until)
        growth, active = sample.query("growth_daily", **choices.days), sample.query("activity_daily", **choices.days)
        return findings.days_shown(choices, history, growth, active)

    assert said() == ""
    assert said(since="2026-11-01").startswith("**Days shown: 2026-11-01 and later.** Only what is told over time keeps to them")
    assert "No session was created" not in said(since="2026-11-01")
    nothing_in = "**No session was created and no event happened in these days**; the store has days from 2026-08-22 to 2026-11-20."
    for days in ({"since": "2030-01-01"}, {"until": "2020-01-01"}):
        assert said(**days).endswith(nothing_in)


def test_what_could_not_be_read_makes_totals_lower_bounds(sample: Lab) -> None:
    problems = sample.query("problems")
    assert findings.problems(problems) == (
        "12 warnings and 7 remarks were found. 1 transcript line that cannot be read, 1 unfinished line and 2 missing transcripts may hide "
        "model calls: calls, tokens and cost are lower bounds."
    )
    read = problems[problems["code"] == "non_canonical_key"]
    assert findings.problems(read) == "2 warnings were found."


def test_every_finding_has_something_to_say_about_an_empty_store(nothing: Any) -> None:
    history = nothing("store_bytes_daily", now_ms=NOW_MS)
    outlook = forecast(history)
    said = [
        findings.growth(nothing("growth_daily")),
        findings.activity(nothing("growth_daily"), nothing("activity_daily")),
        findings.fields(nothing("bytes_by_field")),
        findings.kinds(nothing("bytes_by_kind")),
        findings.biggest(nothing("biggest_sessions")),
        findings.disk(nothing("storage_parts")),
        findings.sizes(nothing("size_distribution")),
        findings.ages(nothing("stale_share", now_ms=NOW_MS), 30),
        findings.usage(nothing("tokens_by_model"), nothing("usage_totals"), nothing("problems")),
        findings.cron(nothing("cron_jobs", now_ms=NOW_MS)),
        findings.problems(nothing("problems")),
        findings.forecast_words(outlook, backtest(history)),
        findings.agents_words({"main": outlook}),
        findings.to_do(()),
        findings.short_answer(
            nothing("overview"),
            nothing("bytes_by_kind"),
            nothing("bytes_by_field"),
            forecast=outlook,
            tested=backtest(history),
            agents={"main": outlook},
            limit_bytes=10 * 1024**2,
            problems=nothing("problems"),
            advice=(),
        ),
    ]
    assert all(text and text[0].isupper() and "nan" not in text.lower() for text in said), said
    assert findings.import_changes(nothing("problems")) == ""


def test_names_from_a_store_cannot_become_markup() -> None:
    con = make(
        agents=[{"sessions": 1}],
        sessions=[
            {"session_key": HOSTILE, "kind": "cron-run", "cron_job_id": HOSTILE, "entry_bytes": 10, "created_ms": NOW_MS - 3 * DAY_MS}
            | {"updated_ms": NOW_MS - 3 * DAY_MS}
        ],
    )
    said = findings.biggest(queries.run(con, "biggest_sessions")) + findings.cron(queries.run(con, "cron_jobs", now_ms=NOW_MS))
    assert "\n" not in said
    assert said.count("`") % 2 == 0
    assert "`agent:'<b>$x$</b>' # *boo*`" in said
    assert findings.to_do([Advice("Do *it*", "the <job> $a_b", "now #1", 0)]) == "1. **Do \\*it\\*.** the \\<job\\> \\$a\\_b now \\#1"


def test_stores_that_disagree_are_named_with_what_to_do(nothing: Any) -> None:
    columns = {"severity": "error", "code": "split_store", "count": 50, "message": "two stores disagree", "advice": "compare the two"}
    frame = pd.DataFrame([{**columns, "path": "agents/ops/sessions/sessions.json", "line": None, "session_key": None}])
    said = findings.disagreement(frame)
    assert said.startswith("**Not all of the sessions are here.**\n\n- **split\\_store** (error, 50): two stores disagree (agents/ops/")
    assert said.endswith("*What to do:* compare the two.")
    assert findings.disagreement(nothing("problems")) == ""


def test_an_import_into_sqlite_is_explained() -> None:
    rows = [("delivery_rewritten", 65), ("route_lost", 5), ("import_archive", 61)]
    frame = pd.DataFrame([{"severity": "info", "code": code, "count": count} for code, count in rows])
    said = findings.import_changes(frame)
    assert "moved the route of 65 entries into `delivery` and **lost the route** of 5 entries" in said
    assert "61 original files of the import lie beside the store" in said


def test_old_names_are_no_finding_where_the_lost_route_is_one() -> None:
    rows = [("main", "route_lost"), ("main", "legacy_field"), ("ops", "legacy_field"), (None, "legacy_field")]
    told = findings.worth_telling(pd.DataFrame([{"agent_id": agent, "code": code, "severity": "info"} for agent, code in rows]))
    assert told["code"].tolist() == ["route_lost", "legacy_field", "legacy_field"]
    assert told["agent_id"].fillna("").tolist() == ["main", "ops", ""]


def test_problems_with_the_same_advice_share_an_item(sample: Lab) -> None:
    problems = sample.query("problems")
    items = findings.problem_list(problems).splitlines()
    assert len(items) == len(problems.groupby(["severity", "code", "advice"])) < len(problems)
    bad = next(item for item in items if item.startswith("- **bad\\_line** (warning, 1): "))
    assert "line 239). *What to do:*" in bad
    many = pd.concat([problems[problems["code"] == "bad_line"]] * 7)
    assert "; and 2 more such findings." in findings.problem_list(many)
    assert findings.problem_list(problems.head(0)) == ""


@pytest.mark.parametrize(("part", "whole", "said"), [(0, 0, "0 %"), (0, 5, "0 %"), (1, 24, "4.2 %"), (9.96, 100, "10 %"), (5, 5, "100 %")])
def test_percent_has_a_decimal_only_where_it_matters(part: float, whole: float, said: str) -> None:
    assert words.percent(part, whole) == said


def test_choices_are_days_limits_and_counts() -> None:
    choices = checked(since="2026-09-01", limit_bytes=7, stale_days=3, top=2)
    assert choices.days == {"since_day": dt.date(2026, 9, 1), "until_day": None}
    assert choices.limits_bytes == (7, 10 * 1024**2, 50 * 1024**2)
    assert [str(checked()), str(choices), str(checked(until="2026-09-01"))] == [
        "the whole history",
        "2026-09-01 and later",
        "up to 2026-09-01",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"since": "yesterday"}, 'since="yesterday" is no day; write it like 2026-11-20'),
        ({"until": "2026-02-30"}, "is no day"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "is after until"),
        ({"limit_bytes": 0}, "limit_bytes=0"),
        ({"stale_days": -1}, "stale_days=-1 makes no sense; give 1 to 3,650 days"),
        ({"top": 1000}, "top=1000 makes no sense; give 1 to 200 rows"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked(**wrong)
    assert said in str(refused.value)


def test_a_table_is_whole_whatever_pandas_is_set_to() -> None:
    frame = pd.DataFrame({"Key": ["<b>" + "x" * 200], "Count": ["1"]})
    with pd.option_context("display.max_colwidth", 10, "display.max_rows", 1):
        table = shown(frame)
        assert isinstance(table, Table)
        assert "&lt;b&gt;" + "x" * 200 in table._repr_html_()
        assert repr(table) == "Key|Count\n<b>" + "x" * 200 + "|1"
    assert repr(Table(frame.head(0))) == "(no row)"


def test_prose_and_figures_have_words_of_their_own() -> None:
    assert repr(shown("cost **\\$3**")) == "cost **$3**"
    assert isinstance(shown("x"), Prose)
    figure = go.Figure(go.Bar(x=[1], y=[2]), layout={"title": {"text": "Two<br>lines"}, "meta": {"alt": "One bar."}})
    drawn = shown(figure)
    assert isinstance(drawn, Drawing)
    bundle = drawn._repr_mimebundle_()
    assert bundle["text/plain"] == "Figure: Two lines. One bar."
    assert bundle["application/vnd.plotly.v1+json"]["data"][0]["y"] == [2]


def test_outside_of_a_notebook_the_texts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show("one", "", None, pd.DataFrame({"Key": ["a"], "Count": ["1"]}))
    assert capsys.readouterr().out.split() == ["one", "Key", "Count", "a", "1"]
