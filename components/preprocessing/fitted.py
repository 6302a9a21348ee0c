"""A fitted preprocessing: the plan, its constants, and both planes that apply it.

    fitted = load_fitted(transform.path)
    fitted.apply_numpy(batch)          # NumPy and Arrow: what Beam's workers do
    fitted.apply_tensorflow(columns)   # TensorFlow: what the exported model does

`fitted_file.py` writes it to files and reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.errors import DataError
from ..tfrecords.layout import DENSE_LIMIT, OutputFeature, StoredLabel, as_matrix
from ..transforms import Constants, Kind, Transform, coerce, coerced
from ..transforms.base import MISSING_INT
from ..transforms.by_key import of_rows
from ..transforms.namespace import Namespace, NumpyNamespace, namespace_of
from ..transforms.own import apply_own, inverse_own, path_of
from .casting import SERVING_DTYPES, as_numpy, serving_batch
from .features_grammar import RAW

LISTS = ("strings", "ints", "floats", "id_lists")
"""Kinds with any number of values a row."""
MISSING_LABEL = "the label is missing"
INFINITE_LABEL = "the label is infinite, beyond float32 (3.4e38), or has no transformed value"
UNKNOWN_LABEL = "the label is of a class that the train split doesn't have"
LEFT_OUT_LABEL = (
    "the label is of a class that top_k or min_count leaves out, or that the train split doesn't have"
)
WRONG_WEIGHT = "the row weight is missing, below 0, or infinite"
WEIGHT_REMEDY = "a row weighs 0 or more: correct the column, or leave these rows out"
LABEL_REMEDY = (
    "fill the label in, or delete these rows from the data (a row of delimiters alone is left out by itself);"
    " where a text was taken for a missing value that is none, give csv_examples other missing_values"
)


@dataclass(frozen=True)
class Stage:
    """A transform and its constants."""

    transform: Transform
    constants: Constants


@dataclass(frozen=True)
class Branch:
    """A chain on one column.

    Attributes:
        column: the raw column.
        type: its type: `float`, `int`, `bool` or `string`.
        stages: the chain.
        beside: column and type of the keys that stages have constants by.
    """

    column: str
    type: str
    stages: tuple[Stage, ...]
    beside: tuple[tuple[str, str], ...] = ()

    @cached_property
    def end(self) -> End:
        """What comes out."""
        return End(RAW[self.type]).behind(self.stages)

    def run(self, xp: Namespace, column: Any, prepared: Sequence[Constants], rows: Rows | None = None) -> Any:
        """The chain's output on a cast column, [n], or [n, width]; `rows` are needed by some chains."""
        # NaN and infinities go through: whoever learns from the result refuses them, with their rows.
        with np.errstate(all="ignore"):
            return run_stages(xp, column, RAW[self.type], self.stages, prepared, rows)


Places = Sequence[tuple[int, int]]
"""Number and rows of parts of the train split."""


class Rows(NamedTuple):
    """What a chain may know of the rows beside its own column.

    Attributes:
        columns: cast columns by name.
        places: of rows that are learned from, number and rows of each part of the train split that they are,
            whole and in order; None for other rows.
    """

    columns: Mapping[str, Any]
    places: Places | None = None


class End(NamedTuple):
    """What comes out of a chain.

    Attributes:
        kind: its kind.
        size: for ids, how many there are.
        width: the values a row.
        embedding: the dimensions of the embedding that is asked for, or 0.
    """

    kind: Kind
    size: int = 0
    width: int = 1
    embedding: int = 0

    def behind(self, stages: Sequence[Stage]) -> End:
        """What comes out behind further stages."""
        kind, size, width, embedding = self
        for transform, constants in ((stage.transform, stage.constants) for stage in stages):
            kind = coerced(kind, transform.takes) or kind
            embedding = transform.dimensions(size)
            size, width = transform.size(constants, size), transform.width(constants, width)
            kind = transform.gives(kind)
        return End(kind, size, width, embedding)


def run_stages(
    xp: Namespace,
    column: Any,
    kind: Kind,
    stages: Sequence[Stage],
    prepared: Sequence[Constants],
    rows: Rows | None = None,
) -> Any:
    """A column of `kind` through a chain, with the constants prepared for the plane."""
    for stage, constants in zip(stages, prepared, strict=True):
        column, kind = coerce(xp, column, kind, stage.transform.takes)
        transform, gives = stage.transform, stage.transform.gives(kind)
        if transform.key:
            assert rows is not None, "a chain by key is given the key"
            constants = of_rows(xp, rows.columns[transform.key], constants)
        if path_of(type(transform)):
            places = None if rows is None else rows.places
            column = apply_own(transform, xp, column, constants, gives, places)
        elif rows is not None and rows.places is not None:
            column = transform.apply_train(xp, column, constants, rows.places)
        else:
            column = transform.apply(xp, column, constants)
        kind = gives
    return column


