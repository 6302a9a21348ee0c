"""Cross-validation: a network trained for each fold on the other folds' rows, and measured on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...pipelines.artifact import Examples, Transform
from ...pipelines.context import Context
from ...pipelines.errors import DataError
from ..dataset import dataset, shard_errors
from ..preprocessing.fitted import FittedTransform
from ..preprocessing.fitted_labels import Label
from ..strategies.batches import default_batch_size
from ..training.loop import Progress, train_network
from ..training.networks import forward
from ..training.preparing import prepare
from ..training.settings import Execution, InitialWeights, Settings
from ..training.stage_data import StageData, data_of_stages, with_batch_sizes
from ..training.stages import stages_of
from ..training.targets import by_column
from ..training.tasks import Task
from .answers import Metrics
from .asking import Answerer, by_output
from .folds import fold_numbers, mean_and_deviation
from .metric_names import TOP, top_of
from .outcome import Measured, Request, gather

CLASSES = ("binary", "multiclass")


@dataclass(frozen=True)
class Plan:
    """What is trained, and on which rows.

    Attributes:
        examples: transformed examples.
        fitted: their transform.
        tasks: in the order of the labels.
        settings: the hyperparameters.
        baseline: those of the model to compare with, or None.
        class_weights: by label the weight of each class.
        split: the split that is cut into folds.
        validation: the split that chooses the epoch, or None.
        folds: how many.
        stratify: whether folds have equal shares of each class, where one label is of classes.
        data: what each stage learns from.
        top: the k of `top_k_accuracy`.
    """

    examples: Examples
    fitted: FittedTransform
    tasks: tuple[Task, ...]
    settings: Settings
    baseline: Settings | None
    class_weights: Mapping[str, tuple[float, ...]]
    split: str
    validation: str | None
    folds: int
    stratify: bool
    data: tuple[StageData, ...]
    top: tuple[int, ...] = TOP

    @property
    def stratified_by(self) -> str:
        """The label whose classes each fold has in equal shares, or ""."""
        labels = [task.label for task in self.tasks if task.name in CLASSES]
        return labels[0] if self.stratify and len(labels) == 1 else ""

    @property
    def epochs(self) -> int:
        """How many epochs a fold takes at most."""
        return self.settings.all_epochs + (self.baseline.epochs if self.baseline else 0)


@dataclass(frozen=True)
class Fold:
    """What came out of one fold.

    Attributes:
        fold: its number, from 1.
        train_rows, rows: how many rows were learned from, and measured on.
        best_epoch: whose weights were measured.
        metrics: of the fold's rows.
        naive: those of the naive prediction from the other folds' labels.
        baseline: those of the baseline model, trained on the same rows; None without one.
    """

    fold: int
    train_rows: int
    rows: int
    best_epoch: int
    metrics: Metrics
    naive: Metrics
    baseline: Metrics | None = None


def plan_of(ctx: Context, examples: Examples, transform: Transform, told: Mapping[str, Any]) -> Plan:
    """What the arguments of the component `cross_validate` ask for.

    Raises:
        InvalidRequestError, DataError: as in `train`, or there are too few rows for so many folds.
    """
    split = told["train_split"]
    prepared = prepare(ctx, examples, transform, told)
    rows, folds = examples.rows(split), told["folds"]
    if rows < 2 * folds:
        raise DataError(
            f"the split {split!r} has {rows} rows, and {folds} folds need {2 * folds}",
            argument="folds",
            remedy="take fewer folds, or give the split more rows",
        )
    stages = stages_of(told["stages"])
    data = data_of_stages(ctx, stages, prepared, examples, transform, None, told)
    batch = told["batch_size"] or default_batch_size(rows * (folds - 1) // folds)
    settings = Settings(
        told["model"], told["model_args"] or {}, told["epochs"], batch, told["optimizer"],
        told["learning_rate"], told["learning_rate_schedule"], told["loss"], told["loss_weights"] or {}, [],
        told["patience"], told["seed"], told["augment"] or [],
        stages if told["batch_size"] else with_batch_sizes(stages, data, default_batch_size),
        InitialWeights(*told["weights"]) if told["weights"] else None,
        told["sampling"],
        Execution(
            precision=told["precision"], xla=told["xla"], steps_per_execution=told["steps_per_execution"],
            cache=told["cache"],
        ),
    )  # fmt: skip
    baseline = None
    if told["baseline"]:
        own = {"model": told["baseline"], "model_args": told["baseline_args"] or {}}
        baseline = replace(settings, **own, stages=(), weights=None)
    return Plan(
        examples, prepared.fitted, prepared.tasks, settings, baseline, prepared.class_weights, split,
        prepared.validation, folds, told["stratify"], data, top_of(told["top_k"]),
    )  # fmt: skip


def summary(folds: Sequence[Metrics]) -> tuple[Metrics, Metrics]:
    """The mean and the deviation of each metric over the folds that can tell it."""
    told = {name: mean_and_deviation([fold[name] for fold in folds]) for name in folds[0]}
    return {name: mean for name, (mean, _) in told.items()}, {name: sd for name, (_, sd) in told.items()}


def changes(folds: Sequence[Fold]) -> list[Metrics]:
    """For each fold and metric the model's minus the baseline's; without a baseline none."""
    pairs = ((fold.metrics, fold.baseline) for fold in folds if fold.baseline is not None)
    return [
        {name: None if a is None or (b := other[name]) is None else a - b for name, a in own.items()}
        for own, other in pairs
    ]


def run_fold(plan: Plan, number: int, tell: Progress) -> Fold:
    """Trains a network on the rows outside of a fold, and measures it on those inside.

    Args:
        plan: what is trained.
        number: of the fold, from 1.
        tell: see `train_network`.

    Raises:
        InvalidRequestError, DataError, StepError: see `train_network`.
    """
    labels = _labels(plan)
    classes = labels[plan.stratified_by] if plan.stratified_by else None
    rows = plan.examples.rows(plan.split)
    held_out = fold_numbers(rows, plan.folds, plan.settings.seed, classes) == number - 1
    facts = {
        output: _facts(task, label, labels[task.label][~held_out])
        for (output, task), label in zip(by_output(plan.tasks).items(), plan.fitted.labels, strict=True)
    }
    measured, best = _measured(plan, plan.settings, facts, held_out, tell)
    other = None
    if plan.baseline is not None:

        def later(epoch: int = 0, **values: Any) -> None:
            tell(epoch=epoch + plan.settings.all_epochs, **values)

        other = dict(_measured(plan, plan.baseline, facts, held_out, later)[0].report().metrics)
    metrics, naive = measured.report().metrics, measured.naive().metrics
    return Fold(number, rows - measured.rows, measured.rows, best, dict(metrics), dict(naive), other)


def _measured(
    plan: Plan, settings: Settings, facts: Mapping[str, Any], held_out: npt.NDArray[np.bool_], tell: Progress
) -> tuple[Measured, int]:
    """A network trained on the other rows and measured on those held out; and whose epoch it is."""
    trained = train_network(
        plan.examples, plan.split, plan.validation, plan.fitted.features, plan.tasks, plan.class_weights,
        settings, tell, ~held_out, data=plan.data if settings.stages else (),
    )  # fmt: skip
    network = forward(trained.network, trained.feed)
    answerer = Answerer(network, trained.feed, plan.fitted, plan.tasks)
    request = Request(plan.split, top=plan.top)
    measured = gather(answerer, facts, plan.examples, request, lambda **_: None, held_out)
    return measured, trained.best_epoch


def _labels(plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """The labels of the split by column, as the network learns them, in the order of the shards."""
    columns: dict[str, list[Any]] = {task.label: [] for task in plan.tasks}
    with shard_errors(plan.examples, plan.split):
        read = dataset(plan.examples, plan.split, batch_size=8192, expand=False, images=False)
        for _, label, *_ in read:
            for name, values in by_column(label, plan.tasks).items():
                columns[name].append(values.numpy())
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _facts(task: Task, label: Label, values: npt.NDArray[Any]) -> dict[str, Any]:
    """Of the labels that a fold's network learns from, for the naive prediction."""
    if task.name == "regression":
        return {"mean": float(np.mean(np.asarray(label.inverse(np, values), np.float64)))}
    if task.name == "multilabel":
        counts = values.sum(axis=0, dtype=np.float64)
    else:
        counts = np.bincount(values, minlength=len(task.classes))
    return {"counts": dict(zip(task.classes, counts.tolist(), strict=True)), "rows": len(values)}
