"""A few images of each split as small pictures that a page can hold in itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from ...pipelines.artifact import Examples
from ..data_plane.image_parts import ROWS, image_columns

SIDE = 72
"""Pixels that a picture has at most on either side."""
MOST_PIXELS = 25_000_000
"""An image that would be decoded to more isn't."""

Pictures = Mapping[tuple[str, str], Sequence[str]]
"""Data URIs by split and column."""


def thumbnails(examples: Examples, most: int) -> Pictures:
    """Pictures of rows that lie evenly over each split, by split and column of images.

    At most one part is held for each picture, a few rows of it at a time.

    Args:
        examples: raw rows.
        most: how many of each split and column.
    """
    columns = image_columns(examples.properties["columns"])
    return {
        (split, column): [uri for data in _spread(examples, split, column, most) if (uri := _data_uri(data))]
        for split in examples.splits
        for column in columns
    }


def _spread(examples: Examples, split: str, column: str, most: int) -> Iterator[bytes]:
    """The bytes of at most so many images, from evenly spaced rows."""
    rows = examples.rows(split)
    few = min(most, rows)
    wanted = [(2 * i + 1) * rows // (2 * few) for i in range(few)]
    first = 0
    for told, path in zip(examples.splits[split]["parts"], examples.parts(split), strict=True):
        own = [row - first for row in wanted if first <= row < first + told["rows"]]
        first += told["rows"]
        if own:
            yield from _values(path, column, own)


def _values(path: Path, column: str, rows: Sequence[int]) -> Iterator[bytes]:
    """The values of some rows of a part, ascending; those that are missing are left out."""
    with pq.ParquetFile(path, buffer_size=1 << 16) as file:
        start = 0
        for batch in file.iter_batches(ROWS, columns=[column]):
            for row in rows:
                if start <= row < start + batch.num_rows:
                    value = batch.column(0)[row - start].as_py()
                    if value:
                        yield value
            start += batch.num_rows
            if start > rows[-1]:
                return


def _data_uri(data: bytes) -> str:
    """An encoded image as a small one; "" where it can't be decoded, of which a report isn't to fail."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # lets a JPEG be decoded at a fraction of its size
            if image.width * image.height > MOST_PIXELS:
                return ""
            small = image.convert("RGBA")
    except Exception:  # Pillow has no class for all that it raises on damaged files
        return ""
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    # Onto white, which is what lies behind a transparent pixel on most pages.
    Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB").save(
        out, "JPEG", quality=82
    )
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
