"""The stages of a training: from which examples which layers learn, how long and how fast. Light.

    stages:
      - {examples: pretraining, epochs: 20, learning_rate_schedule: {cosine: {}, warmup: 2}}
      - {epochs: 3, freeze: learner, optimizer: {sgd: {momentum: 0.9}}, learning_rate: 1e-3}
      - {epochs: 5, freeze_before: conv5_*, learning_rate: 1e-4, train_split: clean}
      - {epochs: 5, learning_rate: 1e-5, patience: 2}

What a stage doesn't say is as in the step. A layer is named by a pattern for its name, or for that of the
part that it is in (`stem`, `learner`), or for both, as in `learner/conv4_*`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...pipelines.errors import InvalidRequestError, Problem
from .optimizers import optimizer_problems
from .schedule_grammar import schedule_problems

PRETRAINING = "pretraining"
"""`examples: pretraining` takes those of the step's input of this name."""
OWN = "examples"
"""`examples: examples` takes the step's own, as saying nothing does."""
NONE = "none"
"""`freeze: none` says that every layer learns, as saying nothing does."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Attributes:
        epochs, patience, batch_size: 0 to take the step's.
        learning_rate: None to take the step's.
        learning_rate_schedule: over the epochs of the stage; empty to take the step's.
        optimizer: empty to take the step's.
        examples: "pretraining", or empty for the step's own.
        train_split, validation_split: of these examples; empty to take the step's.
        freeze: patterns of layers that don't learn.
        freeze_first: how many layers with weights don't learn, counted from the input.
        freeze_before: a pattern; the layers in front of the first that it fits don't learn. Empty for none.
    """

    epochs: int = 0
    patience: int = 0
    learning_rate: float | None = None
    learning_rate_schedule: str | Mapping[str, Any] = ""
    optimizer: str | Mapping[str, Any] = ""
    batch_size: int = 0
    examples: str = ""
    train_split: str = ""
    validation_split: str = ""
    freeze: tuple[str, ...] = ()
    freeze_first: int = 0
    freeze_before: str = ""

    @property
    def has_data(self) -> bool:
        """Whether it learns from other examples than the step says."""
        return bool(self.examples or self.train_split or self.validation_split)

    def told(self) -> dict[str, Any]:
        """What it says, as JSON values."""
        return {key: value for key, value in asdict(self).items() if value}


KEYS = (
    "batch_size", "epochs", "examples", "freeze", "freeze_before", "learning_rate", "learning_rate_schedule",
    "optimizer", "patience", "train_split", "validation_split",
)  # fmt: skip


def stages_of(told: Sequence[Mapping[str, Any]] | None) -> tuple[Stage, ...]:
    """The stages that a step is told of.

    Raises:
        InvalidRequestError: one of them says what it can't.
    """
    problems = stage_problems(told)
    if problems:
        raise InvalidRequestError(problems)
    return tuple(_stage(one) for one in told or ())


def stage_problems(told: Any) -> list[Problem]:
    """What is wrong with the argument `stages`."""
    if not isinstance(told, Sequence) or isinstance(told, str):
        return []
    problems = [
        problem.at(argument="stages")
        for number, stage in enumerate(told, start=1)
        if isinstance(stage, Mapping)
        for problem in _problems(f"stage {number}", stage)
    ]
    if not told:
        remedy = "name one, as in [{epochs: 3, freeze: learner}, {epochs: 5}], or leave stages out"
        problems.append(Problem("there are no stages in it", argument="stages", remedy=remedy))
    return problems


def _stage(told: Mapping[str, Any]) -> Stage:
    given = {key: value for key, value in told.items() if value is not None and key != "freeze"}
    if given.get("examples") == OWN:
        del given["examples"]
    freeze = told.get("freeze")
    if isinstance(freeze, int):
        return Stage(**given, freeze_first=freeze)
    patterns = (freeze,) if isinstance(freeze, str) else tuple(freeze or ())
    return Stage(**given, freeze=() if patterns == (NONE,) else patterns)


def _problems(name: str, told: Mapping[str, Any]) -> list[Problem]:
    found = [
        Problem(f"{name} has no {key!r}", given=str(key), available=KEYS) for key in told if key not in KEYS
    ]
    for key, wanted, fits in _RULES:
        value = told.get(key)
        if value is not None and not _is_reference(value) and not fits(value):
            found.append(Problem(f"{name}: {key} has to be {wanted}, not {value!r}"))
    for problem in [
        *schedule_problems(told.get("learning_rate_schedule")), *optimizer_problems(told.get("optimizer"))
    ]:  # fmt: skip
        found.append(replace(problem, what=f"{name}: {problem.what}", argument=""))
    return found


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_rate(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def _is_pattern(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_freeze(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_pattern(one) for one in value)
    return _is_pattern(value) or _is_count(value, 0)


_RULES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("epochs", "a whole number, 1 or more", lambda value: _is_count(value, 1)),
    ("patience", "a whole number, 1 or more", lambda value: _is_count(value, 1)),
    ("batch_size", "a whole number, 1 or more", lambda value: _is_count(value, 1)),
    ("learning_rate", "a number above 0", _is_rate),
    ("examples", f"{OWN} or {PRETRAINING}", lambda value: value in (OWN, PRETRAINING)),
    ("train_split", "the name of a split", _is_pattern),
    ("validation_split", "the name of a split", _is_pattern),
    ("freeze", "none, a pattern of names or a list of them, or a number of layers", _is_freeze),
    ("freeze_before", "a pattern of names", _is_pattern),
)
