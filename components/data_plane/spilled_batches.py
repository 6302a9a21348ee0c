"""Batches of anyone's Beam pipeline, spilled to files, so that several passes over them hold none in memory.

An element is a `pyarrow.RecordBatch`, or a pair of what it is called and the batch:

    batch                      of the split that is meant where none is named
    (unit, batch)              the same, with a number of its own, int
    (split, batch)             of a split, str
    ((split, unit), batch)     of a split, with a number of its own within it

A batch without a number gets a hash of its content for one, so that results don't depend on the order in
which a runner hands the batches out, as long as they are cut alike.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa


class BatchFile(NamedTuple):
    """A spilled batch.

    Attributes:
        split: its split.
        unit: its number, or a hash of its content.
        rows: how many it has.
        path: the file.
    """

    split: str
    unit: int
    rows: int
    path: str

    def read(self, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """The named columns that the batch has, or all."""
        with pa.memory_map(self.path) as source:
            batch: pa.RecordBatch = pa.ipc.open_file(source).get_batch(0)
            if columns is None:
                return batch
            return batch.select([name for name in columns if name in batch.schema.names])


class SpillBatches(beam.PTransform):
    """PCollection of batches, named or not (see the module) → PCollection of `BatchFile`.

    Args:
        folder: where they are spilled; every worker has to reach it.
        split: of batches without one.
    """

    def __init__(self, folder: str | Path, split: str) -> None:
        super().__init__()
        self._folder = str(folder)
        self._split = split

    def expand(self, batches: Any) -> Any:
        """Writes each batch to a file of its own."""
        return batches | beam.ParDo(_SpillBatch(self._folder, self._split))


class _SpillBatch(beam.DoFn):
    def __init__(self, folder: str, split: str) -> None:
        self._folder = folder
        self._split = split

    def process(self, element: Any) -> Iterator[BatchFile]:
        split, unit, batch = named_batch(element, self._split)
        if not batch.num_rows:
            return
        path = Path(self._folder) / f"batch-{uuid.uuid4().hex}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield BatchFile(split, unit, batch.num_rows, str(path))


def named_batch(element: Any, split: str) -> tuple[str, int, pa.RecordBatch]:
    """Split, number and batch of an element; see the module."""
    name, batch = element if isinstance(element, tuple) else (None, element)
    if not isinstance(batch, pa.RecordBatch):
        raise TypeError(f"an element has to be a pyarrow.RecordBatch, not {type(batch).__name__}")
    if isinstance(name, tuple):
        return name[0], int(name[1]), batch
    if isinstance(name, int):
        return split, name, batch
    return name or split, content_number(batch), batch


def content_number(batch: pa.RecordBatch) -> int:
    """A number that equal batches share, and hardly two others."""
    return int.from_bytes(hashlib.sha256(batch.serialize()).digest()[:8], "big")


def publish_folder(draft: Path, output: Path) -> None:
    """Gives a finished folder its name; one that an earlier attempt of the same bundle published stays."""
    try:
        draft.rename(output)
    except OSError:
        if not (output / "manifest.json").is_file():
            raise
        shutil.rmtree(draft)
