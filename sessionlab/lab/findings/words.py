"""Words that all findings share: names from a store made harmless, parts of a whole, plurals, lists, money.

Writes Markdown that says the same in JupyterLab, on GitHub and in a report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sessionlab.units import format_count, format_usd


def name(text: object) -> str:
    """Write a name that came from a store as code, so that nothing in it can be markup or start a formula."""
    plain = " ".join(str(text).replace("`", "'").split())
    shown = plain if len(plain) <= 80 else f"{plain[:50]}…{plain[-29:]}"
    return f"`{shown}`" if shown else "(no name)"


def plain(text: str) -> str:
    """Write a text that names things of a store as it is: nothing in it becomes markup, and it stays on its line."""
    return re.sub(r"([\\$*_\[\]<>#])", r"\\\1", " ".join(text.replace("`", "'").split()))


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: `1 session`, `1,204 sessions`."""
    return f"{format_count(number)} {noun if number == 1 else plural or noun + 's'}"


def percent(part: float, whole: float) -> str:
    """Write a part of a whole: `41 %`; below ten with a decimal, `4.1 %`."""
    if not whole:
        return "0 %"
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 9.95 or share == 0 else f"{share:.1f} %"


def usd(microusd: int) -> str:
    r"""Write money; JupyterLab takes what stands between two bare dollar signs for a formula."""
    return format_usd(microusd).replace("$", "\\$")


def listing(parts: Sequence[str]) -> str:
    """Join parts as people do: `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else "nothing"


def day(value: object) -> str:
    """Write a day of a frame as ISO text."""
    return str(value)[:10]
