"""Forcing files to disk: one or many, all of them are, and the first that cannot be is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessionlab.errors import UnwritableError
from sessionlab.storage.files import fsync_files


@pytest.mark.parametrize("number", [0, 1, 31, 32, 200])
def test_every_file_is_forced_to_disk(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / f"{place:03}" for place in range(number)]
    for file in files:
        file.write_text("x")
    inodes = {file.stat().st_ino for file in files}
    forced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        forced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    fsync_files(files)
    assert (len(forced), set(forced)) == (number, inodes)


@pytest.mark.parametrize("number", [3, 100])
def test_first_file_that_cannot_be_forced_is_named(tmp_path: Path, number: int) -> None:
    files = [tmp_path / f"{place:03}" for place in range(number)]
    for file in files[:1] + files[2:]:
        file.write_text("x")
    with pytest.raises(UnwritableError, match=r"001: .*No such file"):
        fsync_files(files)
