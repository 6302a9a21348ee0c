"""Which fold each row of a split is in, without a row being written anew.

The fold of a row is a function of its place in the shards, the number of folds and the seed. Folds differ by
one row at most. With classes they are stratified: each fold has the rows of each class in the same share, to
one row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def fold_numbers(
    rows: int, folds: int, seed: int, classes: npt.NDArray[np.integer] | None = None
) -> npt.NDArray[np.int64]:
    """The fold of each row, `[rows]` numbers from 0.

    Args:
        rows: how many there are.
        folds: how many folds are made.
        seed: draws another partition for each number.
        classes: `[rows]` class numbers to stratify by.
    """
    order = np.random.default_rng([seed, folds]).permutation(rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    numbers = np.empty(rows, np.int64)
    numbers[order] = np.arange(rows) % folds
    return numbers


def mean_and_deviation(values: list[float | None]) -> tuple[float | None, float | None]:
    """Over the folds that could tell: the mean, and the sample standard deviation (ddof=1, from two on)."""
    told = np.asarray([value for value in values if value is not None], np.float64)
    mean = float(told.mean()) if len(told) else None
    return mean, float(told.std(ddof=1)) if len(told) > 1 else None
