"""Fitted labels: what of a raw column is learned, the way back from predictions, what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..tfrecords.layout import StoredLabel
from ..transforms.base import MISSING_INT
from ..transforms.namespace import NumpyNamespace, namespace_of
from ..transforms.own import inverse_own, path_of
from .fitted_features import Branch, Stage

MISSING_LABEL = "the label is missing"


INFINITE_LABEL = "the label is infinite, beyond float32 (3.4e38), or has no transformed value"


UNKNOWN_LABEL = "the label is of a class that the train split doesn't have"


LEFT_OUT_LABEL = (
    "the label is of a class that top_k or min_count leaves out, or that the train split doesn't have"
)


_LABEL_REMEDY = (
    "fill the label in, or delete these rows from the data (a row of delimiters alone is left out by itself);"
    " where a text was taken for a missing value that is none, give csv_examples other missing_values"
)
_CLASS_REMEDY = (
    "give each class its share of the train split by `stratify` in the ingestion step, take more rows of"
    " this class, or delete them from the data"
)


def label_remedy(what: str) -> str:
    """What to do about labels of which this fact holds."""
    return _CLASS_REMEDY if what in (UNKNOWN_LABEL, LEFT_OUT_LABEL) else _LABEL_REMEDY


@dataclass(frozen=True)
class Label:
    """A label.

    Attributes:
        column: the raw column.
        type: its type.
        kind: `value` (float32, regression), `class` (int64 class ids), or `multi` (any number of classes a
            row, float32 [n, classes] of zeros and ones).
        classes: the class names in the order of their ids; empty for a value.
        stages: the chain of a value, or of several classes up to their names.
        partial: whether `top_k` or `min_count` may have left classes out; of several classes a row, those
            that aren't among `classes` are passed over then.
    """

    column: str
    type: str
    kind: Literal["value", "class", "multi"]
    classes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    partial: bool = False

    @property
    def stored(self) -> StoredLabel:
        """How it is stored."""
        return StoredLabel(self.column, self.kind, len(self.classes))

    def inverse(self, xp: Any, y: Any) -> Any:
        """Predictions of a value in the label's own units.

        Args:
            xp: `numpy`, `tensorflow`, or one of our namespaces.
            y: float32 in any shape.
        """
        space = namespace_of(xp)
        with np.errstate(all="ignore"):
            for stage in reversed(self.stages):
                back = inverse_own if path_of(type(stage.transform)) else type(stage.transform).inverse
                y = back(stage.transform, space, y, stage.constants)
        return y

    def names(self, column: Any) -> pa.Array:
        """The class names of a cast column, empty where it is missing."""
        space = NumpyNamespace()
        if self.type == "bool":
            words = pc.if_else(pa.array(column == 1), "true", "false")
            return pc.if_else(pa.array(column == MISSING_INT), "", words)
        return column if self.type == "string" else space.int_to_string(column)


def label_column(label: Label, column: Any) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """A cast column as labels [n], and by fault a mask [n] of the rows that have it."""
    xp = NumpyNamespace()
    if label.kind == "multi":
        return _multi_label(label, column)
    if label.kind == "class":
        names = label.names(column)
        empty = xp.is_empty(names)
        ids: np.ndarray[Any, Any] = xp.look_up(names, xp.prepare(label.classes))
        return ids, {MISSING_LABEL: empty, _unknown(label): (ids < 0) & ~empty}
    missing = np.isnan(xp.to_float(column))
    made = Branch(label.column, label.type, label.stages).run(xp, column, [s.constants for s in label.stages])
    values: np.ndarray[Any, Any] = xp.to_float(made)
    return values, {MISSING_LABEL: missing, INFINITE_LABEL: ~np.isfinite(values) & ~missing}


def _multi_label(label: Label, column: Any) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Zeros and ones, float32 [n, classes], and the rows with a class that can't be; no class is fine."""
    xp = NumpyNamespace()
    lists = Branch(label.column, label.type, label.stages).run(
        xp, column, [s.constants for s in label.stages]
    )
    ids = xp.look_up(xp.to_string(lists.values), xp.prepare(label.classes))
    unknown = np.bincount(lists.rows[ids < 0], minlength=len(lists)) > 0
    hot = np.minimum(xp.counts(lists.like(ids), len(label.classes)), np.float32(1))
    return hot, {} if label.partial else {UNKNOWN_LABEL: unknown}


def _unknown(label: Label) -> str:
    return LEFT_OUT_LABEL if label.partial else UNKNOWN_LABEL
