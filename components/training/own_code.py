"""Losses and metrics of one's own, by their import path: `losses.py:focal`, `module:name`.

    def focal(y_true, y_pred):                          # losses.py
        wrong = keras.ops.abs(y_true - y_pred)
        return keras.ops.mean(wrong**3, axis=-1)        # a value for each row

    loss: losses.py:focal                               # in the train step; or {label: losses.py:focal}
    metrics: [accuracy, losses.py:Lift]

A function takes both as float32 `[batch, outputs]` and gives a value for each row, `[batch]`: then row
weights and class weights reach it. A mean over the batch is taken too where there are no weights. A class is
one below `keras.losses.Loss` or `keras.metrics.Metric` whose arguments have defaults; an object of one that
the file makes may be named as well, as in `focal = keras.losses.BinaryFocalCrossentropy(gamma=3)`.

`y_true` is the transformed label `[batch, 1]` of a regression, 0.0 or 1.0 `[batch, 1]` of two classes, a
one-hot `[batch, classes]` of more, or several ones of a multi-label task. A multi-class loss whose name
begins with `sparse` gets class numbers, int64 `[batch]`, and so do the metrics beside it.

What is written with `keras.ops` runs with every strategy; TensorFlow's own operations don't run on JAX.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from ...pipelines.component import Marker
from ...pipelines.errors import Problem
from ...pipelines.import_path import find_problem, plain_definition, split_path
from .keras_names import LOSSES, METRICS

LossNames = Annotated[str | dict[str, str], Marker("codes", LOSSES, "losses")]
"""A loss, or one by label: a Keras name, an import path, or the plain name of another package's."""
MetricNames = Annotated[list[str] | dict[str, list[str]], Marker("codes", METRICS, "metrics")]
"""Metrics, or such by label, named likewise."""
ARGUMENTS = ("loss", "metrics")
"""The arguments of `train` that take import paths of such code."""
_GIVEN = ("y_true", "y_pred")


def is_own(name: Any) -> bool:
    """Whether a loss or metric is named by an import path, and not by its Keras name."""
    return isinstance(name, str) and ":" in name and not name.startswith("${")


def own_paths(told: Any) -> tuple[str, ...]:
    """The import paths in the argument `loss` or `metrics`."""
    return tuple(dict.fromkeys(name for name in _names(told) if is_own(name)))


def _names(told: Any) -> Iterator[Any]:
    for one in told.values() if isinstance(told, Mapping) else [told]:
        yield from one if isinstance(one, list | tuple) else [one]


def own_problems(argument: str, path: str) -> list[Problem]:
    """What is wrong with the import path of a loss or metric, as far as its source says.

    Args:
        argument: "loss" or "metrics".
        path: `module:name` or `file.py:name`.
    """
    problem = find_problem(path) or _call_problem(argument, path)
    return [] if problem is None else [problem.at(argument=argument)]


def _call_problem(argument: str, path: str) -> Problem | None:
    """Why what a path names can't be called; nothing is said of what its file doesn't define plainly."""
    found = plain_definition(path)
    if found is None:
        return None
    node, file = found
    _, name = split_path(path)
    if isinstance(node, ast.ClassDef):
        return _class_problem(node, name, str(file))
    told = node.args
    positional = [*told.posonlyargs, *told.args]
    needed = len(positional) - len(told.defaults)
    required = [
        one.arg for one, value in zip(told.kwonlyargs, told.kw_defaults, strict=True) if value is None
    ]
    takes_two = needed <= 2 and (len(positional) >= 2 or told.vararg is not None)
    if takes_two and not required:
        return None
    names = ", ".join(one.arg for one in [*positional, *told.kwonlyargs])
    what = argument.removesuffix("s") if argument == "metrics" else argument
    return Problem(
        f"the {what} {name} takes ({names}), and is called with {' and '.join(_GIVEN)} alone",
        file=str(file),
        line=node.lineno,
        remedy=f"write def {name}({', '.join(_GIVEN)}); further arguments need defaults",
    )


def _class_problem(node: ast.ClassDef, name: str, file: str) -> Problem | None:
    made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    if not made:
        return None
    told = made[0].args
    positional = [*told.posonlyargs, *told.args][1:]
    needed = [one.arg for one in positional[: max(len(positional) - len(told.defaults), 0)]]
    needed += [one.arg for one, value in zip(told.kwonlyargs, told.kw_defaults, strict=True) if value is None]
    if not needed:
        return None
    return Problem(
        f"the class {name} needs {needed[0]!r}, which nothing gives",
        file=file,
        line=made[0].lineno,
        remedy=f"give it a default, or make an object in the file, `mine = {name}(…)`, and name that",
    )
