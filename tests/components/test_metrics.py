from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from headrace.components.evaluation.metrics import (
    by_value,
    classification_metrics,
    regression_metrics,
    roc_auc,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _probabilities(rng: np.random.Generator, n: int, classes: int) -> np.ndarray:
    p = rng.random((n, classes)).round(1) + 0.05  # rounded, so that there are ties
    return p / p.sum(axis=1, keepdims=True)


def test_binary_metrics_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    y, p = rng.integers(0, 2, 300), _probabilities(rng, 300, 2)
    told, chosen = classification_metrics(y, p), p.argmax(axis=1)
    assert told == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, chosen),
            "auc": sk.roc_auc_score(y, p[:, 1]),
            "precision": sk.precision_score(y, chosen),
            "recall": sk.recall_score(y, chosen),
            "f1": sk.f1_score(y, chosen),
            "log_loss": sk.log_loss(y, p),
        }
    )


def test_multiclass_metrics_are_scikit_learns_macro_means(rng: np.random.Generator) -> None:
    y, p = rng.integers(0, 4, 300), _probabilities(rng, 300, 5)  # the fifth class never is the label
    told, chosen = classification_metrics(y, p), p.argmax(axis=1)
    assert told["precision"] == pytest.approx(sk.precision_score(y, chosen, average="macro", zero_division=0))
    assert told["recall"] == pytest.approx(sk.recall_score(y, chosen, average="macro", zero_division=0))
    assert told["f1"] == pytest.approx(sk.f1_score(y, chosen, average="macro", zero_division=0))
    assert told["log_loss"] == pytest.approx(sk.log_loss(y, p, labels=range(5)))
    areas = [sk.roc_auc_score(y == k, p[:, k]) for k in range(4)]
    assert told["auc"] == pytest.approx(np.mean(areas))


def test_regression_metrics_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    y = rng.normal(2e5, 1e5, 300)
    guess = y + rng.normal(0, 3e4, 300)
    assert regression_metrics(y, guess) == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(y, guess),
            "mae": sk.mean_absolute_error(y, guess),
            "r2": sk.r2_score(y, guess),
        }
    )


def test_what_the_rows_cant_tell_is_none() -> None:
    assert roc_auc(np.array([True, True]), np.array([0.1, 0.2])) is None
    assert regression_metrics(np.array([3.0]), np.array([4.0]))["r2"] is None
    one_class = classification_metrics(np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]))
    assert one_class["auc"] is None
    assert one_class["accuracy"] == 0.5


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    told = classification_metrics(np.array([0]), np.array([[0.0, 1.0]], np.float32))
    assert told["log_loss"] == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_slices_partition_the_rows() -> None:
    y, guess = np.arange(4.0), np.array([0.0, 1.0, 4.0, 5.0])
    told = by_value(["b", "a", "b", "b"], lambda rows: regression_metrics(y[rows], guess[rows]))
    assert list(told) == ["a", "b"]
    assert told["a"] == {"rows": 1, "rmse": 0.0, "mae": 0.0, "r2": None}
    assert told["b"]["rows"] == 3
    assert told["b"]["mae"] == pytest.approx(4 / 3)
