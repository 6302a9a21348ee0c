from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from headrace.components.evaluation import class_answers
from headrace.components.evaluation.answers import ValueAnswers, weighted_median
from headrace.components.evaluation.class_answers import ClassAnswers
from headrace.components.evaluation.counts import confusion_matrix, frequent_mistakes
from headrace.components.evaluation.curves import areas, roc_auc
from headrace.components.evaluation.label_answers import LabelAnswers
from headrace.components.evaluation.metric_names import BY_TASK, PER_CLASS, TOP
from headrace.components.evaluation.metrics import (
    by_value,
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)

AVERAGES = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(params=["rows alike", "row weights"])
def weights(request: pytest.FixtureRequest) -> np.ndarray | None:
    if request.param == "rows alike":
        return None
    drawn = np.random.default_rng(8).exponential(2, 300)
    drawn[:20] = 0.0
    return drawn


def _probabilities(rng: np.random.Generator, n: int, classes: int) -> np.ndarray:
    p = rng.random((n, classes)).round(1) + 0.05  # rounded, so that there are ties
    return p / p.sum(axis=1, keepdims=True)


def _ece(p: np.ndarray, happened: np.ndarray, weights: np.ndarray) -> float:
    """By hand, a bin at a time."""
    found = 0.0
    for low in range(10):
        chosen = (p >= low / 10) & ((p < (low + 1) / 10) | (low == 9))
        found += abs(np.sum(weights[chosen] * (happened[chosen] - p[chosen])))
    return found / weights.sum()


def test_binary_metrics_are_those_of_scikit_learn(rng: np.random.Generator, weights: Any) -> None:
    y, p = rng.integers(0, 2, 300), _probabilities(rng, 300, 2)
    told, chosen = classification_metrics(y, p, weights), p.argmax(axis=1)
    given = {"sample_weight": weights}
    assert told == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, chosen, **given),
            "auc": sk.roc_auc_score(y, p[:, 1], **given),
            **{name: score(y, chosen, **given) for name, score in AVERAGES.items()},
            "log_loss": sk.log_loss(y, p, **given),
            "pr_auc": sk.average_precision_score(y, p[:, 1], **given),
            "brier": sk.brier_score_loss(y, p[:, 1], **given),
            "ece": _ece(p[:, 1], y == 1, np.ones(300) if weights is None else weights),
        }
    )
    assert set(told) == set(BY_TASK["binary"])


def test_multiclass_metrics_are_those_of_scikit_learn(rng: np.random.Generator, weights: Any) -> None:
    y, p = rng.integers(0, 5, 300), _probabilities(rng, 300, 6)  # the sixth class never is the label
    told, chosen = classification_metrics(y, p, weights), p.argmax(axis=1)
    given = {"sample_weight": weights, "zero_division": 0}
    for name, score in AVERAGES.items():
        assert told[name] == pytest.approx(score(y, chosen, average="macro", **given))
        assert told[f"{name}_weighted"] == pytest.approx(score(y, chosen, average="weighted", **given))
    assert told["log_loss"] == pytest.approx(sk.log_loss(y, p, labels=range(6), sample_weight=weights))
    told_areas = [sk.roc_auc_score(y == k, p[:, k], sample_weight=weights) for k in range(5)]
    assert told["auc"] == pytest.approx(np.mean(told_areas))
    precise = [sk.average_precision_score(y == k, p[:, k], sample_weight=weights) for k in range(5)]
    assert told["pr_auc"] == pytest.approx(np.mean(precise))
    squares = ((p - np.eye(6)[y]) ** 2).sum(axis=1)
    assert told["brier"] == pytest.approx(np.average(squares, weights=weights))
    rows = np.ones(300) if weights is None else weights
    assert told["ece"] == pytest.approx(_ece(p.max(axis=1), chosen == y, rows))
    assert set(BY_TASK["multiclass"]) - set(told) == {"top_10_accuracy"}


def test_top_k_accuracy_is_that_of_scikit_learn(rng: np.random.Generator, weights: Any) -> None:
    y, p = rng.integers(0, 12, 300), rng.dirichlet(np.ones(12), 300)
    told = classification_metrics(y, p, weights)
    for k in TOP:
        expected = sk.top_k_accuracy_score(y, p, k=k, labels=range(12), sample_weight=weights)
        assert told[f"top_{k}_accuracy"] == pytest.approx(expected)
    # Of equally probable classes the first come first, as with argmax.
    even = np.full((2, 4), 0.25)
    assert classification_metrics(np.array([2, 3]), even)["top_3_accuracy"] == 0.5


def test_each_class_has_metrics_of_its_own(rng: np.random.Generator, weights: Any) -> None:
    y, p = rng.integers(0, 4, 300), _probabilities(rng, 300, 4)
    told = ClassAnswers.reduce(y, p, weights).per_class()
    report = sk.classification_report(
        y, p.argmax(axis=1), output_dict=True, sample_weight=weights, zero_division=0
    )
    for number, metrics in enumerate(told):
        assert set(metrics) == set(PER_CLASS)
        expected = report[str(number)]
        assert metrics["f1"] == pytest.approx(expected["f1-score"])
        assert {n: metrics[n] for n in ("precision", "recall", "support")} == pytest.approx(
            {n: expected[n] for n in ("precision", "recall", "support")}
        )
        area = sk.roc_auc_score(y == number, p[:, number], sample_weight=weights)
        assert metrics["auc"] == pytest.approx(area)


