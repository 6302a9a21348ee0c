"""What is known of a column of images without decoding one: how many, how large, of which formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .histograms import BUCKETS, length_counts, whole_numbers
from .packing import Column
from .statistics import Histogram, ImageStatistics

OTHER = "other"
"""The format of bytes that begin like none of those that a column of images holds."""
_MAGIC = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}
_FACTS = pa.struct([("bytes", pa.int64()), ("format", pa.string())])


def image_facts(column: Column) -> pa.StructArray:
    """The size and the format of each image, null where there is none.

    Sizes are the differences of Arrow's offsets; of the bytes only the first four are looked at.

    Args:
        column: binary [rows], or already such facts, which are handed back.

    Returns:
        struct `{bytes: int64, format: string}` [rows]. It can be filtered and sliced, where a copy of the
        images themselves would cost their bytes.
    """
    if pa.types.is_struct(column.type):
        return _whole(column)
    formats: Any = pa.scalar(OTHER)
    for name, magic in _MAGIC.items():
        begins = pc.equal(pc.binary_slice(column, 0, len(magic)), pa.scalar(magic, column.type))
        formats = pc.if_else(begins, name, formats)
    sizes = pc.cast(pc.binary_length(column), pa.int64())
    parts = [_whole(part) for part in (sizes, formats)]
    return pa.StructArray.from_arrays(parts, fields=list(_FACTS), mask=_whole(pc.is_null(column)))


@dataclass(frozen=True)
class ImageCounts:
    """An accumulator over a column of images; exact, whatever the order, but for `sizes`.

    Attributes:
        count, missing: rows with and without an image.
        smallest, largest, total: bytes of the smallest and the largest image, and of all together.
        sizes: how many images have which number of bytes, from 1,024 on cut to seven bits.
        formats: how many images are of which format.
    """

    count: int = 0
    missing: int = 0
    smallest: int = 2**62
    largest: int = 0
    total: int = 0
    sizes: Mapping[int, int] = field(default_factory=dict)
    formats: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, column: Column) -> ImageCounts:
        """Of a column of images, or of its `image_facts`."""
        facts = image_facts(column)
        there = facts.drop_null()
        if not len(there):
            return cls(missing=len(facts))
        sizes = there.field("bytes").to_numpy()
        values, counts = np.unique(sizes, return_counts=True)
        formats = {one["values"]: one["counts"] for one in pc.value_counts(there.field("format")).to_pylist()}
        return cls(
            len(there),
            facts.null_count,
            int(values[0]),
            int(values[-1]),
            int(sizes.sum()),
            length_counts(values, counts),
            formats,
        )

    @classmethod
    def merge_all(cls, parts: Sequence[ImageCounts]) -> ImageCounts:
        """The counts of the rows of all."""
        sizes: Counter[int] = Counter()
        formats: Counter[str] = Counter()
        for part in parts:
            sizes.update(part.sizes)
            formats.update(part.formats)
        return cls(
            sum(part.count for part in parts),
            sum(part.missing for part in parts),
            min(part.smallest for part in parts),
            max(part.largest for part in parts),
            sum(part.total for part in parts),
            sizes,
            formats,
        )

    def compute(self, buckets: int = BUCKETS) -> ImageStatistics:
        """The result; None where there is no image."""
        formats = sorted(self.formats.items(), key=lambda pair: (-pair[1], pair[0]))
        if not self.count:
            return ImageStatistics()
        ends = (self.smallest, self.largest)
        return ImageStatistics(
            *ends, self.total / self.count, self.total, tuple(formats), self._histogram(ends, buckets)
        )

    def _histogram(self, ends: tuple[int, int], buckets: int) -> Histogram | None:
        # The outermost sizes are known exactly, and the others' lower bounds are within them.
        return whole_numbers({max(size, ends[0]): n for size, n in sorted(self.sizes.items())}, buckets)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**vars(self), "sizes": sorted(self.sizes.items()), "formats": sorted(self.formats.items())}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> ImageCounts:
        """The inverse of `to_json`."""
        return cls(**{**told, "sizes": dict(told["sizes"]), "formats": dict(told["formats"])})


def _whole(column: Any) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return column
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
