"""Train a Keras model on transformed examples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from ..pipelines.artifact import MANIFEST, Examples, Model, Transform
from ..pipelines.component import CodePath, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import DataError, InvalidRequestError, Problem, closest
from .models import BUILT_IN
from .models.user import call_problem, find_problem
from .training.keras_names import LOSSES, METRICS, OPTIMIZERS

if TYPE_CHECKING:
    from .preprocessing.fitted import FittedTransform
    from .training.tasks import Task


@component(process="tensorflow")
def train(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    *,
    model: CodePath = "mlp",
    model_args: dict[str, Any] | None = None,
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto",
    epochs: Annotated[int, Meta(ge=1)] = 20,
    batch_size: Annotated[int, Meta(ge=1)] | None = None,
    optimizer: str = "adam",
    learning_rate: Annotated[float, Meta(gt=0)] | None = None,
    learning_rate_schedule: Literal["constant", "cosine"] = "cosine",
    loss: str | None = None,
    metrics: list[str] | None = None,
    patience: Annotated[int, Meta(ge=1)] | None = None,
    train_split: str = "train",
    validation_split: str = "validation",
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0,
) -> Model:
    """Trains a network and keeps the weights of the epoch with the least validation loss.

    The task follows the label: a value makes a regression, two classes a binary task, more a multi-class
    one. Equal arguments give equal weights, bit by bit, on a CPU; the artifact is known by their digest.

    Args:
        examples: transformed examples, float32 features `[rows, width]` side by side.
        transform: the Transform that made them; the Model carries a copy.
        model: `mlp`, `linear`, or the import path of a function that returns a Keras model; see
            `headrace.components.models`.
        model_args: more keyword arguments of the model function, for example `{hidden_units: [64, 32]}`.
        task: overrules the rule above.
        epochs: how often the training split is gone through at most.
        batch_size: examples a step; by default 64, or fewer where an epoch would have less than 16 steps.
        optimizer: by its Keras name. Optimizer, loss and metrics of a model that comes compiled stay.
        learning_rate: the optimizer's own default if not given.
        learning_rate_schedule: "cosine" lets the rate sink to 0 over all epochs, "constant" keeps it.
        loss: by its Keras name; the default is the squared error or the cross-entropy.
        metrics: Keras names of what else is shown during training; `accuracy` for classes by default.
        patience: stop after so many epochs without a better validation loss.
        train_split: the split to learn from.
        validation_split: the split that chooses the epoch; without rows in it the last epoch is kept.
        seed: of the initial weights, the dropout and the order of the examples.

    Raises:
        InvalidRequestError: the task doesn't fit the label, or Keras refuses model, optimizer or loss.
        DataError: too few examples.
        StepError: the loss is NaN or infinite.
    """
    from .dataset import shard_errors
    from .evaluation.predictions import require_same_features
    from .preprocessing.fitted_file import load_fitted
    from .training.loop import Settings, default_batch_size, train_network

    fitted = load_fitted(transform.path)
    learned = _task(fitted, task)
    validation = _splits(ctx, examples, transform, learned, train_split, validation_split)
    require_same_features(examples, fitted)
    batch = batch_size or default_batch_size(examples.rows(train_split))
    settings = Settings(
        model, model_args or {}, epochs, batch, optimizer, learning_rate, learning_rate_schedule,
        loss, metrics or [], patience, seed,
    )  # fmt: skip
    width = sum(feature.width for feature in fitted.features)
    with shard_errors(examples, train_split):
        trained = train_network(examples, train_split, validation, width, learned, settings, ctx.progress)
    facts = {"history": trained.history, "best_epoch": trained.best_epoch, "settings": _told(settings)}
    labels = _label_facts(examples, train_split, fitted, learned)
    return _publish(ctx, transform, trained, learned, width, model, {**facts, "train_label": labels})


def _task(fitted: FittedTransform, wanted: str) -> Task:
    from .training.tasks import task_of

    if fitted.label is None:
        raise InvalidRequestError(
            "the transform has no label, so there is nothing to learn",
            argument="transform",
            remedy="give the transform step a label",
        )
    return task_of(fitted.label.column, fitted.label.kind, tuple(fitted.label.classes), wanted)


def _splits(
    ctx: Context, examples: Examples, transform: Transform, task: Task, train: str, validation: str
) -> str | None:
    """Checks the splits; gives the one to validate on, or None."""
    if examples.properties.get("format") != "tfrecord":
        raise InvalidRequestError(
            "train needs transformed examples, and these are raw ones",
            argument="examples",
            remedy="wire the transform step's examples: ${steps.transform.examples}",
        )
    splits = tuple(examples.splits)
    if train not in splits:
        raise InvalidRequestError(
            f"the examples have no split {train!r}", argument="train_split", given=train, available=splits
        )
    rows, least = examples.rows(train), max(2, len(task.classes))
    if rows < least:
        raise DataError(
            f"the split {train!r} has {rows} examples, and a {task.name} task with the label {task.label!r} "
            f"needs {least} at the least",
            argument="examples",
            remedy="give more rows, or a greater share to the split",
        )
    if validation in splits and examples.rows(validation):
        return validation
    ctx.warn(f"there are no examples in a split {validation!r}: the weights of the last epoch are kept")
    return None


def _label_facts(examples: Examples, split: str, fitted: FittedTransform, task: Task) -> dict[str, Any]:
    """Of the train labels, from which the naive baseline predicts: the counts by class, or the mean."""
    import numpy as np

    from .dataset import dataset, shard_errors

    assert fitted.label is not None
    batches = dataset(examples, split, batch_size=4096, matrix=True)
    with shard_errors(examples, split):
        labels = np.concatenate([np.asarray(y).reshape(-1) for _, y in batches])
    if task.classes:
        counts = np.bincount(labels.astype(np.int64), minlength=len(task.classes))
        return {"counts": dict(zip(task.classes, counts.tolist(), strict=True))}
    return {"mean": float(np.mean(np.asarray(fitted.label.inverse(np, labels), np.float64)))}


def _told(settings: Any) -> dict[str, Any]:
    """The settings without the place of the user's code, which is no part of the content."""
    from dataclasses import asdict

    told = asdict(settings)
    if ":" in settings.model:
        told["model"] = settings.model.replace("\\", "/").rpartition("/")[2]
    return told


