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
from ..pipelines.import_path import find_problem
from .models import BUILT_IN
from .models.user import call_problem
from .training.keras_names import LOSSES, METRICS, OPTIMIZERS

if TYPE_CHECKING:
    from .preprocessing.fitted import FittedTransform
    from .training.loop import Trained
    from .training.targets import Seen
    from .training.tasks import Task


@component(process="tensorflow")
def train(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    *,
    model: CodePath = "mlp",
    model_args: dict[str, Any] | None = None,
    task: Literal["auto", "regression", "binary", "multiclass", "multilabel"] = "auto",
    epochs: Annotated[int, Meta(ge=1)] = 20,
    batch_size: Annotated[int, Meta(ge=1)] | None = None,
    optimizer: str = "adam",
    learning_rate: Annotated[float, Meta(gt=0)] | None = None,
    learning_rate_schedule: Literal["constant", "cosine"] = "cosine",
    loss: str | dict[str, str] | None = None,
    loss_weights: dict[str, Annotated[float, Meta(ge=0)]] | None = None,
    class_weights: str | dict[str, float | str | dict[str, float]] | None = None,
    metrics: list[str] | None = None,
    patience: Annotated[int, Meta(ge=1)] | None = None,
    train_split: str = "train",
    validation_split: str = "validation",
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0,
) -> Model:
    """Trains a network and keeps the weights of the epoch with the least validation loss.

    The task follows the label: a value makes a regression, two classes a binary task, more a multi-class
    one, any number of classes a row a multi-label one. Several labels make a network with several outputs,
    whose losses are added. Row weights, where the transform step names a column of them, multiply the loss of
    each row in training and validation, and so do class weights; the sum is divided by the number of rows,
    as Keras does. Equal arguments give equal weights, bit by bit, on a CPU; the artifact is known by their
    digest.

    Args:
        examples: transformed examples.
        transform: the Transform that made them; the Model carries a copy.
        model: `mlp`, `linear`, `wide_deep`, or the import path of a function that returns a Keras model; see
            `headrace.components.models`.
        model_args: more keyword arguments of the model function, for example `{hidden_units: [64, 32]}`.
        task: overrules the rule above, where there is one label.
        epochs: how often the training split is gone through at most.
        batch_size: examples a step; by default 64, or fewer where an epoch would have less than 16 steps.
        optimizer: by its Keras name. Optimizer, loss and metrics of a model that comes compiled stay.
        learning_rate: the optimizer's own default if not given.
        learning_rate_schedule: "cosine" lets the rate sink to 0 over all epochs, "constant" keeps it.
        loss: by its Keras name, or names by label; the default is the squared error or the cross-entropy.
        loss_weights: by label what its loss is multiplied with before all are added; 1 where nothing is said.
        class_weights: `balanced` for rows / (classes · rows of the class), or a weight for some classes, 1
            for the others; with several labels, by label one of these.
        metrics: Keras names of what else is shown during training, of each output; `accuracy` for classes
            by default.
        patience: stop after so many epochs without a better validation loss.
        train_split: the split to learn from.
        validation_split: the split that chooses the epoch; without rows in it the last epoch is kept.
        seed: of the initial weights, the dropout and the order of the examples.

    Raises:
        InvalidRequestError: the task doesn't fit the label, a weight is of an unknown class or label, or
            Keras refuses model, optimizer or loss.
        DataError: too few examples, negative row weights, or features of ids for a model that takes a matrix.
        StepError: the loss is NaN or infinite.
    """
    from .dataset import shard_errors
    from .evaluation.predictions import require_same_features
    from .preprocessing.fitted_file import load_fitted
    from .training.loop import Settings, default_batch_size, train_network
    from .training.targets import class_weights as chosen_weights
    from .training.targets import look_at

    fitted = load_fitted(transform.path)
    learned = _tasks(fitted, task)
    _require_labels(
        learned, {"loss": loss if isinstance(loss, dict) else {}, "loss_weights": loss_weights or {}}
    )
    validation = _splits(ctx, examples, transform, learned, train_split, validation_split)
    require_same_features(examples, fitted)
    seen = look_at(examples, train_split, learned, fitted.labels)
    if validation and seen.weighted:
        look_at(examples, validation, learned, fitted.labels)
    batch = batch_size or default_batch_size(examples.rows(train_split))
    settings = Settings(
        model, model_args or {}, epochs, batch, optimizer, learning_rate, learning_rate_schedule,
        loss, loss_weights or {}, metrics or [], patience, seed,
    )  # fmt: skip
    weights = chosen_weights(class_weights, learned, seen)
    with shard_errors(examples, train_split):
        trained = train_network(
            examples, train_split, validation, fitted.features, learned, weights, settings, ctx.progress
        )
    facts = {"history": trained.history, "best_epoch": trained.best_epoch, "settings": _told(settings)}
    facts |= {"class_weights": _told_weights(weights, learned), "row_weights": seen.weighted}
    return _publish(ctx, transform, trained, learned, model, {**facts, **_label_facts(learned, seen)})


