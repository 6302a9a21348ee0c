"""When checkpoints are made, and how many are kept. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...pipelines.errors import Problem

SHARE = 0.03
"""Of the time that checkpoints may take where their number isn't told in steps."""
KEYS = ("every_steps", "every_minutes", "keep")


@dataclass(frozen=True)
class CheckpointRule:
    """The argument `checkpoints`.

    Attributes:
        every_steps: steps from one to the next; 0 to go by the time.
        every_seconds: the time from one to the next; longer where one of them takes long.
        keep: how many of the last are kept.
    """

    every_steps: int = 0
    every_seconds: float = 60.0
    keep: int = 2

    @classmethod
    def of(cls, told: Mapping[str, Any] | None) -> CheckpointRule:
        """Of the argument, which `checkpoint_problems` has nothing against."""
        given = told or {}
        minutes = given.get("every_minutes", 1.0)
        return cls(given.get("every_steps", 0), 60.0 * minutes, given.get("keep", cls.keep))

    def is_due(self, steps: int, seconds: float, cost: float) -> bool:
        """Whether it is time for a checkpoint.

        Args:
            steps: since the last one, or the start.
            seconds: since then.
            cost: seconds that the last one took.
        """
        if self.every_steps:
            return steps >= self.every_steps
        return seconds >= max(self.every_seconds, cost / SHARE)


def checkpoint_problems(told: Any) -> list[Problem]:
    """What is wrong with the argument `checkpoints`."""
    if not isinstance(told, Mapping):
        return []
    found = [
        Problem(f"checkpoints has no {key!r}", given=str(key), available=KEYS)
        for key in told
        if key not in KEYS
    ]
    if "every_steps" in told and "every_minutes" in told:
        found.append(Problem("checkpoints are made every so many steps or minutes, not both"))
    for key in ("every_steps", "keep"):
        if key in told and not _is_count(told[key]):
            found.append(
                Problem(f"checkpoints: {key} has to be a whole number, 1 or more, not {told[key]!r}")
            )
    minutes = told.get("every_minutes", 1)
    if not _is_reference(minutes) and not (_is_number(minutes) and 0 < minutes < math.inf):
        found.append(Problem(f"checkpoints: every_minutes has to be a number above 0, not {minutes!r}"))
    return [problem.at(argument="checkpoints") for problem in found]


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_reference(value) or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
