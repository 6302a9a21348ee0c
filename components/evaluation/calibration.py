"""Whether probabilities mean what they say: the reliability table and the expected calibration error.

The rows are put into 10 bins of equal width by a probability p: [0, 0.1), [0.1, 0.2) … [0.9, 1]. For bin b
with the sum of weights w_b (the number of rows, if they have none), `predicted` is the mean of p, `observed`
the share of rows in which what p is the probability of has happened, and over all bins, with W = sum of w_b,

    ece = sum over b of (w_b / W) · |observed_b - predicted_b|

Binary: p is the probability of the second class. Multi-class: p is the greatest probability, and what may
happen is that this class is the label (Guo et al., 2017, "On Calibration of Modern Neural Networks").
Multi-label: every row counts once for each class, with the probability of that class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 10
Bins = npt.NDArray[np.float64]
"""`[3, bins]`: the sums of weights, of weight · p, and of weight · happened."""


def bin_sums(
    p: npt.NDArray[Any], happened: npt.NDArray[Any], weights: npt.NDArray[np.float64] | None
) -> Bins:
    """The sums of `[n]` rows by bin."""
    place = np.minimum((np.asarray(p, np.float64) * BINS).astype(np.int64), BINS - 1)
    rows = np.ones(len(place)) if weights is None else weights
    columns = (rows, rows * np.asarray(p, np.float64), rows * happened)
    return np.stack([np.bincount(place, column, BINS) for column in columns])


def expected_calibration_error(sums: Bins) -> float | None:
    """The ece of the sums by bin; None without rows."""
    total = float(sums[0].sum())
    return float(np.sum(np.abs(sums[2] - sums[1])) / total) if total else None


def reliability_table(sums: Bins) -> list[dict[str, float | None]]:
    """A line for each bin: `from`, `to`, `rows` (their weight), `predicted`, `observed`."""
    lines: list[dict[str, float | None]] = []
    for number, (weight, predicted, happened) in enumerate(sums.T.tolist()):
        told = {"from": number / BINS, "to": (number + 1) / BINS, "rows": weight}
        means = (predicted / weight, happened / weight) if weight else (None, None)
        lines.append({**told, "predicted": means[0], "observed": means[1]})
    return lines
