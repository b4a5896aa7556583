"""Processes of the command line that need not start Python anew: one process imports everything once, and forks for each command.

What a command does, prints and exits with is that of a process of its own: it has its own environment, working folder and outputs. Only
Python's start and its last breath are missing, and what each command imports; `test_forking.py` compares both ways.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

# Reads what is asked for, forks, and says how that ended. What is at the end of the program happens in the process that was forked.
_SERVER: Final = """\
import atexit, gc, importlib, json, os, socket, sys, threading, time, traceback, warnings
from sessionlab import cli
for name in cli._COMMANDS:
    importlib.import_module(f"sessionlab.cli.{name.replace('-', '_')}")
import duckdb, pandas, papermill, plotly.graph_objects, plotly.io
import sessionlab.lab.session, sessionlab.reports.growth, sessionlab.reports.runner
gc.freeze()
asking = socket.socket(fileno=int(sys.argv[1]))
while True:
    length, files, _, _ = socket.recv_fds(asking, 8, 3)
    if not length:  # nobody is at the other end any more
        os._exit(0)
    asked = b""
    while len(asked) < int(length):
        asked += asking.recv(int(length) - len(asked))
    asked = json.loads(asked)
    with warnings.catch_warnings(action="ignore"):  # that numpy has threads: they wait for work
        process = os.fork()
    if process == 0:
        break
    for file in files:
        os.close(file)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    asking.sendall(code.to_bytes(4, "big", signed=True))
asking.close()
os.chdir(asked["cwd"])
os.environ.clear()
os.environ.update(asked["environment"])
time.tzset()
for number, file in enumerate(files):
    os.dup2(file, number)
    os.close(file)
sys.argv = [cli.__file__.replace("cli/__init__", "__main__"), *asked["arguments"]]
try:
    cli.main()
except SystemExit as end:
    code = end.code
except BaseException:
    traceback.print_exc()
    code = 1
# As Python ends, but for clearing away what was imported for others: DuckDB lists what it lost then.
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code or 0)
"""


def starts_alike(environment: Mapping[str, str]) -> bool:
    """Say whether Python would start in this environment as it has started here."""
    here, there = ({name: text for name, text in one.items() if name.startswith("PYTHON")} for one in (os.environ, environment))
    return here == there


def forked(arguments: list[str], *, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line in a forked process; the result is that of `subprocess.run` with `capture_output` and `text`."""
    asked = json.dumps({"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}).encode()
    asking = _server()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        socket.send_fds(asking, [b"%8d" % len(asked)], [0, out.fileno(), err.fileno()])
        asking.sendall(asked)
        told = asking.recv(4)
        assert told, "the process that forks has ended"
        code = int.from_bytes(told, "big", signed=True)
        out.seek(0)
        err.seek(0)
        said = [file.read().decode().replace("\r\n", "\n") for file in (out, err)]
    return subprocess.CompletedProcess(arguments, code, *said)


@cache
def _server() -> socket.socket:
    """Start the process that forks, once, and return what it is asked over; it ends when this process does."""
    here, there = socket.socketpair()
    with there:
        command = [sys.executable, "-c", _SERVER, str(there.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        here.close()
        process.wait()

    atexit.register(end)
    return here
