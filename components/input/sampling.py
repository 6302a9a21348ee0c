"""How often each example comes in an epoch: those that are wanted once, or every class equally often."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError
from ..data_plane.row_hash import mix
from ..tfrecords.layout import Layout
from .balance_check import balance_problems
from .order import Copies, Only

Sampling = Literal["natural", "balanced"]
"""Whether each example comes once in an epoch, or every class equally often."""


def copies_of(
    examples: Examples, split: str, only: Only = None, sampling: Sampling = "natural", seed: int = 0
) -> Copies | None:
    """How often each example comes in an epoch, if not once each.

    Args:
        examples: transformed examples.
        split: which of them.
        only: which rows come at all, a bool for each in the order of the shards; None for all.
        sampling: see `Sampling`; balanced reads the labels of the split.
        seed: decides which examples of a class come more often than others.

    Raises:
        DataError: `only` doesn't have as many rows, or the examples have no classes to balance.
    """
    if only is not None and len(only) != examples.rows(split):
        raise DataError(
            f"{len(only)} rows were told of, and there are {examples.rows(split)}", argument="only"
        )
    if sampling == "balanced":
        return Balanced(class_labels(examples, split), only, seed)
    if only is None:
        return None
    copies = np.asarray(only, np.int8)
    return lambda epoch: copies


class Balanced:
    """Every class equally often: an epoch has as many examples as there are, spread evenly over the classes.

    Of a class with more examples than its share, each epoch takes others in turn; of one with fewer, all come
    several times. So after some epochs the examples of a class have come equally often, but for one time.

    Args:
        labels: the class of each example, from 0, int64 [rows], in the order of the shards.
        only: which come at all; None for all.
        seed: decides whose turn it is first.
    """

    def __init__(self, labels: npt.NDArray[np.int64], only: Only = None, seed: int = 0) -> None:
        digest = hashlib.sha256(f"balanced\0{seed}".encode()).digest()
        base = np.uint64(int.from_bytes(digest[:8], "little"))
        keys = mix(mix(np.arange(len(labels), dtype=np.uint64)) ^ base)
        wanted = np.arange(len(labels)) if only is None else np.flatnonzero(only)
        wanted = wanted[np.argsort(keys[wanted], kind="stable")]
        self._members = [wanted[labels[wanted] == one] for one in np.unique(labels[wanted])]
        self._rows, self._all = len(wanted), len(labels)

    def __call__(self, epoch: int) -> npt.NDArray[Any]:
        """How often each example comes in an epoch, int32 [rows]."""
        copies = np.zeros(self._all, np.int32)
        share, rest = divmod(self._rows, len(self._members))
        for place, members in enumerate(self._members):
            times, more = divmod(share + (place < rest), len(members))
            copies[members] = times
            copies[members[(epoch * more + np.arange(more)) % len(members)]] += 1
        return copies


def class_labels(examples: Examples, split: str) -> npt.NDArray[np.int64]:
    """The class of each example of a split, int64 [rows], in the order of the shards.

    Raises:
        DataError: there is no label of classes, or more than one.
    """
    import tensorflow as tf

    from .order import Order
    from .places import Places
    from .rows import Rows

    layout = Layout.from_json(examples.properties)
    light = layout.without_images()
    problems = balance_problems({label.column: label.kind for label in layout.labels})
    if problems:
        raise DataError(problems)
    columns = light.columns()[len(light.features) :]
    places = {label.kind: column for label, column in zip(light.labels, columns, strict=False)}
    _, key, start, _ = places["class"]
    shards = [int(part["rows"]) for part in examples.splits[split]["parts"]]
    order = Order(shards, layout.block_rows)
    rows = Rows(
        examples, split, layout, images=False, keep=lambda fields: fields[key][:, start], cache="none"
    )
    read = rows.of(tf.data.Dataset.range(order.windows), Places(order), 1 << 16)
    return np.concatenate([labels.numpy() for _, labels in read])
