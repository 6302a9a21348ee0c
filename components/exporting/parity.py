"""The parity gate: the exported graph has to do what training saw, on real raw rows.

Two planes get the same rows: NumPy (what Beam's workers did) with the Keras network, and the SavedModel read
back from disk. They have to agree

- exactly where a feature is an image: in every pixel. What is learned from JPEG shards was compressed once
  more, and the export doesn't do that: its pixels are equal to those before, and what the compression made of
  them is measured and may not exceed `JPEG_TOLERANCE`.
- exactly where a feature is whole numbers, ids or one-hots. Rows in which a column lies within float32
  tolerance of a bucket's boundary are counted and not failed: there a unit in the last place of a logarithm
  decides. A row is such a one if shifting its floats by `NUDGE` relative makes NumPy itself change its mind.
- within `tolerance_ulps` units in the last place of max(1, |value|) for other floats: NumPy and TensorFlow
  compute logarithms and divisions each in their own way.
- in whatever batches the rows come.
- within `OUTPUT_TOLERANCE` of max(1, |output|) for the network's outputs, taken over all rows that aren't on
  a boundary, and before the label's inverse, so that it means the same for dollars and for shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from ...pipelines.errors import GateError
from ..preprocessing.fitted import FittedTransform
from ..tfrecords.image_encoding import recompressed
from ..tfrecords.layout import OutputFeature
from ..training.feed import Feed
from ..training.tasks import Task, output_keys
from ..transforms.namespace import namespace_of
from .saved_model import Input

NUDGE = 4e-6
"""How far from a boundary, relative to the value, a float counts as lying on it: 32 float32 epsilons."""
OUTPUT_TOLERANCE = 1e-4
JPEG_TOLERANCE = 8.0
"""The mean absolute difference of pixels, in levels of 255, that JPEG may make in the shards."""
EPSILON = float(np.finfo(np.float32).eps)

BATCH_ROWS, BATCH_BYTES = 1024, 64 * 2**20
"""Rows that go through at once, and bytes of their images as floats."""

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass
class JpegLoss:
    """What training saw otherwise than the export does, since its images were compressed once more.

    Attributes:
        quality: of the compression.
        images: how many were compared.
        tolerance_levels: what `mean_levels` may be.
        mean_levels, worst_levels: the mean absolute difference of pixels in levels of 255, of all images and
            of the one where it is greatest.
        worst_output: the greatest difference of the network's outputs, as `Parity.worst_output`.
    """

    quality: int
    images: int = 0
    tolerance_levels: float = JPEG_TOLERANCE
    mean_levels: float = 0.0
    worst_levels: float = 0.0
    worst_output: float = 0.0


@dataclass
class Parity:
    """What the gate found.

    Attributes:
        rows: how many raw rows went through both planes.
        boundary_rows: those that lie on a bucket's boundary and disagree there.
        tolerance_ulps: what floats were allowed, in units in the last place of max(1, |value|).
        worst_ulps, worst_feature: the greatest difference of a float feature in these units, and where.
        worst_output: the greatest difference of the network's outputs, relative to max(1, |output|).
        jpeg: what JPEG in the shards changed, see `JpegLoss`; None where images are stored otherwise.
    """

    rows: int = 0
    boundary_rows: int = 0
    tolerance_ulps: float = 0.0
    output_tolerance: float = OUTPUT_TOLERANCE
    worst_ulps: float = 0.0
    worst_feature: str = ""
    worst_output: float = 0.0
    jpeg: JpegLoss | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        told = asdict(self)
        if self.jpeg is None:
            del told["jpeg"]
        return told


def tensors(columns: Columns, inputs: tuple[Input, ...]) -> dict[str, tf.Tensor]:
    """Cast raw columns as the inputs of `serving_default`."""
    return {i.name: tf.constant(columns[i.column], tf.as_dtype(i.dtype)) for i in inputs}


class ParityGate:
    """Compares a SavedModel with the training plane, batch by batch.

    Args:
        folder: the SavedModel's version folder.
        fitted: the preprocessing as training had it.
        network: the trained network as a function of the packed features; see `networks.forward`.
        feed: how they are packed.
        tasks: the network's outputs.
        inputs: those of the SavedModel.
        tolerance_ulps: see the module's text.
    """

    def __init__(
        self,
        folder: Path,
        fitted: FittedTransform,
        network: Any,
        feed: Feed,
        tasks: tuple[Task, ...],
        inputs: tuple[Input, ...],
        tolerance_ulps: float,
    ) -> None:
        self._loaded = tf.saved_model.load(str(folder))
        self._fitted = fitted
        self._network = network
        self._feed = feed
        self._tasks = tasks
        self._inputs = inputs
        loss = JpegLoss(fitted.jpeg_quality) if fitted.stores_jpeg else None
        self.parity = Parity(tolerance_ulps=tolerance_ulps, jpeg=loss)

    @property
    def batch_rows(self) -> int:
        """How many rows `check` takes at once; fewer of large images."""
        row = sum(4 * feature.width for feature in self._fitted.images)
        return max(1, min(BATCH_ROWS, BATCH_BYTES // max(row, 1)))

    def check(self, raw: pa.RecordBatch) -> None:
        """Sends raw rows through both planes.

        Raises:
            GateError: they disagree; names the feature, the row and both values.
        """
        columns = self._fitted.serving_columns(raw)
        stored, there = self._fitted.stored_numpy(raw)
        space = namespace_of(np)
        here = {
            f.name: stored[f.name] if f.is_image else f.expand(space, stored[f.name])
            for f in self._fitted.features
        }
        served = self._served(columns, raw.num_rows)
        boundary = np.zeros(raw.num_rows, bool)
        for feature, other in zip(self._fitted.features, served, strict=True):
            mine = np.asarray(here[feature.name])
            if mine.shape != other.shape:
                raise self._refusal(
                    feature.name, f"the shapes {mine.shape} and {other.shape} differ", columns, None
                )
            if feature.is_image:
                self._image(feature, mine, other, columns)
            elif _is_discrete(feature):
                boundary |= self._discrete(feature, mine, other, raw, columns)
            else:
                self._floats(feature, mine, other, columns)
        self._outputs(stored, there, columns, ~boundary)
        if self.parity.jpeg is not None:
            self._jpeg(self.parity.jpeg, stored, there)
        self.parity.boundary_rows += int(boundary.sum())
        self.parity.rows += raw.num_rows

    def _served(self, columns: Columns, rows: int) -> list[npt.NDArray[Any]]:
        """The export's features. The rows go in as two batches, since a client sends as many as it has: a
        transform of one's own that looks at the rows beside a row would agree in one batch."""
        cuts = [(0, rows // 3), (rows // 3, rows)] if rows > 2 else [(0, rows)]
        pieces = [
            self._loaded.transform_features(
                tensors({name: values[start:end] for name, values in columns.items()}, self._inputs)
            )
            for start, end in cuts
        ]
        return [np.concatenate([one.numpy() for one in each]) for each in zip(*pieces, strict=True)]

    def _discrete(
        self, feature: OutputFeature, mine: Any, other: Any, raw: pa.RecordBatch, columns: Columns
    ) -> npt.NDArray[np.bool_]:
        """Rows that disagree and may; raises for one that may not."""
        differs = np.asarray((mine != other).any(axis=1))
        if not differs.any():
            return differs
        near = _near_boundary(self._fitted, feature.name, raw)
        if (differs & ~near).any():
            row = int(np.flatnonzero(differs & ~near)[0])
            what = f"{mine[row].tolist()} in training, {other[row].tolist()} in the export"
            raise self._refusal(feature.name, what, columns, row)
        return differs

    def _image(self, feature: OutputFeature, mine: Any, other: Any, columns: Columns) -> None:
        """Raises for an image that isn't the same to the bit."""
        differs = (mine != other) & ((mine == mine) | (other == other))  # NaN where there is no image
        if differs.any():
            row, *place = (int(axis[0]) for axis in np.nonzero(differs))
            shown = [images[(row, *place)].item() for images in (mine, other)]
            what = f"{shown[0]} in training, {shown[1]} in the export, at {place} (height, width, channel)"
            raise self._refusal(feature.name, what, columns, row)

    def _floats(self, feature: OutputFeature, mine: Any, other: Any, columns: Columns) -> None:
        ulps = _distance(mine, other) / EPSILON
        row, place = np.unravel_index(int(ulps.argmax()), ulps.shape)
        if ulps[row, place] > self.parity.tolerance_ulps:
            what = (
                f"{mine[row, place]!r} in training, {other[row, place]!r} in the export, "
                f"{ulps[row, place]:.3g} ulp apart where {self.parity.tolerance_ulps:g} are allowed"
            )
            raise self._refusal(feature.name, what, columns, int(row))
        if ulps[row, place] > self.parity.worst_ulps:
            self.parity.worst_ulps, self.parity.worst_feature = float(ulps[row, place]), feature.name

    def _outputs(
        self,
        stored: Mapping[str, Any],
        there: npt.NDArray[np.bool_],
        columns: Columns,
        inside: npt.NDArray[np.bool_],
    ) -> None:
        """Compares the network's outputs; rows without an image, which aren't `there`, have to be NaN."""
        if not inside.any():
            return
        mine = self._given(stored)
        others = self._loaded.network_outputs(tensors(columns, self._inputs))
        for task, here, other in zip(self._tasks, mine, others, strict=True):
            what = "the network's output" if len(self._tasks) == 1 else f"the output for {task.label}"
            expected = np.where(there[:, None], np.asarray(here), np.float32(np.nan))
            self._output(what, expected, other.numpy(), columns, inside)

    def _given(self, stored: Mapping[str, Any]) -> list[Any]:
        """What the trained network gives for each label."""
        given = self._network(self._feed.pack(np, stored))
        keys = output_keys(self._tasks)
        return [given] if len(self._tasks) == 1 else [given[keys[task.label]] for task in self._tasks]

    def _jpeg(self, loss: JpegLoss, stored: Mapping[str, Any], there: npt.NDArray[np.bool_]) -> None:
        """Compresses the images as the shards have them, and notes what that changes."""
        kept = {name: values[there] for name, values in stored.items()}
        rows = int(there.sum())
        if not rows:
            return
        seen = dict(kept)
        for feature in self._fitted.images:
            if feature.stored == "jpeg":
                seen[feature.name] = recompressed(kept[feature.name], loss.quality)
                apart = np.abs(seen[feature.name].astype(np.int16) - kept[feature.name])
                levels = apart.reshape(rows, -1).mean(axis=1)
                loss.worst_levels = max(loss.worst_levels, float(levels.max()))
                total = loss.mean_levels * loss.images + float(levels.sum())
                loss.images += rows
                loss.mean_levels = total / loss.images
        for mine, other in zip(self._given(kept), self._given(seen), strict=True):
            loss.worst_output = max(loss.worst_output, float(_distance(mine, other).max()))

    def close(self) -> None:
        """What is judged over all rows.

        Raises:
            GateError: JPEG in the shards changed the images too much.
        """
        loss = self.parity.jpeg
        if loss is not None and loss.mean_levels > loss.tolerance_levels:
            raise GateError(
                f"training saw images that JPEG of quality {loss.quality} changed by {loss.mean_levels:.3g}"
                f" levels of 255 on average, where {loss.tolerance_levels:g} are allowed, and the export sees"
                " them as they are",
                argument="examples",
                remedy="transform with a higher jpeg_quality, or with store: png",
            )

    def _output(
        self, name: str, mine: Any, other: Any, columns: Columns, inside: npt.NDArray[np.bool_]
    ) -> None:
        apart = np.where(inside[:, None], _distance(mine, other), 0.0)
        row = int(apart.max(axis=1).argmax())
        worst = float(apart[row].max())
        if worst > OUTPUT_TOLERANCE:
            what = f"{mine[row].tolist()} in training, {other[row].tolist()} in the export"
            raise self._refusal(name, what, columns, row)
        self.parity.worst_output = max(self.parity.worst_output, worst)

    def _refusal(self, feature: str, what: str, columns: Columns, row: int | None) -> GateError:
        where = "" if row is None else f" in row {self.parity.rows + row + 1}"
        shown = "" if row is None else f" of {_raw_row(columns, row)}"
        return GateError(
            f"the exported model does not do what training did: {feature}{where} is {what}{shown}",
            argument="examples",
            remedy="train and export with the same Transform artifact and library versions; let transforms "
            "of your own look at each row by itself; if only the last digits differ, raise tolerance_ulps",
        )


def _is_discrete(feature: OutputFeature) -> bool:
    return feature.dtype == "int64" or bool(feature.sizes)


def _distance(mine: Any, other: Any) -> npt.NDArray[np.float64]:
    """|difference| / max(1, |value|), 0 where both are the same NaN or infinity, infinite where one is."""
    a, b = np.asarray(mine, np.float64), np.asarray(other, np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b) / np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def _near_boundary(fitted: FittedTransform, feature: str, raw: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Rows in which a small shift of the floats changes a feature that is whole numbers."""
    lower, upper = (fitted.apply_numpy(_shifted(raw, 1 + sign * NUDGE))[feature] for sign in (-1, 1))
    return np.asarray((lower != upper).any(axis=1))


def _shifted(raw: pa.RecordBatch, factor: float) -> pa.RecordBatch:
    """The rows with every float multiplied by `factor`."""
    arrays = [pc.multiply(c, factor) if pa.types.is_floating(c.type) else c for c in raw.columns]
    return pa.RecordBatch.from_arrays(arrays, names=raw.schema.names)


def _shown(value: Any) -> Any:
    """A raw value as it is shown, an image by its size."""
    if isinstance(value, bytes):
        return f"an image of {len(value)} bytes"
    return value.tolist() if hasattr(value, "tolist") else value


def _raw_row(columns: Columns, row: int) -> str:
    shown = {name: _shown(column[row]) for name, column in columns.items()}
    text = ", ".join(f"{name}={value!r}" for name, value in list(shown.items())[:12])
    return f"{{{text}{', …' if len(shown) > 12 else ''}}}"
