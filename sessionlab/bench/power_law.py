"""How a cost grows: the exponent of `cost ~ size ** exponent`, and the size at which it passes a limit.

The exponent says how a cost grew between the sizes that were measured. It is not what is extrapolated with: most costs are a fixed part and
a part for each session, and the fixed one, which matters at small sizes, makes the exponent of all sizes too small for the large ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

Point = tuple[float, float]
"""(size, cost), both more than 0."""
FURTHEST: Final = 10
"""How many times beyond the largest measured size anything is said at all."""
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
    return Fit(slope, None if len(points) < 3 else 1 - left / total if total else 0.0)


def slope_beyond(points: Sequence[Point]) -> float:
    """Return by how much a cost is taken to grow for each more of the size, beyond the largest; at least two points, by their sizes.

    It is that of the best `fixed + slope * size`, or of the last two points, whichever is steeper: chance may bend the last two down, and
    what grows faster than its size bends them up. Each point counts by how far the line is from it in proportion to its cost.
    """
    weights = [cost**-2 for _, cost in points]
    whole = math.fsum(weights)
    middle = math.fsum(weight * size for weight, (size, _) in zip(weights, points, strict=True)) / whole
    level = math.fsum(weight * cost for weight, (_, cost) in zip(weights, points, strict=True)) / whole
    across = math.fsum(weight * (size - middle) ** 2 for weight, (size, _) in zip(weights, points, strict=True))
    along = math.fsum(weight * (size - middle) * (cost - level) for weight, (size, cost) in zip(weights, points, strict=True))
    (size, cost), (larger, later) = points[-2:]
    return max(along / across, (later - cost) / (larger - size))


def passing(points: Sequence[Point], limit: float) -> Passing:
    """Return from which size on a cost is above a limit.

    Between the two measured sizes where that happens for good it is interpolated on the logarithms. Beyond the largest the cost is taken to
    grow as `slope_beyond` says, from the last point on, and nothing is said of sizes more than `FURTHEST` times as large.

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
    slope = slope_beyond(points) if len(points) > 1 else 0.0
    if slope <= 0 or cost + slope * (FURTHEST - 1) * size < limit:
        return Passing(None, "far beyond the largest")
    return Passing(size + (limit - cost) / slope, "extrapolated")


def _exponent(one: Point, other: Point) -> float:
    return math.log(other[1] / one[1]) / math.log(other[0] / one[0])
