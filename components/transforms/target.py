"""Categories by what the label is like in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import msgspec

from ...pipelines.errors import Problem
from .base import Analyzer, Constants, Kind, Results, Transform


@dataclass(frozen=True)
class TargetMean(Transform):
    """The smoothed mean of the label in the rows of a category: `(sum + smoothing · mean) / (n + smoothing)`.

    `sum` and `n` are of the category's rows, `mean` is of all rows: the m-estimate of Micci-Barreca (SIGKDD
    Explorations 3, 2001), as scikit-learn's `TargetEncoder(smooth=m)`. The label is taken as the model learns
    it: a value behind its transforms; of two classes the share of the second; of more, and of several classes
    a row, a column of shares for each class.

    A row of the train split gets the means over the rows of the other folds, lest its own label stands in its
    features; all other rows, and those at serving, get the means over the whole train split. A category that
    these rows don't have gets `mean`; rows without a value are a category of their own.

    The fold of a row is a hash of (seed, place in the data). It can't be one of the row's values: rows that
    are equal up to the label would then lie in one fold by their label, which gives the label away.

    Attributes:
        smoothing: how many rows of the overall mean are added to each category.
        folds: into how many the train split is cut.
        seed: of the folds.
        target: the label's column, where there are several labels.
        classes: the columns that come out of a label with classes; set when the label is known.
    """

    smoothing: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    folds: Annotated[int, msgspec.Meta(ge=2, le=100)] = 5
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    target: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    classes: int = field(default=0, metadata={"fitted": True})
    name: ClassVar[str] = "target_mean"
    takes: ClassVar[tuple[Kind, ...]] = ("string", "ids", "one_hot")
    first: ClassVar[tuple[str, ...]] = ("smoothing",)

    def target_problem(self, labels: Sequence[str]) -> Problem | None:
        """`target` has to be a label, and to be said where there are several."""
        if self.target is None and len(labels) > 1:
            text = f"target_mean: there are {len(labels)} labels, and one has to be named"
            return Problem(text, available=tuple(labels), remedy="write {target_mean: {target: LABEL}}")
        if self.target is not None and self.target not in labels:
            text = f"target_mean: {self.target!r} is no label"
            return Problem(text, given=self.target, available=tuple(labels))
        return None

    def gives(self, kind: Kind) -> Kind:
        """A number, or several."""
        return "vector" if self.classes else "float"

    def width(self, constants: Constants, width: int) -> int:
        """A column for each class."""
        return self.classes or 1

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Means of the label."""
        return ("label_means",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """Categories; means [categories + 1 (, classes)], the overall one behind, of all rows and by fold."""
        import numpy as np

        keys, count, mean = results.label_means()
        every = list(range(self.folds))
        without = [[fold for fold in every if fold != left_out] for left_out in every]
        tables = [self._means(count[some], mean[some]) for some in (every, *without) if count[some].any()]
        # In a tiny split all rows may lie in one fold: there is nothing but the whole to take then.
        whole = tables[0]
        kept = iter(tables[1:])
        by_fold = [next(kept) if count[some].any() else whole for some in without]
        found = np.stack([whole, *by_fold]).astype(np.float32)
        found = found if self.classes else found[:, :, 0]
        return {"keys": keys, "means": found[0], "fold_means": found[1:]}

    def _means(self, count: Any, mean: Any) -> Any:
        """Smoothed means float64 [keys + 1, t] of groups of rows: `count` [g, k], `mean` [g, t, k]."""
        import numpy as np

        rows = count.sum(axis=0)
        sums = (count[:, None, :] * mean).sum(axis=0)
        overall = sums.sum(axis=1, keepdims=True) / rows.sum()
        weight = rows + self.smoothing
        means = np.where(
            weight > 0, (sums + self.smoothing * overall) / np.where(weight > 0, weight, 1), overall
        )
        return np.concatenate([means, overall], axis=1).T

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """The means over the whole train split."""
        return xp.take(constants["means"], self._categories(xp, column, constants))

    def apply_train(
        self, xp: Any, column: Any, constants: Constants, places: Sequence[tuple[int, int]]
    ) -> Any:
        """The means over the other folds; in NumPy only."""
        from ..data_plane.row_hash import fold_of

        folds = fold_of(places, self.folds, self.seed)
        return constants["fold_means"][folds, self._categories(xp, column, constants)]

    def _categories(self, xp: Any, column: Any, constants: Constants) -> Any:
        found = xp.look_up(xp.to_string(column), constants["keys"])
        return xp.where(found < 0, xp.full_like(found, xp.length(constants["keys"])), found)
