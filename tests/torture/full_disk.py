"""T4: a disk that fills up. Each write is refused or done; what was done before is there, and writing goes on when there is room again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.torture.backends import Backend
from tests.torture.tracing import REAL_PYTHON

SIZE: Final = "1m"

# The last kilobytes of the disk are taken by entries of falling size, so that the store meets the end of it in many places.
_PROGRAM: Final = """
from sessionlab.errors import SessionLabError

def entry(number, size):
    return {"sessionId": f"id-{number}", "updatedAt": number, "text": "x" * size}

filler = path.parent / "filler"
filler.write_bytes(b"x" * 100_000)
kept, refused, wrong = {}, [], []
number, size = 0, 20_000
while size > 50 and number < 2_000:
    number += 1
    key = f"agent:main:{number % 60}"
    before = kept.get(key)
    try:
        store.put(key, entry(number, size))
        kept[key] = entry(number, size)
    except SessionLabError as error:
        refused.append(type(error).__name__)
        size //= 2
        with opened() as other:
            found = dict(other.items())
        if type(error).__name__ == "UncertainWriteError" and found.get(key) == entry(number, size * 2):
            kept[key] = found[key]
        if found != kept:
            wrong.append(f"after {error}: {len(found)} sessions, not {len(kept)}")
filler.unlink()
store.put("agent:main:after", entry(0, 10))
kept["agent:main:after"] = entry(0, 10)
with opened() as other:
    print(json.dumps({"kept": len(kept), "refused": refused, "wrong": wrong, "same": dict(other.items()) == kept,
                      "findings": len(other.check())}))
"""


def refusal_of_namespaces() -> str | None:
    """Return why a disk of our own may not be mounted here, `None` when it may."""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"], capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else f"unshare -Urm is not permitted here: {done.stderr.strip()}"


def fill_the_disk(backend: Backend, folder: Path) -> dict[str, Any]:
    """Write into a store on a small disk until nothing fits, then make room.

    Returns:
        `kept` (sessions at the end), `refused` (names of the errors), `wrong` (states that no error explains), `same` (whether the store
        holds exactly what was acknowledged), `findings` (of `check`).
    """
    disk, program = folder / "disk", folder / "program.py"
    disk.mkdir()
    program.write_text(backend.script(_PROGRAM), encoding="utf-8")
    inside = 'mount -t tmpfs -o size="$1" none "$2" && exec "$3" -B -S -I "$4" "$2/$5"'
    command = ["unshare", "-Urm", "sh", "-c", inside, "sh", SIZE, str(disk), REAL_PYTHON, str(program), backend.file_name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr.strip()[-900:]}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report