def _publish(
    ctx: Context,
    transform: Transform,
    trained: Any,
    task: Task,
    width: int,
    code: str,
    facts: Mapping[str, Any],
) -> Model:
    from .training.networks import save_network, weights_digest

    draft = ctx.output(Model)
    save_network(trained.network, draft.path, code)
    shutil.copytree(transform.path, draft.path / "transform", ignore=shutil.ignore_patterns(MANIFEST))
    about = {"task": task.to_json(), "inputs": width, "outputs": task.outputs, **facts}
    (draft.path / "model.json").write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "utf-8")
    last = trained.history[trained.best_epoch - 1]
    return draft.finish(
        properties={"task": task.name, "weights": weights_digest(trained.network)},
        summary={
            "task": task.name,
            "epochs": len(trained.history),
            "weights": trained.network.count_params(),
            "best": {key: round(value, 6) for key, value in last.items()},
        },
        volatile=["model.keras", "code.json"],
    )


@train.check
def _check(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    problems = [*_model_problems(arguments)]
    names = {"optimizer": OPTIMIZERS, "loss": LOSSES}
    for argument, available in names.items():
        problems += _name_problems(argument, arguments.get(argument), available)
    for metric in arguments.get("metrics") or []:
        problems += _name_problems("metrics", metric, METRICS)
    splits = known["examples"].splits if "examples" in known else None
    split = arguments.get("train_split")
    if splits and isinstance(split, str) and split not in splits:
        problems.append(
            Problem(
                f"the examples have no split {split!r}", argument="train_split", given=split, available=splits
            )
        )
    task = arguments.get("task")
    facts = {"task": task} if task not in (None, "auto") else {}
    return problems, {"output": Known(facts=facts)}


def _model_problems(arguments: Mapping[str, Any]) -> list[Problem]:
    model, model_args = arguments.get("model"), arguments.get("model_args") or {}
    if not isinstance(model, str):
        return []
    if model in BUILT_IN:
        return [
            Problem(
                f"{model} has no argument {name!r}",
                argument="model_args",
                given=name,
                available=BUILT_IN[model],
            )
            for name in model_args
            if name not in BUILT_IN[model]
        ]
    if ":" not in model:
        remedy = "for a function of your own write module:function or file.py:function"
        return [
            Problem(
                f"there is no model {model!r}",
                argument="model",
                given=model,
                available=tuple(BUILT_IN),
                remedy=remedy,
            )
        ]
    names = model_args if isinstance(model_args, Mapping) else ()
    problem = find_problem(model) or call_problem(model, names)
    return [problem if problem.argument else problem.at(argument="model")] if problem else []


def _name_problems(argument: str, given: Any, available: tuple[str, ...]) -> list[Problem]:
    """Keras takes `MeanSquaredError` for `mean_squared_error`, so case and underscores are left aside."""
    if not isinstance(given, str) or _bare(given) in {_bare(name) for name in available}:
        return []
    what = argument.removesuffix("s") if argument == "metrics" else argument
    remedy = "" if closest(given, available) else "the names are those of Keras"
    return [
        Problem(
            f"Keras has no {what} {given!r}",
            argument=argument,
            given=given,
            available=available,
            remedy=remedy,
        )
    ]


def _bare(name: str) -> str:
    return name.replace("_", "").lower()
