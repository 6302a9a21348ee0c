from __future__ import annotations

from typing import Any

import pytest

from headrace.components.evaluation.gates import Report, behind_naive, bless
from headrace.components.evaluation.threshold_checks import Asked, threshold_problems

REGRESSION = {"": "regression"}
MODEL = Report(
    {"rmse": 61_000.4, "mae": 40_000.0, "r2": 0.71},
    slices={"ocean": {"INLAND": {"rows": 5, "rmse": 40_000.0}, "ISLAND": {"rows": 1, "rmse": 90_000.0}}},
)
NAIVE = Report({"rmse": 115_000.0, "mae": 91_000.0, "r2": 0.0})
BEFORE = Report(
    {"rmse": 61_000.0, "mae": 41_000.0, "r2": 0.7}, slices={"ocean": {"INLAND": {"rmse": 39_000.0}}}
)
BIRDS = Report(
    {"accuracy": 0.8, "auc": None},
    per_class={"bird": {"recall": 0.7, "support": 10}, "bat": {"recall": None, "support": 0}},
)


def _verdict(thresholds: dict[str, Any]) -> Any:
    assert not threshold_problems(thresholds, Asked(REGRESSION, ("ocean",), True))
    return bless(thresholds, REGRESSION, MODEL, NAIVE, BEFORE)


def test_without_thresholds_it_blesses_and_says_so() -> None:
    verdict = _verdict({})
    assert verdict.blessed
    assert verdict.reasons == ("no thresholds were given",)


@pytest.mark.parametrize(
    ("thresholds", "blessed", "reason"),
    [
        ({"rmse": 56000}, False, "rmse 61,000 > 56,000 (rule max: 56000): 5,000 too high"),
        ({"rmse": {"max": 62000}}, True, "rmse 61,000 ≤ 62,000 (rule max: 62000)"),
        ({"r2": 0.7}, True, "r2 0.71 ≥ 0.7 (rule min: 0.7)"),
        ({"r2": {"min": 0.8}}, False, "r2 0.71 < 0.8 (rule min: 0.8): 0.09 too low"),
        ({"r2": {"max": 0.7}}, False, "r2 0.71 > 0.7 (rule max: 0.7): 0.01 too high"),
        ({"rmse": 61_000}, False, "rmse 61000.4 > 61000 (rule max: 61000): 0.4 too high"),
        (
            {"rmse": {"better_than_naive": 60_000}},
            False,
            "rmse 61,000 > 55,000 (rule better_than_naive: 60000; the naive prediction has 115,000): "
            "6,000 too high",
        ),
        (
            {"better_than_naive": 1000},
            True,
            "rmse 61,000 ≤ 114,000 (rule better_than_naive: 1000; the naive prediction has 115,000)",
        ),
        (
            {"better_than_baseline": -500},
            True,
            "rmse 61,000 ≤ 61,500 (rule better_than_baseline: -500; the baseline model has 61,000)",
        ),
        (
            {"r2": {"better_than_baseline": 0.02}},
            False,
            "r2 0.71 < 0.72 (rule better_than_baseline: 0.02; the baseline model has 0.7): 0.01 too low",
        ),
        (
            {"slices": {"ocean": {"*": {"rmse": 60_000}}}},
            False,
            "rmse of ocean=ISLAND 90,000 > 60,000 (rule max: 60000): 30,000 too high",
        ),
        (
            {"slices": {"ocean": {"INLAND": {"rmse": {"better_than_baseline": 0}}}}},
            False,
            "rmse of ocean=INLAND 40,000 > 39,000 (rule better_than_baseline: 0; the baseline model has "
            "39,000): 1,000 too high",
        ),
        (
            {"slices": {"ocean": {"ISLAND": {"rmse": {"better_than_baseline": 0}}}}},
            False,
            "rmse of ocean=ISLAND: the baseline model has none to be better than "
            "(rule better_than_baseline: 0)",
        ),
        (
            {"slices": {"ocean": {"NEAR BAY": {"rmse": 1}}}},
            False,
            "rmse of ocean=NEAR BAY: no such rows here, and there is a threshold (rule max: 1)",
        ),
    ],
)
def test_thresholds_give_reasons(thresholds: dict[str, Any], blessed: bool, reason: str) -> None:
    verdict = _verdict(thresholds)
    assert verdict.blessed is blessed
    assert verdict.reasons == (reason,)


def test_only_the_thresholds_that_failed_are_reasons_against() -> None:
    verdict = _verdict({"r2": 0.7, "rmse": 56000, "mae": 30000})
    assert not verdict.blessed
    assert [reason.split()[0] for reason in verdict.reasons] == ["rmse", "mae"]


