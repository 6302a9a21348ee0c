"""Train and measure on k folds of a split, for the mean and the deviation of each metric."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from ..pipelines.artifact import Evaluation, Examples, Model, Transform
from ..pipelines.component import Known, Marker, component
from ..pipelines.context import Context
from ..pipelines.errors import InvalidRequestError, Problem
from .evaluation.gates import GROUPS, Report, Thresholds, behind_naive, bless
from .evaluation.metric_names import top_of
from .evaluation.threshold_checks import Asked, threshold_problems
from .models import ModelName
from .training.argument_checks import known_tasks, model_problems, training_problems
from .training.own_code import ARGUMENTS as OWN_CODE
from .training.own_code import LossNames, own_paths
from .training.schedules import Name as ScheduleName

if TYPE_CHECKING:
    from .evaluation.answers import Metrics
    from .evaluation.crossing import Fold, Plan
    from .training.tasks import Task


@component(process="tensorflow")
def cross_validate(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    *,
    folds: Annotated[int, Meta(ge=2)] = 5,
    stratify: bool = True,
    model: ModelName = "mlp",
    model_args: dict[str, Any] | None = None,
    task: Literal["auto", "regression", "binary", "multiclass", "multilabel"] = "auto",
    epochs: Annotated[int, Meta(ge=1)] = 20,
    batch_size: Annotated[int, Meta(ge=1)] | None = None,
    optimizer: str | dict[str, dict[str, Any]] = "adam",
    learning_rate: Annotated[float, Meta(gt=0)] | None = None,
    learning_rate_schedule: ScheduleName | dict[str, Any] = "cosine",
    loss: LossNames | None = None,
    loss_weights: dict[str, Annotated[float, Meta(ge=0)]] | None = None,
    class_weights: str | dict[str, float | str | dict[str, float]] | None = None,
    patience: Annotated[int, Meta(ge=1)] | None = None,
    train_split: str = "train",
    validation_split: str = "validation",
    augment: list[Any] | None = None,
    weights: Model | Annotated[str, Marker("file", ("imagenet",))] | None = None,
    stages: list[dict[str, Any]] | None = None,
    sampling: Literal["natural", "balanced"] = "natural",
    precision: Literal["float32", "float16", "bfloat16"] = "float32",
    xla: bool = False,
    steps_per_execution: Annotated[int, Meta(ge=1), Marker("operational")] = 1,
    cache: Annotated[Literal["auto", "memory", "disk", "none"], Marker("operational")] = "auto",
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0,
    baseline: ModelName | None = None,
    baseline_args: dict[str, Any] | None = None,
    thresholds: dict[str, float | dict[str, Any]] | None = None,
    top_k: list[Annotated[int, Meta(ge=2)]] | None = None,
    parallel: Annotated[int, Meta(ge=1), Marker("operational")] = 1,
) -> Evaluation:
    """Cuts a split into k folds, trains on k - 1 of them and measures on the last, for each in turn.

    `metrics` are the means over the folds, `deviations` their sample standard deviations, `folds` has a line
    for each. No row is written anew: the fold of a row follows from its place in the shards, `folds` and
    `seed`. Every fold starts from the same initial weights. As in `train`, the validation split chooses the
    epoch, and not the rows that are measured; without rows in it the last epoch counts. Equal arguments give
    equal numbers on a CPU.

    The transform is not fitted anew for each fold: its means, quantiles and vocabularies come from the whole
    train split, so that they have seen the fold that is measured. Its labels they have seen only where a
    feature is made from them, and then the metrics are too good. For most tables the rest is far below the
    deviation between folds; where it isn't, split the raw examples and transform each part. Nor does the
    validation split change, whose rows choose the epoch in each fold.

    The folds are trained one after another in the step's process, or `parallel` of them at once in processes
    of their own, with the same numbers. Keras' own work between the steps of a small network keeps one core
    busy and leaves the others idle, so that it helps where a fold takes longer than the 5 to 8 seconds in
    which a process imports TensorFlow.

    Args:
        examples: transformed examples.
        transform: the Transform that made them.
        folds: how many, at least 2.
        stratify: whether each fold has the classes in the same shares, where one label is of classes.
        model, model_args, task, epochs, batch_size, optimizer, learning_rate, learning_rate_schedule: as in
            `train`.
        loss, loss_weights, class_weights, patience, augment, weights, stages: as in `train`; rows that are
            measured are not augmented, nor learned from in any stage; a baseline has neither weights nor
            stages.
        sampling, precision, xla, steps_per_execution, cache: as in `train`.
        train_split: the split that is cut into folds.
        validation_split: the split that chooses the epoch.
        seed: of the folds, the initial weights, the dropout, the order of the examples and the augmentation.
        baseline: a model to compare with, as `model`, for example `linear`; it is trained and measured on the
            same folds with the same other arguments.
        baseline_args: its keyword arguments.
        thresholds: limits on the mean metrics, as in `evaluate`; not on classes or slices.
        top_k: as in `evaluate`.
        parallel: how many folds are trained at once; no part of the result.

    Raises:
        InvalidRequestError: as in `train`, or an unknown metric.
        DataError: too few examples for so many folds.
        StepError: the loss is NaN or infinite.
    """
    arguments = {
        name: value for name, value in locals().items() if name not in ("ctx", "examples", "transform")
    }
    from .evaluation.crossing import changes, plan_of, summary
    from .training.settings import InitialWeights

    initial = InitialWeights.of(weights)
    arguments["weights"] = [initial.place, initial.name] if initial else None
    plan = plan_of(ctx, examples, transform, arguments)
    names = _names(plan.tasks)
    _refuse(_threshold_problems(thresholds or {}, Asked(names, (), baseline is not None, top=plan.top)))
    measured = _measured(ctx, plan, transform, arguments, parallel)
    metrics, deviations = summary([fold.metrics for fold in measured])
    naive, naive_deviations = summary([fold.naive for fold in measured])
    others = [fold.baseline for fold in measured if fold.baseline is not None]
    other = None if baseline is None else _compared(plan, summary(others), summary(changes(measured)))
    before = None if other is None else Report(other["metrics"])
    verdict = bless(thresholds or {}, names, Report(metrics), Report(naive), before)
    if not verdict.blessed:
        ctx.warn(f"the thresholds are not met: {'; '.join(verdict.reasons)}")
    loss_to_naive = behind_naive(metrics, naive, names)
    if loss_to_naive:
        ctx.warn(f"the model is not better than the naive prediction from the train labels: {loss_to_naive}")
    stated = {"blessed": verdict.blessed, "reasons": verdict.reasons}
    told = {
        **_about(plan, measured),
        "metrics": metrics,
        "deviations": deviations,
        "naive": {"metrics": naive, "deviations": naive_deviations},
        "baseline": other,
        "thresholds": thresholds or {},
        **stated,
    }
    draft = ctx.output(Evaluation)
    (draft.path / "evaluation.json").write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", "utf-8")
    return draft.finish(
        # It is of no model, so that no model is exported by its blessing.
        properties={**stated, "weights": ""},
        summary={
            "metrics": metrics, "deviations": deviations, "split": f"{folds} folds of {train_split}",
            "rows": told["rows"], **stated,
        },
    )  # fmt: skip


_OF_A_FOLD = ("epoch", "epochs", "rows", "done", "total")
"""What a fold's training tells of how far it is."""


