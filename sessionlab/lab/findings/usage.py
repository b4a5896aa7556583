"""What was used and what piles up, in sentences: tokens, money, and the sessions of cron runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlab.lab.findings.trouble import unread
from sessionlab.lab.findings.words import count, name, percent, usd
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd


def usage(models: pd.DataFrame, totals: pd.DataFrame, problems: pd.DataFrame) -> str:
    """Say what the calls used and cost.

    Args:
        models: The answer of `tokens_by_model` for the days shown.
        totals: The answer of `usage_totals`, which knows no days.
        problems: The answer of `problems`: what could not be read may hide further calls.
    """
    every = totals[totals["scope"] == "all"]
    calls_ever = int(every["calls"].sum())
    if not calls_ever:
        return "No model call with usage was recorded."
    calls, tokens, cost = (int(models[column].sum()) for column in ("calls", "total_tokens", "cost_microusd"))
    if not calls:
        return f"No dated model call lies in these days; in all there are {count(calls_ever, 'call')}."
    cached = int(models["cache_read_tokens"].sum())
    text = (
        f"**{count(calls, 'model call')}** used {format_count(tokens)} tokens ({percent(cached, tokens)} of them read from the cache) "
        f"and cost **{usd(cost)}** as recorded."
    )
    if cost:
        labels = models["provider"] + "/" + models["model"]
        dear = max(models.index, key=lambda row: (int(models["cost_microusd"][row]), str(labels[row])))
        text += f" {name(labels[dear])} has {percent(int(models['cost_microusd'][dear]), cost)} of the cost."
    if calls != calls_ever:
        text += f" In all, {count(calls_ever, 'call')} cost {usd(int(every['cost_microusd'].sum()))}."
    unpriced, undated = int(models["missing_cost_entries"].sum()), int(every["undated_calls"].sum())
    if unpriced:
        text += f" {count(unpriced, 'call')} {'has' if unpriced == 1 else 'have'} no recorded cost, so the true cost is higher."
    free = models[(models["cost_microusd"] == 0) & (models["missing_cost_entries"] == 0)]
    if len(free):
        text += f" {count(int(free['calls'].sum()), 'call')} {'is' if int(free['calls'].sum()) == 1 else 'are'} recorded as free of charge."
    if undated:
        text += f" {count(undated, 'call')} without a time can be shown on no day."
    if hidden := unread(problems):
        text += f" {hidden} may hide further calls, so these numbers are lower bounds."
    return text


def cron(jobs: pd.DataFrame) -> str:
    """Say what cron jobs leave behind; `jobs` is the answer of `cron_jobs`."""
    runs = int(jobs["runs_kept"].sum()) if len(jobs) else 0
    if not runs:
        return "No session of a cron run is kept."
    top = jobs.iloc[0]
    old, bulk = int(jobs["runs_older_than_1_day"].sum()), int(jobs["entry_bytes"].sum())
    verb, of = "is" if runs == 1 else "are", count(int((jobs["runs_kept"] > 0).sum()), "job")
    kept = f"**{count(runs, 'run session')}** of {of} {verb} kept ({format_bytes(bulk)} of entries)"
    return (
        f"{kept}; {old:,} of them {'is' if old == 1 else 'are'} older than a day, which is how long OpenClaw keeps them by default. "
        f"The job {name(top['cron_job_id'])} "
        f"of the agent {name(top['agent_id'])} has {int(top['runs_kept']):,}, {percent(float(top['share_of_sessions']), 1)} "
        f"of that agent's sessions, and added {int(top['runs_last_7_days']):,} in the last 7 days."
    )
