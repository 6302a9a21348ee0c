"""What to look at when a loss is no number any more: data, weights, outputs, loss, gradients, in this order.

Each look is a function of what there is when the training has stopped; they may read the whole split, since
nothing goes on after them. The first that finds something is what is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...pipelines.artifact import Examples
from ..input.order import Only
from ..models.inputs import DENSE, IDS
from .feed import Feed
from .label_checks import part_of
from .packed import packed_batches
from .targets import by_column
from .tasks import Task

SECONDS = 5.0
"""The longest that batches are tried for, one by one."""
ROWS_BYTES = 64 << 20
"""Of features that are looked at at once."""


@dataclass(frozen=True)
class BadValues:
    """Values of a feature, label or weight that are NaN or infinite.

    Attributes:
        name: of the feature or label.
        kind: "feature", "label" or "row weight".
        rows: in how many examples.
        first: the first of these, from 0 in the order of the shards.
        value: what it has there.
    """

    name: str
    kind: str
    rows: int
    first: int
    value: float

    def told(self, examples: Examples, split: str) -> str:
        """As a sentence without its full stop."""
        path, record = part_of(examples, split, self.first)
        what = self.kind if self.kind == "row weight" else f"{self.kind} {self.name!r}"
        return (
            f"the {what} is NaN or infinite in {self.rows:,} of {examples.rows(split):,} examples of the "
            f"split {split!r}; the first is {self.value}, example {self.first:,} "
            f"(record {record:,} of {path})"
        )


def bad_values(
    examples: Examples, split: str, feed: Feed, tasks: Sequence[Task], only: Only = None
) -> list[BadValues]:
    """Reads a split and looks for NaN and infinity in its features, labels and row weights.

    Args:
        examples: transformed examples.
        split: which of them.
        feed: how features are packed.
        tasks: what is learned.
        only: which rows of the split are learned from; all by default.
    """
    size = max(1, min(8192, ROWS_BYTES // feed.row_bytes))
    counts: dict[tuple[str, str], list[Any]] = {}
    for *parts, numbers in packed_batches(examples, split, feed, size, numbers=True, only=only):
        for kind, name, values in _columns(feed, tasks, *parts):
            flat = values.reshape(len(values), -1)
            wrong = ~np.isfinite(flat).all(axis=1)
            if not wrong.any():
                continue
            row = int(np.argmax(wrong))
            value = flat[row][~np.isfinite(flat[row])][0]
            found = counts.setdefault((kind, name), [0, int(numbers[row]), float(value)])
            found[0] += int(wrong.sum())
    return [BadValues(name, kind, *found) for (kind, name), found in counts.items()]


def _columns(
    feed: Feed, tasks: Sequence[Task], tensors: Mapping[str, Any], labels: Any, *weight: Any
) -> Iterator[tuple[str, str, npt.NDArray[Any]]]:
    for key, tensor in tensors.items():
        if key == IDS:
            continue
        values = tensor.numpy()
        if key != DENSE:
            yield "feature", feed.images[key].name, values
            continue
        owners = np.array(feed.owners)
        if np.isfinite(values).all():
            continue
        for name in dict.fromkeys(feed.owners):
            yield "feature", name, values[:, owners == name]
    for label, values in by_column(labels, tasks).items():
        yield "label", label, values.numpy()
    for one in weight:
        yield "row weight", "", one.numpy()


def bad_weights(network: keras.Model, weights: Sequence[npt.NDArray[Any]]) -> list[str]:
    """The paths of the weights that hold NaN or infinity, in their order.

    Args:
        network: whose they are.
        weights: copies, in the order of the network's.
    """
    return [one.path for one, values in zip(network.weights, weights, strict=True) if not _finite(values)]


@dataclass(frozen=True)
class BadBatch:
    """The first batch whose loss, or whose gradient, is no number, with weights that are numbers.

    Attributes:
        number: of the batch, from 1.
        layer: whose outputs are no numbers; empty if those of the network are, or it isn't known.
        outputs: the least and the greatest output of the network; None if they are no numbers either.
        targets: the least and the greatest target.
        loss: of the batch.
        gradient: the path of the first weight whose gradient is no number; empty if the loss isn't either.
    """

    number: int
    layer: str
    outputs: tuple[float, float] | None
    targets: tuple[float, float]
    loss: float
    gradient: str = ""


def bad_batch(
    network: keras.Model, batches: Iterable[Any], count: int, *, slopes: bool = True
) -> BadBatch | None:
    """Tries batches one by one, without learning from them, for `SECONDS` at most.

    Args:
        network: with weights that are numbers.
        batches: as its `train_step` takes them.
        count: how many at most.
        slopes: whether gradients are looked at, too.
    """
    until = time.monotonic() + SECONDS
    for number, batch in enumerate(batches, start=1):
        found = _look_at(network, number, slopes, *keras.utils.unpack_x_y_sample_weight(batch))
        if found is not None or number >= count or time.monotonic() > until:
            return found
    return None


def _look_at(network: keras.Model, number: int, slopes: bool, x: Any, y: Any, weight: Any) -> BadBatch | None:
    if keras.backend.backend() != "tensorflow":
        x, y, weight = tf.nest.map_structure(lambda one: None if one is None else one.numpy(), (x, y, weight))
    with tf.GradientTape() as tape:
        given = network(x, training=False)
        loss = network.compute_loss(x, y, given, weight, training=False)
    outputs = [keras.ops.convert_to_numpy(one) for one in tf.nest.flatten(given)]
    finite = all(_finite(one) for one in outputs)
    value = float(keras.ops.convert_to_numpy(loss))
    gradient = ""
    if np.isfinite(value):
        trained = network.trainable_variables
        if not slopes or not trained or keras.backend.backend() != "tensorflow":
            return None
        given_slopes = tape.gradient(loss, [one.value for one in trained])
        wrong = [
            one.path
            for one, slope in zip(trained, given_slopes, strict=True)
            if slope is not None and not _finite(tf.convert_to_tensor(slope).numpy())
        ]
        if not wrong:
            return None
        gradient = wrong[0]
    targets = [keras.ops.convert_to_numpy(one) for one in tf.nest.flatten(y)]
    return BadBatch(
        number, "" if finite else _bad_layer(network, x), _range(outputs) if finite else None,
        _range(targets), value, gradient,
    )  # fmt: skip


def _bad_layer(network: keras.Model, x: Any) -> str:
    """The first layer of a network of layers that gives something that is no number."""
    try:
        shown = keras.Model(network.inputs, [layer.output for layer in network.layers])
        given = shown(x, training=False)
    except Exception:  # a subclassed network, or one with layers that are used twice
        return ""
    for layer, values in zip(network.layers, given, strict=True):
        if not all(_finite(keras.ops.convert_to_numpy(one)) for one in tf.nest.flatten(values)):
            return str(layer.name)
    return ""


def _range(arrays: Sequence[npt.NDArray[Any]]) -> tuple[float, float]:
    return float(min(one.min() for one in arrays)), float(max(one.max() for one in arrays))


def _finite(values: npt.NDArray[Any]) -> bool:
    # NumPy knows no `isfinite` of bfloat16's extension type on every version.
    return bool(np.isfinite(np.asarray(values, np.float32)).all()) if values.size else True
