"""What is told of the time in which the network had to wait for examples. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MUCH = 0.05
"""The share of the time from which on people are told what to change."""
LEAST = 1.0
"""Seconds of training below which the share says nothing."""


@dataclass(frozen=True)
class InputWait:
    """How long the steps of a training took, and how much of that was waiting for examples.

    The first step of each stage, in which the pipeline starts and the step is compiled, isn't counted.

    Attributes:
        seconds: in steps, with what they waited for.
        waited: seconds of these spent waiting for batches.
    """

    seconds: float = 0.0
    waited: float = 0.0

    def __add__(self, other: InputWait) -> InputWait:
        """Both together."""
        return InputWait(self.seconds + other.seconds, self.waited + other.waited)

    @property
    def share(self) -> float:
        """Of the time, from 0 to 1."""
        return min(1.0, self.waited / self.seconds) if self.seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """For the run's record."""
        return {"seconds": round(self.seconds, 3), "waited": round(self.waited, 3)}

    def text(self) -> str:
        """As people are told; empty where the training was too short to say."""
        if self.seconds < LEAST:
            return ""
        return f"{100 * self.share:.2g} % of the training's time was spent waiting for examples"


def advice(cache: str, images: bool, augment: Sequence[Any]) -> str:
    """What to change where a network waits for its examples.

    Args:
        cache: the argument of that name.
        images: whether a feature is an image.
        augment: the argument of that name.
    """
    ways = []
    if cache in ("auto", "none"):
        ways.append("keep the examples in memory or on a fast disk (cache: memory, or cache: disk)")
    if images:
        ways.append("resize the images to fewer pixels in the transform step")
    if augment:
        ways.append("augment less")
    ways.append("give the machine more cores, or the store a faster disk")
    return "; ".join(ways)
