"""What the agent of a simulated day makes a note of: which sorts, how important, for how long, and in which words."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from sessionlab.synth.catalogue import WORDS
from sessionlab.synth.dice import HOUR_MS, MINUTE_MS, Dice

Sort = Literal["decision", "preference", "summary", "fact", "action"]

_SORTS: Final[tuple[Sort, ...]] = ("fact",) * 6 + ("decision",) * 4 + ("preference",) * 4 + ("action",) * 3 + ("summary",) * 3
"""Repeated ones come more often."""
_IMPORTANCES: Final = (1, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9, 10)
_WORDINGS: Final[dict[Sort, tuple[str, ...]]] = {
    "decision": ("the {} is moved to the {}", "no {} without a {}", "the {} comes before the {}"),
    "preference": ("wants the {} told without the {}", "likes the {} better than the {}", "reads about the {} only after the {}"),
    "summary": ("talked about the {} and the {}", "compared the {} with the {}", "the {} is done, the {} is not"),
    "fact": ("the {} lies behind the {}", "the {} opens before the {}", "the {} belongs to the {}"),
    "action": ("order a {} for the {}", "ask whether the {} fits the {}", "send the {} to the {}"),
}
_AUTOMATIC_SHARE: Final[dict[Sort, float]] = {"summary": 0.8, "decision": 0.25, "preference": 0.25, "action": 0.25, "fact": 0.0}
"""How many are made without being asked; of facts none, for which there is no switch."""
_EXPIRING_SHARE: Final = 0.15
_TRIES: Final = 20


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be remembered. `holds_ms` is how long it is true, `None` for what has no end of its own."""

    sort: Sort
    content: str
    importance: int
    holds_ms: int | None = None
    is_automatic: bool = False


class Notebook:
    """Draws notes, no two of the same text, so that each can be found again wherever it is shown."""

    def __init__(self, dice: Dice) -> None:
        """Begin with none."""
        self._dice = dice
        self._said: set[str] = set()

    def note(self) -> Note:
        """Return the next note."""
        dice = self._dice
        sort = dice.pick(_SORTS)
        return Note(
            sort=sort,
            content=self._unsaid(sort),
            importance=dice.pick(_IMPORTANCES),
            holds_ms=dice.between(30 * MINUTE_MS, 8 * HOUR_MS) if dice.chance(_EXPIRING_SHARE) else None,
            is_automatic=dice.chance(_AUTOMATIC_SHARE[sort]),
        )

    def _unsaid(self, sort: Sort) -> str:
        text = ""
        for _ in range(_TRIES):
            first = self._dice.below(len(WORDS))
            second = (first + self._dice.between(1, len(WORDS) - 1)) % len(WORDS)
            text = self._dice.pick(_WORDINGS[sort]).format(WORDS[first], WORDS[second])
            if text not in self._said:
                break
        else:
            text = f"{text}, number {len(self._said) + 1}"  # nobody else ends so, and the number is never the same
        self._said.add(text)
        return text
