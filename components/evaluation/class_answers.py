"""The metrics of a binary or multi-class task, from a few numbers a row; see `metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .answers import Answers, Floats, Metrics, Weights
from .calibration import bin_sums, expected_calibration_error, reliability_table
from .counts import Counts
from .curves import Areas, areas, areas_of_two
from .metric_names import TOP, top_names

CLIP = 1e-7
"""Probabilities come as float32, which has no finer step below 1."""
CURVE_CELLS = 1 << 27
"""With more rows times classes there are no areas under curves: 512 MB of scores, and as many to sort."""


@dataclass(frozen=True)
class ClassAnswers(Answers):
    """Of a binary or multi-class task.

    Attributes:
        classes: how many there are.
        labels, predicted: `[n]` class numbers.
        probability: `[n]`, of the second class of two, else of the predicted class.
        ahead: `[n]`, how many classes come before the label.
        loss, brier: `[n]`, what the row adds to log_loss and brier.
        scores: float32 `[n, classes]` (binary: `[n, 1]`, of the second class), or None.
        top: the k of `top_k_accuracy`.
    """

    classes: int
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    ahead: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float64]
    brier: npt.NDArray[np.float64]
    scores: npt.NDArray[np.floating] | None
    top: tuple[int, ...] = TOP

    @classmethod
    def reduce(
        cls,
        labels: npt.NDArray[np.integer],
        probabilities: Floats,
        weights: Weights | None = None,
        *,
        keep_scores: bool = True,
        top: tuple[int, ...] = TOP,
    ) -> ClassAnswers:
        """Of `[n]` class numbers and `[n, classes]` probabilities."""
        actual, p = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64)
        rows, classes = np.arange(len(actual)), p.shape[1]
        predicted, of_label = p.argmax(axis=1), p[rows, actual]
        clipped = np.clip(p, CLIP, 1.0)
        loss = np.log(clipped.sum(axis=1)) - np.log(clipped[rows, actual])
        scores = probabilities if classes != 2 else probabilities[:, 1:]
        if classes == 2:
            brier, probability = (p[:, 1] - (actual == 1)) ** 2, p[:, 1]
            ahead = (predicted != actual).astype(np.int64)
        else:
            brier = (p**2).sum(axis=1) - 2 * of_label + 1.0
            probability = p[rows, predicted]
            column = of_label[:, None]
            before = np.arange(classes) < actual[:, None]
            ahead = ((p > column) | ((p == column) & before)).sum(axis=1)
        kept = scores if keep_scores else None
        return cls(weights, classes, actual, predicted, probability, ahead, loss, brier, kept, top)

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """`[n]`, what each row adds to log_loss."""
        return self.loss

    @property
    def _rows(self) -> int:
        return len(self.labels)

    @cached_property
    def _counts(self) -> Counts:
        return Counts.of_classes(self.labels, self.predicted, self.classes, self.weights)

    def metrics(self) -> Metrics:
        """All metrics of the task."""
        binary, counts = self.classes == 2, self._counts
        curves = self._areas[-1:] if binary else self._areas
        told: Metrics = {"accuracy": self._mean(self.predicted == self.labels), "auc": mean_of(curves, 0)}
        told.update(counts.chosen(np.arange(2) == 1) if binary else counts.macro)
        told.update(log_loss=self._mean(self.loss), pr_auc=mean_of(curves, 1), brier=self._mean(self.brier))
        told["ece"] = expected_calibration_error(self._bins)
        if not binary:
            told.update(counts.weighted)
            tops = zip(top_names(self.top), self.top, strict=True)
            told.update({name: self._mean(self.ahead < k) for name, k in tops if self.classes > k})
        return told if self.total else dict.fromkeys(told)

    def per_class(self) -> list[Metrics]:
        """The metrics of each class against the rest."""
        return by_class(self._counts, self._areas)

    def reliability(self) -> list[dict[str, float | None]]:
        """Of the second class, or of the predicted one."""
        return reliability_table(self._bins)

    @cached_property
    def _bins(self) -> npt.NDArray[np.float64]:
        happened = self.labels == (1 if self.classes == 2 else self.predicted)
        return bin_sums(self.probability, happened, self.weights)

    @cached_property
    def _areas(self) -> Sequence[Areas]:
        if self.scores is None:
            return []
        if self.classes == 2:
            return areas_of_two(self.labels == 1, self.scores[:, 0], self.weights)
        columns = range(self.classes)
        return [areas(self.labels == k, self.scores[:, k], self.weights) for k in columns]


def mean_of(areas: Sequence[Areas], place: int) -> float | None:
    """The mean over the classes that have one, of auc (0) or pr_auc (1)."""
    told = [pair[place] for pair in areas if pair[place] is not None]
    return float(np.mean(np.asarray(told, np.float64))) if told else None


def by_class(counts: Counts, areas: Sequence[Areas]) -> list[Metrics]:
    """The metrics of each class; areas are empty where there are none."""
    columns = (counts.precision, counts.recall, counts.f1, counts.actual)
    lists = [[None if value != value else value for value in column.tolist()] for column in columns]
    curves = areas or [(None, None)] * len(counts.actual)
    return [
        {"support": support, "precision": precision, "recall": recall, "f1": f1, "auc": auc, "pr_auc": pr}
        for precision, recall, f1, support, (auc, pr) in zip(*lists, curves, strict=True)
    ]
