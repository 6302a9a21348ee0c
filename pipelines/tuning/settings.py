"""What a search is told: the section `tune` of a document, and the flags of `headrace tune`.

tune:
  over:
    train.learning_rate: 1e-4..1e-1:log
    train.model_args.width: [0.5, 1, 2]
  metric: evaluate.accuracy
  method: hyperband
  trials: 20
  parallel: 2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import PipelineError, Problem
from ..pipeline import leaves
from .metric import Direction, direction_of
from .space import Axis, axis_of, size

Method = Literal["random", "grid", "hyperband"]
METHODS: tuple[str, ...] = get_args(Method)
DIRECTIONS: tuple[str, ...] = get_args(Direction)
TRIALS = 20
"""How many trials there are unless told otherwise, but for a grid, which has an end of its own."""


@dataclass(frozen=True)
class TuneSettings:
    """A search.

    Attributes:
        over: what may be tried, by `step.argument`, or `step.argument.key` for one entry of a mapping.
        metric: `step.name` of the objective, see `metric.numbers`.
        direction: which way it is better.
        method: how settings are chosen.
        trials: how many there are at most.
        parallel: how many run at once.
        seed: of what is drawn.
    """

    over: Mapping[str, Axis]
    metric: str
    direction: Direction
    method: Method = "random"
    trials: int = TRIALS
    parallel: int = 1
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """As a document has it."""
        return {
            "over": {name: axis.to_json() for name, axis in self.over.items()},
            "metric": self.metric,
            "direction": self.direction,
            "method": self.method,
            "trials": self.trials,
            "parallel": self.parallel,
            "seed": self.seed,
        }


KEYS = ("over", "metric", "direction", "method", "trials", "parallel", "seed")


def tune_settings(told: Mapping[str, Any]) -> TuneSettings:
    """A search from what was written.

    Args:
        told: by the keys of the section `tune`; a missing direction is told from the metric's name.

    Raises:
        PipelineError: every problem, none of which needs the pipeline to be seen.
    """
    problems = shape_problems(told)
    if problems:
        raise PipelineError(problems)
    axes: dict[str, Any] = {name: axis_of(given) for name, given in told["over"].items()}
    method: Method = told.get("method") or "random"
    all_there_are = size(axes)
    trials = told.get("trials") or (all_there_are if method == "grid" else None) or TRIALS
    metric = told["metric"]
    direction = told.get("direction") or direction_of(metric)
    assert direction is not None  # else it is one of the problems
    return TuneSettings(
        over=axes,
        metric=metric,
        direction=direction,
        method=method,
        trials=min(trials, all_there_are or trials),
        parallel=told.get("parallel") or 1,
        seed=told.get("seed") or 0,
    )


def shape_problems(told: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a search whatever the pipeline is; arguments are dotted places in the section."""
    problems = [
        Problem(f"tune has no key {key!r}", argument=str(key), given=str(key), available=KEYS)
        for key in told
        if key not in KEYS
    ]
    problems += _over_problems(told.get("over"), told.get("method"))
    problems += _metric_problems(told.get("metric"), told.get("direction"))
    method = told.get("method")
    if method is not None and method not in METHODS:
        problems.append(
            Problem(f"there is no method {method!r}", argument="method", given=str(method), available=METHODS)
        )
    for key, least in (("trials", 1), ("parallel", 1), ("seed", 0)):
        value = told.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            problems.append(Problem(f"{key} has to be a whole number, {least} or more", argument=key))
    return problems


def _over_problems(over: Any, method: Any) -> list[Problem]:
    if not isinstance(over, Mapping) or not over:
        return [
            Problem(
                "the search is over nothing",
                argument="over",
                remedy="say what to try, by --over STEP.ARGUMENT=1e-4..1e-1:log or `tune: {over: …}`",
            )
        ]
    problems = []
    for name, given in over.items():
        axis = axis_of(given)
        if isinstance(axis, Problem):
            problems.append(axis.at(argument=f"over.{name}"))
        elif any(isinstance(leaf, str) and "${" in leaf for leaf in leaves(axis.to_json())):
            what = "a search can't refer to parameters or steps"
            problems.append(Problem(what, argument=f"over.{name}", remedy="write the values"))
        elif method == "grid" and size({name: axis}) is None:
            remedy = "list the values, or say how many: LOW..HIGH:log:4"
            what = "a grid can't be made of a range of floats"
            problems.append(Problem(what, argument=f"over.{name}", remedy=remedy))
    return problems


def _metric_problems(metric: Any, direction: Any) -> list[Problem]:
    if not isinstance(metric, str) or "." not in metric:
        what = "the search has no metric" if metric is None else f"{metric!r} names no step's metric"
        return [Problem(what, argument="metric", remedy="write STEP.METRIC, as in evaluate.accuracy")]
    if direction is None and direction_of(metric) is None:
        remedy = "look at its spelling, or say it by --maximize or --minimize (`direction: maximize`)"
        return [
            Problem(f"whether more of {metric} is better can't be told", argument="metric", remedy=remedy)
        ]
    if direction is not None and direction not in DIRECTIONS:
        given = str(direction)
        what = f"there is no direction {direction!r}"
        return [Problem(what, argument="direction", given=given, available=DIRECTIONS)]
    return []
