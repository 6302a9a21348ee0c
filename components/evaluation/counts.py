"""Precision, recall and F1 from counts of hits, labels and predictions; the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
Weights = npt.NDArray[np.float64]
ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Counts:
    """By class `[classes]` the weight of rows; without weights their number.

    Attributes:
        hits: that have the class and were predicted to have it.
        actual: that have it.
        claimed: that were predicted to have it.
    """

    hits: npt.NDArray[np.float64]
    actual: npt.NDArray[np.float64]
    claimed: npt.NDArray[np.float64]

    @classmethod
    def of_classes(cls, labels: Ints, predicted: Ints, classes: int, weights: Weights | None) -> Counts:
        """Of `[n]` class numbers; no matrix is made, so there may be many classes."""
        right = labels == predicted
        return cls(
            _sums(labels[right], None if weights is None else weights[right], classes),
            _sums(labels, weights, classes),
            _sums(predicted, weights, classes),
        )

    @classmethod
    def of_labels(
        cls, truth: npt.NDArray[np.bool_], claimed: npt.NDArray[np.bool_], weights: Weights | None
    ) -> Counts:
        """Of multi-label rows `[n, classes]`."""
        masks = (truth & claimed, truth, claimed)
        return cls(*(column_sums(mask, weights) for mask in masks))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Hits of what was claimed; NaN where nothing was."""
        return _ratio(self.hits, self.claimed)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Hits of what is there; NaN where nothing is."""
        return _ratio(self.hits, self.actual)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """The harmonic mean of both, 2·hits / (actual + claimed); NaN where neither is."""
        return _ratio(2 * self.hits, self.actual + self.claimed)

    def chosen(self, classes: npt.NDArray[Any] | int) -> dict[str, float | None]:
        """The plain mean over some classes; a class without a denominator counts 0."""
        return {name: _mean(np.nan_to_num(self._of(name)[classes])) for name in ("precision", "recall", "f1")}

    @property
    def macro(self) -> dict[str, float | None]:
        """The plain mean over the classes that occur among labels or predictions."""
        return self.chosen((self.actual + self.claimed) > 0)

    @property
    def micro(self) -> dict[str, float | None]:
        """Of the sums over all classes."""
        total = Counts(*(np.asarray([part.sum()]) for part in (self.hits, self.actual, self.claimed)))
        return {f"{name}_micro": value for name, value in total.chosen(np.asarray([0])).items()}

    @property
    def weighted(self) -> dict[str, float | None]:
        """The mean over the classes by how often each is the label."""
        total = float(self.actual.sum())
        means: dict[str, float | None] = {}
        for name in ("precision", "recall", "f1"):
            mean = float(np.nan_to_num(self._of(name)) @ self.actual) / total if total else None
            means[f"{name}_weighted"] = mean
        return means

    def _of(self, name: str) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = getattr(self, name)
        return found


def confusion_matrix(
    labels: Ints, predicted: Ints, classes: int, weights: Weights | None = None
) -> npt.NDArray[Any]:
    """`[classes, classes]` counts, or sums of weights; a row for each label, a column for each prediction."""
    cells = np.asarray(labels, np.int64) * classes + predicted
    return np.bincount(cells, weights, classes * classes).reshape(classes, classes)


def frequent_mistakes(
    labels: Ints, predicted: Ints, classes: int, weights: Weights | None, most: int
) -> list[tuple[int, int, float]]:
    """`(label, prediction, rows)` of the most frequent wrong pairs, the most frequent first.

    Where rows have weights, their sum stands for the rows.
    """
    wrong = np.flatnonzero(labels != predicted)
    cells = np.asarray(labels[wrong], np.int64) * classes + predicted[wrong]
    pairs, place = np.unique(cells, return_inverse=True)
    amounts = np.bincount(place, None if weights is None else weights[wrong], len(pairs))
    order = np.argsort(-amounts, kind="stable")[:most]
    return [(int(pairs[i]) // classes, int(pairs[i]) % classes, amounts[i].item()) for i in order]


def column_sums(mask: npt.NDArray[np.bool_], weights: Weights | None) -> npt.NDArray[np.float64]:
    """The weight of the rows `[n, columns]` that are true, by column."""
    if weights is None:
        return np.asarray(np.count_nonzero(mask, axis=0), np.float64)
    parts = range(0, len(mask), ROWS_AT_ONCE)  # a product makes floats of the whole mask
    sums = np.zeros(mask.shape[1])
    for i in parts:
        sums += weights[i : i + ROWS_AT_ONCE] @ mask[i : i + ROWS_AT_ONCE]
    return sums


def _sums(classes: Ints, weights: Weights | None, count: int) -> npt.NDArray[np.float64]:
    return np.bincount(classes, weights, count).astype(np.float64)


def _ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    ratio: npt.NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(np.mean(values)) if np.size(values) else None