def test_the_two_classes_of_a_binary_task_have_areas_of_their_own(rng: np.random.Generator) -> None:
    y, p = rng.integers(0, 2, 300), _probabilities(rng, 300, 2)
    told = ClassAnswers.reduce(y, p).per_class()
    assert [one["pr_auc"] for one in told] == pytest.approx(
        [sk.average_precision_score(y == k, s) for k, s in ((0, -p[:, 1]), (1, p[:, 1]))]
    )
    assert told[1]["precision"] == classification_metrics(y, p)["precision"]


def test_multilabel_metrics_are_those_of_scikit_learn(rng: np.random.Generator, weights: Any) -> None:
    y = rng.random((300, 6)) < [0.5, 0.3, 0.1, 0.6, 0.0, 0.4]  # the fifth label never is there
    p = np.clip(rng.random((300, 6)).round(1) * 0.9 + 0.05, 0, 1)
    told, claimed = multilabel_metrics(y, p, weights), p >= 0.5
    given = {"sample_weight": weights, "zero_division": 0}
    for name, score in AVERAGES.items():
        assert told[name] == pytest.approx(score(y, claimed, average="macro", **given))
        assert told[f"{name}_micro"] == pytest.approx(score(y, claimed, average="micro", **given))
        assert told[f"{name}_weighted"] == pytest.approx(score(y, claimed, average="weighted", **given))
    assert told["subset_accuracy"] == pytest.approx(sk.accuracy_score(y, claimed, sample_weight=weights))
    assert told["hamming_loss"] == pytest.approx(sk.hamming_loss(y, claimed, sample_weight=weights))
    ranked = sk.label_ranking_average_precision_score(y, p, sample_weight=weights)
    assert told["lrap"] == pytest.approx(ranked)
    there = [0, 1, 2, 3, 5]
    each = [sk.roc_auc_score(y[:, k], p[:, k], sample_weight=weights) for k in there]
    assert told["auc"] == pytest.approx(np.mean(each))
    losses = [sk.log_loss(y[:, k], p[:, k], labels=[0, 1], sample_weight=weights) for k in range(6)]
    assert told["log_loss"] == pytest.approx(np.mean(losses))
    squares = [sk.brier_score_loss(y[:, k], p[:, k], sample_weight=weights, pos_label=1) for k in there]
    squares.append(np.average(p[:, 4] ** 2, weights=weights))
    assert told["brier"] == pytest.approx(np.mean(squares))
    rows = np.repeat(np.ones(300) if weights is None else weights, 6)
    assert told["ece"] == pytest.approx(_ece(p.reshape(-1), y.reshape(-1), rows))
    assert set(told) == set(BY_TASK["multilabel"])


def test_regression_metrics_are_those_of_scikit_learn(rng: np.random.Generator, weights: Any) -> None:
    y = rng.normal(2e5, 1e5, 300)
    guess = y + rng.normal(2e3, 3e4, 300)
    given = {"sample_weight": weights}
    told = regression_metrics(y, guess, weights)
    assert told == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(y, guess, **given),
            "mae": sk.mean_absolute_error(y, guess, **given),
            "r2": sk.r2_score(y, guess, **given),
            "mape": sk.mean_absolute_percentage_error(y, guess, **given),
            "explained_variance": sk.explained_variance_score(y, guess, **given),
            "median_absolute_error": told["median_absolute_error"],  # below
        }
    )
    assert set(told) == set(BY_TASK["regression"])


def test_a_weight_counts_as_so_many_rows(rng: np.random.Generator) -> None:
    y, guess, times = rng.normal(size=50), rng.normal(size=50), rng.integers(0, 4, 50)
    again = np.repeat(np.arange(50), times)
    weighted = regression_metrics(y, guess, times.astype(float))
    assert weighted == pytest.approx(regression_metrics(y[again], guess[again]))
    errors = np.abs(guess - y)
    assert weighted["median_absolute_error"] == pytest.approx(np.median(errors[again]))
    labels, p = rng.integers(0, 3, 50), _probabilities(rng, 50, 3)
    assert classification_metrics(labels, p, times.astype(float)) == pytest.approx(
        classification_metrics(labels[again], p[again])
    )
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])) == 2.0
    # Half of the sum of 0.1 ten times over is not the sum of five of them, to the last bit.
    assert weighted_median(np.arange(10.0), np.full(10, 0.1)) == np.median(np.arange(10.0))


