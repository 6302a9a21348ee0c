"""Whole blocks of records to arrays, without a parser: records of one layout have equal lengths.

What stands where in a record is known from its layout, so that a field of all records of a block is a slice.
Layouts whose images are encoded files have records of various lengths, for TensorFlow's own parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .layout import FILES, Layout
from .tf_example import EXAMPLE, RecordTemplate, map_front, varint, varint_width
from .tfrecord import FOOTER, HEADER

Array = npt.NDArray[Any]


class RecordCutter:
    """Cuts framed records of one layout, which has no image that is an encoded file.

    Args:
        layout: of the records.

    Attributes:
        length: bytes of a framed record.
    """

    def __init__(self, layout: Layout) -> None:
        template = RecordTemplate([field for field in layout.fields if not field.image])
        self._cuts: dict[str, tuple[int, int, Callable[[Array], Array]]] = {}
        by_key = {field.key: field for field in layout.fields}
        images = [(image, by_key[layout.image_key(image)]) for image in layout.images]
        fronts = [map_front(field, image.decoded_bytes) for image, field in images]
        body = template.length - template.head
        size = body + sum(map(len, fronts)) + sum(image.decoded_bytes for image, _ in images)
        head = HEADER + len(EXAMPLE + varint(size))
        for field, place, width in template.places():
            read = _floats if field.dtype == "float32" else _varints(field.sizes)
            self._cuts[field.key] = place - template.head + head, width, read
        place = head + body
        for front, (image, field) in zip(fronts, images, strict=True):
            dtype = np.dtype("<f4" if image.stored == "dense" else np.uint8)
            self._cuts[field.key] = place + len(front), image.decoded_bytes, _shaped(dtype, image.shape)
            place += len(front) + image.decoded_bytes
        self.length = place + FOOTER

    @classmethod
    def of(cls, layout: Layout) -> RecordCutter | None:
        """The cutter of a layout; None where records have various lengths."""
        return None if any(image.stored in FILES for image in layout.images) else cls(layout)

    def cut(self, records: Array, chosen: Any, keys: Iterable[str]) -> list[Array]:
        """Fields of some records.

        Args:
            records: framed ones, uint8 [n · length].
            chosen: int [m], which, in this order.
            keys: of the fields that are wanted.

        Returns:
            For each key an array: float32 or int64 [m, width]; an image [m, height, width, channels].
        """
        count = len(records) // self.length
        found = []
        for key in keys:
            place, width, read = self._cuts[key]
            dtype = np.dtype((np.void, width))
            # Bytes that mean nothing to NumPy are gathered by the row, which is several times as fast.
            rows = np.ndarray(count, dtype, records, place, (self.length,)) if count else np.empty(0, dtype)
            found.append(read(np.take(rows, chosen)))
        return found

    def are_lengths(self, records: Array) -> bool:
        """Whether the length that each framed record states is the layout's."""
        stated = np.ndarray(len(records) // self.length, "<u8", records, 0, (self.length,))
        return bool((stated == self.length - HEADER - FOOTER).all())


def _floats(rows: Array) -> Array:
    return rows.view("<f4").reshape(len(rows), -1)


def _shaped(dtype: Any, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda rows: rows.view(dtype).reshape(len(rows), *shape)


def _varints(sizes: tuple[int, ...]) -> Callable[[Array], Array]:
    """From the bytes of whole numbers, each padded to the width of its size, to int64 [m, len(sizes)]."""
    widths = [varint_width(size) for size in sizes]

    def read(rows: Array) -> Array:
        content = rows.view(np.uint8).reshape(len(rows), -1)
        found = np.empty((len(rows), len(widths)), np.int64)
        place = 0
        for column, width in enumerate(widths):
            value = (content[:, place] & 0x7F).astype(np.uint64)
            for i in range(1, width):
                value |= (content[:, place + i] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * i)
            found[:, column] = value.view(np.int64)
            place += width
        return found

    return read
