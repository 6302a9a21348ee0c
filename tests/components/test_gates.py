from __future__ import annotations

import pytest

from headrace.components.evaluation.gates import bless, threshold_problems

METRICS = {"rmse": 61_000.4, "mae": 40_000.0, "r2": 0.71}
NAIVE = {"rmse": 115_000.0, "mae": 91_000.0, "r2": 0.0}


def test_without_thresholds_it_blesses_and_says_so() -> None:
    verdict = bless(METRICS, NAIVE, {}, "regression")
    assert verdict.blessed
    assert verdict.reasons == ("no thresholds were given",)


@pytest.mark.parametrize(
    ("thresholds", "blessed", "reason"),
    [
        ({"rmse": 56000}, False, "rmse 61,000 > 56,000"),
        ({"rmse": {"max": 62000}}, True, "rmse 61,000 ≤ 62,000"),
        ({"r2": 0.7}, True, "r2 0.71 ≥ 0.7"),
        ({"r2": {"min": 0.8}}, False, "r2 0.71 < 0.8"),
        ({"r2": {"max": 0.7}}, False, "r2 0.71 > 0.7"),
        ({"rmse": 61_000}, False, "rmse 61000.4 > 61000"),
        ({"rmse": {"baseline": 60_000}}, False, "rmse 61,000 > 55,000 (naive baseline 115,000)"),
        ({"baseline": 1000}, True, "rmse 61,000 ≤ 114,000 (naive baseline 115,000)"),
    ],
)
def test_thresholds_give_reasons(thresholds: dict[str, float], blessed: bool, reason: str) -> None:
    verdict = bless(METRICS, NAIVE, thresholds, "regression")
    assert verdict.blessed is blessed
    assert verdict.reasons == (reason,)


def test_only_the_thresholds_that_failed_are_reasons_against() -> None:
    verdict = bless(METRICS, NAIVE, {"r2": 0.7, "rmse": 56000, "mae": 30000}, "regression")
    assert not verdict.blessed
    assert verdict.reasons == ("rmse 61,000 > 56,000", "mae 40,000 > 30,000")


def test_a_metric_that_cant_be_computed_fails_its_threshold() -> None:
    verdict = bless({"auc": None}, {"auc": None}, {"auc": 0.5}, "binary")
    assert not verdict.blessed
    assert "auc can't be computed" in verdict.reasons[0]


def test_misspelt_thresholds_are_problems() -> None:
    problems = threshold_problems({"acuracy": 0.9, "auc": {"mim": 1.0}, "baseline": {"min": 1.0}})
    assert [problem.closest for problem in problems] == ["accuracy", "min", ""]
    assert not threshold_problems({"accuracy": 0.9, "baseline": 0.1, "rmse": {"max": 1.0}})
    (wrong_task,) = threshold_problems({"rmse": 1.0}, "binary")
    assert "no metric of a binary task" in wrong_task.what
