"""OpenClaw's lock files, as it makes them and as it finds them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from sessionlab.errors import StoreLockedError
from sessionlab.storage.lock import StoreLock


def lock_file(store: Path) -> Path:
    return store.with_name("sessions.json.lock")


def is_free(store: Path, timeout_ms: float = 20) -> bool:
    try:
        with StoreLock(store, timeout_ms).held():
            return True
    except StoreLockedError:
        return False


def plant(store: Path, content: object, *, age_s: float = 0) -> Path:
    """Put a lock file in its place as OpenClaw does: without a kernel lock."""
    path = lock_file(store)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content, indent=2).encode())
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def payload(pid: int, **more: Any) -> dict[str, Any]:
    return {"pid": pid, "createdAt": "2020-01-01T00:00:00.000Z", **more}
