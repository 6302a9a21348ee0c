"""Metrics in plain NumPy, under the names that thresholds and reports use.

Classification (labels are class numbers, scores are probabilities `[n, classes]`):

    accuracy    the share of rows whose most probable class is the label
    auc         area under the ROC curve, ties counted half (the Mann-Whitney statistic); multi-class: the
                plain mean over the classes, each against the rest
    precision, recall, f1
                of the second class if there are two, otherwise the plain mean ("macro") over the classes
                that occur among labels or predictions; 0 where a denominator is 0
    log_loss    the mean of -ln(probability of the label), probabilities clipped at 1e-7

Regression, in the label's own units: `rmse`, `mae`, `r2`.

A metric that the rows can't tell (the AUC of one class, the r2 of one value) is None.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Metrics = dict[str, float | None]
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

CLIP = 1e-7
"""Probabilities come as float32, which has no finer step below 1."""


def classification_metrics(labels: Ints, probabilities: Floats) -> Metrics:
    """All classification metrics; see the module's text.

    Args:
        labels: `[n]` class numbers from 0.
        probabilities: `[n, classes]`, rows summing to 1; two columns for a binary task.
    """
    p = np.asarray(probabilities, np.float64)
    predicted = p.argmax(axis=1)
    classes = p.shape[1]
    precision, recall, f1 = precision_recall_f1(labels, predicted, classes)
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "auc": roc_auc(labels == 1, p[:, 1]) if classes == 2 else _mean_auc(labels, p),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "log_loss": log_loss(labels, p),
    }


def regression_metrics(labels: Floats, predictions: Floats) -> Metrics:
    """`rmse`, `mae` and `r2` of `[n]` values, in the units that they come in."""
    y = np.asarray(labels, np.float64)
    error = np.asarray(predictions, np.float64) - y
    spread = float(np.sum((y - y.mean()) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1.0 - float(np.sum(error**2)) / spread if spread > 0 else None,
    }


def confusion_matrix(labels: Ints, predicted: Ints, classes: int) -> npt.NDArray[np.int64]:
    """`[classes, classes]` counts; a row for each label, a column for each prediction."""
    cells = np.bincount(np.asarray(labels, np.int64) * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def precision_recall_f1(labels: Ints, predicted: Ints, classes: int) -> tuple[float, float, float]:
    """Of class 1 if there are two classes, else the macro mean over the classes that occur."""
    matrix = confusion_matrix(labels, predicted, classes)
    hits, actual, claimed = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _ratio(hits, claimed), _ratio(hits, actual)
    f1 = _ratio(2 * hits, actual + claimed)
    chosen = np.arange(classes) == 1 if classes == 2 else (actual + claimed) > 0
    return float(precision[chosen].mean()), float(recall[chosen].mean()), float(f1[chosen].mean())


def roc_auc(positive: npt.NDArray[np.bool_], scores: Floats) -> float | None:
    """The probability that a positive row scores higher than a negative one, ties counted half."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[place]  # tied scores share the mean of their ranks
    wins = float(ranks[positive].sum()) - positives * (positives + 1) / 2.0
    return wins / (positives * negatives)


def log_loss(labels: Ints, probabilities: Floats) -> float:
    """The mean of -ln(probability of the label)."""
    p = np.clip(probabilities, CLIP, 1.0)
    p = p / p.sum(axis=1, keepdims=True)
    return float(-np.mean(np.log(p[np.arange(len(labels)), labels])))


def by_value(values: list[str], metrics: Callable[[npt.NDArray[np.intp]], Metrics]) -> dict[str, Metrics]:
    """The metrics of the rows of each distinct value, in ascending order of the values, with `rows`."""
    names, place = np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)
    found: dict[str, Metrics] = {}
    for number, name in enumerate(names):
        rows = np.flatnonzero(place == number)
        found[str(name)] = {"rows": len(rows), **metrics(rows)}
    return found


def _mean_auc(labels: Ints, probabilities: Floats) -> float | None:
    each = [roc_auc(labels == k, probabilities[:, k]) for k in range(probabilities.shape[1])]
    told = [area for area in each if area is not None]
    return float(np.mean(told)) if told else None


def _ratio(part: Ints, whole: Ints) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=np.asarray(whole) > 0)
