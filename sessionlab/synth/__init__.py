"""Realistic synthetic OpenClaw state folders of any size, seeded: the bundled sample, test data and benchmark input.

`write_state` writes a folder and returns the truth about it; `read_truth` reads that truth back. Split by noun: `dice` (chance and time),
`catalogue` (models, tools, words), `usage` (tokens and money), `session` and `shares` and `population` (who talks when), `flaws`,
`entries`, `transcripts`, `truth`, `write` (the disk). `day` is apart: the messages of one day, for parallel sessions; nothing on a disk.
Reads no store and depends on no reader, so that tests can hold the readers against it.
"""

from typing import Final, TypedDict

from sessionlab.synth.truth import SynthTruth, Tally, Tokens, read_truth
from sessionlab.synth.write import DEFAULT_NOW_MS, SynthArgumentError, SynthFolderError, write_state


class SampleArguments(TypedDict):
    """The arguments of `write_state` that the sample sets."""

    seed: int
    sessions: int


SAMPLE_ARGUMENTS: Final[SampleArguments] = {"seed": 20261120, "sessions": 300}
"""What `data/sample` was written with: `write_state(folder, **SAMPLE_ARGUMENTS)`; everything else at its default."""

__all__ = [
    "DEFAULT_NOW_MS",
    "SAMPLE_ARGUMENTS",
    "SynthArgumentError",
    "SynthFolderError",
    "SynthTruth",
    "Tally",
    "Tokens",
    "read_truth",
    "write_state",
]
