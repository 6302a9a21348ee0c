"""Labels that their task or their loss can't take, told before anything is learned from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, Problem
from .loss_fit import domain_of
from .tasks import Task


def label_problems(
    examples: Examples, split: str, task: Task, values: npt.NDArray[Any], loss: Any
) -> list[Problem]:
    """What is wrong with the labels of a split: how many, the first one, and where it is.

    Args:
        examples: transformed examples.
        split: which of them.
        task: what the label is for.
        values: the labels in the order of the shards: `[n]`, or `[n, classes]` of a multi-label task.
        loss: as `train` takes it.
    """
    if task.name == "regression":
        wrong, what, remedy = _wrong_values(values, task, loss)
    elif task.name == "multilabel":
        wrong = ((values != 0) & (values != 1)).any(axis=1)
        what = "neither 0 nor 1 for some class"
        remedy = _REMEDY
    else:
        last = len(task.classes) - 1
        wrong = (values < 0) | (values > last)
        what = f"no class, as there are {last + 1}, numbered from 0 to {last}"
        remedy = _REMEDY
    if not wrong.any():
        return []
    first = int(np.argmax(wrong))
    path, record = part_of(examples, split, first)
    return [
        Problem(
            f"{int(wrong.sum()):,} of {len(values):,} labels {task.label!r} in the split {split!r} are "
            f"{what}; the first is {_told(values[first])}, example {first:,} (record {record:,} of {path})",
            argument="examples",
            remedy=remedy,
        )
    ]


def require_labels_fit(problems: list[Problem]) -> None:
    """Refuses what `label_problems` found.

    Raises:
        DataError: there is something.
    """
    if problems:
        raise DataError(problems)


def part_of(examples: Examples, split: str, number: int) -> tuple[str, int]:
    """The shard that holds an example, and its record there, from 1.

    Args:
        examples: transformed examples.
        split: which of them.
        number: of the example, from 0 in the order of the shards.
    """
    for part in examples.splits[split]["parts"]:
        if number < part["rows"]:
            return str(part["path"]), number + 1
        number -= part["rows"]
    raise IndexError(number)


_REMEDY = (
    "these shards are not what the transform step writes: run it anew (--force), or mend what writes them"
)


def _wrong_values(values: npt.NDArray[Any], task: Task, loss: Any) -> tuple[npt.NDArray[Any], str, str]:
    wrong = ~np.isfinite(values)
    if wrong.any():
        return (
            wrong,
            "NaN or infinite",
            "impute or clip the label in the transform step, or leave these rows out",
        )
    domain = domain_of(loss, task.label)
    if domain is None:
        return wrong, "", ""
    low, high, why = domain
    name = loss if isinstance(loss, str) else loss[task.label]
    outside = f"below {low:g}" if high == np.inf else f"outside {low:g} to {high:g}"
    return (
        (values < low) | (values > high),
        f"{outside}, and the loss {name} {why}",
        "give the label no transform that moves it there (z_score does), as in label: "
        f"{{{task.label}: identity}}, or take another loss, such as mean_squared_error",
    )


def _told(value: Any) -> str:
    return f"{value:g}" if np.ndim(value) == 0 else str(value.tolist())
