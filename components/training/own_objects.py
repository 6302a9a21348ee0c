"""Losses and metrics of one's own as Keras takes them, tried on a few rows before anything is trained.

How they are named and what they are called with is told in `own_code`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ...pipelines.errors import InvalidRequestError
from ...pipelines.import_path import load_function, split_path
from .own_code import is_own
from .tasks import LOSSES, Task

ROWS = 4
_BASES = {"loss": keras.losses.Loss, "metrics": keras.metrics.Metric}
_CLASSES = {"loss": "keras.losses.Loss", "metrics": "keras.metrics.Metric"}


def loss_of(name: str) -> Any:
    """A loss as `compile` takes it: a Keras name as it is, or what an import path leads to."""
    return _made("loss", name) if is_own(name) else name


def metric_of(name: str) -> Any:
    """A metric as `compile` takes it; one that has a state comes as a new object each time."""
    return _made("metrics", name) if is_own(name) else name


def is_sparse_loss(loss: Any) -> bool:
    """Whether a loss takes class numbers in place of one-hots: its name begins with `sparse`."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name).lower().startswith("sparse")


def require_own(told: Mapping[str, Any], tasks: Sequence[Task], weighted: bool) -> None:
    """Loads all losses and metrics of one's own, and calls each with a few made-up rows.

    Args:
        told: the arguments `loss` and `metrics`; by label, or for all.
        tasks: what is learned.
        weighted: whether rows have weights, which need a loss for each row.

    Raises:
        InvalidRequestError: one can't be had or called, gives what it can't, or two have one name.
    """
    for task in tasks:
        loss = told.get("loss") or LOSSES[task.name]
        loss = loss.get(task.label, LOSSES[task.name]) if isinstance(loss, Mapping) else loss
        rows = _rows(task, is_sparse_loss(loss_of(loss)))
        if is_own(loss):
            _require_loss(loss, rows, weighted)
        names = told.get("metrics") or ()
        for metric in (names.get(task.label) or ()) if isinstance(names, Mapping) else names:
            if is_own(metric):
                _require_metric(metric, rows)


def _made(argument: str, path: str) -> Any:
    value: Any = load_function(path)
    base = _BASES[argument]
    others = tuple(kind for kind in _BASES.values() if kind is not base)
    kind = value if isinstance(value, type) else type(value)
    if issubclass(kind, others) or (isinstance(value, type) and not issubclass(value, base)):
        raise InvalidRequestError(
            f"{_short(path)} is no {_CLASSES[argument]}",
            argument=argument,
            file=split_path(path)[0],
            remedy=f"name a function of (y_true, y_pred), or a class below {_CLASSES[argument]}",
        )
    try:
        if isinstance(value, type):
            return value()
        if isinstance(value, keras.metrics.Metric):  # its own state is that of whoever else uses it
            return type(value).from_config(value.get_config())
    except Exception as error:
        raise _failure(argument, path, error, "can't be made") from error
    return value


def _require_loss(path: str, rows: tuple[Any, Any], weighted: bool) -> None:
    made = loss_of(path)
    given = _called("loss", path, made.call if isinstance(made, keras.losses.Loss) else made, rows)
    shape = tuple(getattr(given, "shape", ()))
    if shape[:1] == (ROWS,) or (not shape and not weighted):
        return
    told = "one value" if not shape else f"shape {list(shape)}"
    why = ", and rows have weights" if not shape else ""
    raise InvalidRequestError(
        f"the loss {_short(path)} gives {told} for {ROWS} rows{why}",
        argument="loss",
        remedy="give a value for each row: keras.ops.mean(…, axis=-1), and no mean over the rows",
    )


def _require_metric(path: str, rows: tuple[Any, Any]) -> None:
    made = metric_of(path)
    if not isinstance(made, keras.metrics.Metric):
        _called("metrics", path, made, rows)
        return

    def call(y_true: Any, y_pred: Any) -> Any:
        made.update_state(y_true, y_pred)
        return made.result()

    shapes = [
        tuple(getattr(one, "shape", ())) for one in keras.tree.flatten(_called("metrics", path, call, rows))
    ]
    several = next(filter(None, shapes), None)
    if several:
        raise InvalidRequestError(
            f"the metric {_short(path)} gives numbers of shape {list(several)} in place of one",
            argument="metrics",
            remedy='take their mean in result(), as average="macro" does in some metrics of Keras',
        )


def _called(argument: str, path: str, function: Callable[[Any, Any], Any], rows: tuple[Any, Any]) -> Any:
    y_true, y_pred = (keras.ops.convert_to_tensor(one) for one in rows)
    try:
        return function(y_true, y_pred)
    except Exception as error:
        shapes = f"y_true {list(rows[0].shape)} and y_pred {list(rows[1].shape)}"
        raise _failure(argument, path, error, f"failed with {shapes}") from error


def _failure(argument: str, path: str, error: Exception, what: str) -> InvalidRequestError:
    """What one's own code raised, with the place in it."""
    own = Path(split_path(path)[0]).name
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).name == own]
    return InvalidRequestError(
        f"{_short(path)} {what}: {type(error).__name__}: {error}",
        argument=argument,
        file=frames[-1].filename if frames else "",
        line=(frames[-1].lineno or 0) if frames else 0,
        remedy="use keras.ops, and look at the shapes in headrace.components.training.own_code",
    )


def _rows(task: Task, sparse: bool) -> tuple[Any, Any]:
    """`y_true` and `y_pred` of a task, with every class among them."""
    numbers = np.arange(ROWS) % max(len(task.classes), 2)
    guesses = np.full((ROWS, task.outputs), 1 / max(len(task.classes), 2), np.float32)
    if task.name == "multiclass":
        hot = np.eye(task.outputs, dtype=np.float32)[numbers]
        return (numbers.astype(np.int64) if sparse else hot), guesses
    if task.name == "multilabel":
        return (np.arange(ROWS * task.outputs).reshape(ROWS, -1) % 2).astype(np.float32), guesses
    return numbers.astype(np.float32)[:, None], guesses


def _short(path: str) -> str:
    place, name = split_path(path)
    return f"{Path(place).name}:{name}"
