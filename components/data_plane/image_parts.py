"""Parts with columns of images, read for what is asked of the images rather than for their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...schemas.image_counts import image_facts
from .parts import unreadable

ROWS = 256
"""Rows that are held at once with the bytes of their images."""


def image_columns(types: Mapping[str, str]) -> list[str]:
    """The names of the columns of images."""
    return [name for name, kind in types.items() if kind == "image"]


def read_with_facts(path: str, columns: Sequence[str]) -> pa.Table:
    """The named columns of a part, columns of bytes as `image_facts`, with the bytes of few rows at a time.

    Raises:
        StoreError: it can't be read.
    """
    with _opened(path) as file:
        batches = [_light(batch) for batch in file.iter_batches(ROWS, columns=list(columns))]
        fields = [file.schema_arrow.field(name) for name in columns]
        return pa.Table.from_batches(batches or [_light(pa.RecordBatch.from_pylist([], pa.schema(fields)))])


def image_presence(path: str, name: str) -> pa.BooleanArray:
    """True where a part has an image, null where it has none.

    Where the part's footer says that none is missing, nothing but the footer is read.

    Raises:
        StoreError: it can't be read.
    """
    with _opened(path) as file:
        if _missing(file.metadata, name) == 0:
            return pa.array(np.ones(file.metadata.num_rows, bool))
        gone = [batch.column(0).is_null() for batch in file.iter_batches(ROWS, columns=[name])]
        mask = np.concatenate([part.to_numpy(zero_copy_only=False) for part in gone])
        return pa.array(np.ones(len(mask), bool), mask=mask)


def _missing(metadata: pq.FileMetaData, name: str) -> int | None:
    """How many values of a column are null; None where the footer doesn't say."""
    place = metadata.schema.names.index(name)
    total = 0
    for group in range(metadata.num_row_groups):
        told = metadata.row_group(group).column(place).statistics
        if told is None or not told.has_null_count:
            return None
        total += told.null_count
    return total


def _light(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [image_facts(column) if pa.types.is_binary(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


@contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    try:
        # By the page, since a column of images is the larger part of the file.
        with pq.ParquetFile(path, buffer_size=1 << 16) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
