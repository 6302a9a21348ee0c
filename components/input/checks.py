"""Whether examples can be read: of the right kind, and with their shards as they were written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...pipelines.artifact import Examples, file_digest
from ...pipelines.errors import DataError, Problem, StoreError
from ..tfrecords.layout import Layout
from ..tfrecords.shard_blocks import DAMAGED_REMEDY, sidecar


def layout_of(examples: Examples, split: str, batch_size: int) -> Layout:
    """The layout of a split's records.

    Raises:
        DataError: the examples are raw, or have no such split; or a batch would be empty.
    """
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


def check_shards(examples: Examples, split: str, *, content: bool = False) -> None:
    """Looks whether the shards of a split, and their sidecar files, are as they were written.

    Args:
        examples: what `transform` wrote.
        split: which split.
        content: whether their bytes are read and hashed, or only their sizes looked at.

    Raises:
        StoreError: some are not; names each.
    """
    told = {examples.file(entry.path): entry for entry in examples.files}
    problems = []
    for shard in examples.parts(split):
        for path in (shard, sidecar(shard)):
            entry = told.get(path)
            size = path.stat().st_size if path.is_file() else -1
            name = "the shard" if path is shard else "the shard's sidecar file"
            what = ""
            if size < 0:
                what = f"{name} is gone"
            elif entry is not None and size != entry.size:
                what = f"{name} is damaged: it has {size:,} bytes, and had {entry.size:,}"
            elif entry is not None and content and file_digest(path) != entry.sha256:
                what = f"{name} is damaged: its content is not what was written"
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
