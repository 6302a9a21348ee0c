"""`dataset()`: the input of training, from shards to batched tensors.

Records are gathered before they are parsed, thousands at once, since that is what costs; packed features
are one list of floats and one of ints. The shards were shuffled globally when they were written, so an
epoch needs no big buffer: files are read in an order of their own and rows are permuted within windows,
both a pure function of (seed, epoch). Windows are bounded in bytes: of images of 224 by 224 one holds 445.

Records with images are permuted as they are and parsed by the batch that is wanted, so that pixels are copied
no oftener than parsing does.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..pipelines.artifact import Examples, file_digest
from ..pipelines.errors import DataError, Problem, StoreError
from .tfrecords.layout import Layout, as_matrix, check_matrix
from .tfrecords.reading import cut_fields, decoder, parser, permuter, selector

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

PARSE_ROWS = 8192
"""Records that are parsed at once, at most; more fit no cache,"""
PARSE_BYTES = 64 * 2**20
"""and bytes of these."""
WINDOW_ROWS = 65_536
"""Rows that are permuted at once, at most."""
WINDOW_BYTES = 64 * 2**20
"""Bytes of stored features that a window may have, which bounds the rows of wide tables."""
EXPANDED_BYTES = 32 * 2**20
"""Bytes that features may have where one-hots are expanded, which bounds the rows of that."""
READ_BYTES = 4 * 2**20
"""Bytes that are read from a shard at once."""
_IN_ORDER = {"num_parallel_calls": 2, "deterministic": True}
_RECORDS = "\0records"
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
    numbers: bool = False,
    images: bool = True,
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
        expand: whether one-hots that are stored as ids are expanded, and pixels scaled; without it, ids come
            as int64 [batch, number of columns], for a model that looks its weights up, and images decoded but
            as they were stored, uint8 [batch, height, width, channels], or float32 where floats were stored.
        only: which of the split's rows are wanted, a bool for each in the order of the shards; None for all.
        numbers: whether the last element of the tuple are the examples' numbers.
        images: whether images are among the features; without them, nothing is decoded for who wants labels.

    Returns:
        A `tf.data.Dataset` of (features, label), or (features, label, weight) of examples with row weights,
        and behind these int64 [batch] with `numbers`: the example's place in the split, from 0 in the order
        of the shards, whatever the order of reading.
        Features are float32 or int64 [batch, width] by name, images float32 [batch, height, width, channels];
        or with `matrix` float32 [batch, total width], in the order of the features. The label is [batch],
        float32 for a value, int64 class ids for a class; or float32 [batch, classes] of zeros and ones for
        several classes a row. Of several labels a dict of these by column. The weight: float32 [batch].

    Raises:
        DataError: the split doesn't exist, the examples are not transformed, or `matrix` was asked for
            where a feature is ids or an image.
        StoreError: a shard is gone, or has another size than when it was written. Damage that leaves the size
            is found when the record is read, as a `tf.errors.DataLossError`; `shard_errors` names the file.
    """
    import tensorflow as tf

    from .transforms.namespace_tf import TensorFlowNamespace

    layout = _layout(examples, split, batch_size)
    stored = sum(f.decoded_bytes for f in layout.features) + 8
    layout = layout if images else layout.without_images()
    xp = TensorFlowNamespace()
    if matrix:
        check_matrix(layout.features)
    key = hashlib.sha256(f"{seed}\0{epoch}".encode()).digest()
    check_shards(examples, split)
    source = _Source(tf, examples, split, layout, stored, key if shuffle else b"", only, numbers)

    def cut(fields: Any) -> tuple[Any, ...]:
        features, *rest = cut_fields(layout, fields)
        if expand or matrix:
            features = {f.name: f.expand(xp, features[f.name]) for f in layout.features}
        return (as_matrix(xp, layout.features, features) if matrix else features), *rest

    if layout.images:
        batches = source.image_batches(batch_size, drop_remainder, cut)
    else:
        batches = source.batches(batch_size, drop_remainder, cut)
    total = examples.rows(split) if only is None else int(only.sum())
    count = total // batch_size if drop_remainder else -(-total // batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE)


