"""A fitted preprocessing: the plan, its constants, and both planes that apply it.

    fitted = load_fitted(transform.path)
    fitted.apply_numpy(batch)          # NumPy and Arrow: what Beam's workers do
    fitted.apply_tensorflow(columns)   # TensorFlow: what the exported model does

`fitted_features.py` has its features, `fitted_labels.py` its labels; `fitted_file.py` writes it to files and
reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ...pipelines.errors import DataError
from ..images.addresses import in_message
from ..tfrecords.layout import JPEG_QUALITY, OutputFeature, as_matrix
from ..transforms import Constants, Results
from ..transforms.namespace import Namespace, NumpyNamespace, namespace_of
from .casting import SERVING_DTYPES, as_numpy, serving_batch
from .fitted_features import FittedFeature, Places, Rows, Stage
from .fitted_labels import Label, label_column, label_remedy

WRONG_WEIGHT = "the row weight is missing, below 0, or infinite"
WEIGHT_REMEDY = "a row weighs 0 or more: correct the column, or leave these rows out"


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
        """What `run` gave → features as they are stored, [n, stored width]; images decoded, and black where
        one is missing or can't be decoded."""
        return {
            feature.name: feature.join(self.xp, feature.joint(self.xp, made[feature.name], prepared))
            for feature, prepared in zip(self.features, self._prepared_joined, strict=True)
        }

    def outputs(self, columns: Mapping[str, Any], expand: bool = True) -> dict[str, Any]:
        """Cast columns → features as the model gets them, [n, width]; as stored without `expand`.

        An image that is missing, or can't be decoded, is NaN, and black without `expand`.
        """
        return self.outputs_and_valid(columns, expand)[0]

    def outputs_and_valid(
        self, columns: Mapping[str, Any], expand: bool = True
    ) -> tuple[dict[str, Any], list[Any]]:
        """`outputs`, and for each image whether it could be decoded, bool [n]."""
        made = self.run(columns)
        found = self.join(made)
        valid = {f.name: made[f.name][0].valid for f in self.features if f.output.is_image}
        if expand:
            found = {f.name: f.output.expand(self.xp, found[f.name]) for f in self.features}
            found |= {name: self.xp.blank(found[name], there) for name, there in valid.items()}
        return found, list(valid.values())


@dataclass(frozen=True)
class FittedTransform:
    """The fitted preprocessing of features and labels; see the module's text.

    Attributes:
        fitted: the features.
        labels: one at the least; each is an output of a model.
        weight: the raw column of row weights; empty if rows weigh the same.
        jpeg_quality: of images that are stored as JPEG, 1 to 100.
    """

    fitted: tuple[FittedFeature, ...]
    labels: tuple[Label, ...]
    weight: str = ""
    jpeg_quality: int = JPEG_QUALITY

    @property
    def images(self) -> tuple[OutputFeature, ...]:
        """The features that are images."""
        return tuple(feature for feature in self.features if feature.is_image)

    def with_pixels(self, found: Mapping[str, Results]) -> FittedTransform:
        """Fitted on the sums of pixels, by feature, where that was deferred."""
        fitted = tuple(f.with_pixels(found[f.name]) if f.deferred else f for f in self.fitted)
        return replace(self, fitted=fitted)

    @property
    def stores_jpeg(self) -> bool:
        """Whether what is learned from was compressed once more."""
        return any(feature.stored == "jpeg" for feature in self.images)

    @cached_property
    def types(self) -> dict[str, str]:
        """Raw column → `headrace.schemas.schema.FeatureType`, features only, in order of first use."""
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
        """Raw rows → features by name, float32 or int64 [n, width]; images [n, height, width, channels].

        An image that is missing, or that TensorFlow can't decode, is NaN, and without `expand` black where
        it is stored as uint8.

        Args:
            batch: raw rows.
            expand: whether one-hots that are stored as ids are expanded and images normalized, as in
                `dataset()`; without it images are uint8, or float32 where stored so.
        """
        return self.numpy_program.outputs(serving_batch(batch, self.types), expand)

    def stored_numpy(
        self, batch: pa.RecordBatch
    ) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
        """`apply_numpy(batch, expand=False)`, and which rows have all their images, bool [n]."""
        found, valid = self.numpy_program.outputs_and_valid(serving_batch(batch, self.types), expand=False)
        return found, np.logical_and.reduce([np.ones(batch.num_rows, bool), *valid])

    def complete_numpy(self, batch: pa.RecordBatch) -> dict[str, np.ndarray[Any, Any]]:
        """`apply_numpy(batch, expand=False)`, of rows of which each has its images.

        Raises:
            DataError: an image is missing or can't be decoded.
        """
        found, valid = self.stored_numpy(batch)
        if not valid.all():
            first = int(np.flatnonzero(~valid)[0])
            path = batch.column("path")[first] if "path" in batch.schema.names else None
            told = f" ({in_message(str(path))})" if path is not None else ""
            raise DataError(
                f"{int((~valid).sum())} of {len(valid)} rows have no image, or one that can't be decoded,"
                f" first row {first + 1} of the batch{told}",
                argument="examples",
                remedy="leave these rows out, or have image_examples read them",
            )
        return found

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
                        remedy=label_remedy(what),
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
