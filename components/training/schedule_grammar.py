"""A learning-rate schedule as it is written: a name and its arguments become a plan, or problems. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...pipelines.errors import Problem
from ..preprocessing.link_arguments import link_arguments
from .schedule_base import Schedule, WarmUp
from .schedules import SCHEDULES, Constant

ARGUMENT = "learning_rate_schedule"
WARM_UP = WarmUp.name


@dataclass(frozen=True)
class RatePlan:
    """What becomes of the learning rate in the course of a training.

    Attributes:
        schedule: what it is after the warm-up.
        warmup: what is before; of no steps if it isn't asked for.
    """

    schedule: Schedule = field(default_factory=Constant)
    warmup: WarmUp = field(default_factory=WarmUp)


def parse_schedule(told: Any) -> tuple[RatePlan, list[Problem]]:
    """The plan of the argument `learning_rate_schedule`, and what is wrong with it.

    Args:
        told: a name, `{name: value of the first argument}` or `{name: {argument: value}}`, and in a mapping
            `warmup` beside it: a number of epochs, or `{argument: value}`.
    """
    written = dict(told) if isinstance(told, Mapping) else {told: None}
    warmup, problems = _made(WarmUp, written.pop(WARM_UP, None))
    if len(written) != 1:
        listed = ", ".join(map(str, written)) or "none"
        what = (
            f"a schedule is one name with its arguments, and warmup beside it; the names here are: {listed}"
        )
        remedy = "write {cosine: {final: 0.01}, warmup: 3}, or constant: {} for nothing behind the warm-up"
        wrong = Problem(what, argument=ARGUMENT, available=tuple(SCHEDULES), remedy=remedy)
        return RatePlan(), [*problems, wrong]
    name, given = next(iter(written.items()))
    if not isinstance(name, str) or name not in SCHEDULES:
        what = f"there is no learning-rate schedule {name!r}"
        wrong = Problem(what, argument=ARGUMENT, given=str(name), available=tuple(SCHEDULES))
        return RatePlan(), [*problems, wrong]
    schedule, wrongs = _made(SCHEDULES[name], given)
    problems += wrongs
    return (RatePlan(), problems) if problems else (RatePlan(schedule, warmup), [])


def schedule_problems(told: Any) -> list[Problem]:
    """What is wrong with the argument `learning_rate_schedule`; nothing of a reference."""
    if told is None or (isinstance(told, str) and told.startswith("${")):
        return []
    return parse_schedule(told)[1]


def _made(cls: Any, given: Any) -> tuple[Any, list[Problem]]:
    arguments, problems = link_arguments(cls, given, ARGUMENT)
    if problems:
        return None, problems
    made = cls(**arguments)
    wrong = made.problem()
    return made, [Problem(f"{cls.name}: {wrong}", argument=ARGUMENT)] if wrong else []
