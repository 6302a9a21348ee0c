"""Areas under the ROC and the precision-recall curve, from one sort of the scores.

    auc     the share of pairs of a positive and a negative row in which the positive one scores higher, ties
            counted half (the Mann-Whitney statistic); the same as the area by trapezoids
    pr_auc  average precision: the sum over the distinct scores, from the highest, of precision there times
            the recall that is gained there. Nothing is interpolated, so it is no area by trapezoids

Rows count by their weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Weights = npt.NDArray[np.float64]


Areas = tuple[float | None, float | None]
"""`(auc, pr_auc)`."""


def areas(positive: npt.NDArray[np.bool_], scores: Floats, weights: Weights | None = None) -> Areas:
    """`(auc, pr_auc)` of `[n]` rows.

    Returns:
        None for auc without a positive or without a negative row, for pr_auc without a positive one.
    """
    return _areas(*_cumulated(positive, scores, weights))


def areas_of_two(
    positive: npt.NDArray[np.bool_], scores: Floats, weights: Weights | None = None
) -> tuple[Areas, Areas]:
    """The areas of the negative rows, by `-scores`, and of the positive rows, from one sort."""
    hits, misses = _cumulated(positive, scores, weights)
    if not len(hits):
        return (None, None), (None, None)
    upwards = [(part[-1] - np.append(0, part[:-1]))[::-1] for part in (misses, hits)]
    return _areas(*upwards), _areas(hits, misses)


def _areas(hits: npt.NDArray[Any], misses: npt.NDArray[Any]) -> Areas:
    """Of the sums down to each distinct score."""
    if not len(hits) or not hits[-1]:
        return None, None
    gained = np.diff(hits, prepend=0)
    claimed = hits + misses
    precision = np.divide(hits, claimed, out=np.zeros(len(hits)), where=claimed > 0)
    pr_auc = float(np.sum(gained * precision) / hits[-1])
    if not misses[-1]:
        return None, pr_auc
    wins = np.sum(np.diff(misses, prepend=0) * (hits - gained / 2))
    return float(wins / (hits[-1] * misses[-1])), pr_auc


def roc_auc(positive: npt.NDArray[np.bool_], scores: Floats, weights: Weights | None = None) -> float | None:
    """The probability that a positive row scores higher than a negative one, ties counted half."""
    return areas(positive, scores, weights)[0]


def _cumulated(
    positive: npt.NDArray[np.bool_], scores: Floats, weights: Weights | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The weight of positive and of negative rows down to each distinct score, from the highest."""
    # Unweighted sums are exact, so that their order within a tie doesn't matter; weighted ones are not.
    order = np.argsort(scores, kind=None if weights is None else "stable")[::-1]
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.arange(0)
    chosen = np.asarray(positive)[order]
    if weights is None:
        hits = np.cumsum(chosen, dtype=np.float64)[ends]
        return hits, (ends + 1) - hits
    weight = weights[order]
    return np.cumsum(weight * chosen)[ends], np.cumsum(weight * ~chosen)[ends]