@dataclass(frozen=True)
class FittedFeature:
    """An output feature.

    Attributes:
        name: its name.
        branches: the chains that make it, one a source column.
        joined: what makes one column of their outputs, and what stands behind that; empty where the outputs
            lie side by side.
    """

    name: str
    branches: tuple[Branch, ...]
    joined: tuple[Stage, ...] = ()

    @cached_property
    def ends(self) -> tuple[End, ...]:
        """What the columns are that lie side by side."""
        ends = tuple(branch.end for branch in self.branches)
        return (ends[0].behind(self.joined),) if self.joined else ends

    @cached_property
    def output(self) -> OutputFeature:
        """How the model gets it and how it is stored."""
        kinds = {end.kind for end in self.ends}
        sizes = tuple(end.size for end in self.ends)
        if kinds == {"ids"}:
            return OutputFeature(self.name, "int64", len(sizes), "ids", sizes, self.ends[0].embedding)
        if kinds == {"sequence"}:
            last = self.ends[0]
            sizes = (last.size,) * last.width
            return OutputFeature(self.name, "int64", last.width, "ids", sizes, last.embedding, sequence=True)
        if kinds == {"one_hot"}:
            width = sum(sizes)
            stored: Literal["dense", "ids"] = "dense" if width <= DENSE_LIMIT else "ids"
            return OutputFeature(self.name, "float32", width, stored, sizes)
        width = sum(end.width for end in self.ends)
        return OutputFeature(self.name, "int64" if kinds == {"int"} else "float32", width)

    def joint(self, xp: Namespace, columns: Sequence[Any], prepared: Sequence[Constants]) -> list[Any]:
        """The chains' outputs, [n] each, as the columns that lie side by side."""
        if not self.joined:
            return list(columns)
        first, *rest = self.joined
        takes = first.transform.takes
        read = [
            coerce(xp, column, branch.end.kind, takes)[0]
            for column, branch in zip(columns, self.branches, strict=True)
        ]
        kind = first.transform.gives(self.branches[0].end.kind)
        if path_of(type(first.transform)):
            made = apply_own(first.transform, xp, read, prepared[0], kind)
        else:
            made = first.transform.apply(xp, read, prepared[0])
        return [run_stages(xp, made, kind, rest, prepared[1:])]

    def join(self, xp: Namespace, columns: Sequence[Any]) -> Any:
        """The columns that lie side by side as they are stored, [n, stored width]."""
        output = self.output
        kinds = {end.kind for end in self.ends}
        if output.stored == "dense" and output.sizes:
            pairs = zip(columns, output.sizes, strict=True)
            return xp.concat([xp.one_hot(column, size) for column, size in pairs])
        if kinds == {"sequence"}:
            return columns[0]
        if "vector" in kinds:
            pairs_ = zip(columns, self.ends, strict=True)
            return xp.concat([c if e.kind == "vector" else xp.stack([xp.to_float(c)]) for c, e in pairs_])
        if output.stored_dtype == "float32":
            return xp.stack([xp.to_float(column) for column in columns])
        return xp.stack(list(columns))


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


