"""The what-if explorer: figure, numbers and command follow the sliders, first without a browser, then in JupyterLab by keyboard."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionlab import resources
from sessionlab.errors import UsageError
from sessionlab.lab.maintenance_widget import MaintenanceExplorer
from sessionlab.lab.session import open_lab
from sessionlab.lab.what_if import LoadRate, WhatIf, open_what_if
from sessionlab.units import MS_PER_DAY
from tests.browser import chromium_page
from tests.fixture_states import photo
from tests.notebooks.jupyterlab import jupyterlab, run_all

MAINTENANCE = resources.notebooks_dir() / "05_maintenance.ipynb"


@pytest.fixture(scope="module")
def what_if() -> Iterator[WhatIf]:
    with open_lab() as lab:
        yield open_what_if(lab)


@pytest.fixture
def explorer(what_if: WhatIf) -> MaintenanceExplorer:
    return MaintenanceExplorer(what_if, rate=LoadRate(1024.0))


def numbers(explorer: MaintenanceExplorer) -> dict[str, str]:
    return dict(re.findall(r">([^<>]+): <strong>([^<]*)</strong>", explorer.numbers.value))


def drawn(explorer: MaintenanceExplorer) -> dict[str, float]:
    return {trace.name: float(sum(trace.x)) for trace in explorer.figure.data}


def options(explorer: MaintenanceExplorer) -> list[str]:
    found = re.search(r"<code>(.*)</code>", explorer.command.value)
    assert found is not None
    return shlex.split(found[1])


def test_at_first_it_shows_the_notebooks_limits(explorer: MaintenanceExplorer, what_if: WhatIf) -> None:
    outcome = what_if.at(what_if.policy)
    assert explorer.policy == what_if.policy
    assert (explorer.age.label, explorer.cap.label, explorer.budget.label) == ("30 d", "500", "off")
    assert numbers(explorer)["Sessions that go"] == f"{outcome.gone.sessions} of 300"
    assert drawn(explorer) == {"go": outcome.gone.sessions, "stay": 300 - outcome.gone.sessions}
    assert numbers(explorer)["Loads in about"] == "1,032 ms → 800 ms"
    assert explorer.status.value == ""


def test_every_limit_moves_figure_numbers_and_command(explorer: MaintenanceExplorer, what_if: WhatIf) -> None:
    explorer.age.value = 7 * MS_PER_DAY
    explorer.cap.value = 20
    explorer.budget.value = 512 * 1024
    limits = explorer.policy.limits
    assert (limits.prune_after_ms, limits.max_entries, limits.max_disk_bytes) == (7 * MS_PER_DAY, 20, 512 * 1024)
    assert limits.reset_archive_retention_ms == 7 * MS_PER_DAY
    outcome = what_if.at(explorer.policy)
    assert numbers(explorer)["Sessions that go"] == f"{outcome.gone.sessions} of 300"
    assert drawn(explorer)["go"] == outcome.gone.sessions > 200
    said = options(explorer)
    assert said[:4] == ["sessionlab", "maintain", "STATE_DIR", "--dry-run"]
    assert said[said.index("--prune-after") + 1 :] == ["7d", "--max-entries", "20", "--max-disk", "512kb"]


def test_another_version_brings_its_rules_and_reset_brings_all_back(explorer: MaintenanceExplorer) -> None:
    explorer.cap.value = 5
    explorer.profile.value = "2026.9"
    assert (explorer.age.label, explorer.cap.label, explorer.budget.label) == ("30 d", "500", "10.0 GB")
    assert (numbers(explorer)["Sessions that go"], numbers(explorer)["Marked as archived"]) == ("42 of 300", "5")
    assert drawn(explorer) == {"go": 42, "put aside": 5, "stay": 253}
    explorer.measure.value, explorer.by.value = "Cost", "agent"
    assert list(explorer.figure.data[0].y) == ["main", "ops", "research"]
    assert explorer.figure.layout.xaxis.title.text == "US dollars"
    explorer.reset.click()
    assert (explorer.profile.value, explorer.measure.value, explorer.by.value) == ("2026.3", "Sessions", "kind")
    assert numbers(explorer)["Sessions that go"] == "71 of 300"


@pytest.mark.parametrize("error", [UsageError("no <b>such</b> thing"), RuntimeError("no <b>such</b> thing")])
def test_an_error_is_shown_in_the_widget_as_text(
    explorer: MaintenanceExplorer, what_if: WhatIf, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(what_if, "at", fail)
    explorer.cap.value = 1
    assert 'role="alert"' in explorer.status.value
    assert "no &lt;b&gt;such&lt;/b&gt; thing" in explorer.status.value


def test_its_text_is_fixed_and_every_control_says_what_it_is(explorer: MaintenanceExplorer, what_if: WhatIf) -> None:
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == repr(MaintenanceExplorer(what_if))
    assert bundle["text/plain"].startswith("Maintenance explorer: 300 sessions, sliders for age, cap and disk budget")
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    controls = [explorer.age, explorer.cap, explorer.budget, explorer.profile, explorer.measure, explorer.by, explorer.reset]
    assert [one.description for one in controls] == ["Prune after", "Most entries", "Disk budget", "Rules of", "Show", "By", "Reset"]


NUMBERS = "document.querySelector('p[role=status]').innerText"
COMMAND = "[...document.querySelectorAll('.widget-vbox p code')].map(e => e.innerText).join()"
HANDLES = "[...document.querySelectorAll('.widget-vbox .noUi-handle')]"
PLOT = "document.querySelector('.widget-vbox .js-plotly-plot')"
# How long the bars of what goes are in all, as they are drawn.
GONE = f"[...({PLOT}?.data.find(t => t.name == 'go')?.x ?? [])].reduce((a, b) => a + b, 0)"
TITLES = "[...document.querySelectorAll('.widget-vbox .gtitle')].map(e => e.textContent).join()"


def test_in_jupyterlab_the_keyboard_moves_the_limits(chromium: Path, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = Path(shutil.copy(MAINTENANCE, folder))
    before = photo(resources.sample_dir())
    with jupyterlab(folder) as address, chromium_page(str(chromium)) as page:
        page.view(1400, 1000)
        run_all(page, address, notebook)
        page.wait_for(f"!!document.querySelector('p[role=status]') && {HANDLES}.length == 3 && {GONE} == 71")
        page.eval("document.querySelector('p[role=status]').scrollIntoView()")
        # JupyterLab moves the focus as long as cells are running.
        page.wait_for("![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.innerText == '[*]:')")
        assert "Sessions that go: 71 of 300" in page.eval(NUMBERS)
        assert "Loads in about" in page.eval(NUMBERS)

        page.eval(f"{HANDLES}[0].focus()")
        page.press("ArrowLeft", code="ArrowLeft", number=37)
        page.wait_for(f"{GONE} == 102 && {NUMBERS}.includes('Sessions that go: 102 of 300') && {COMMAND}.includes('--prune-after 21d')")

        page.eval(f"{HANDLES}[1].focus()")
        for _ in range(4):
            page.press("ArrowLeft", code="ArrowLeft", number=37)
        page.wait_for(f"{GONE} == 240 && {NUMBERS}.includes('Sessions that go: 240 of 300') && {COMMAND}.includes('--max-entries 20')")

        page.eval("[...document.querySelectorAll('.widget-toggle-button')].find(b => b.innerText.trim() == 'Cost').focus()")
        page.press(" ", code="Space", text=" ", number=32)
        page.wait_for(f"{TITLES}.startsWith('Cost that would go')")

        page.eval("[...document.querySelectorAll('.widget-vbox button')].find(b => b.innerText.trim() == 'Reset').focus()")
        page.press("Enter", code="Enter", text="\r", number=13)
        page.wait_for(f"{NUMBERS}.includes('Sessions that go: 71 of 300') && {TITLES}.startsWith('Sessions that would go')")
        page.wait_for(f"{GONE} == 71")

        outside = {url for url in page.requests if not url.startswith((address, address.replace("http", "ws"), "data:", "blob:", "about:"))}
        assert outside == set()
        assert [c for c in page.complaints if "error" in c.lower() or "exception" in c] == []
    assert photo(resources.sample_dir()) == before
