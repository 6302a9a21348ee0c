"""Images for an exported model: files in folders, or rows of a table that name or hold them.

Each file is looked at as `image_examples` does it, so that the model gets what it would have been trained on:
an upright JPEG or PNG. A file that can't be used leaves its place empty and a reason beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ...pipelines.errors import InvalidRequestError
from ..images.admit import Limits, Refused, admit
from ..images.embedded import from_base64
from ..images.manifest_files import Resolver, is_base64, is_remote
from ..images.names import shown
from ..images.walking import walk
from ..images.work import read_file
from .rows import is_bytes

BATCH_IMAGES = 64
BATCH_BYTES = 16 << 20
"""The model gets no more images at a time than these, so that memory stays bounded."""


@dataclass(frozen=True)
class ImageRows:
    """Some rows.

    Attributes:
        names: of each row's image, as the user knows it.
        reasons: why an image can't be used, or "".
        rows: the columns that the model needs; an image that can't be used is null.
    """

    names: list[str]
    reasons: list[str]
    rows: pa.RecordBatch


def rows_of_files(
    paths: Sequence[str], column: str, limits: Limits, allow_outside: bool = False
) -> Iterator[ImageRows]:
    """Images in folders with all below them, in files, or by globs.

    Args:
        paths: these.
        column: the model's, which takes the images.
        limits: on each file.
        allow_outside: whether links in a folder may lead out of it.

    Raises:
        InvalidRequestError: a path isn't there, or there is no image below it.
    """
    names: list[str] = []
    reasons: list[str] = []
    images: list[bytes | None] = []
    size = 0
    for name, found in _files(paths, limits, allow_outside):
        image, reason = _parted(found)
        names.append(name)
        images.append(image)
        reasons.append(reason)
        size += len(image or b"")
        if len(names) == BATCH_IMAGES or size >= BATCH_BYTES:
            yield ImageRows(names, reasons, pa.record_batch({column: pa.array(images, pa.binary())}))
            names, reasons, images, size = [], [], [], 0
    if names:
        yield ImageRows(names, reasons, pa.record_batch({column: pa.array(images, pa.binary())}))


def rows_of_table(
    batches: Iterator[pa.RecordBatch],
    images: Sequence[str],
    file: Path,
    limits: Limits,
    allow_outside: bool = False,
) -> Iterator[ImageRows]:
    """Rows whose columns of images hold paths, relative to the table, or the bytes of image files, or base64.

    Args:
        batches: of rows with the columns that the model needs.
        images: those of them that are images.
        file: the table.
        limits: on each image.
        allow_outside: whether paths may lead out of the table's folder.
    """
    resolver = Resolver(file, allow_outside)
    for batch in batches:
        start = 0
        for stop in _cuts(batch, images, file):
            yield _read(batch.slice(start, stop - start), images, resolver, limits)
            start = stop


def _files(
    paths: Sequence[str], limits: Limits, allow_outside: bool
) -> Iterator[tuple[str, bytes | Refused]]:
    for path in paths:
        if Path(path).is_file():  # whatever it is called
            yield shown(path), _looked_at(path, limits)
            continue
        found = walk([(path, "")], allow_outside)
        if not found.images and not found.refused:
            raise InvalidRequestError(
                "there is no image here", file=path, remedy="name image files, or folders that hold some"
            )
        for image in found.images:
            yield shown(image.file), _looked_at(image.file, limits)
        for reject in found.refused:
            yield reject.file, Refused(reject.reason, reject.remedy)


def _looked_at(path: str, limits: Limits) -> bytes | Refused:
    """A file as the model takes it."""
    data = read_file(os.fsencode(path), limits)
    return data if isinstance(data, Refused) else _admitted(data, path, limits)


def _admitted(data: bytes, name: str, limits: Limits) -> bytes | Refused:
    found = admit(data, name, limits)
    return found if isinstance(found, Refused) else found[0].data


def _parted(found: bytes | Refused) -> tuple[bytes | None, str]:
    return (None, found.reason) if isinstance(found, Refused) else (found, "")


def _cuts(batch: pa.RecordBatch, images: Sequence[str], file: Path) -> Iterator[int]:
    """Where rows are enough for a batch; the last is the end."""
    size, last = 0, 0
    columns = [batch.column(name) for name in images]
    for row in range(batch.num_rows):
        for column in columns:
            if column[row].is_valid:
                size += (
                    column[row].as_buffer().size
                    if is_bytes(column.type)
                    else _size(column[row].as_py(), file)
                )
        if row + 1 - last == BATCH_IMAGES or size >= BATCH_BYTES:
            yield row + 1
            size, last = 0, row + 1
    if last < batch.num_rows or not batch.num_rows:
        yield batch.num_rows


def _size(path: str, table: Path) -> int:
    if is_base64(path):
        return len(path)
    try:
        return (table.parent / path).stat().st_size
    except (OSError, ValueError):
        return 0  # whoever reads it will tell


def _read(batch: pa.RecordBatch, images: Sequence[str], resolver: Resolver, limits: Limits) -> ImageRows:
    reasons, names = [""] * batch.num_rows, [""] * batch.num_rows
    columns = {name: batch.column(name) for name in batch.schema.names}
    for name in images:
        read: list[bytes | None] = []
        for row, cell in enumerate(columns[name].to_pylist()):
            image, reason = _parted(_of_cell(cell, resolver, limits))
            read.append(image)
            if reason:
                reasons[row] = reasons[row] or (f"{name}: {reason}" if len(images) > 1 else reason)
            names[row] = names[row] or (cell if isinstance(cell, str) and not is_base64(cell) else "")
        columns[name] = pa.array(read, pa.binary())
    return ImageRows(names, reasons, pa.record_batch(columns))


def _of_cell(cell: str | bytes | None, resolver: Resolver, limits: Limits) -> bytes | Refused:
    if not cell:
        return Refused("there is no image", "")
    if isinstance(cell, bytes):
        return _admitted(cell, "", limits)
    if is_base64(cell):
        data = from_base64(cell)
        return data if isinstance(data, Refused) else _admitted(data, "", limits)
    if is_remote(cell):
        return Refused("addresses on the network are not read here", "fetch it first")
    file, problem = resolver.place(cell)
    return Refused(problem, "") if problem else _looked_at(file, limits)
