"""A look at a network before it is trained: a few made-up rows go through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...pipelines.errors import InvalidRequestError
from ..models.inputs import DENSE
from .feed import Feed
from .tasks import Task, output_keys

ROWS = 8


def probe(network: keras.Model, feed: Feed, tasks: Sequence[Task], name: str) -> None:
    """Sends made-up rows through the network, and looks at what comes out.

    Args:
        network: fed as `feed` says.
        feed: how features are packed.
        tasks: what the network is for.
        name: of the model function.

    Raises:
        InvalidRequestError: it doesn't take the rows, gives another shape, or no probabilities.
    """
    try:
        given = network(feed.network_input(_rows(feed)), training=False)
    except Exception as error:
        raise InvalidRequestError(
            f"the model of {name} does not take {_wanted(feed)}: {error}", argument="model"
        ) from error
    if len(tasks) == 1:
        _require_output(given, tasks[0], f"the model of {name}")
        return
    keys = output_keys(tasks)
    if not isinstance(given, Mapping) or set(given) != set(keys.values()):
        what = f"a dict of {', '.join(given)}" if isinstance(given, Mapping) else f"a {type(given).__name__}"
        raise InvalidRequestError(
            f"the model of {name} gives {what}, and for several labels it has to give a dict of "
            f"{', '.join(keys.values())}",
            argument="model",
            remedy="return keras.Model(inputs, {key: layer for each key in outputs})",
        )
    for task in tasks:
        _require_output(given[keys[task.label]], task, f"the output {keys[task.label]!r} of {name}")


def _rows(feed: Feed) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for name, (dtype, shape) in feed.shapes.items():
        values: Any
        if dtype == "float32":
            values = draw.normal(size=(ROWS, *shape))
        else:
            # -1 is a missing bucket, which no look-up may fail on.
            values = draw.integers(*((0, 256) if dtype == "uint8" else (-1, 2)), size=(ROWS, *shape))
        made[name] = tf.constant(values, dtype)
    return made


def _wanted(feed: Feed) -> str:
    if feed.kind == "matrix":
        return f"a matrix [rows, {feed.widths[DENSE]}]"
    if feed.kind == "packed":
        return f"a dict of {', '.join(feed.widths)}"
    told = [f"{f.key} [rows, {', '.join(map(str, f.shape or (f.width,)))}]" for f in feed.packed.features]
    return "a dict of " + ", ".join(told)


def _require_output(given: Any, task: Task, what: str) -> None:
    outputs = None if isinstance(given, Mapping | list | tuple) else np.asarray(given)
    if outputs is None or outputs.shape != (ROWS, task.outputs):
        shape = type(given).__name__ if outputs is None else f"shape {['rows', *outputs.shape[1:]]}"
        raise InvalidRequestError(
            f"{what} gives {shape} and the task {task.name!r} needs ['rows', {task.outputs}]",
            argument="model",
            remedy="the last layer needs `outputs` units",
        )
    sums_to_one = task.name != "multiclass" or np.allclose(outputs.sum(axis=1), 1.0, atol=1e-3)
    if task.classes and not (outputs.min() >= 0.0 and outputs.max() <= 1.0 and sums_to_one):
        last = "softmax" if task.name == "multiclass" else "sigmoid"
        raise InvalidRequestError(
            f"{what} does not give probabilities (it gave {outputs[0][:4].tolist()})",
            argument="model",
            remedy=f"end it with the activation {last!r}",
        )
