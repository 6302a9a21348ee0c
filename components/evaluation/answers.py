"""Labels and answers of some rows, as small as metrics can be made from; here those of a regression.

Thousands of probabilities a row are reduced batch by batch to a few numbers a row; only the areas under
curves need all of them, and are left out where those are too many. What each metric is stands in `metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Metrics = dict[str, float | None]
Floats = npt.NDArray[np.floating]
Weights = npt.NDArray[np.float64]
ROUNDING = 1e-12
"""How far, relatively, sums of weights may be off."""


@dataclass(frozen=True)
class Answers:
    """What every kind has: `[n]` weights, or None where each row counts as 1."""

    weights: Weights | None

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """Of some of the rows."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{n: p[rows] if isinstance(p, np.ndarray) else p for n, p in parts.items()})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Of all rows of the parts, one after another; they have to be of one kind."""
        if len(parts) == 1:
            return parts[0]
        columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        return cls(
            **{n: np.concatenate(c) if isinstance(c[0], np.ndarray) else c[0] for n, c in columns.items()}
        )

    @property
    def total(self) -> float:
        """The sum of the weights; without any the number of rows."""
        return float(self._rows if self.weights is None else self.weights.sum())

    @property
    def _rows(self) -> int:
        raise NotImplementedError

    def _mean(self, values: npt.NDArray[Any]) -> float | None:
        if not self.total:
            return None
        return float(np.mean(values) if self.weights is None else self.weights @ values / self.total)

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """`[n]`, how wrong each answer is: what it adds to log_loss, or the squared error."""
        raise NotImplementedError

    def metrics(self) -> Metrics:
        """All metrics of the kind, by name."""
        raise NotImplementedError

    def per_class(self) -> list[Metrics]:
        """The metrics of each class, see `PER_CLASS`; none for values."""
        return []

    def reliability(self) -> list[dict[str, float | None]]:
        """The reliability table; none for values."""
        return []


@dataclass(frozen=True)
class ValueAnswers(Answers):
    """Of a regression: `[n]` labels and predictions, float64."""

    labels: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.float64]

    @classmethod
    def reduce(cls, labels: Floats, predictions: Floats, weights: Weights | None = None) -> ValueAnswers:
        """Of `[n]` values each."""
        return cls(weights, np.asarray(labels, np.float64), np.asarray(predictions, np.float64))

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """`[n]`, the squared errors."""
        squares: npt.NDArray[np.float64] = (self.predictions - self.labels) ** 2
        return squares

    @property
    def _rows(self) -> int:
        return len(self.labels)

    def metrics(self) -> Metrics:
        """All metrics of a regression."""
        y, error = self.labels, self.predictions - self.labels
        absolute, squares = np.abs(error), self._mean(error**2)
        middle, bias = self._mean(y), self._mean(error)
        if squares is None or middle is None or bias is None:
            names = ("rmse", "mae", "r2", "median_absolute_error", "mape", "explained_variance")
            return dict.fromkeys(names)
        # The mean of equal numbers may differ from them by a rounding, which would be all of the spread.
        weighing = y if self.weights is None else y[self.weights > 0]
        varies = weighing.min() < weighing.max()
        spread = self._mean((y - middle) ** 2) if varies else None
        unexplained = self._mean((error - bias) ** 2) or 0.0
        told = np.flatnonzero(y)
        relative = ValueAnswers.reduce(y[told], y[told], None if self.weights is None else self.weights[told])
        return {
            "rmse": float(np.sqrt(squares)),
            "mae": self._mean(absolute),
            "r2": 1.0 - squares / spread if spread else None,
            "median_absolute_error": weighted_median(absolute, self.weights),
            "mape": relative._mean(np.abs(error[told] / y[told])),
            "explained_variance": 1.0 - unexplained / spread if spread else None,
        }


def weighted_median(values: npt.NDArray[np.float64], weights: Weights | None) -> float | None:
    """The value that half of the weight lies below and half above; the mean of two where it is between."""
    if weights is None:
        return float(np.median(values)) if len(values) else None
    values, weights = values[weights > 0], weights[weights > 0]
    if not len(values):
        return None
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    half = below[-1] / 2
    # Sums of weights are rounded, so that half is never hit to the last bit.
    low = int(np.searchsorted(below, half * (1 - ROUNDING)))  # the first value at which half is reached
    high = min(int(np.searchsorted(below, half * (1 + ROUNDING), side="right")), len(values) - 1)
    return float((values[order[low]] + values[order[high]]) / 2)
