"""Metrics in plain NumPy, under the names that thresholds and reports use.

Classification (labels are class numbers, scores are probabilities `[n, classes]`):

    accuracy    the share of rows whose most probable class is the label
    auc, pr_auc see `curves`; multi-class: the plain mean over the classes, each against the rest
    precision, recall, f1
                of the second class if there are two, otherwise the plain mean ("macro") over the classes
                that occur among labels or predictions; 0 where a denominator is 0
    precision_weighted, recall_weighted, f1_weighted
                multi-class: the means over the classes by how often each is the label
    top_3_accuracy (5, 10, or as asked for)
                multi-class, where there are more classes: the share of rows whose label is among the k most
                probable classes; of equally probable ones the first come first
    log_loss    the mean of -ln(probability of the label), probabilities clipped at 1e-7
    brier       binary: the mean of (p - y)², p the probability of the second class and y 0 or 1;
                multi-class: the mean of the sum of (p - y)² over the classes (Brier, 1950)
    ece         see `calibration`

Multi-label (labels are 0 or 1, `[n, classes]`; a class is predicted where its probability is at least 0.5):

    subset_accuracy   the share of rows in which every class is right
    hamming_loss      the share of all cells that are wrong
    precision, recall, f1, and each with _micro, _weighted
                      macro over the classes that occur; of the sums over all classes; by frequency
    auc, pr_auc       the plain means over the classes
    lrap              label ranking average precision: for each label of a row, the share of labels among
                      the classes that score at least as high; 1 for a row with no label or with all
    log_loss, brier   the means over all cells
    ece               over all cells, see `calibration`

Regression, in the label's own units:

    rmse, mae, r2           r2 is 1 - sum of squared errors / sum of squares about the labels' mean
    median_absolute_error   half of the weight lies on either side
    mape                    the mean of |error / label| (0.1 is 10 %) over the rows whose label isn't 0
    explained_variance      1 - variance of the errors / variance of the labels, so a constant bias is free

Rows count by their weights, where there are any. A metric that the rows can't tell (the AUC of one class, the
r2 of one value, anything where all weights are 0) is None. With very many rows times classes (`CURVE_CELLS`)
auc and pr_auc are None, since each class would need a sort of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .answers import Metrics, ValueAnswers
from .class_answers import ClassAnswers
from .curves import roc_auc
from .label_answers import LabelAnswers

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Weights = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

__all__ = [
    "Metrics",
    "by_value",
    "classification_metrics",
    "multilabel_metrics",
    "regression_metrics",
    "roc_auc",
]


def classification_metrics(labels: Ints, probabilities: Floats, weights: Weights | None = None) -> Metrics:
    """All metrics of a binary or multi-class task; see the module's text.

    Args:
        labels: `[n]` class numbers from 0.
        probabilities: `[n, classes]`, rows summing to 1; two columns for a binary task.
        weights: `[n]` of the rows, at least 0.
    """
    return ClassAnswers.reduce(labels, probabilities, weights).metrics()


def multilabel_metrics(
    labels: npt.NDArray[Any], probabilities: Floats, weights: Weights | None = None
) -> Metrics:
    """All metrics of a multi-label task; see the module's text.

    Args:
        labels: `[n, classes]` of 0 and 1.
        probabilities: `[n, classes]`, each for itself.
        weights: `[n]` of the rows, at least 0.
    """
    return LabelAnswers.reduce(labels, probabilities, weights).metrics()


def regression_metrics(labels: Floats, predictions: Floats, weights: Weights | None = None) -> Metrics:
    """All metrics of `[n]` values, in the units that they come in; see the module's text."""
    return ValueAnswers.reduce(labels, predictions, weights).metrics()


def by_value(values: Sequence[str] | pa.Array, of_rows: Callable[[Rows], Metrics]) -> dict[str, Metrics]:
    """The metrics of the rows of each distinct text, in ascending order of the texts, with `rows`."""
    coded = pc.dictionary_encode(pa.array(values, pa.string()) if isinstance(values, list) else values)
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    names, place = coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(place, kind="stable")
    each = np.split(order, np.cumsum(np.bincount(place, minlength=len(names)))[:-1])
    return {
        names[number]: {"rows": len(each[number]), **of_rows(each[number])}
        for number in sorted(range(len(names)), key=names.__getitem__)
    }
