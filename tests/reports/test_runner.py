"""The runner: real kernels, real failures, one-line errors."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from sessionlab.errors import NotebookFailedError, NotebookParameterError, UsageError
from sessionlab.reports.parameters import load_notebook
from sessionlab.reports.runner import ExecutedNotebook, NotebookJob, Progress, run_notebook, run_notebooks
from tests.reports.notebooks import code, markdown, write

PARAMETERS = code("limit: int | None = 3  # how many\nname: str = 'a'", "parameters")
FACTS = "import os, sys\nprint(limit, name, os.getcwd(), sys.executable, os.environ['TZ'], os.environ.get('PYTHONSTARTUP'), sep='|')"


def test_a_notebook_runs_in_its_own_folder_with_typed_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "with {braces} and späces"
    folder.mkdir()
    source = write(folder / "n.ipynb", markdown("# Title\n\nText"), PARAMETERS, markdown("## Part"), code(FACTS))
    # What a user may have: a start-up file of the interactive Python, a kernelspec that leads elsewhere, an IPython profile.
    startup = tmp_path / "startup.py"
    startup.write_text("print('hello from the start-up file')")
    kernels = tmp_path / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text('{"argv": ["/nonexistent/python"], "display_name": "x", "language": "python"}')
    profile = tmp_path / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00.py").write_text("print('hello from the profile')")
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    before, here, seen = source.read_bytes(), Path.cwd(), list[Progress]()

    executed = run_notebook(source, tmp_path / "new" / "out.ipynb", {"limit": "7", "name": "007"}, on_progress=seen.append)

    text = executed.node.cells[-1].outputs[0].text.strip()
    assert text == f"7|007|{folder}|{sys.executable}|UTC|"
    assert executed.parameters == {"limit": 7, "name": "007"}
    assert load_notebook(executed.output)[0].cells[-1].outputs[0].text.strip() == text
    assert source.read_bytes() == before
    assert Path.cwd() == here
    assert seen == [Progress("n.ipynb", n, 5, title) for n, title in enumerate(["Title"] * 3 + ["Part"] * 2, start=1)]


def test_an_unknown_parameter_stops_everything_before_it_starts(tmp_path: Path) -> None:
    source = write(tmp_path / "n.ipynb", PARAMETERS)
    with pytest.raises(NotebookParameterError, match="limitt"):
        run_notebook(source, tmp_path / "out.ipynb", {"limitt": 1})
    assert not (tmp_path / "out.ipynb").exists()


def test_several_notebooks_keep_their_order_and_survive_each_others_failures(tmp_path: Path) -> None:
    sources = [
        write(
            tmp_path / "raises.ipynb", PARAMETERS, code("print('kept')"), code("raise ValueError('first line\\nsecond line')"), code("1")
        ),
        write(tmp_path / "dies.ipynb", code("import os"), markdown("text"), code("os._exit(3)")),
        write(tmp_path / "ends.ipynb", code("import sys; sys.exit(0)"), code("print('never')")),
        tmp_path / "missing.ipynb",
        write(tmp_path / "good.ipynb", PARAMETERS, code("print(limit)")),
    ]
    out = tmp_path / "out"
    raised, died, ended, missing, good = run_notebooks([NotebookJob(source, out / source.name) for source in sources])

    assert isinstance(raised, NotebookFailedError)
    kept = f"the executed notebook is kept at {out / 'raises.ipynb'}"
    assert str(raised) == f"raises.ipynb: cell 3 failed: ValueError: first line; {kept}"
    assert raised.exit_code == 1
    assert "kept" in (out / "raises.ipynb").read_text()
    assert isinstance(died, NotebookFailedError)
    assert str(died).startswith("dies.ipynb: cell 2 failed: the kernel died; ")
    assert (out / "dies.ipynb").exists()
    assert isinstance(ended, NotebookFailedError)
    assert "ended the notebook early" in str(ended)
    assert isinstance(missing, UsageError)
    assert str(missing) == f"{tmp_path / 'missing.ipynb'}: there is no such notebook"
    assert isinstance(good, ExecutedNotebook)
    assert good.node.cells[-1].outputs[0].text == "3\n"


def test_output_over_the_source_or_into_a_file_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "n.ipynb", PARAMETERS)
    before = source.read_bytes()
    with pytest.raises(UsageError, match="would replace the notebook"):
        run_notebook(source, source, {})
    with pytest.raises(UsageError, match="cannot be made"):
        run_notebook(source, source / "out.ipynb", {})
    assert source.read_bytes() == before


def test_an_output_that_is_a_folder_or_no_notebook_gives_one_line(tmp_path: Path) -> None:
    source = write(tmp_path / "n.ipynb", PARAMETERS)
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(UsageError, match=r"cannot be written \(Is a directory\)"):
        run_notebook(source, tmp_path / "folder.ipynb", {})
    with pytest.raises(UsageError, match=r"ends in \.ipynb"):
        run_notebook(source, tmp_path / "out.txt", {})


def test_an_error_of_ours_in_a_cell_keeps_its_exit_code(tmp_path: Path) -> None:
    ours = "from pathlib import Path\nfrom sessionlab.errors import UnreadableError\nraise UnreadableError(Path('x'), 'is shut')"
    source = write(tmp_path / "n.ipynb", code(ours))
    with pytest.raises(NotebookFailedError, match="UnreadableError: x: is shut") as caught:
        run_notebook(source, tmp_path / "out.ipynb", {})
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("ignores", [False, True], ids=["ends", "goes-on"])
def test_an_interrupt_ends_the_kernels_at_once_and_leaves_nothing(ignores: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    wait = "import os, time\nfrom pathlib import Path\nPath(name).write_text(str(os.getpid()))\n"
    wait += "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass" if ignores else "time.sleep(60)"
    source = write(tmp_path / "n.ipynb", PARAMETERS, code(wait), code("Path(name).unlink()"))
    seen: list[float] = []

    def interrupt() -> None:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.05)
        seen.append(time.monotonic())
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # the system may give a signal to any thread

    threading.Thread(target=interrupt, daemon=True).start()
    jobs = [NotebookJob(source, tmp_path / f"{number}.ipynb", {"name": str(tmp_path / "pid")}) for number in range(3)]
    with pytest.raises(KeyboardInterrupt):
        run_notebooks(jobs, workers=1)
    assert time.monotonic() - seen[0] < 5  # about 1 on an idle machine
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "1.ipynb").exists()
