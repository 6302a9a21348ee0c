"""The objective: a number in the summary of what a step gave, and whether more of it is better."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

Direction = Literal["minimize", "maximize"]
_LOWER = frozenset(
    [
        "loss",
        "error",
        "errors",
        "rmse",
        "mse",
        "mae",
        "mape",
        "msle",
        "brier",
        "ece",
        "entropy",
        "crossentropy",
        "deviance",
        "perplexity",
        "distance",
        "divergence",
        "cost",
        "wer",
        "cer",
        "seconds",
    ]
)
_HIGHER = frozenset(
    [
        "accuracy",
        "acc",
        "auc",
        "precision",
        "recall",
        "f1",
        "r2",
        "score",
        "lrap",
        "variance",
        "iou",
        "dice",
        "kappa",
        "ndcg",
        "map",
        "mrr",
        "bleu",
        "reward",
        "similarity",
        "sensitivity",
        "specificity",
    ]
)
_HOME = ("metrics", "best")
"""Where components keep their numbers: `evaluate.metrics.accuracy` may be written `evaluate.accuracy`."""


def direction_of(metric: str) -> Direction | None:
    """Which way a metric is better, by its name; None where the name doesn't tell.

    The last word that is known decides: in `error_score` that is `score`.

    >>> direction_of("price/rmse"), direction_of("val_top_3_accuracy"), direction_of("width")
    ('minimize', 'maximize', None)
    """
    for word in reversed(re.split(r"[^a-z0-9]+", metric.lower())):
        if word in _LOWER:
            return "minimize"
        if word in _HIGHER:
            return "maximize"
    return None


def numbers(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The numbers that a step's outputs tell of, by the name that an objective may have after the step's.

    Args:
        outputs: as in `StepRecord.outputs`, each with a `summary`.

    Returns:
        `accuracy` for one in `metrics` or `best` of the summary, else the dotted path; where a step has
        several outputs the output's name comes first.
    """
    found: dict[str, float] = {}
    for output, told in outputs.items():
        prefix = "" if len(outputs) == 1 else f"{output}."
        for path, value in _leaves(told["summary"]):
            head, _, rest = path.partition(".")
            found.setdefault(prefix + (rest if rest and head in _HOME else path), value)
    return found


def find(metric: str, outputs: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The number that an objective names, with or without `metrics.`; None if it isn't there."""
    known = numbers(outputs)
    if metric in known:
        return known[metric]
    for home in _HOME:  # written in full
        short = re.sub(rf"(^|\.){home}\.", r"\1", metric, count=1)
        if short in known:
            return known[short]
    return None


def _leaves(value: Any, path: str = "") -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [
            leaf
            for key, item in value.items()
            for leaf in _leaves(item, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(path, float(value))]
    return []


def live(metric: str, direction: Direction, progress: Mapping[str, Any]) -> float | None:
    """What a progress event tells of the objective, with its sign turned where it is better the other way.

    A step that trains tells `epoch` and the values on the validation split, with the epoch that they were
    measured after as `validated` if it isn't this one. The objective's own name on the validation split is
    looked for, then the validation loss, of which less is better.
    """
    own = re.split(r"[./]", metric)[-1]
    own = own if own.startswith("val_") else f"val_{own}"
    name = own if own in progress else "val_loss"
    value = progress.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if name == own or direction == "minimize" else -float(value)