def _tasks(fitted: FittedTransform, wanted: str) -> tuple[Task, ...]:
    from .training.tasks import task_of

    if not fitted.labels:
        raise InvalidRequestError(
            "the transform has no label, so there is nothing to learn",
            argument="transform",
            remedy="give the transform step a label",
        )
    if len(fitted.labels) > 1 and wanted != "auto":
        raise InvalidRequestError(
            f"there are {len(fitted.labels)} labels, and one task {wanted!r}",
            argument="task",
            remedy="leave task out: each label makes its own",
        )
    return tuple(task_of(label.column, label.kind, tuple(label.classes), wanted) for label in fitted.labels)


def _require_labels(tasks: tuple[Task, ...], told: Mapping[str, Mapping[str, Any]]) -> None:
    labels = tuple(task.label for task in tasks)
    problems = [
        Problem(f"{name!r} is no label", argument=argument, given=name, available=labels)
        for argument, by_label in told.items()
        for name in by_label
        if name not in labels
    ]
    if problems:
        raise InvalidRequestError(problems)


def _splits(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    tasks: tuple[Task, ...],
    train: str,
    validation: str,
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
    rows = examples.rows(train)
    task = max(tasks, key=lambda one: len(one.classes))
    least = max(2, len(task.classes) if task.name != "multilabel" else 0)
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


def _label_facts(tasks: tuple[Task, ...], seen: Seen) -> dict[str, Any]:
    """Of the train labels, from which the naive baseline predicts: the counts by class, or the mean."""
    found: dict[str, Any] = {}
    for task in tasks:
        if task.classes:
            counts = dict(zip(task.classes, seen.counts[task.label], strict=True))
            found[task.label] = {"counts": counts}
            if task.name == "multilabel":
                found[task.label]["rows"] = seen.rows
        else:
            found[task.label] = {"mean": seen.means[task.label]}
    return {"train_label": found[tasks[0].label]} if len(tasks) == 1 else {"train_labels": found}


def _told_weights(weights: Mapping[str, tuple[float, ...]], tasks: tuple[Task, ...]) -> dict[str, Any]:
    """By label and class."""
    return {t.label: dict(zip(t.classes, weights[t.label], strict=True)) for t in tasks if t.label in weights}


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
    trained: Trained,
    tasks: tuple[Task, ...],
    code: str,
    facts: Mapping[str, Any],
) -> Model:
    from .training.networks import save_network, weights_digest
    from .training.tasks import tasks_to_json

    draft = ctx.output(Model)
    save_network(trained.network, draft.path, code)
    shutil.copytree(transform.path, draft.path / "transform", ignore=shutil.ignore_patterns(MANIFEST))
    several = len(tasks) > 1
    about = {
        **tasks_to_json(tasks),
        "feed": trained.feed.kind,
        "inputs": sum(trained.feed.widths.values()),
        "outputs": {t.label: t.outputs for t in tasks} if several else tasks[0].outputs,
        **facts,
    }
    (draft.path / "model.json").write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "utf-8")
    last = trained.history[trained.best_epoch - 1]
    told: dict[str, Any] = {"tasks": {t.label: t.name for t in tasks}} if several else {"task": tasks[0].name}
    return draft.finish(
        properties={**told, "weights": weights_digest(trained.network)},
        summary={
            **told,
            "epochs": len(trained.history),
            "weights": trained.network.count_params(),
            "best": {key: round(value, 6) for key, value in last.items()},
        },
        volatile=["model.keras", "code.json", "transform/code.json"],
    )


@train.check
def _check(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    problems = [*_model_problems(arguments)]
    problems += _name_problems("optimizer", arguments.get("optimizer"), OPTIMIZERS)
    loss = arguments.get("loss")
    for one in loss.values() if isinstance(loss, Mapping) else [loss]:
        problems += _name_problems("loss", one, LOSSES)
    problems += _weight_problems(arguments.get("class_weights"))
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


def _weight_problems(told: Any) -> list[Problem]:
    """What is wrong with class weights as far as it can be told without the labels."""
    if isinstance(told, Mapping):
        return [problem for value in told.values() for problem in _weight_problems(value)]
    if told is None or (isinstance(told, str) and (told == "balanced" or told.startswith("${"))):
        return []
    number = isinstance(told, int | float) and not isinstance(told, bool)
    if number and 0 < told < float("inf"):
        return []
    what = f"a class weight is a number above 0, or all of them are balanced, and this is {told!r}"
    given = told if isinstance(told, str) else ""
    return [Problem(what, argument="class_weights", given=given, available=("balanced",))]


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