def _measured(
    ctx: Context, plan: Plan, transform: Transform, arguments: Mapping[str, Any], parallel: int
) -> list[Fold]:
    if parallel > 1:
        from .evaluation.fold import folds_side_by_side

        return folds_side_by_side(ctx, plan.examples, transform, arguments, min(parallel, plan.folds))
    from .evaluation.crossing import run_fold

    found = []
    for number in range(1, plan.folds + 1):

        def tell(before: int = plan.epochs * (number - 1), **values: Any) -> None:
            told = {name: value for name, value in values.items() if name not in _OF_A_FOLD}
            done = before + values.get("epoch", 0)
            ctx.progress(done=done, total=plan.epochs * plan.folds, **told)

        found.append(run_fold(plan, number, tell))
    return found


def _compared(plan: Plan, own: tuple[Metrics, Metrics], change: tuple[Metrics, Metrics]) -> dict[str, Any]:
    """The baseline's metrics, and the model's minus the baseline's, each with its deviation over the folds.

    Both learn from, and are measured on, the same rows of each fold, so that the change varies less.
    """
    assert plan.baseline is not None
    told = plan.baseline.told()
    return {
        "model": told["model"],
        "model_args": told["model_args"],
        "metrics": own[0],
        "deviations": own[1],
        "change": change[0],
        "change_deviations": change[1],
    }


def _about(plan: Plan, measured: list[Fold]) -> dict[str, Any]:
    from dataclasses import asdict

    from .training.tasks import tasks_to_json

    return {
        **tasks_to_json(plan.tasks),
        "split": plan.split,
        "validation_split": plan.validation,
        "rows": sum(fold.rows for fold in measured),
        "weight": plan.fitted.weight or None,
        "stratified_by": plan.stratified_by or None,
        "settings": plan.settings.told(),
        "folds": [asdict(fold) for fold in measured],
    }


def _names(tasks: tuple[Task, ...]) -> dict[str, str]:
    from .evaluation.asking import by_output

    return {output: task.name for output, task in by_output(tasks).items()}


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise InvalidRequestError(problems)


def _threshold_problems(thresholds: Thresholds, asked: Asked) -> list[Problem]:
    """Thresholds are on the means over the folds, and there are none of classes and slices."""
    whole = {name: bound for name, bound in thresholds.items() if name not in GROUPS}
    remedy = "set them on the evaluate step, for the model that you export"
    problems = [
        Problem(f"cross_validate has no thresholds on {name}", argument="thresholds", remedy=remedy)
        for name in thresholds
        if name in GROUPS
    ]
    return problems + threshold_problems(whole, asked)


@cross_validate.code_of
def _code_of(name: str, value: Any) -> tuple[str, ...]:
    """The code of losses of one's own."""
    return own_paths(value) if name in OWN_CODE else ()


@cross_validate.check
def _check(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    problems = training_problems(arguments, known)
    other = {"model": arguments.get("baseline"), "model_args": arguments.get("baseline_args")}
    names = {"model": "baseline", "model_args": "baseline_args"}
    problems += [replace(one, argument=names[one.argument]) for one in model_problems(other)]
    thresholds = arguments.get("thresholds") or {}
    if isinstance(thresholds, Mapping):
        compared, top = arguments.get("baseline") is not None, top_of(arguments.get("top_k"))
        asked = Asked(known_tasks(arguments, known), (), compared, top=top)
        problems += _threshold_problems(thresholds, asked)
    return problems, {"output": Known()}
