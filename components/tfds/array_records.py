"""array_record files, whose records can be read in any order; TFDS brings their reader on Linux."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...pipelines.errors import DataError
from ..tfrecords.framing import Cut, Records

_REMEDY = "copy or prepare the set again; `download_and_prepare(file_format='tfrecord')` is read everywhere"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from array_record.python.array_record_module import ArrayRecordReader
    except ImportError as error:
        what = "array_records can't be read here, since the package array_record is missing"
        raise DataError(what, file=str(path), remedy=_REMEDY) from error
    try:
        with closing(ArrayRecordReader(str(path))) as reader:
            yield reader
    except (RuntimeError, ValueError, IndexError) as error:
        raise DataError(
            f"the file is no array_record, or damaged: {error}", file=str(path), remedy=_REMEDY
        ) from error


def cut_array_record(path: Path, most_records: int, most_bytes: int) -> list[Cut]:
    """Cuts a file into even ranges; only the numbers of their records count.

    Raises:
        DataError: it can't be read.
    """
    with _opened(path) as reader:
        count = reader.num_records()
    step = max(min(most_records, most_bytes * count // max(path.stat().st_size, 1)), 1)
    return [Cut(0, 0, first, min(step, count - first)) for first in range(0, count, step)]


def read_array_record(path: Path, cut: Cut) -> Records:
    """Reads the records of a cut.

    Raises:
        DataError: the file is damaged.
    """
    with _opened(path) as reader:
        found = [bytes(record) for record in reader.read(cut.first, cut.first + cut.records)]
    ends = np.cumsum([len(record) for record in found], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    return Records(np.frombuffer(b"".join(found), np.uint8), starts, ends)
