"""What a synthetic installation consists of: models with prices, tools, skills, words.

Our own inventions, apart from public model names and prices.
Facts only: nothing here rolls dice except the text pool, which is made once per folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from sessionlab.synth.dice import Dice


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Prices are micro-dollars per 1,000 tokens, integers, so that every cost is exact."""

    provider: str
    name: str
    api: str
    context_tokens: int
    input_price: int
    output_price: int
    cache_read_price: int
    cache_write_price: int


MODELS: Final = (
    Model("anthropic", "claude-sonnet-4-6", "anthropic-messages", 1_000_000, 3_000, 15_000, 300, 3_750),
    Model("anthropic", "claude-opus-4-6", "anthropic-messages", 200_000, 5_000, 25_000, 500, 6_250),
    Model("openai", "gpt-5.4", "openai-responses", 272_000, 2_500, 15_000, 250, 0),
    Model("google", "gemini-3-pro-preview", "google-generative-ai", 1_000_000, 2_000, 12_000, 200, 0),
    Model("openai-codex", "gpt-5.4", "openai-codex-responses", 272_000, 0, 0, 0, 0),
    Model("ollama", "qwen3:32b", "openai-completions", 65_536, 0, 0, 0, 0),
)
SONNET, OPUS, GPT, GEMINI, CODEX, QWEN = range(len(MODELS))

EVERYDAY_MODELS: Final = (SONNET, SONNET, SONNET, SONNET, OPUS, GPT, GPT, GEMINI, GEMINI, CODEX, QWEN)
"""Model numbers as people choose them; repeated ones are chosen more often."""

TOOLS: Final = (
    "read",
    "edit",
    "write",
    "exec",
    "process",
    "browser",
    "canvas",
    "message",
    "web_search",
    "web_fetch",
    "memory_search",
    "memory_get",
    "sessions_list",
    "sessions_history",
    "sessions_send",
    "sessions_spawn",
    "cron",
    "image",
    "tts",
    "gateway",
)

WORKSPACE_FILES: Final = ("AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md", "USER.md", "HEARTBEAT.md", "MEMORY.md")

_WORD_LIST: Final = """
    harbour lantern meadow orchard pebble quarry ripple saddle timber valley willow anchor barrel candle drizzle ember falcon
    granite hollow island juniper kettle linen marble nettle otter parcel quilt raven sparrow thistle umbrella velvet walnut yarrow
    almond basket copper dapple engine feather goblet hazel inkwell jacket kelp ladder mitten needle olive pepper quiver rudder
    spindle teapot urchin violet wagon yonder acorn bramble cobble dusk elder fennel gravel heron iris jasper knoll larch moss
    north oriole plume quartz reed slate tundra upland verge wharf yield azure birch crane delta estuary fjord glade heath inlet
    jetty kiln loom mast notch ochre prow quay ridge shoal tarn usher vane weir yoke arch brook cliff dune eddy fern grove"""
WORDS: Final = tuple(_WORD_LIST.split())
_RARE_WORDS: Final = ("Zürich", "café", "naïve", "Ærø", "høst", "灯台", "港", "сосна", "☕", "🙂", '"quoted"', "back\\slash")


def escaped(text: str) -> str:
    """Return `text` as the inside of a JSON string, escaped as `JSON.stringify` does."""
    return msgspec.json.encode(text).decode()[1:-1]


class Salad:
    """A long run of meaningless sentences, already escaped for JSON, from which transcripts cut their texts.

    Cutting from one prepared string is what makes a gigabyte of transcripts possible in a minute; the cut never splits an escape,
    because it ends at a space and no escape holds one.
    """

    __slots__ = ("_starts", "_text")

    def __init__(self, dice: Dice, *, words: int = 40_000) -> None:
        parts: list[str] = []
        starts: list[int] = []
        position = sentence = 0
        for _ in range(words):
            word = dice.pick(_RARE_WORDS) if dice.chance(0.01) else dice.pick(WORDS)
            sentence += 1
            if sentence == 1:
                word = word.capitalize()
            if sentence > 4 and dice.chance(0.14):
                word, sentence = word + (".\n" if dice.chance(0.15) else "."), 0
            piece = escaped(word) + " "
            starts.append(position)
            parts.append(piece)
            position += len(piece)
        self._text = "".join(parts)
        self._starts = starts

    def cut(self, dice: Dice, length: int) -> str:
        """Return about `length` characters (whole words, at least one) of JSON-escaped text."""
        start = self._starts[int(dice.random() * (len(self._starts) - 1))]
        end = self._text.find(" ", min(start + max(length, 1), len(self._text) - 1))
        return self._text[start:end]

    def words(self, dice: Dice, count: int) -> str:
        """Return `count` plain words, for labels and names; needs no escaping."""
        return " ".join(dice.pick(WORDS) for _ in range(count))