def test_what_the_rows_cant_tell_is_none() -> None:
    assert roc_auc(np.array([True, True]), np.array([0.1, 0.2])) is None
    assert areas(np.array([False, False]), np.array([0.1, 0.2])) == (None, None)
    one_row = regression_metrics(np.array([3.0]), np.array([4.0]))
    assert one_row["r2"] is None and one_row["explained_variance"] is None
    assert one_row["rmse"] == 1.0
    assert regression_metrics(np.array([0.0]), np.array([4.0]))["mape"] is None
    for weights in (None, np.linspace(0.1, 1.7, 31)):  # whose mean is not 0.1 to the last bit
        constant = regression_metrics(np.full(31, 0.1), np.linspace(0, 1, 31), weights)
        assert constant["r2"] is None and constant["explained_variance"] is None
    one_class = classification_metrics(np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]))
    assert one_class["auc"] is None
    assert one_class["accuracy"] == 0.5
    absent = ClassAnswers.reduce(np.array([0]), np.array([[0.9, 0.1]])).per_class()[1]
    assert absent["recall"] is None and absent["f1"] is None and absent["support"] == 0


def test_where_all_weights_are_zero_nothing_can_be_told() -> None:
    y, none = np.array([0, 1]), np.zeros(2)
    told = classification_metrics(y, np.array([[0.3, 0.7], [0.6, 0.4]]), none)
    assert told["accuracy"] is None and set(told.values()) == {None}
    assert set(regression_metrics(y * 1.0, y * 2.0, none).values()) == {None}
    assert set(multilabel_metrics(np.eye(2), np.eye(2), none).values()) == {None}


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    told = classification_metrics(np.array([0]), np.array([[0.0, 1.0]], np.float32))
    assert told["log_loss"] == pytest.approx(-np.log(1e-7), rel=1e-3)
    cells = multilabel_metrics(np.array([[0, 1]]), np.array([[1.0, 0.0]], np.float32))
    assert cells["log_loss"] == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_batches_that_are_joined_give_the_metrics_of_the_whole(rng: np.random.Generator) -> None:
    y, p, w = rng.integers(0, 4, 90), _probabilities(rng, 90, 4), rng.random(90)
    parts = [ClassAnswers.reduce(y[i : i + 40], p[i : i + 40], w[i : i + 40]) for i in (0, 40, 80)]
    assert ClassAnswers.join(parts).metrics() == classification_metrics(y, p, w)
    truth = rng.random((90, 4)) < 0.4
    halves = [LabelAnswers.reduce(truth[rows], p[rows]) for rows in (slice(45), slice(45, None))]
    assert LabelAnswers.join(halves).metrics() == multilabel_metrics(truth, p)


def test_thousands_of_classes_are_measured_without_their_curves(rng: np.random.Generator) -> None:
    y, p = rng.integers(0, 3000, 200), rng.random((200, 3000), np.float32)
    p[np.arange(200), y] += rng.random(200)
    p /= p.sum(axis=1, keepdims=True)
    told = ClassAnswers.reduce(y, p, keep_scores=False)
    metrics = told.metrics()
    assert metrics["auc"] is None and metrics["pr_auc"] is None
    assert metrics["accuracy"] == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1)))
    assert metrics["top_10_accuracy"] == pytest.approx(
        sk.top_k_accuracy_score(y, p, k=10, labels=range(3000))
    )
    assert len(told.per_class()) == 3000
    assert class_answers.CURVE_CELLS >= 1 << 20


def test_the_confusion_and_the_most_frequent_mistakes() -> None:
    y, guess = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 2, 2, 1, 1, 2])
    assert confusion_matrix(y, guess, 3).tolist() == sk.confusion_matrix(y, guess).tolist()
    assert frequent_mistakes(y, guess, 3, None, 5) == [(0, 2, 2), (2, 1, 1)]
    heavy = np.array([1, 0.5, 0.25, 1, 4, 1])
    assert frequent_mistakes(y, guess, 3, heavy, 1) == [(2, 1, 4.0)]


def test_the_reliability_table_is_that_of_the_bins() -> None:
    p = np.array([0.05, 0.08, 0.95, 1.0])
    lines = ClassAnswers.reduce(np.array([0, 1, 1, 1]), np.stack([1 - p, p], 1)).reliability()
    assert len(lines) == 10
    assert lines[0] == {
        "from": 0.0,
        "to": 0.1,
        "rows": 2.0,
        "predicted": pytest.approx(0.065),
        "observed": 0.5,
    }
    assert lines[9]["observed"] == 1.0 and lines[9]["predicted"] == pytest.approx(0.975)
    assert lines[4]["predicted"] is None


def test_slices_partition_the_rows() -> None:
    y, guess = np.arange(4.0), np.array([0.0, 1.0, 4.0, 5.0])
    answers = ValueAnswers.reduce(y, guess)
    told = by_value(["b", "a", "b", "b"], lambda rows: answers.take(rows).metrics())
    assert list(told) == ["a", "b"]
    assert told["a"]["rows"] == 1 and told["a"]["rmse"] == 0.0 and told["a"]["r2"] is None
    assert told["b"]["rows"] == 3
    assert told["b"]["mae"] == pytest.approx(4 / 3)