def test_a_metric_that_cant_be_computed_fails_its_threshold() -> None:
    thresholds = {"auc": 0.5, "per_class": {"*": {"recall": 0.6}}}
    verdict = bless(thresholds, {"": "multiclass"}, BIRDS, BIRDS)
    assert not verdict.blessed
    assert verdict.reasons == (
        "auc can't be computed on these rows, and has a threshold (rule min: 0.5)",
        "recall of bat can't be computed on these rows, and has a threshold (rule min: 0.6)",
    )


def test_with_several_outputs_the_first_metric_of_each_has_to_be_better() -> None:
    tasks = {"price": "regression", "sold": "binary"}
    report = Report({"price/rmse": 10.0, "sold/accuracy": 0.6})
    naive = Report({"price/rmse": 12.0, "sold/accuracy": 0.65})
    verdict = bless({"better_than_naive": 0, "price/rmse": 9}, tasks, report, naive)
    assert [reason.split()[0] for reason in verdict.reasons] == ["sold/accuracy", "price/rmse"]
    assert behind_naive(report.metrics, naive.metrics, tasks) == "sold/accuracy 0.6, naive 0.65"
    asked = Asked(tasks)
    assert not threshold_problems({"price/rmse": 9, "per_class": {"yes": {"sold/recall": 0.1}}}, asked)
    (problem,) = threshold_problems({"rmse": 9}, asked)
    assert problem.remedy == "write its label before it: price/rmse"
    (problem,) = threshold_problems({"rmsee": 9}, asked)
    assert problem.closest == "price/rmse"
    (problem,) = threshold_problems({"prise/rmse": 9}, asked)
    assert problem.what == "'prise/rmse': 'prise' is no label" and problem.closest == "price"
    (problem,) = threshold_problems({"price/rmsee": 9}, asked)
    assert problem.closest == "rmse" and "no metric of 'price'" in problem.what
    (problem,) = threshold_problems({"per_class": {"*": {"price/recall": 9}}}, asked)
    assert "the label 'price' has no classes" in problem.what


def test_the_classes_of_one_label_are_not_those_of_another() -> None:
    tasks = {"kind": "multiclass", "sold": "binary"}
    each = {
        "flat": {"kind/recall": 0.5},
        "yes": {"sold/recall": 0.9},
        "no": {"kind/recall": 0.1, "sold/recall": 1.0},
    }
    report = Report({}, per_class=each)
    verdict = bless({"per_class": {"*": {"kind/recall": 0.3}}}, tasks, report, Report({}))
    assert verdict.reasons == ("kind/recall of no 0.1 < 0.3 (rule min: 0.3): 0.2 too low",)
    asked = Asked(tasks, classes={"kind": ("flat", "no"), "sold": ("no", "yes")})
    (problem,) = threshold_problems({"per_class": {"yes": {"kind/recall": 0.3}, "no": {"kind/f1": 0}}}, asked)
    assert (problem.what, problem.available) == ("'kind' has no class 'yes'", ("flat", "no"))


def test_misspelt_thresholds_are_problems() -> None:
    problems = threshold_problems({"acuracy": 0.9, "auc": {"mim": 1.0}, "better_than_naive": {"min": 1.0}})
    assert [problem.closest for problem in problems] == ["accuracy", "min", ""]
    assert not threshold_problems({"accuracy": 0.9, "better_than_naive": 0.1, "rmse": {"max": 1.0}})
    assert not threshold_problems({"price/rmse": 1.0})  # the outputs are not known yet
    (wrong_task,) = threshold_problems({"rmse": 1.0}, Asked({"": "binary"}))
    assert "no metric of a binary task" in wrong_task.what


@pytest.mark.parametrize(
    ("thresholds", "what", "remedy"),
    [
        ({"baseline": 0.1}, "no threshold 'baseline'", "better_than_naive"),
        ({"auc": {"baseline": 1}}, "no bound 'baseline'", "better_than_naive"),
        ({"better_than_baseline": 0}, "no baseline model", "wire a model as `baseline`"),
        ({"accuracy": "0.9"}, "accuracy takes a number, not '0.9'", ""),
        ({"accuracy": {"min": float("nan")}}, "takes a number, not nan", ""),
        ({"accuracy": True}, "takes a number, not True", ""),
        ({"accuracy": {}}, "has no bound", ""),
        ({"per_class": {"bird": 0.8}}, "metrics by class", ""),
        ({"per_class": {"brid": {"recall": 0.8}}}, "no class 'brid'", ""),
        ({"per_class": {"bird": {"accuracy": 0.8}}}, "'accuracy' is no metric", ""),
        ({"slices": {"city": {"Rome": {"accuracy": 0.8}}}}, "'city' is no slice column", ""),
        ({"slices": {"town": {"accuracy": 0.8}}}, "metrics by column and value", ""),
    ],
)
def test_what_thresholds_cant_say(thresholds: dict[str, Any], what: str, remedy: str) -> None:
    asked = Asked({"": "multiclass"}, ("town",), False, {"": ("bird", "bat")})
    (problem,) = threshold_problems(thresholds, asked)
    assert what in problem.what
    assert remedy in problem.remedy