class _Source:
    """The records of a split.

    Args:
        tf, examples, split, layout, only, numbers: see `dataset`.
        stored: bytes of a row, those of images that aren't wanted among them.
        key: decides the order; empty for that of the shards.
    """

    def __init__(
        self,
        tf: Any,
        examples: Examples,
        split: str,
        layout: Layout,
        stored: int,
        key: bytes,
        only: Any,
        numbers: bool,
    ) -> None:
        if only is not None and len(only) != examples.rows(split):
            raise DataError(
                f"{len(only)} rows were told of, and there are {examples.rows(split)}", argument="only"
            )
        self._layout, self._key, self._numbered = layout, key, numbers or only is not None
        files = [str(path) for path in examples.parts(split)]
        places = list(range(len(files)))
        if key:
            random.Random(key).shuffle(places)  # noqa: S311 - an order, not a secret
        files = [files[place] for place in places]
        records = tf.data.TFRecordDataset(files, layout.compression.upper(), buffer_size=READ_BYTES)
        # A shard that lost rows is an error when the epoch ends.
        self._records = records.apply(tf.data.experimental.assert_cardinality(examples.rows(split)))
        self._chosen = only is not None
        rows = [part["rows"] for part in examples.splits[split]["parts"]]
        self._select = selector(tf, rows, places, only, numbers)
        self._parse, self._decode = parser(tf, layout), decoder(tf, layout)
        self._permute = permuter(tf, key)
        self._window = max(min(WINDOW_ROWS, WINDOW_BYTES // stored), 1)
        self._parse_rows = max(min(PARSE_ROWS, PARSE_BYTES // stored), 1)

    def batches(self, batch_size: int, drop_remainder: bool, cut: Any) -> Any:
        """Rows of numbers, parsed first."""
        rows = self._records.batch(self._parse_rows)
        if self._numbered:
            rows = rows.enumerate().map(self._selected(self._parse, self._parse_rows), **_IN_ORDER)
        else:
            rows = rows.map(self._parse, **_IN_ORDER)
        if self._key:
            rows = rows.rebatch(self._window).enumerate().map(self._permute, **_IN_ORDER)
        # Whole batches at once, so that the last step is slices of them.
        wide = sum(f.width * (4 if f.dtype == "float32" else 8) for f in self._layout.features) + 8
        some = max(min(PARSE_ROWS, EXPANDED_BYTES // wide) // batch_size, 1) * batch_size
        return rows.rebatch(some).map(cut, **_IN_ORDER).rebatch(batch_size, drop_remainder=drop_remainder)

    def image_batches(self, batch_size: int, drop_remainder: bool, cut: Any) -> Any:
        """Rows with images, parsed last."""
        whole = not (self._key or self._chosen)  # a batch is one of records as they lie there
        window = batch_size if whole else self._window
        rows = self._records.batch(window, drop_remainder=drop_remainder and whole)
        if self._numbered:
            rows = rows.enumerate().map(self._selected(_as_records, window), **_IN_ORDER)
        else:
            rows = rows.map(_as_records)
        if self._key:
            rows = rows.enumerate().map(self._permute, **_IN_ORDER)
        if not whole:
            rows = rows.unbatch().batch(batch_size, drop_remainder=drop_remainder)

        def parsed(fields: Any) -> Any:
            told = {name: values for name, values in fields.items() if name != _RECORDS}
            return {**self._parse(fields[_RECORDS]), **told}

        if self._decode is None:
            return rows.map(lambda fields: cut(parsed(fields)), **_IN_ORDER)
        images = rows.map(parsed, **_IN_ORDER).unbatch().map(self._decode, **_IN_ORDER)
        return images.batch(batch_size, drop_remainder=drop_remainder).map(cut, **_IN_ORDER)

    def _selected(self, read: Any, rows: int) -> Any:
        """The number of a batch of so many records, and these → what `read` gives of those wanted."""
        return lambda number, records: self._select(number * rows, read(records))


def _as_records(records: Any) -> dict[str, Any]:
    return {_RECORDS: records}


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
