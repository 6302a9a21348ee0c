"""Measure a model on a held-out split, and bless it or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Evaluation, Examples, Model
from ..pipelines.component import Known, component
from ..pipelines.context import Context
from ..pipelines.errors import Problem
from .evaluation.gates import Threshold, behind_baseline, bless, threshold_problems
from .split_checks import RAW_REMEDY, SLICES_NEED_RAW, are_transformed, split_problems


@component(process="tensorflow")
def evaluate(
    ctx: Context,
    model: Model,
    examples: Examples,
    *,
    split: str = "test",
    slices: list[str] | None = None,
    thresholds: dict[str, float | dict[str, float]] | None = None,
    batch_size: Annotated[int, Meta(ge=1)] = 1024,
) -> Evaluation:
    """Computes metrics in the label's own units, over a split and over slices of it, and gives a blessing.

    Classification: accuracy, auc, precision, recall, f1, log_loss; regression: rmse, mae, r2 (defined in
    `headrace.components.evaluation.metrics`). The naive baseline predicts from the labels of the training
    split: their shares as probabilities, so the majority class, or their mean. A warning
    says where a model isn't better than that in accuracy, or rmse.

    Args:
        model: the trained model.
        examples: the transformed examples that it learned from, or the raw ones, to which the model's own
            Transform is applied.
        split: what to measure on.
        slices: columns of the raw examples; the metrics are given for each of their values too.
        thresholds: limits on metrics, for example `{accuracy: 0.9}`, `{rmse: {max: 56000}}`, or
            `{baseline: 0.05}` for at least so much better than the naive prediction; see
            `headrace.components.evaluation.gates`. Without any, the model is blessed.
        batch_size: rows at once.

    Raises:
        InvalidRequestError: no such split, slice column or metric; slices of transformed examples.
        DataError: the split has no rows, or a label is missing or of a class unseen in training.
    """
    from .evaluation.outcome import Request, measure

    request = Request(split, tuple(slices or ()), batch_size)
    measured = measure(ctx, model, examples, request)
    _refuse(threshold_problems(thresholds or {}, measured.task.name))
    verdict = bless(measured.metrics, measured.baseline["metrics"], thresholds or {}, measured.task.name)
    draft = ctx.output(Evaluation)
    about = {
        "task": measured.task.to_json(),
        "split": split,
        "rows": measured.rows,
        "metrics": measured.metrics,
        "slices": measured.slices,
        "baseline": measured.baseline,
        "confusion": measured.confusion,
        "thresholds": thresholds or {},
        "blessed": verdict.blessed,
        "reasons": verdict.reasons,
    }
    (draft.path / "evaluation.json").write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "utf-8")
    if not verdict.blessed:
        ctx.warn(f"the model is not blessed: {'; '.join(verdict.reasons)}")
    loss = behind_baseline(measured.metrics, measured.baseline["metrics"], measured.task.name)
    if loss:
        ctx.warn(
            f"the model is not better than the naive prediction from {measured.baseline['from']}: {loss}"
        )
    stated = {"blessed": verdict.blessed, "reasons": verdict.reasons}
    return draft.finish(
        properties={**stated, "weights": model.properties["weights"]},
        summary={"metrics": measured.metrics, "split": split, "rows": measured.rows, **stated},
    )


def _refuse(problems: list[Problem]) -> None:
    from ..pipelines.errors import InvalidRequestError

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
    thresholds: Mapping[str, Threshold] = arguments.get("thresholds") or {}
    if isinstance(thresholds, Mapping):
        problems += threshold_problems(thresholds, model.facts.get("task"))
    return problems, {"output": Known()}
