"""The notes for TFDS on transformed examples in the layout `columns`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipelines.errors import InvalidRequestError, Problem
from ..tfrecords.layout import Layout, OutputFeature, StoredLabel
from .metadata import BY_SPLIT, Node, Notes, can_be_noted, class_label, image, tensor

if TYPE_CHECKING:
    from ...pipelines.context import Context

NAME, VERSION = "examples", "1.0.0"


def packed_problems(layout: str, compression: str) -> list[Problem]:
    """What is wrong with shards in the layout that TFDS opens: it reads none that are compressed."""
    if layout != "columns" or compression != "gzip":
        return []
    what = (
        "shards in the layout `columns` open with TensorFlow Datasets, which reads none that are compressed"
    )
    remedy = "leave compression out; or layout: packed, which `dataset()` reads compressed too"
    return [Problem(what, argument="compression", remedy=remedy)]


def write_notes(
    ctx: Context,
    folder: Path,
    layout: Layout,
    splits: Mapping[str, Any],
    classes: Mapping[str, Sequence[str]],
) -> None:
    """Writes what TFDS has to know of shards beside them.

    Pixels open as uint8 [height, width, channels], encoded images as images, one-hots that are stored as ids
    as these ids, classes as class labels; a feature of one number as a scalar.

    Args:
        ctx: is warned where features' names keep TFDS from opening them.
        folder: the artifact's.
        layout: of the shards, `columns` and not compressed.
        splits: of the artifact's properties.
        classes: the names of each label's classes.
    """
    features = {feature.name: _feature(feature) for feature in layout.features}
    features |= {label.column: _label(label) for label in layout.labels}
    if layout.weight:
        features[layout.weight_key] = tensor("float32")
    named = {
        label.column: classes[label.column]
        for label in layout.labels
        if label.kind == "class" and can_be_noted(classes[label.column])
    }
    inputs = layout.images if len(layout.images) == 1 else layout.features
    pair = (inputs[0].name, layout.labels[0].column) if len(inputs) == len(layout.labels) == 1 else None
    files = {split: [part["path"] for part in told["parts"]] for split, told in splits.items()}
    sizes = {split: sum((folder / name).stat().st_size for name in own) for split, own in files.items()}
    shards = {split: [part["rows"] for part in told["parts"]] for split, told in splits.items()}
    try:
        Notes(NAME, VERSION, features, shards, BY_SPLIT, named, pair, sizes).write(folder)
    except InvalidRequestError as error:  # the shards are as good without
        ctx.warn(f"TensorFlow Datasets can't open the shards: {error.problems[0].what}")


def _feature(feature: OutputFeature) -> Node:
    if feature.stored in ("png", "jpeg"):
        return image(feature.shape, feature.stored)
    if feature.stored == "pixels":
        return tensor("uint8", feature.shape, "bytes")
    if feature.is_image:
        return tensor(feature.dtype, feature.shape)
    return tensor(feature.stored_dtype, _width(feature.stored_width))


def _label(label: StoredLabel) -> Node:
    if label.kind == "class":
        return class_label(label.classes)
    return tensor(label.dtype, (label.width,) if label.kind == "multi" else ())


def _width(values: int) -> tuple[int, ...]:
    return () if values == 1 else (values,)
