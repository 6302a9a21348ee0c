"""`dataset()`: the input of training, from shards to batched tensors.

Records are gathered before they are parsed, thousands at once, since that is what costs; packed features
are one list of floats and one of ints. The shards were shuffled globally when they were written, so an
epoch needs no big buffer: files are read in an order of their own and rows are permuted within windows,
both a pure function of (seed, epoch).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..pipelines.artifact import Examples, file_digest
from ..pipelines.errors import DataError, Problem, StoreError
from .tfrecords.layout import Layout, as_matrix, check_matrix

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

PARSE_ROWS = 8192
"""Records that are parsed at once; more fit no cache."""
WINDOW_ROWS = 65_536
"""Rows that are permuted at once, at most."""
WINDOW_BYTES = 64 * 2**20
"""Bytes of stored features that a window may have, which bounds the rows of wide tables."""
EXPANDED_BYTES = 32 * 2**20
"""Bytes that features may have where one-hots are expanded, which bounds the rows of that."""
READ_BYTES = 4 * 2**20
"""Bytes that are read from a shard at once."""
DAMAGED_REMEDY = "delete the artifact's folder, and run the pipeline again"


def dataset(
    examples: Examples,
    split: str = "train",
    *,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    drop_remainder: bool = False,
    matrix: bool = False,
    expand: bool = True,
    only: npt.NDArray[np.bool_] | None = None,
) -> tf.data.Dataset:
    """One epoch of a split of transformed examples.

    Args:
        examples: what `transform` wrote.
        split: which split.
        batch_size: rows a batch.
        shuffle: whether the order is drawn anew for each (seed, epoch); without it, it is that of the shards.
        seed, epoch: decide the order; equal ones give equal batches.
        drop_remainder: whether a last batch with fewer rows is left out, which makes shapes static.
        matrix: whether features come as one matrix.
        expand: whether one-hots that are stored as ids are expanded; without it, they come as int64 ids
            [batch, number of columns], for a model that looks its weights up.
        only: which of the split's rows are wanted, a bool for each in the order of the shards; None for all.

    Returns:
        A `tf.data.Dataset` of (features, label), or (features, label, weight) of examples with row weights.
        Features are float32 or int64 [batch, width] by name; or with `matrix` float32 [batch, total width],
        in the order of the features. The label is [batch], float32 for a value, int64 class ids for a class;
        or float32 [batch, classes] of zeros and ones for several classes a row. Of several labels a dict of
        these by column. The weight: float32 [batch].

    Raises:
        DataError: the split doesn't exist, the examples are not transformed, or `matrix` was asked for
            where a feature is ids.
        StoreError: a shard is gone, or has another size than when it was written. Damage that leaves the size
            is found when the record is read, as a `tf.errors.DataLossError`; `shard_errors` names the file.
    """
    import tensorflow as tf

    from .transforms.namespace_tf import TensorFlowNamespace

    layout = _layout(examples, split, batch_size)
    xp = TensorFlowNamespace()
    if matrix:
        check_matrix(layout.features)
    key = hashlib.sha256(f"{seed}\0{epoch}".encode()).digest()
    check_shards(examples, split)
    rows = _rows(tf, examples, split, layout, key if shuffle else b"", only)

    def cut(fields: Any) -> tuple[Any, ...]:
        features, *rest = _cut(layout, fields)
        if expand or matrix:
            features = {f.name: f.expand(xp, features[f.name]) for f in layout.features}
        return (as_matrix(xp, layout.features, features) if matrix else features), *rest

    # Whole batches at once, so that the last step is slices of them.
    some = max(min(PARSE_ROWS, EXPANDED_BYTES // _bytes(layout, stored=False)) // batch_size, 1) * batch_size
    batches = rows.rebatch(some).map(cut, num_parallel_calls=2, deterministic=True)
    batches = batches.rebatch(batch_size, drop_remainder=drop_remainder)
    total = examples.rows(split) if only is None else int(only.sum())
    count = total // batch_size if drop_remainder else -(-total // batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE)


def _rows(tf: Any, examples: Examples, split: str, layout: Layout, key: bytes, only: Any) -> Any:
    """The fields of a split's records, by key, [some, width]; in an order drawn by `key` if there is one."""
    files = [str(path) for path in examples.parts(split)]
    places = list(range(len(files)))
    if key:
        random.Random(key).shuffle(places)  # noqa: S311 - an order, not a secret
    files = [files[place] for place in places]
    rows = tf.data.TFRecordDataset(files, layout.compression.upper(), buffer_size=READ_BYTES)
    # A shard that lost rows is an error when the epoch ends.
    rows = rows.apply(tf.data.experimental.assert_cardinality(examples.rows(split)))
    rows = rows.batch(PARSE_ROWS).map(_parser(tf, layout), num_parallel_calls=2, deterministic=True)
    if only is not None:
        rows = rows.enumerate().map(_chooser(tf, examples, split, places, only), num_parallel_calls=2)
    if not key:
        return rows
    window = max(min(WINDOW_ROWS, WINDOW_BYTES // _bytes(layout, stored=True)), 1)
    permute = _permuter(tf, key)
    return rows.rebatch(window).enumerate().map(permute, num_parallel_calls=2, deterministic=True)


def _chooser(tf: Any, examples: Examples, split: str, places: Sequence[int], only: Any) -> Any:
    """The number of a batch of `PARSE_ROWS` records and its fields → the fields of the rows wanted.

    Args:
        tf, examples, split: as above.
        places: the numbers of the shards, in the order in which they are read.
        only: which rows are wanted, in the order of the shards.
    """
    ends = list(accumulate(part["rows"] for part in examples.splits[split]["parts"]))
    if len(only) != examples.rows(split):
        raise DataError(
            f"{len(only)} rows were told of, and there are {examples.rows(split)}", argument="only"
        )
    starts = [0, *ends]
    wanted = tf.concat([only[starts[place] : ends[place]] for place in places], axis=0)

    def choose(number: Any, fields: Any) -> Any:
        mask = wanted[number * PARSE_ROWS : (number + 1) * PARSE_ROWS]
        return {name: tf.boolean_mask(values, mask) for name, values in fields.items()}

    return choose


def check_shards(examples: Examples, split: str, *, content: bool = False) -> None:
    """Looks whether the shards of a split are as they were written.

    Args:
        examples: what `transform` wrote.
        split: which split.
        content: whether their bytes are read and hashed, or only their sizes looked at.

    Raises:
        StoreError: some are not; names each.
    """
    told = {entry.path: entry for entry in examples.files}
    problems = []
    for part in examples.splits[split]["parts"]:
        path, entry = examples.file(part["path"]), told.get(part["path"])
        size = path.stat().st_size if path.is_file() else -1
        what = ""
        if size < 0:
            what = "the shard is gone"
        elif entry is not None and size != entry.size:
            what = f"the shard is damaged: it has {size:,} bytes, and had {entry.size:,}"
        elif entry is not None and content and file_digest(path) != entry.sha256:
            what = "the shard is damaged: its content is not what was written"
        if what:
            problems.append(Problem(what, file=str(path), remedy=DAMAGED_REMEDY))
    if problems:
        raise StoreError(problems)


@contextmanager
def shard_errors(examples: Examples, split: str) -> Iterator[None]:
    """Names the damaged shard where TensorFlow, reading `dataset()` inside the block, can't.

    Raises:
        StoreError: TensorFlow failed, and a shard of the split is damaged.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        try:
            check_shards(examples, split, content=True)
        except StoreError as damage:
            raise damage from error
        raise


def _layout(examples: Examples, split: str, batch_size: int) -> Layout:
    if examples.properties.get("format") != "tfrecord":
        raise DataError(
            "the examples are raw, and a model reads transformed ones",
            argument="examples",
            remedy="give the output `examples` of transform",
        )
    if split not in examples.splits:
        raise DataError(
            f"there is no split {split!r}", argument="split", given=split, available=tuple(examples.splits)
        )
    if batch_size < 1:
        raise DataError(f"batch_size has to be at least 1, not {batch_size}", argument="batch_size")
    return Layout.from_json(examples.properties)


def _bytes(layout: Layout, *, stored: bool) -> int:
    """The bytes of a row's values, as stored or as the model gets them."""
    if stored:
        return sum(f.stored_width * (4 if f.stored_dtype == "float32" else 8) for f in layout.features) + 8
    return sum(f.width * (4 if f.dtype == "float32" else 8) for f in layout.features) + 8


def _parser(tf: Any, layout: Layout) -> Any:
    """Serialized records [n] → the record's fields by key, [n, width]."""
    dtypes = {"float32": tf.float32, "int64": tf.int64}
    spec = {f.key: tf.io.FixedLenFeature([f.width], dtypes[f.dtype]) for f in layout.fields}
    return lambda records: tf.io.parse_example(records, spec)


def _permuter(tf: Any, key: bytes) -> Any:
    """The number of a window and its fields → the fields in an order that depends on key and number."""
    first, second = (int.from_bytes(key[i : i + 4], "little") for i in (0, 4))

    def permute(number: Any, fields: Any) -> Any:
        seed = tf.stack([tf.constant(first, tf.int64), tf.constant(second, tf.int64) ^ number])
        count = tf.shape(next(iter(fields.values())))[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=seed)
        return {name: tf.gather(values, order) for name, values in fields.items()}

    return permute


def _cut(layout: Layout, fields: Any) -> tuple[Any, ...]:
    """Fields of records → features as they are stored, the label or labels, the weight if there is one."""
    parts = [fields[key][:, start : start + width] for _, key, start, width in layout.columns()]
    names = [f.name for f in layout.features]
    labels, weight = parts[len(names) :][: len(layout.labels)], parts[len(names) + len(layout.labels) :]
    by_column = {
        label.column: values if label.kind == "multi" else values[:, 0]
        for label, values in zip(layout.labels, labels, strict=True)
    }
    told = by_column if len(by_column) > 1 else next(iter(by_column.values()))
    return dict(zip(names, parts, strict=False)), told, *(one[:, 0] for one in weight)
