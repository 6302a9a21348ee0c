"""A picture of what augmentation does: some images of the train split, each as it is and as epochs see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...pipelines.artifact import Examples
from ..dataset import shard_errors
from ..report.contact_sheet import Pixels, Row, contact_sheet
from .augmenting import TrainAugmentation
from .feed import Feed
from .packed import packed_batches
from .targets import by_column
from .tasks import Task

FILE = "augmentation.png"
ROWS = 10
"""Examples that are shown."""
EPOCHS = 9
"""Epochs that each is shown in."""
SEEN_BYTES = 64 << 20
"""Bytes of images that are looked through for examples of as many classes as possible."""


def augmentation_sheet(
    examples: Examples, split: str, feed: Feed, tasks: Sequence[Task], augmentation: TrainAugmentation
) -> bytes:
    """A PNG file with a row for each example: its class, the image before, and the images of some epochs.

    Args:
        examples: transformed examples.
        split: the train split.
        feed: how features are packed.
        tasks: the first one's label tells examples apart.
        augmentation: what is done.
    """
    with shard_errors(examples, split):
        chosen = _some(examples, split, feed, tasks)
    numbers = [number for _, number, _ in chosen]
    tensors = {key: np.stack([images[key] for _, _, images in chosen]) for key in augmentation.images}
    seen = [tensors, *(augmentation(tensors, epoch, numbers) for epoch in range(EPOCHS))]
    shown = {key: [_pixels(augmentation.pixels(key, one[key])) for one in seen] for key in tensors}
    told = ["before", *(f"epoch {epoch + 1}" for epoch in range(EPOCHS))]
    rows = [
        Row(
            caption if len(shown) == 1 else f"{caption} · {augmentation.images[key].name}",
            [images[place] for images in epochs],
            told,
        )
        for place, (caption, _, _) in enumerate(chosen)
        for key, epochs in shown.items()
    ]
    done = ", ".join(type(link).name for link in augmentation.chain)
    note = f"Examples of the split {split!r} as they are, and as the first epochs see them: {done}."
    return contact_sheet("Augmentation", rows, note=note)


def _some(
    examples: Examples, split: str, feed: Feed, tasks: Sequence[Task]
) -> list[tuple[str, int, dict[str, Any]]]:
    """Caption, number and images of examples: the first of each class, then the next ones of any."""
    batch = max(1, min(256, SEEN_BYTES // 8 // feed.row_bytes))
    found: list[tuple[str, int, dict[str, Any]]] = []
    others: list[tuple[str, int, dict[str, Any]]] = []
    names: set[str] = set()
    batches = packed_batches(examples, split, feed, batch, numbers=True)
    for tensors, labels, *_, numbers in batches.take(max(1, SEEN_BYTES // (batch * feed.row_bytes))):
        captions = _captions(np.asarray(by_column(labels, tasks)[tasks[0].label]), tasks[0])
        for i, caption in enumerate(captions):
            if len(others) >= ROWS and caption in names:
                continue
            one = caption, int(numbers[i]), {key: tensors[key][i].numpy() for key in feed.images}
            (others if caption in names else found).append(one)
            names.add(caption)
        wanted = min(ROWS, len(tasks[0].classes) or ROWS)
        if len(found) >= wanted and len(found) + len(others) >= ROWS:
            break
    few = [*found, *others][:ROWS]
    places = {name: place for place, name in enumerate(tasks[0].classes)}
    return sorted(few, key=lambda one: (places.get(one[0], len(places)), one[1]))


def _captions(labels: Any, task: Task) -> list[str]:
    if task.name == "multilabel":
        return [", ".join(np.asarray(task.classes)[row > 0]) or "none" for row in labels]
    if task.classes:
        return [task.classes[int(number)] for number in labels]
    return [f"{float(value):.4g}" for value in labels]


def _pixels(images: Any) -> Pixels:
    """Images as uint8 `[n, h, w, c]`."""
    values: Pixels = np.clip(np.rint(np.asarray(images, np.float32)), 0, 255).astype(np.uint8)
    return values
