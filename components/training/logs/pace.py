"""How fast a training was, how long it waited for examples, and what to change about that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SHARE = 0.05
"""Of the time; a greater share of waiting is worth a hint."""
SECONDS = 1.0
"""Of waiting in all, below which there is nothing to gain."""
LARGE = 1024
"""A batch of rows of numbers of which it makes no difference that it is greater."""


@dataclass(frozen=True)
class Pace:
    """Of the training that this process did, without validation and the first step of each stage.

    Attributes:
        examples: that were learned from.
        seconds: in steps and in waiting for their batches.
        waited: of these in waiting.
    """

    examples: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def __add__(self, other: Pace) -> Pace:
        """Of both."""
        return Pace(self.examples + other.examples, self.seconds + other.seconds, self.waited + other.waited)

    @property
    def share(self) -> float:
        """Of the time that was spent waiting."""
        return min(self.waited / self.seconds, 1.0) if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Input:
    """What decides how fast examples come.

    Attributes:
        images: how images lie in the shards, "uint8", "png", "jpeg" or "float32"; empty without images.
        compressed: whether the shards are.
        augmented: whether images are augmented.
        kept: whether examples are kept once they are read.
        batch_size: of the training.
        cores: of the machine.
    """

    images: str
    compressed: bool
    augmented: bool
    kept: bool
    batch_size: int
    cores: int


def pace_text(pace: Pace, given: Input) -> str:
    """What is told at the end of a training; empty where nothing was trained.

    Args:
        pace: of the training.
        given: where its examples came from.
    """
    if not pace.examples or pace.seconds <= 0:
        return ""
    told = f"{pace.examples / pace.seconds:,.0f} examples/s, {pace.share:.1%} of the time waiting for them"
    if pace.share <= SHARE or pace.waited < SECONDS:
        return told
    return f"{told}; to wait less: {', '.join(_changes(given))}"


def _changes(given: Input) -> Iterator[str]:
    """What makes the input quicker, the most effective first."""
    if not given.kept:
        yield "cache: memory (or disk)"
    if given.images in ("png", "jpeg"):
        yield f"store: uint8 in the transform step (each {given.images} is decoded in every epoch)"
    elif given.images == "float32":
        yield "store: uint8 in the transform step (a quarter of the bytes)"
    if given.compressed and not given.kept:
        yield "no compression in the transform step"
    if given.augmented:
        yield "less augmentation"
    if not given.images and given.batch_size < LARGE:
        yield f"a greater batch_size (it is {given.batch_size})"
    yield f"more cores (there are {given.cores})"
