"""The tokens of one model call, what they cost, and how both are written into a transcript."""

from __future__ import annotations

import msgspec

from sessionlab.synth.catalogue import MODELS
from sessionlab.synth.dice import Dice


class Usage(msgspec.Struct, frozen=True):
    """The tokens of one model call."""

    input: int
    output: int
    cache_read: int
    cache_write: int


def draw_usage(dice: Dice, model: int, context: int) -> Usage:
    """Return the tokens of a call whose prompt holds about `context` tokens."""
    fresh = dice.between(40, 2_400)
    written = dice.between(0, min(6_000, context // 4)) if MODELS[model].provider == "anthropic" else 0
    return Usage(fresh, dice.between(30, 500) + dice.skewed(0, 2_500), max(0, context - written), written)


def cost_microusd(number: int, usage: Usage) -> tuple[int, int, int, int]:
    """Return what a call of model `number` costs: (input, output, cache read, cache write) in micro-dollars, each rounded."""
    model = MODELS[number]
    return (
        (usage.input * model.input_price + 500) // 1000,
        (usage.output * model.output_price + 500) // 1000,
        (usage.cache_read * model.cache_read_price + 500) // 1000,
        (usage.cache_write * model.cache_write_price + 500) // 1000,
    )


def usage_json(usage: Usage, costs: tuple[int, int, int, int] | None) -> str:
    """Return a message's `usage` object; without `cost` when there are no costs."""
    total = usage.input + usage.output + usage.cache_read + usage.cache_write
    cost = ""
    if costs is not None:
        cost = (
            f',"cost":{{"input":{usd(costs[0])},"output":{usd(costs[1])},"cacheRead":{usd(costs[2])},"cacheWrite":{usd(costs[3])},'
            f'"total":{usd(sum(costs))}}}'
        )
    return (
        f'{{"input":{usage.input},"output":{usage.output},"cacheRead":{usage.cache_read},"cacheWrite":{usage.cache_write},'
        f'"totalTokens":{total}{cost}}}'
    )


def usd(microusd: int) -> str:
    """Return micro-dollars as JavaScript writes the number of dollars: `0`, `3`, `0.0804`, never `8e-05`."""
    whole, rest = divmod(microusd, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)
