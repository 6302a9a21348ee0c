"""The metrics of a multi-label task; see `metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..training.tasks import MULTILABEL_THRESHOLD
from .answers import Answers, Floats, Metrics, Weights
from .calibration import bin_sums, expected_calibration_error, reliability_table
from .class_answers import CLIP, CURVE_CELLS, by_class, mean_of
from .counts import Counts
from .curves import Areas, areas


@dataclass(frozen=True)
class LabelAnswers(Answers):
    """Of a multi-label task.

    Attributes:
        truth: bool `[n, classes]`.
        scores: float32 `[n, classes]`.
        ranking: `[n]`, the row's label ranking average precision.
        loss, brier: `[n]`, the means over the row's cells.
    """

    truth: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.floating]
    ranking: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]
    brier: npt.NDArray[np.float64]

    @classmethod
    def reduce(
        cls, labels: npt.NDArray[Any], probabilities: Floats, weights: Weights | None = None
    ) -> LabelAnswers:
        """Of `[n, classes]` labels and probabilities."""
        truth, p = np.asarray(labels) > 0.5, np.asarray(probabilities, np.float64)
        right = np.clip(np.where(truth, p, 1.0 - p), CLIP, 1.0)
        return cls(
            weights,
            truth,
            probabilities,
            ranking_precision(truth, p),
            -np.log(right).mean(axis=1),
            ((p - truth) ** 2).mean(axis=1),
        )

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """`[n]`, what each row adds to log_loss."""
        return self.loss

    @property
    def _rows(self) -> int:
        return len(self.truth)

    @property
    def claimed(self) -> npt.NDArray[np.bool_]:
        """bool `[n, classes]`, what is predicted."""
        chosen: npt.NDArray[np.bool_] = self.scores >= MULTILABEL_THRESHOLD
        return chosen

    def metrics(self) -> Metrics:
        """All metrics of the task."""
        claimed, curves = self.claimed, self._areas
        wrong, counts = claimed != self.truth, Counts.of_labels(self.truth, claimed, self.weights)
        micro = counts.micro
        told: Metrics = {
            "f1_micro": micro.pop("f1_micro"),
            "subset_accuracy": self._mean(~wrong.any(axis=1)),
            "hamming_loss": self._mean(wrong.mean(axis=1)),
            "auc": mean_of(curves, 0),
            "pr_auc": mean_of(curves, 1),
            "lrap": self._mean(self.ranking),
            **counts.macro,
            **micro,
            **counts.weighted,
            "log_loss": self._mean(self.loss),
            "brier": self._mean(self.brier),
            "ece": expected_calibration_error(self._bins),
        }
        return told if self.total else dict.fromkeys(told)

    def per_class(self) -> list[Metrics]:
        """The metrics of each class."""
        return by_class(Counts.of_labels(self.truth, self.claimed, self.weights), self._areas)

    def reliability(self) -> list[dict[str, float | None]]:
        """Of every class of every row."""
        return reliability_table(self._bins)

    @cached_property
    def _bins(self) -> npt.NDArray[np.float64]:
        weights = None if self.weights is None else np.repeat(self.weights, self.truth.shape[1])
        return bin_sums(self.scores.reshape(-1), self.truth.reshape(-1), weights)

    @cached_property
    def _areas(self) -> Sequence[Areas]:
        if self.truth.size > CURVE_CELLS:
            return []
        columns = range(self.truth.shape[1])
        return [areas(self.truth[:, k], self.scores[:, k], self.weights) for k in columns]


def ranking_precision(truth: npt.NDArray[np.bool_], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The label ranking average precision of each row, `[n]`."""
    order = np.argsort(-p, axis=1, kind="stable")
    ranked, hits = np.take_along_axis(p, order, axis=1), np.take_along_axis(truth, order, axis=1)
    classes = p.shape[1]
    # Equal scores share the last of their ranks.
    last = np.ones(p.shape, bool)
    last[:, :-1] = ranked[:, :-1] != ranked[:, 1:]
    ends = np.where(last, np.arange(classes), classes)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    labels = np.take_along_axis(np.cumsum(hits, axis=1), ends, axis=1)
    count = hits.sum(axis=1)
    sums = (labels / (ends + 1) * hits).sum(axis=1)
    trivial = (count == 0) | (count == classes)
    return np.where(trivial, 1.0, sums / np.maximum(count, 1))
