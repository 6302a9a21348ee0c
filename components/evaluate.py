"""Measure a model on a held-out split, and bless it or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Evaluation, Examples, Model
from ..pipelines.component import Known, component
from ..pipelines.context import Context
from ..pipelines.errors import InvalidRequestError, Problem
from .evaluation.gates import Report, Thresholds, behind_naive, bless
from .evaluation.metric_names import top_of
from .evaluation.threshold_checks import Asked, asked_metrics, threshold_problems
from .split_checks import RAW_REMEDY, SLICES_NEED_RAW, are_transformed, split_problems

if TYPE_CHECKING:
    from .evaluation.outcome import Measured, Request

SUMMARY = ("metrics", "split", "rows", "blessed", "reasons", "pictures")
PROPERTIES = ("blessed", "reasons", "weights")
"""What the artifact says of itself, for conditions of other steps."""


@component(process="tensorflow")
def evaluate(
    ctx: Context,
    model: Model,
    examples: Examples,
    baseline: Model | None = None,
    *,
    split: str = "test",
    slices: list[str] | None = None,
    thresholds: dict[str, float | dict[str, Any]] | None = None,
    top_k: list[Annotated[int, Meta(ge=2)]] | None = None,
    worst_examples: Annotated[int, Meta(ge=0, le=500)] = 24,
    batch_size: Annotated[int, Meta(ge=1)] = 4096,
) -> Evaluation:
    """Computes metrics in the label's own units, over a split and over slices of it, and gives a blessing.

    Classification: accuracy, auc, pr_auc, precision, recall, f1, log_loss, brier, ece, for the whole and for
    each class; multi-label and regression: see `headrace.components.evaluation.metrics`, which defines them
    all. With several outputs a metric is called `output/metric`. Rows count by their weights, if the
    transform was given a weight.

    Beside `evaluation.json` the artifact holds `worst_examples.json`: the rows of the highest loss with their
    place, label, prediction and probability; and `worst_examples.png`, a sheet of their images, if they have
    any.

    Two things to be better than: the naive prediction, which is made from the labels of the training split
    alone (their mean, or their shares), and is always measured; and the `baseline` model, where one is given.
    A warning says where a model isn't better than the naive prediction in accuracy, rmse or f1_micro.

    Args:
        model: the trained model.
        examples: the transformed examples that it learned from, or the raw ones, to which the model's own
            Transform is applied.
        baseline: a model of the same label to compare with, for example a `linear` one, or the one in use.
        split: what to measure on.
        slices: columns of the raw examples; the metrics are given for each of their values too.
        thresholds: limits on metrics, for example `{accuracy: 0.9}`, `{rmse: {max: 56000}}`,
            `{better_than_naive: 0.05}`, `{better_than_baseline: 0}`, `{per_class: {bird: {recall: 0.8}}}` or
            `{slices: {city: {Rome: {rmse: 9000}}}}`; see `headrace.components.evaluation.gates`. Without any,
            the model is blessed.
        top_k: the k of `top_k_accuracy`, which is given of labels with more classes than k; 3, 5 and 10 if
            not given.
        worst_examples: how many of the rows with the highest loss are told, of each label.
        batch_size: rows at once; fewer where rows hold large images.

    Raises:
        InvalidRequestError: no such split, slice column, class or metric; slices of transformed examples; a
            baseline model of another label or other classes.
        DataError: the split has no rows, all its weights are 0, or a label is missing or of a class unseen in
            training.
    """
    from .evaluation.outcome import Request, measure
    from .evaluation.worst_files import SHEET, write_worst

    request = Request(split, tuple(slices or ()), batch_size, top_of(top_k), worst_examples)
    measured = measure(model, examples, request, ctx.progress)
    asked = Asked(measured.names, request.slices, baseline is not None, measured.classes, request.top)
    _refuse(threshold_problems(thresholds or {}, asked))
    report, naive = measured.report(), measured.naive()
    other = None if baseline is None else _baseline(ctx, baseline, examples, request, measured)
    verdict = bless(thresholds or {}, measured.names, report, naive, other)
    about = {
        **_told(measured, report, split),
        "naive": {**measured.naive_from(), **_report_told(naive)},
        "baseline": None if baseline is None or other is None else _compared(baseline, report, other),
        "thresholds": thresholds or {},
        "blessed": verdict.blessed,
        "reasons": verdict.reasons,
    }
    draft = ctx.output(Evaluation)
    (draft.path / "evaluation.json").write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "utf-8")
    worst = write_worst(draft.path, examples, split, measured.worst)
    if not verdict.blessed:
        ctx.warn(f"the model is not blessed: {'; '.join(verdict.reasons)}")
    loss = behind_naive(report.metrics, naive.metrics, measured.names)
    if loss:
        ctx.warn(f"the model is not better than the naive prediction from the train labels: {loss}")
    stated = {"blessed": verdict.blessed, "reasons": verdict.reasons}
    return draft.finish(
        properties={**stated, "weights": model.properties["weights"]},
        summary={
            "metrics": report.metrics, "split": split, "rows": about["rows"], **stated,
            **({"pictures": [SHEET]} if SHEET in worst else {}),
        },
        volatile=[SHEET],
    )  # fmt: skip


def _told(measured: Measured, report: Report, split: str) -> dict[str, Any]:
    from .evaluation.outcome import calibration, confusion, mistakes

    tasks = [task.to_json() for task in measured.tasks.values()]
    return {
        **({"task": tasks[0]} if len(tasks) == 1 else {"tasks": tasks}),
        "split": split,
        "rows": measured.rows,
        "weight": {"column": measured.weight, "sum": measured.total} if measured.weight else None,
        **_report_told(report),
        "confusion": measured.details(confusion),
        "mistakes": measured.details(mistakes),
        "calibration": measured.details(calibration),
    }


def _report_told(report: Report) -> dict[str, Any]:
    return {"metrics": report.metrics, "per_class": report.per_class, "slices": report.slices}


def _baseline(
    ctx: Context, baseline: Model, examples: Examples, request: Request, measured: Measured
) -> Report:
    from .evaluation.outcome import measure

    other = measure(baseline, examples, replace(request, worst=0), ctx.progress)
    if other.tasks != measured.tasks:
        ours, theirs = (
            "; ".join(f"{t.name} of {t.label} {list(t.classes) or ''}".strip() for t in m.tasks.values())
            for m in (measured, other)
        )
        raise InvalidRequestError(
            f"the baseline model does something else ({theirs}) than the model ({ours})",
            argument="baseline",
            remedy="give a model of the same label and classes",
        )
    return other.report()


def _compared(baseline: Model, report: Report, other: Report) -> dict[str, Any]:
    """The baseline model's metrics, and for each the model's minus the baseline's."""
    pairs = ((name, value, other.metrics.get(name)) for name, value in report.metrics.items())
    change = {name: None if a is None or b is None else a - b for name, a, b in pairs}
    return {"weights": baseline.properties["weights"], **_report_told(other), "change": change}


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise InvalidRequestError(problems)


