"""How a cost grows: the exponent of `cost ~ size ** exponent`, and the size at which it passes a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

Point = tuple[float, float]
"""(size, cost), both more than 0."""
LINE_R2: Final = 0.8
"""Points that a line explains so well are taken to lie on one; what chance does to a flat cost seldom is."""
How = Literal["measured", "extrapolated", "at the smallest already", "far beyond the largest"]


class Fit(NamedTuple):
    """A straight line through the logarithms.

    Attributes:
        exponent: Its slope: 1 grows as the size does, 0 does not grow.
        r2: What part of the differences between the logarithms of the costs it explains; `None` for two points, which it always meets.
            Where nothing grows there is nothing to explain, and it is near 0.
    """

    exponent: float
    r2: float | None


class Passing(NamedTuple):
    """Where a cost passes a limit.

    Attributes:
        size: There; `None` where it does not within ten times the largest size that was measured.
        how: "measured": it lies between two measured sizes.
    """

    size: float | None
    how: How


def fit(points: Sequence[Point]) -> Fit:
    """Fit a power law by least squares on the logarithms; at least two points, of different sizes."""
    sizes, costs = [math.log(size) for size, _ in points], [math.log(cost) for _, cost in points]
    middle, level = math.fsum(sizes) / len(sizes), math.fsum(costs) / len(costs)
    across = math.fsum((size - middle) ** 2 for size in sizes)
    slope = math.fsum((size - middle) * (cost - level) for size, cost in zip(sizes, costs, strict=True)) / across
    total = math.fsum((cost - level) ** 2 for cost in costs)
    left = math.fsum((cost - level - slope * (size - middle)) ** 2 for size, cost in zip(sizes, costs, strict=True))
    return Fit(slope, None if len(points) < 3 else 1 - left / total if total else 1.0)


def passing(points: Sequence[Point], limit: float) -> Passing:
    """Return from which size on a cost is above a limit.

    Between the two measured sizes where that happens for good it is interpolated on the logarithms. Beyond the largest the cost is taken to
    grow with the exponent of all points, or with that of the last three where it is larger and they lie on a line: a fixed cost at small
    sizes makes the first too small.

    Args:
        points: In the order of their sizes.
        limit: Of the cost.
    """
    above = len(points)
    while above and points[above - 1][1] > limit:
        above -= 1
    if above == 0:
        return Passing(points[0][0], "at the smallest already")
    if above < len(points):
        (size, cost), later = points[above - 1], points[above]
        return Passing(size * (limit / cost) ** (1 / _exponent((size, cost), later)), "measured")
    size, cost = points[-1]
    exponent = _exponent_beyond(points) if len(points) > 1 else 0.0
    if exponent <= 0 or math.log(limit / cost) > exponent * math.log(10):
        return Passing(None, "far beyond the largest")
    return Passing(size * (limit / cost) ** (1 / exponent), "extrapolated")


def _exponent_beyond(points: Sequence[Point]) -> float:
    last = fit(points[-3:])
    is_line = last.r2 is None or last.r2 >= LINE_R2
    return max(fit(points).exponent, last.exponent if is_line else 0.0)


def _exponent(one: Point, other: Point) -> float:
    return math.log(other[1] / one[1]) / math.log(other[0] / one[0])
