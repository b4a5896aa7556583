"""The explorer at the end of a maintenance notebook: move a limit, and figure, numbers and command follow.

Every move asks `lab.what_if` again, which plans on what it has read; nothing is read anew, and nothing is ever applied. Without a front end
it is only its fixed text: the notebook's static figures stand above it.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from sessionlab.lab.explorer import Explorer
from sessionlab.lab.figures.maintenance import By, Measure, what_goes
from sessionlab.lab.findings.maintenance import command_line
from sessionlab.lab.findings.words import count
from sessionlab.lab.what_if import CAP_STEPS
from sessionlab.lab.what_if_policy import OFF, PROFILES, shown_duration
from sessionlab.lab.widgets import redraw
from sessionlab.units import MS_PER_DAY, format_bytes, format_count, format_measured_ms, format_usd

if TYPE_CHECKING:
    from sessionlab.lab.what_if import LoadRate, WhatIf
    from sessionlab.lab.what_if_outcome import Outcome
    from sessionlab.maintenance.policy import Policy

_AGES: Final = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
_LIVE_SESSIONS: Final = 20_000
_SMALLEST_BUDGET: Final = 64 * 1024
_BUDGETS: Final = 12

_Option = tuple[str, int]


class MaintenanceExplorer(Explorer):
    """Sliders for the limits, with what they do; show it as the last expression of a cell.

    Attributes:
        age: How long a session may go without an update, ms.
        cap: The most entries in a store.
        budget: The most bytes on disk for an agent; 0 for no budget.
        profile: Whose rules; choosing one puts the limits to its own.
        by: Whether there is a bar for each kind of session or for each agent.
        measure: What the bars are long by.
        reset: The button that puts everything back to the notebook's parameters.
        figure: What stays, is put aside and goes.
        numbers: The same in numbers, as HTML.
        command: The command that shows it in a terminal, as HTML.
        status: What went wrong, as HTML; empty when nothing did.
        view: All of it, as one widget.
    """

    def __init__(self, what_if: WhatIf, *, rate: LoadRate | None = None) -> None:
        """Make the controls.

        Args:
            what_if: What was read.
            rate: How fast this machine loads the stores, when that was measured.
        """
        import ipywidgets
        import plotly.graph_objects as go

        self._what_if, self._rate = what_if, rate
        policies = [rules.policy for rules in what_if.rules.values()]
        full, compact = ipywidgets.Layout(width="100%"), ipywidgets.Layout(width="max-content", margin="2px 20px 2px 2px")

        def slider(name: str, options: Sequence[_Option]) -> Any:
            return ipywidgets.SelectionSlider(
                description=name,
                options=options,
                layout=ipywidgets.Layout(width="420px"),
                style={"description_width": "100px"},
                # What takes longer than a tenth of a second would queue up behind a hand that drags.
                continuous_update=what_if.sessions <= _LIVE_SESSIONS,
            )

        def buttons(name: str, options: Sequence[str | tuple[str, str]]) -> Any:
            style = {"button_width": "80px", "description_width": "initial"}
            return ipywidgets.ToggleButtons(description=name, options=options, style=style, layout=compact)

        self.age = slider("Prune after", _ages(what_if, policies))
        self.cap = slider("Most entries", _caps(what_if, policies))
        self.budget = slider("Disk budget", _budgets(what_if, policies))
        self.profile = buttons("Rules of", PROFILES)
        self.measure = buttons("Show", get_args(Measure))
        self.by = buttons("By", [(name.title(), name) for name in get_args(By)])
        self.reset = ipywidgets.Button(description="Reset", tooltip="Go back to the notebook's parameters", icon="undo")
        self.numbers, self.command, self.status = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.figure = go.FigureWidget()
        row = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        self.view = ipywidgets.VBox(
            [
                ipywidgets.Box([self.age, self.cap, self.budget], layout=row),
                ipywidgets.Box([self.profile, self.measure, self.by, self.reset], layout=row),
                self.status,
                self.numbers,
                self.figure,
                self.command,
            ],
            layout=full,
        )
        self._reset()
        for control in (self.age, self.cap, self.budget, self.measure, self.by):
            control.observe(self._update, names="value")
        self.profile.observe(self._change_version, names="value")
        self.reset.on_click(self._reset)

    def __repr__(self) -> str:
        return (
            f"Maintenance explorer: {count(self._what_if.sessions, 'session')}, sliders for age, cap and disk budget, "
            f"rules of OpenClaw {', '.join(PROFILES)}. "
            "It needs a running kernel: open this notebook in JupyterLab and run all cells."
        )

    @property
    def policy(self) -> Policy:
        """What the controls say."""
        return self._what_if.rules[self.profile.value].limited(
            prune_after_ms=self.age.value, max_entries=self.cap.value, max_disk_bytes=self.budget.value or None
        )

    def _change_version(self, _change: object) -> None:
        if not self._is_quiet:
            self._put(self._what_if.rules[self.profile.value].policy)

    def _reset(self, _button: object = None) -> None:
        with self._silence():
            self.measure.value, self.by.value = get_args(Measure)[0], get_args(By)[0]
        self._put(self._what_if.policy)

    def _put(self, policy: Policy) -> None:
        limits = policy.limits
        with self._silence():
            self.profile.value = policy.profile
            self.age.value, self.cap.value, self.budget.value = limits.prune_after_ms, limits.max_entries, limits.max_disk_bytes or 0
        self._update()

    def _draw(self) -> None:
        outcome = self._what_if.at(self.policy)
        redraw(self.figure, what_goes(outcome, measure=self.measure.value, by=self.by.value))
        self.numbers.value = _numbers(outcome, self._rate)
        line = html.escape(command_line(self._what_if, self.policy))
        self.command.value = f"<p>The same in a terminal, entry by entry; it changes nothing either: <code>{line}</code></p>"
        self.status.value = ""


def _numbers(outcome: Outcome, rate: LoadRate | None) -> str:
    held, aside, gone = outcome.held, outcome.aside, outcome.gone
    cells = [
        ("Sessions that go", f"{format_count(gone.sessions)} of {format_count(held.sessions)}"),
        ("Marked as archived", format_count(aside.sessions)),
        ("Stores", f"{format_bytes(outcome.before.store_bytes)} → {format_bytes(outcome.after.store_bytes)}"),
        ("On disk", f"{format_bytes(outcome.before.bytes)} → {format_bytes(outcome.after.bytes)}"),
        ("Cost history lost", f"{format_usd(gone.cost_microusd)} of {format_usd(held.cost_microusd)}"),
        ("Put aside", format_usd(aside.cost_microusd)),
    ]
    if rate is not None and rate.bytes_per_ms:
        times = (format_measured_ms(rate.ms(one.store_bytes)) for one in (outcome.before, outcome.after))
        cells.append(("Loads in about", " → ".join(times)))
    parts = "".join(f'<span style="margin-right: 2em">{label}: <strong>{value}</strong></span> ' for label, value in cells)
    over = f" Still over the budget: {html.escape(', '.join(outcome.over_budget))}." if outcome.over_budget else ""
    return f'<p role="status">{parts}{over}</p>'


def _ages(what_if: WhatIf, policies: Sequence[Policy]) -> list[_Option]:
    beyond = next((age for age in _AGES if age > what_if.oldest_days), _AGES[-1])
    found = {age * MS_PER_DAY for age in _AGES if age <= beyond} | {policy.limits.prune_after_ms for policy in policies}
    return [(shown_duration(age), age) for age in sorted(found)]


def _caps(what_if: WhatIf, policies: Sequence[Policy]) -> list[_Option]:
    beyond = next((cap for cap in CAP_STEPS if cap >= what_if.largest), CAP_STEPS[-1])
    found = {cap for cap in CAP_STEPS if cap <= beyond} | {policy.limits.max_entries for policy in policies}
    return [(format_count(cap), cap) for cap in sorted(found)]


def _budgets(what_if: WhatIf, policies: Sequence[Policy]) -> list[_Option]:
    """Return no budget, then budgets from the largest agent's size down by halves, and those of the policies."""
    most = max(plan.before.bytes for plan in what_if.plans(what_if.policy).values())
    largest = _SMALLEST_BUDGET
    while largest < most:
        largest *= 2
    found = {largest >> power for power in range(_BUDGETS) if largest >> power >= _SMALLEST_BUDGET}
    found |= {policy.limits.max_disk_bytes for policy in policies if policy.limits.max_disk_bytes is not None}
    return [*((format_bytes(size), size) for size in sorted(found)), (OFF, 0)]