@evaluate.check
def _check(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    model, examples = known.get("model", Known()), known.get("examples", Known())
    problems = split_problems(arguments.get("split"), examples)
    slices = [name for name in arguments.get("slices") or [] if isinstance(name, str)]
    if slices and are_transformed(examples):
        problems.append(Problem(SLICES_NEED_RAW, argument="slices", remedy=RAW_REMEDY))
    elif examples.columns is not None:
        problems += [
            Problem(f"there is no column {name!r}", argument="slices", given=name, available=examples.columns)
            for name in slices
            if name not in examples.columns
        ]
    types = examples.facts.get("types") or {}
    problems += [
        Problem(f"column {name!r} holds images, whose rows are no slices", argument="slices", given=name)
        for name in slices
        if types.get(name) == "image"
    ]
    thresholds: Thresholds = arguments.get("thresholds") or {}
    top = top_of(arguments.get("top_k"))
    asked = Asked(model.facts.get("tasks"), slices, "baseline" in known, top=top)
    if isinstance(thresholds, Mapping):
        problems += threshold_problems(thresholds, asked)
    facts: dict[str, Any] = {"summary": SUMMARY, "properties": PROPERTIES}
    if asked.tasks is not None:
        facts["metrics"] = asked_metrics(asked)
    return problems, {"output": Known(facts=facts)}