class Program:
    """The features' chains on one plane, with their constants prepared for it."""

    def __init__(self, features: Sequence[FittedFeature], xp: Namespace) -> None:
        self.features = features
        self.xp = xp
        self._prepared = [[self._ready(branch.stages) for branch in f.branches] for f in features]
        self._prepared_joined = [self._ready(f.joined) for f in features]

    def _ready(self, stages: Sequence[Stage]) -> list[Constants]:
        return [{k: self.xp.prepare(v) for k, v in stage.constants.items()} for stage in stages]

    def run(self, columns: Mapping[str, Any], places: Places | None = None) -> dict[str, list[Any]]:
        """Cast columns → by feature the output of each column's chain, [n] or [n, width]; see `Rows`."""
        found = {}
        rows = Rows(columns, places)
        for feature, prepared in zip(self.features, self._prepared, strict=True):
            pairs = zip(feature.branches, prepared, strict=True)
            found[feature.name] = [
                b.run(self.xp, columns[b.column], constants, rows) for b, constants in pairs
            ]
        return found

    def join(self, made: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """What `run` gave → features as they are stored, [n, stored width]."""
        return {
            feature.name: feature.join(self.xp, feature.joint(self.xp, made[feature.name], prepared))
            for feature, prepared in zip(self.features, self._prepared_joined, strict=True)
        }

    def outputs(self, columns: Mapping[str, Any], expand: bool = True) -> dict[str, Any]:
        """Cast columns → features as the model gets them, [n, width]; as stored without `expand`."""
        stored = self.join(self.run(columns))
        return {
            f.name: f.output.expand(self.xp, stored[f.name]) if expand else stored[f.name]
            for f in self.features
        }


@dataclass(frozen=True)
class FittedTransform:
    """The fitted preprocessing of features and labels; see the module's text.

    Attributes:
        fitted: the features.
        labels: one at the least; each is an output of a model.
        weight: the raw column of row weights; empty if rows weigh the same.
    """

    fitted: tuple[FittedFeature, ...]
    labels: tuple[Label, ...]
    weight: str = ""

    @cached_property
    def types(self) -> dict[str, str]:
        """Raw column → type (`float`, `int`, `bool`, `string`), features only, in order of first use."""
        branches = [branch for feature in self.fitted for branch in feature.branches]
        used = [pair for b in branches for pair in ((b.column, b.type), *b.beside)]
        return dict(used)

    @property
    def columns(self) -> dict[str, str]:
        """Raw column → dtype at serving (`float32`, `int64`, `string`), features only."""
        return {name: SERVING_DTYPES[kind] for name, kind in self.types.items()}

    @cached_property
    def features(self) -> tuple[OutputFeature, ...]:
        """The output features in order."""
        return tuple(feature.output for feature in self.fitted)

    @cached_property
    def numpy_program(self) -> Program:
        """The chains on NumPy and Arrow."""
        return Program(self.fitted, NumpyNamespace())

    def serving_columns(self, batch: pa.RecordBatch) -> dict[str, np.ndarray[Any, Any]]:
        """Raw rows cast as serving takes them, [n] each; strings as object arrays of str.

        Raises:
            DataError: a column is missing or can't be cast.
        """
        return {name: as_numpy(column) for name, column in serving_batch(batch, self.types).items()}

    def apply_numpy(self, batch: pa.RecordBatch, expand: bool = True) -> dict[str, np.ndarray[Any, Any]]:
        """Raw rows → features by name, float32 or int64 [n, width].

        Args:
            batch: raw rows.
            expand: whether one-hots that are stored as ids are expanded, as in `dataset()`.
        """
        return self.numpy_program.outputs(serving_batch(batch, self.types), expand)

    def weight_numpy(self, batch: pa.RecordBatch) -> np.ndarray[Any, Any] | None:
        """Raw rows → row weights, float32 [n]; None if rows weigh the same.

        Raises:
            DataError: a weight is missing, below 0 or infinite.
        """
        if not self.weight:
            return None
        weights: np.ndarray[Any, Any] = serving_batch(batch, {self.weight: "float"})[self.weight]
        wrong = ~((weights >= 0) & np.isfinite(weights))
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"{WRONG_WEIGHT} in {int(wrong.sum())} of {len(weights)} rows, first in row {first + 1} of"
                f" the batch ({weights[first]:g})",
                argument="weight",
                remedy=WEIGHT_REMEDY,
            )
        return weights

    def labels_numpy(self, batch: pa.RecordBatch) -> dict[str, np.ndarray[Any, Any]]:
        """Raw rows → labels by column.

        Each is [n]: float32 as the model learns it, or int64 class ids; or float32 [n, classes] of zeros and
        ones for any number of classes a row.

        Raises:
            DataError: a label is missing, not finite, or of a class that the train split doesn't have.
        """
        columns = serving_batch(batch, {label.column: label.type for label in self.labels})
        found = {}
        for label in self.labels:
            found[label.column], faults = label_column(label, columns[label.column])
            for what, rows in faults.items():
                if rows.any():
                    first = int(np.flatnonzero(rows)[0])
                    raise DataError(
                        f"{what} in {int(rows.sum())} of {len(rows)} rows, first in row {first + 1} of the"
                        f" batch ({batch.column(label.column)[first]})",
                        argument=f"label.{label.column}",
                        remedy=LABEL_REMEDY,
                    )
        return found

    def tensorflow_module(self) -> Any:
        """A `tf.Module` that holds the look-up tables and applies the chains, `module(columns) → features`.

        Make it outside of a `tf.function`, and keep it as an attribute of what is exported.
        """
        from .fitted_tf import PreprocessingModule

        return PreprocessingModule(self)

    @cached_property
    def _module(self) -> Any:
        return self.tensorflow_module()

    def apply_tensorflow(self, columns: Mapping[str, Any], expand: bool = True) -> dict[str, Any]:
        """Cast columns as tensors [n] → features by name, [n, width]; see `apply_numpy`.

        The look-up tables belong to this object: a module that is exported has to hold
        `tensorflow_module()` as an attribute and call that.
        """
        found: dict[str, Any] = self._module(columns, expand)
        return found

    def matrix(self, xp: Any, outputs: Mapping[str, Any]) -> Any:
        """All features side by side in their order, float32 [n, total width].

        Raises:
            DataError: a feature is ids, or there are none.
        """
        return as_matrix(namespace_of(xp), self.features, outputs)


def canonical(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Constants as both planes use them: numbers rounded once to float32, lists of numbers as arrays."""

    def rounded(value: Any) -> Any:
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float):
            return float(np.float32(value))
        if isinstance(value, list) and not (value and isinstance(value[0], str)) and value:
            return np.asarray(value, np.float32)
        return value

    return {name: rounded(value) for name, value in constants.items()}


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
