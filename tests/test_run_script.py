"""`./run` on machines that it has to cope with. Set-up itself is proved by every CI run; here its decisions are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("awk", "cat", "chmod", "cksum", "cp", "dirname", "grep", "mkdir", "rm", "sh", "tail")

# A Python as the script sees it: says its version, can or cannot make environments, and has a pip that works or fails.
FAKE_PYTHON = r"""#!/bin/sh
printf '%s\n' "$*" >> "$LOG"
case "$1 ${2:-}" in
    "-c import sys; print"*) echo "$VERSION"; [ "$VERSION" != 3.9 ] ;;
    "-c import ensurepip"*) [ -z "${NO_VENV:-}" ] ;;
    "-c import platform"*) echo "$VERSION.1" ;;
    "-c import sys, pip"*) : ;;
    "-m venv")
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$SESSIONLAB" "$3/bin/sessionlab" ;;
    "-m pytest") echo "home $HOME"; case "$*" in *"${FAILING:-nothing}"*) exit 1 ;; esac ;;
    "-m sessionlab.bench") shift 2; echo "all measurements $*" ;;
    "-m pip") case "$*" in *uv.lock.txt*) exit 1 ;; *) [ -z "${NO_NETWORK:-}" ] ;; esac ;;
esac
"""
# In place of the command line: says how it was called, where, and in what environment.
FAKE_SESSIONLAB = r"""#!/bin/sh
for argument; do printf '<%s>' "$argument"; done
printf '%s' "$PWD|$TZ|$HOME|${PYTHONPATH-none}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project folder with a space in its path, beside a `bin` with the tools that the script may use."""
    folder = tmp_path / "a b"
    folder.mkdir()
    for name in ("run", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    (tmp_path / "home").mkdir()
    (tmp_path / "sessionlab").write_text(FAKE_SESSIONLAB, encoding="utf-8")
    (tmp_path / "sessionlab").chmod(0o755)
    return folder


def install_python(project: Path, name: str) -> None:
    python = project.parent / "bin" / name
    python.write_text(FAKE_PYTHON, encoding="utf-8")
    python.chmod(0o755)


def run(project: Path, *arguments: str, cwd: Path = Path("/"), extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    home = project.parent
    places = {"PATH": home / "bin", "HOME": home / "home", "LOG": home / "log", "SESSIONLAB": home / "sessionlab"}
    env = {**{name: str(path) for name, path in places.items()}, "VERSION": "3.12", **(extra or {})}
    command = [str(project / "run"), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def asked(project: Path) -> str:
    log = project.parent / "log"
    return log.read_text(encoding="utf-8") if log.exists() else ""


def test_help_sets_nothing_up(project: Path) -> None:
    done = run(project, "help")
    assert done.returncode == 0
    for command in ("report", "test", "bench", "lab", "refresh", "lock", "setup"):
        assert f"\n  {command} " in done.stdout
    assert sorted(path.name for path in project.iterdir()) == ["pyproject.toml", "requirements.lock", "run"]


def test_no_python_says_what_to_install(project: Path) -> None:
    done = run(project, "setup")
    assert done.returncode == 2
    assert done.stderr == "run: needs Python 3.11 or newer; found: none. On Debian or Ubuntu: apt-get install python3 python3-venv\n"


def test_old_python_is_named(project: Path) -> None:
    install_python(project, "python3")
    done = run(project, "setup", extra={"VERSION": "3.9"})
    assert done.returncode == 2
    assert "needs Python 3.11 or newer; found: python3 (Python 3.9)." in done.stderr


def test_python_without_venv_says_what_to_install(project: Path) -> None:
    install_python(project, "python3")
    done = run(project, "setup", extra={"NO_VENV": "1"})
    assert done.returncode == 2
    assert "apt-get install python3-venv (or python3.12-venv)" in done.stderr
    assert not (project / ".venv").exists()


def test_newest_python_is_taken_and_a_failing_shim_passed_over(project: Path) -> None:
    shim = project.parent / "bin" / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    install_python(project, "python3.12")
    install_python(project, "python3")
    done = run(project, "setup")
    assert done.returncode == 0, done.stderr
    assert "making .venv with python3.12 (3.12.1)" in done.stderr


def test_pip_takes_over_where_uv_fails_and_says_so(project: Path) -> None:
    install_python(project, "python3")
    done = run(project, "setup")
    assert done.returncode == 0, done.stderr
    assert "uv could not install the packages (reason above); trying pip" in done.stderr
    assert f"--no-build-isolation -e {project}" in asked(project)


@pytest.mark.parametrize(("extra", "times"), [({}, 0), ({"PYTHONDONTWRITEBYTECODE": "1"}, 1)])
def test_packages_are_compiled_where_python_may_not_keep_what_it_compiles(project: Path, extra: dict[str, str], times: int) -> None:
    install_python(project, "python3")
    done = run(project, "setup", extra=extra)
    assert done.returncode == 0, done.stderr
    assert asked(project).count("-m compileall") == times


def test_second_run_asks_python_nothing(project: Path) -> None:
    install_python(project, "python3")
    assert run(project, "setup").returncode == 0
    (project.parent / "log").unlink()
    done = run(project, "setup")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert asked(project) == ""


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_changed_project_file_repeats_the_installation_in_place(project: Path, changed: str) -> None:
    install_python(project, "python3")
    assert run(project, "setup").returncode == 0
    with (project / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    done = run(project, "setup")
    assert "installing the packages" in done.stderr
    assert "making .venv" not in done.stderr


def test_moved_checkout_gets_a_new_environment(project: Path) -> None:
    install_python(project, "python3")
    assert run(project, "setup").returncode == 0
    moved = project.rename(project.parent / "moved")
    assert "making .venv" in run(moved, "setup").stderr


def test_environment_of_another_checkout_is_left_alone(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stamp = other / ".sessionlab-ready"
    stamp.write_text("1 2\n/elsewhere\n", encoding="utf-8")
    (project / ".venv").symlink_to(other)
    done = run(project, "info")
    assert done.returncode == 2
    assert done.stderr.startswith("run: .venv is a link to an environment that was not made for this checkout; remove the link")
    assert done.stderr.count("\n") == 1
    assert stamp.is_file()


def test_broken_setup_is_repeated_from_nothing(project: Path) -> None:
    install_python(project, "python3")
    done = run(project, "info", extra={"NO_NETWORK": "1"})
    assert done.returncode == 2
    assert "the packages could not be installed" in done.stderr
    assert "making .venv" in run(project, "setup").stderr


def test_unknown_command_goes_to_sessionlab_as_it_is(project: Path, tmp_path: Path) -> None:
    install_python(project, "python3")
    done = run(project, "info", "a  b", "*", cwd=tmp_path, extra={"PYTHONPATH": "/elsewhere", "TZ": "Asia/Tokyo"})
    assert done.stdout == f"<info><a  b><*>{tmp_path}|UTC|{tmp_path / 'home'}|none"


def test_no_command_at_all_goes_to_sessionlab_too(project: Path) -> None:
    install_python(project, "python3")
    assert run(project).stdout.startswith("/|UTC|")


@pytest.mark.parametrize(("failing", "code"), [("nothing", 0), ("pytest tests/stores", 1), ("pytest tests --ignore", 1), ("--nbval", 1)])
def test_every_test_and_notebook_is_run_once_whatever_fails_before_it(project: Path, failing: str, code: int) -> None:
    install_python(project, "python3")
    done = run(project, "test", extra={"FAILING": failing})
    assert (done.returncode, done.stdout.count("home ")) == (code, 3)
    steps = [line.removeprefix("-m ") for line in asked(project).splitlines() if line.startswith(("-m ruff", "-m mypy", "-m pytest"))]
    assert steps[:3] == ["ruff check .", "ruff format --check .", "mypy"]
    (half,), (rest,) = ([step.split()[1:] for step in steps if step.startswith(f"pytest {word}")] for word in ("tests/", "tests "))
    assert rest == ["tests", *(f"--ignore={folder}" for folder in half)]
    assert all((ROOT / folder).is_dir() for folder in half)
    assert [step for step in steps if "--nbval" in step] == ["pytest --nbval --nbval-current-env notebooks"]


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_unusable_home_is_replaced_for_setup_and_tests_only(project: Path, home: str) -> None:
    install_python(project, "python3")
    assert run(project, "info", extra={"HOME": home}).stdout == f"<info>/|UTC|{home}|none"
    assert run(project, "test", "-k", "x", extra={"HOME": home}).stdout == f"home {project / '.run' / 'home'}\n"


def test_report_goes_to_its_folder_and_its_source_is_the_command_lines_choice(project: Path) -> None:
    install_python(project, "python3")
    target = project / "reports" / "growth.html"
    assert run(project, "report", "--hide-code").stdout.startswith(f"<report><growth><-o><{target}><--hide-code>/|")
    assert run(project, "report", "--state-dir", "x y").stdout.startswith(f"<report><growth><-o><{target}><--state-dir><x y>/|")
    assert target.parent.is_dir()
    # Its own name may be said, as to `sessionlab report`; another one is that command's to judge.
    assert run(project, "report", "growth", "--state-dir", "x").stdout.startswith(f"<report><growth><-o><{target}><--state-dir><x>/|")
    assert run(project, "report", "--json", "growth", "--sample").stdout.startswith(f"<report><growth><-o><{target}><--json><--sample>/|")
    assert run(project, "report", "grwth", "-o", "x").stdout.startswith("<report><grwth><-o><x>/|")


def test_bench_measures_everything_or_what_is_named(project: Path) -> None:
    install_python(project, "python3")
    assert run(project, "bench").stdout == "all measurements \n"
    assert run(project, "bench", "--quick").stdout == "all measurements --quick\n"
    assert run(project, "bench", "stores", "--quick").stdout.startswith("<bench><stores><--quick>/|")


def test_command_line_knows_how_it_was_called(project: Path) -> None:
    install_python(project, "python3")
    (project.parent / "sessionlab").write_text('#!/bin/sh\nprintf "%s" "$SESSIONLAB_CALLED_AS"\n', encoding="utf-8")
    assert run(project, "info").stdout == str(project / "run")
    env = {"PATH": str(project.parent / "bin"), "HOME": str(project.parent / "home")}
    for command, name in ((["./run"], "./run"), (["sh", "run"], "./run")):
        done = subprocess.run([*command, "info"], cwd=project, env=env, capture_output=True, text=True, check=False)
        assert done.stdout == name, done.stderr


@pytest.mark.parametrize("shell", [["sh"], ["bash", "--posix"]], ids=" ".join)
def test_script_is_plain_posix_shell(shell: list[str]) -> None:
    subprocess.run([*shell, "-n", str(ROOT / "run")], check=True)


def test_both_scripts_may_be_executed() -> None:
    assert os.access(ROOT / "run", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
