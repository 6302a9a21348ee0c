"""`dataset()`: the input of training, from shards to batched tensors; `iterate()`: with a state to be saved.

Shards are read by blocks, and blocks are cut by NumPy, thousands of records at once; see `input.order` for
the order, a pure function of (seed, epoch), and `tfrecords.cutting` for how it is done without a parser.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ..pipelines.artifact import Examples
from ..pipelines.errors import DataError
from .input.checks import check_shards, shard_errors
from .input.mixture import Mixture, mix
from .input.position import BEGIN, Position

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

    from .input.batching import Remainder
    from .input.iterating import Batches, Reader
    from .input.rows import Cache
    from .input.sampling import Sampling
    from .input.source import Wanted

__all__ = ["Mixture", "Position", "check_shards", "dataset", "iterate", "mix", "shard_errors"]


def dataset(
    examples: Examples | Mixture,
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
    sampling: Sampling = "natural",
    cache: Cache = "none",
    device: str | None = None,
) -> tf.data.Dataset:
    """Epochs of a split of transformed examples.

    Args:
        examples: what `transform` wrote, or several of these as one, see `mix`.
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
        sampling: `balanced` for every class equally often in each epoch, which has as many examples as there
            are: of a large class each epoch takes others in turn, of a small one all come several times.
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
    from .input.source import Wanted

    if drop_remainder and remainder not in ("keep", "drop"):
        raise DataError(
            f"drop_remainder says the one thing and remainder={remainder!r} the other", argument="remainder"
        )
    wanted = Wanted(
        batch_size, shuffle, seed, "drop" if drop_remainder else remainder, matrix, expand, only, numbers,
        images, shard, cache, sampling, device,
    )  # fmt: skip
    return _reader(examples, split, wanted).batches(start or Position(epoch), epochs)


def iterate(
    examples: Examples | Mixture,
    split: str = "train",
    *,
    batch_size: int = 64,
    shuffle: bool = True,
    remainder: Remainder = "carry",
    epochs: int | None = None,
    start: Position | None = None,
    **asked: Any,
) -> Batches:
    """Batches for a training loop of one's own, with a place that can be saved and restored.

    Killed at any step and begun again, this loop sees every example that it would have seen, in the same
    order, and none of them twice:

    ```python
    import json
    from pathlib import Path

    import numpy as np
    from headrace.components import iterate

    def train(examples, width, steps, file=Path("checkpoint.json")):
        batches = iterate(examples, batch_size=32, matrix=True, seed=7)
        weights, done = np.zeros(width), 0
        if file.exists():
            saved = json.loads(file.read_text())
            weights, done = np.array(saved["weights"]), saved["done"]
            batches.restore(saved["input"])
        while done < steps:
            features, label = (tensor.numpy() for tensor in next(batches))
            weights -= 0.01 * features.T @ (features @ weights - label) / len(label)
            done += 1
            partly = file.with_suffix(".partly")
            told = {"weights": weights.tolist(), "done": done, "input": batches.state()}
            partly.write_text(json.dumps(told))
            partly.replace(file)
        return weights
    ```

    Args:
        examples, split, batch_size, shuffle, remainder, epochs, start: as of `dataset()`, but that by default
            batches are shuffled, full, and without end.
        asked: any other argument of `dataset()`: `seed`, `matrix`, `expand`, `only`, `numbers`, `images`,
            `shard`, `sampling`, `cache`, `device`.

    Returns:
        An iterator over tuples as `dataset()` gives them, with `state()`, a small dict of JSON values, and
        `restore(state)`. The state counts examples: it may be restored with another batch size, on another
        number of hosts and with another cache, and the next batch begins with the very next example.

    Raises:
        DataError, StoreError: see `dataset()`.
    """
    from .input.iterating import Batches
    from .input.source import Wanted

    wanted = Wanted(batch_size=batch_size, shuffle=shuffle, remainder=remainder, **asked)
    if isinstance(examples, Mixture):
        parts, counts = examples.examples, examples.counts
    else:
        parts, counts = (examples,), ()
    of = {
        "digests": [part.digest for part in parts],
        "counts": list(counts),
        "split": split,
        "seed": wanted.seed if wanted.shuffle else None,
        "sampling": wanted.sampling,
        "only": None if wanted.only is None else hashlib.sha256(wanted.only.tobytes()).hexdigest(),
    }
    return Batches(_reader(examples, split, wanted), wanted, start or BEGIN, epochs, of)


def _reader(examples: Examples | Mixture, split: str, wanted: Wanted) -> Reader:
    from .input.mixing import MixedSource
    from .input.source import Source

    if isinstance(examples, Mixture):
        return MixedSource(examples, split, wanted)
    return Source(examples, split, wanted)
