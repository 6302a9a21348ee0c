"""A picture of the transformed images: some of each class and split, as a model gets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...pipelines.artifact import Examples
from ..dataset import dataset
from ..report.contact_sheet import Pixels, Row, contact_sheet
from .fitted import FittedTransform
from .fitted_labels import Label

EACH = 10
"""Images of a class and split that are shown."""
SEEN_BYTES = 64 << 20
"""Bytes of images of a split that are looked through."""
BATCH = 64


def example_sheet(examples: Examples, fitted: FittedTransform) -> bytes:
    """A PNG file with a row for each class of the first label and each split; of a value one for each split.

    Args:
        examples: transformed examples.
        fitted: what they were made by.
    """
    label = fitted.labels[0]
    wanted = EACH * len(fitted.images) * max(1, len(label.classes))
    rows: list[tuple[int, Row]] = []
    looked_at = 0
    for split in examples.splits:
        taken: dict[tuple[str, str], list[tuple[Pixels, str]]] = {}
        for image, name, caption, pixels in _images(examples, split, fitted):
            looked_at += 1
            held = taken.setdefault((image, name), [])
            if len(held) < EACH:
                held.append((pixels, caption))
            if len(held) == EACH and sum(map(len, taken.values())) >= wanted:
                break
        for (image, name), shown in taken.items():
            words = [name, split, *([image] if len(fitted.images) > 1 else [])]
            row = Row(
                " · ".join(word for word in words if word),
                [pixels for pixels, _ in shown],
                [caption for _, caption in shown] if shown[0][1] else (),
            )
            rows.append((label.classes.index(name) if name in label.classes else len(label.classes), row))
    title = ", ".join(f"{image.name} {'x'.join(map(str, image.shape))}" for image in fitted.images)
    note = (
        f"Images as they were transformed, out of the first {looked_at:,} of the shards, by {label.column}."
    )
    return contact_sheet(title, [row for _, row in sorted(rows, key=lambda one: one[0])], note=note)


def _images(
    examples: Examples, split: str, fitted: FittedTransform
) -> Iterator[tuple[str, str, str, Pixels]]:
    """Feature, class name (empty for none), caption and pixels of the first images of a split."""
    label = fitted.labels[0]
    row_bytes = sum(image.decoded_bytes for image in fitted.images)
    batch = max(1, min(BATCH, SEEN_BYTES // 8 // row_bytes))
    batches = dataset(examples, split, batch_size=batch, expand=False)
    for features, labels, *_ in batches.take(max(1, SEEN_BYTES // (batch * row_bytes))):
        told = np.asarray(labels[label.column] if isinstance(labels, dict) else labels)
        for image in fitted.images:
            for pixels, value in zip(image.pixels(np.asarray(features[image.name])), told, strict=True):
                for name, caption in _told(label, value):
                    yield image.name, name, caption, pixels


def _told(label: Label, value: Any) -> list[tuple[str, str]]:
    """The class names of a row, each with a caption; a value is its caption."""
    if label.kind == "class":
        return [(label.classes[int(value)], "")]
    if label.kind == "multi":
        return [(label.classes[i], "") for i in np.flatnonzero(value)] or [("none", "")]
    return [("", f"{float(label.inverse(np, np.float32(value))):.4g}")]
