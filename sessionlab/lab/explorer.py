"""What explorers in a notebook share: controls that figures and numbers follow, once for each change, and never a traceback."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sessionlab.errors import SessionLabError


class Explorer(ABC):
    """Controls and what follows them; show it as the last expression of a cell. Without a front end it is only its `repr`.

    Attributes:
        status: What is wrong, as HTML; empty when nothing is.
        view: All of it, as one widget.
    """

    status: Any
    view: Any
    _is_quiet = False

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {**self.view._repr_mimebundle_(**kwargs), "text/plain": repr(self)}

    @abstractmethod
    def _draw(self) -> None:
        """Let everything follow what the controls say."""

    def _update(self, _change: object = None) -> None:
        if self._is_quiet:
            return
        try:
            self._draw()
        except SessionLabError as error:
            self._complain(str(error))
        except Exception as error:  # noqa: BLE001 - a traceback inside a widget helps nobody; the cell above can be run again
            self._complain(f"{type(error).__name__}: {error}")

    @contextmanager
    def _silence(self) -> Iterator[None]:
        """Let several controls change at once and everything follow once."""
        self._is_quiet = True
        try:
            yield
        finally:
            self._is_quiet = False

    def _complain(self, text: str) -> None:
        self.status.value = f'<p role="alert"><strong>{html.escape(text)}</strong></p>'
