"""The stores that are put to the torture: how each is made, here and in a small program of its own."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from sessionlab import layout
from sessionlab.stores.writing import WritableStore

ROOT: Final = Path(__file__).resolve().parents[2]

# A program for strace is started without site packages and environment (-S -I), so it says itself where our modules lie.
_SCRIPT: Final = """\
import json, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from {module} import {class_name}
path = Path(sys.argv[1])
def opened():
    return {class_name}(path, **json.loads({options!r}))
store = opened()
{body}
"""


def program_paths() -> list[str]:
    """Return where a program that is started without site packages and environment finds our modules."""
    return list(dict.fromkeys([str(ROOT), sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]]))


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One kind of store, as data.

    Attributes:
        name: What reports and test ids call it.
        module: Where its class lies.
        class_name: The class; its constructor takes the store's path and `options`.
        file_name: The store's name in its folder.
        options: Further arguments of the constructor; JSON can hold them.
    """

    name: str
    module: str
    class_name: str
    file_name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def exists(self) -> bool:
        """Say whether the module is there. One that is there and cannot be imported is an error, not an absent one."""
        return importlib.util.find_spec(self.module) is not None

    def make(self, path: Path, **more: Any) -> WritableStore:
        """Return the store at a path."""
        made = getattr(importlib.import_module(self.module), self.class_name)(path, **self.options, **more)
        return cast("WritableStore", made)

    def script(self, body: str) -> str:
        """Return a Python program that opens the store named by its first argument as `store`, then runs `body`."""
        return _SCRIPT.format(
            paths=program_paths(),
            module=self.module,
            class_name=self.class_name,
            options=json.dumps(dict(self.options)),
            body=textwrap.dedent(body),
        )

    def start(self, path: Path, body: str, *arguments: str) -> subprocess.Popen[str]:
        """Start such a program with pipes for input, output and errors."""
        command = [sys.executable, "-B", "-S", "-I", "-c", self.script(body), str(path), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


JSON: Final = Backend(name="json", module="sessionlab.stores.json_store", class_name="JSONStore", file_name=layout.JSON_STORE)
SQLITE: Final = Backend(name="sqlite", module="sessionlab.stores.sqlite", class_name="SQLiteStore", file_name=layout.SQLITE_SESSIONS)
SQLITE_PROCESS: Final = Backend(
    name="sqlite-process",
    module=SQLITE.module,
    class_name=SQLITE.class_name,
    file_name=SQLITE.file_name,
    options={"durability": "process"},
)
DIRECTORY: Final = Backend(
    name="directory", module="sessionlab.stores.directory", class_name="DirectoryStore", file_name=layout.DIRECTORY_SESSIONS
)
PLAIN: Final = Backend(name="plain", module="tests.torture.plain_store", class_name="PlainStore", file_name="plain.json")
"""The simplest store that could keep the promises; it proves the tests themselves."""

FINAL: Final = (JSON, SQLITE, SQLITE_PROCESS, DIRECTORY)
"""Every store that sessionlab has or is to have."""


def available() -> tuple[Backend, ...]:
    """Return the stores whose modules are there yet, and the plain one."""
    return (PLAIN, *(backend for backend in FINAL if backend.exists()))
