"""`dataset()`: the input of training, from shards to batched tensors; `iterate()`: with a state to be saved.

Shards are read by blocks, and blocks are cut by NumPy, thousands of records at once; see `input.order` for
the order, a pure function of (seed, epoch), and `tfrecords.cutting` for how it is done without a parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pipelines.artifact import Examples
from ..pipelines.errors import DataError
from .input.checks import check_shards, shard_errors
from .input.position import Position

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

    from .input.batching import Remainder
    from .input.rows import Cache

__all__ = ["Position", "check_shards", "dataset", "shard_errors"]


def dataset(
    examples: Examples,
    split: str = "train",
    *,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    epochs: int | None = 1,
    start: Position | None = None,
    drop_remainder: bool = False,
    remainder: Remainder = "keep",
    matrix: bool = False,
    expand: bool = True,
    only: npt.NDArray[np.bool_] | None = None,
    numbers: bool = False,
    images: bool = True,
    shard: tuple[int, int] | None = None,
    cache: Cache = "none",
    device: str | None = None,
) -> tf.data.Dataset:
    """Epochs of a split of transformed examples.

    Args:
        examples: what `transform` wrote.
        split: which split.
        batch_size: rows a batch, of all hosts together.
        shuffle: whether the order is drawn anew for each (seed, epoch); without it, it is that of the shards.
        seed, epoch: decide the order; equal ones give equal batches, of any size, with any cache.
        epochs: how many, one behind the other; None without end.
        start: where to begin, instead of at the beginning of `epoch`. Nothing is read of what lies before but
            the blocks that are then open (of compressed shards too: each block is compressed by itself).
        drop_remainder: short for `remainder="drop"`.
        remainder: what becomes of the examples at the end of an epoch that fill no batch. `keep`: a smaller
            batch. `drop`: they are left out. `pad`: a batch that is filled up with rows of weight zero, which
            are copies of some example; there always is a weight then. `carry`: they open the first batch of
            the next epoch, and what fills none at the very end is left out. But for `keep`, shapes are
            static.
        matrix: whether features come as one matrix.
        expand: whether one-hots that are stored as ids are expanded, and pixels scaled; without it, ids come
            as int64 [batch, number of columns], for a model that looks its weights up, and images decoded but
            as they were stored, uint8 [batch, height, width, channels], or float32 where floats were stored.
        only: which of the split's rows are wanted, a bool for each in the order of the shards; None for all.
        numbers: whether the last element of the tuple are the examples' numbers.
        images: whether images are among the features; without them, nothing is decoded for who wants labels.
        shard: (index, count) of a host: it gets the `index`-th of `count` equal slices of each batch, so that
            those of all hosts are the batch; only its own rows are decoded. Not with `keep`.
        cache: where rows are kept, as they are stored but decoded, when `dataset()` is called: `none`,
            `memory`, or files on `disk`, in the folder for temporary files (TMPDIR).
        device: to send batches to ahead of their use, as `/gpu:0`; the pipeline then ends there.

    Returns:
        A `tf.data.Dataset` of (features, label), or (features, label, weight) of examples with row weights,
        and behind these int64 [batch] with `numbers`: the example's place in the split, from 0 in the order
        of the shards, whatever the order of reading; -1 for padding.
        Features are float32 or int64 [batch, width] by name, images float32 [batch, height, width, channels];
        or with `matrix` float32 [batch, total width], in the order of the features. The label is [batch],
        float32 for a value, int64 class ids for a class; or float32 [batch, classes] of zeros and ones for
        several classes a row. Of several labels a dict of these by column. The weight: float32 [batch].

    Raises:
        DataError: the split doesn't exist, the examples are not transformed, hosts don't divide the batch, or
            `matrix` was asked for where a feature is ids or an image.
        StoreError: a shard is gone, or has another size than when it was written. Damage that leaves the size
            is found when the block is read, as a `tf.errors.OpError`; `shard_errors` names the file.
    """
    from .input.source import Source, Wanted

    if drop_remainder and remainder not in ("keep", "drop"):
        raise DataError(
            f"drop_remainder says the one thing and remainder={remainder!r} the other", argument="remainder"
        )
    wanted = Wanted(
        batch_size, shuffle, seed, "drop" if drop_remainder else remainder, matrix, expand, only, numbers,
        images, shard, cache, device=device,
    )  # fmt: skip
    return Source(examples, split, wanted).batches(start or Position(epoch), epochs)
