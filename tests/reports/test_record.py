"""Recorded results: JSON, sorted, nothing of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sessionlab.errors import UsageError
from sessionlab.reports.record import MIMETYPE, read_record, record
from tests.reports.notebooks import code, notebook, shown, write


@dataclass(frozen=True)
class Fact:
    name: str
    count: int


def test_a_record_is_sorted_json_with_a_fixed_text() -> None:
    shown_as = record(sessions=np.int64(3), mean=np.float64(1.5), agents=[Fact("main", 2)])._repr_mimebundle_(include=None, exclude=None)
    assert list(shown_as[MIMETYPE]) == ["agents", "mean", "sessions"]
    assert shown_as[MIMETYPE] == {"agents": [{"name": "main", "count": 2}], "mean": 1.5, "sessions": 3}
    assert shown_as["text/plain"] == "Recorded results: agents, mean, sessions"


@pytest.mark.parametrize(("value", "error"), [(object(), TypeError), (float("nan"), ValueError), (np.float64("inf"), ValueError)])
def test_a_value_without_json_form_is_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        record(value=value)


def test_the_last_record_of_a_notebook_is_read_from_node_and_path(tmp_path: Path) -> None:
    outputs = [[shown(**{MIMETYPE: {"a": number}})] for number in (1, 2)]
    cells = [code("record(...)", outputs=output) for output in outputs]
    assert read_record(notebook(*cells)) == {"a": 2}
    assert read_record(write(tmp_path / "n.ipynb", *cells)) == {"a": 2}


def test_a_notebook_without_record_says_so() -> None:
    with pytest.raises(UsageError, match="no recorded results"):
        read_record(notebook(code("1")))
