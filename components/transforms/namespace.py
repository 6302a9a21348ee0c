"""The array functions that transforms are written against, and NumPy and Arrow behind them.

Numbers are NumPy arrays (or tensors), strings Arrow arrays without nulls (or string tensors). Arithmetic
and comparison operators work on numbers in both; a Python float takes part as float32 in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.errors import DataError
from .base import MISSING_INT
from .ragged import Ragged

if TYPE_CHECKING:
    from .images import ImageStep, Pixels

UNIT_SEPARATOR = "\x1f"
"""Stands between tokens, ASCII's unit separator."""
SPECIAL_CASES = {"\u0130": "i\u0307", "\u03a3": "\u03c3"}
"""Capitals whose small letter depends on the language or the place in a word; replaced in both planes."""
_CROSS_KEY, _CROSS_FACTOR = 0xDECAFCAFFE, np.uint64(0xC6A4A7935BD1E995)


class Namespace(Protocol):
    """What a plane has to offer; every function takes and gives columns of shape [n] unless it says else."""

    def prepare(self, value: Any) -> Any:
        """A constant as this plane takes it: lists of strings become look-up tables, arrays arrays."""

    def length(self, keys: Any) -> int:
        """The number of keys of a prepared look-up table."""

    def int_to_float(self, column: Any) -> Any:
        """int64 to float32; missing becomes NaN."""

    def int_to_string(self, column: Any) -> Any:
        """int64 in decimal; missing becomes the empty string."""

    def to_float(self, column: Any) -> Any:
        """float32 from either float32 or int64."""

    def rescale(self, pixels: Any, shift: tuple[float, ...], divisor: tuple[float, ...]) -> Any:
        """`(float32(pixels) - shift) / divisor` of any shape, float32; the last axis are channels."""

    def render(self, column: Any, steps: tuple[ImageStep, ...]) -> Pixels:
        """Encoded images as pixels of one size; TensorFlow does it in both planes."""

    def normalize(self, pixels: Any, table: Any) -> Any:
        """uint8 [n, height, width, channels] to float32, by a table float32 [256, channels]."""

    def blank(self, images: Any, valid: Any) -> Any:
        """float32 images with NaN in the rows that have none."""

    def log1p(self, column: Any) -> Any:
        """`log(1 + x)`, NaN or an infinity where there is none."""

    def expm1(self, column: Any) -> Any:
        """`exp(x) - 1`."""

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        """Element by element `yes` or `no`, of which one may be a Python number."""

    def full_like(self, ids: Any, value: int) -> Any:
        """An int64 column of one value, as long as `ids`."""

    def fill_float(self, column: Any, value: Any) -> Any:
        """`value`, a number or a column of float32, where NaN is."""

    def fill_int(self, column: Any, value: Any) -> Any:
        """`value`, a number or a column of int64, where the missing whole number is."""

    def fill_string(self, column: Any, value: Any) -> Any:
        """`value`, a text or a column of texts, where the empty string is."""

    def is_empty(self, column: Any) -> Any:
        """Where a string is empty."""

    def bucket(self, column: Any, boundaries: Any) -> Any:
        """The number of boundaries that are at most x, int64; -1 where x is missing."""

    def look_up(self, column: Any, keys: Any) -> Any:
        """The position of each string in `keys`, int64; -1 where it isn't there."""

    def hash_bucket(self, column: Any, buckets: int) -> Any:
        """FarmHash's 64-bit fingerprint of each string modulo `buckets`, int64."""

    def cross_bucket(self, columns: list[Any], buckets: int) -> Any:
        """The combination of strings or int64 of each row, hashed into `buckets`, int64, as
        `keras.layers.HashedCrossing`."""

    def take(self, values: Any, places: Any) -> Any:
        """`values[places]` of a constant array."""

    def to_string(self, column: Any) -> Any:
        """Strings from either strings or int64."""

    def minimum(self, column: Any, most: float) -> Any:
        """float32, at most `most`."""

    def isnan(self, column: Any) -> Any:
        """Where float32 is NaN."""

    def sin(self, column: Any) -> Any:
        """Sine of float32 in radians."""

    def cos(self, column: Any) -> Any:
        """Cosine of float32 in radians."""

    def log(self, column: Any) -> Any:
        """Natural logarithm of float32."""

    def power(self, column: Any, exponent: float) -> Any:
        """float32 to the power of a number."""

    def split(self, column: Any, separator: str) -> Any:
        """Strings cut at each `separator`, spaces around and empty ones left out: ragged strings."""

    def tokens(self, column: Any, pattern: str, lower: bool) -> Any:
        """Strings cut wherever an RE2 expression matches, empty ones left out: ragged strings."""

    def ragged(self, column: Any) -> Any:
        """A serving input of several values a row as this plane's ragged column."""

    def is_ragged(self, column: Any) -> bool:
        """Whether a column has several values a row."""

    def values(self, column: Any) -> Any:
        """All values of a ragged column, one behind the other."""

    def like(self, column: Any, values: Any) -> Any:
        """Other values in the rows of a ragged column."""

    def counts(self, column: Any, size: int) -> Any:
        """float32 [n, size]: how often a row of ragged ids has each; ids outside of it are left out."""

    def pad(self, column: Any, width: int) -> Any:
        """Ragged ids as int64 [n, width], cut or filled up with 0."""

    def one_hot(self, ids: Any, size: int) -> Any:
        """float32 [n, size]; a row of zeros for an id outside of it."""

    def stack(self, columns: list[Any]) -> Any:
        """[n, number of columns] of columns of one dtype."""

    def concat(self, matrices: list[Any]) -> Any:
        """[n, total width] of matrices [n, width] of one dtype."""

    def float32(self, values: Any) -> Any:
        """A cast of numbers to float32, in any shape."""

    def int64(self, values: Any) -> Any:
        """A cast of numbers to int64, in any shape."""

    def uint8(self, values: Any) -> Any:
        """Numbers rounded, half to even, and clipped to 0 … 255, in any shape."""


class NumpyNamespace:
    """NumPy for numbers, Arrow for strings; see `Namespace`."""

    def prepare(self, value: Any) -> Any:
        """Lists of strings become Arrow arrays."""
        return pa.array(value, pa.string()) if isinstance(value, (list, tuple)) else value

    def length(self, keys: Any) -> int:
        """The number of keys."""
        return len(keys)

    def int_to_float(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.where(column == MISSING_INT, np.float32(np.nan), column.astype(np.float32))

    def int_to_string(self, column: Any) -> Any:
        """See `Namespace`."""
        missing = column == MISSING_INT
        text = pc.cast(pa.array(column), pa.string())
        return pc.if_else(pa.array(missing), "", text) if missing.any() else text

    def to_float(self, column: Any) -> Any:
        """See `Namespace`."""
        return column if column.dtype == np.float32 else self.int_to_float(column)

    def rescale(self, pixels: Any, shift: tuple[float, ...], divisor: tuple[float, ...]) -> Any:
        """See `Namespace`."""
        return (pixels.astype(np.float32) - np.array(shift, np.float32)) / np.array(divisor, np.float32)

    def render(self, column: Any, steps: tuple[ImageStep, ...]) -> Pixels:
        """See `Namespace`; this is the one function here that imports TensorFlow."""
        from .images_tf import render_arrow

        return render_arrow(column, steps)

    def normalize(self, pixels: Any, table: Any) -> Any:
        """See `Namespace`."""
        made = np.empty(pixels.shape, np.float32)
        for channel in range(pixels.shape[-1]):
            made[..., channel] = table[:, channel][pixels[..., channel]]
        return made

    def blank(self, images: Any, valid: Any) -> Any:
        """See `Namespace`."""
        if valid.all():
            return images
        return np.where(valid[:, None, None, None], images, np.float32(np.nan))

    def log1p(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.log1p(column)

    def expm1(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.expm1(column)

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        """See `Namespace`."""
        return np.where(condition, yes, no)

    def full_like(self, ids: Any, value: int) -> Any:
        """See `Namespace`."""
        return np.full_like(ids, value)

    def fill_float(self, column: Any, value: Any) -> Any:
        """See `Namespace`."""
        return np.where(np.isnan(column), np.float32(value), column)

    def fill_int(self, column: Any, value: Any) -> Any:
        """See `Namespace`."""
        return np.where(column == MISSING_INT, np.int64(value), column)

    def fill_string(self, column: Any, value: Any) -> Any:
        """See `Namespace`."""
        filler = pa.array(value) if isinstance(value, np.ndarray) else value
        return pc.if_else(pc.equal(column, ""), filler, column)

    def is_empty(self, column: Any) -> Any:
        """See `Namespace`."""
        return pc.equal(column, "").to_numpy(zero_copy_only=False)

    def bucket(self, column: Any, boundaries: Any) -> Any:
        """See `Namespace`."""
        found = np.searchsorted(boundaries, column, side="right").astype(np.int64)
        return np.where(np.isnan(column), -1, found)

    def look_up(self, column: Any, keys: Any) -> Any:
        """See `Namespace`."""
        found = pc.index_in(column, value_set=keys)
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    def hash_bucket(self, column: Any, buckets: int) -> Any:
        """See `Namespace`; each distinct string is hashed once."""
        import farmhash

        encoded = pc.dictionary_encode(column)
        hashes = [farmhash.fingerprint64(text) % buckets for text in encoded.dictionary.to_pylist()]
        table = np.array(hashes, np.int64)
        return table[encoded.indices.to_numpy(zero_copy_only=False)]

    def cross_bucket(self, columns: list[Any], buckets: int) -> Any:
        """See `Namespace`; TensorFlow's FingerprintCat64 over FarmHash's fingerprints, as whole arrays."""
        import farmhash

        mixed: Any = np.uint64(_CROSS_KEY)
        with np.errstate(over="ignore"):
            for column in columns:
                if isinstance(column, np.ndarray):
                    prints = column.astype(np.int64).view(np.uint64)
                else:
                    encoded = pc.dictionary_encode(column)
                    table = [farmhash.fingerprint64(text) for text in encoded.dictionary.to_pylist()]
                    prints = np.array(table, np.uint64)[encoded.indices.to_numpy(zero_copy_only=False)]
                mixed = _concatenated(mixed, prints)
        found: Any = (mixed % np.uint64(buckets)).astype(np.int64)
        return found

    def take(self, values: Any, places: Any) -> Any:
        """See `Namespace`."""
        return values[places]

    def to_string(self, column: Any) -> Any:
        """See `Namespace`."""
        return self.int_to_string(column) if isinstance(column, np.ndarray) else column

    def minimum(self, column: Any, most: float) -> Any:
        """See `Namespace`."""
        return np.minimum(column, np.float32(most))

    def isnan(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.isnan(column)

    def sin(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.sin(column)

    def cos(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.cos(column)

    def log(self, column: Any) -> Any:
        """See `Namespace`."""
        return np.log(column)

    def power(self, column: Any, exponent: float) -> Any:
        """See `Namespace`."""
        return np.power(column, np.float32(exponent))

    def split(self, column: Any, separator: str) -> Any:
        """See `Namespace`."""
        cut = _ragged(pc.split_pattern(column, separator))
        bare = cut.like(pc.ascii_trim_whitespace(cut.values))
        return bare.keep(pc.not_equal(bare.values, "").to_numpy(zero_copy_only=False))

    def tokens(self, column: Any, pattern: str, lower: bool) -> Any:
        """See `Namespace`."""
        if lower:
            for special, plain in SPECIAL_CASES.items():
                column = pc.replace_substring(column, special, plain)
            column = pc.utf8_lower(column)
        try:
            cut = pc.replace_substring_regex(column, pattern, UNIT_SEPARATOR)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"tokens: {pattern!r} is no expression of RE2 ({error})",
                remedy="write it without what RE2 lacks: https://github.com/google/re2/wiki/Syntax",
            ) from error
        return self.split(cut, UNIT_SEPARATOR)

    def ragged(self, column: Any) -> Any:
        """See `Namespace`; `serving_batch` has made it so already."""
        return column

    def is_ragged(self, column: Any) -> bool:
        """See `Namespace`."""
        return isinstance(column, Ragged)

    def values(self, column: Any) -> Any:
        """See `Namespace`."""
        return column.values

    def like(self, column: Any, values: Any) -> Any:
        """See `Namespace`."""
        return column.like(values)

    def counts(self, column: Any, size: int) -> Any:
        """See `Namespace`."""
        inside = (column.values >= 0) & (column.values < size)
        cells = column.rows[inside] * size + column.values[inside]
        return np.bincount(cells, minlength=len(column) * size).reshape(-1, size).astype(np.float32)

    def pad(self, column: Any, width: int) -> Any:
        """See `Namespace`."""
        made = np.zeros((len(column), width), np.int64)
        rows, places = column.rows, column.places
        inside = places < width
        made[rows[inside], places[inside]] = column.values[inside]
        return made

    def one_hot(self, ids: Any, size: int) -> Any:
        """See `Namespace`."""
        rows = np.zeros((len(ids), size), np.float32)
        inside = np.flatnonzero((ids >= 0) & (ids < size))
        rows[inside, ids[inside]] = 1
        return rows

    def stack(self, columns: list[Any]) -> Any:
        """See `Namespace`."""
        return np.stack(columns, axis=1)

    def concat(self, matrices: list[Any]) -> Any:
        """See `Namespace`."""
        return np.concatenate(matrices, axis=1)

    def float32(self, values: Any) -> Any:
        """See `Namespace`."""
        return np.asarray(values, np.float32)

    def int64(self, values: Any) -> Any:
        """See `Namespace`."""
        return np.asarray(values, np.int64)

    def uint8(self, values: Any) -> Any:
        """See `Namespace`."""
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _concatenated(first: Any, second: Any) -> Any:
    """TensorFlow's `FingerprintCat64` of uint64 arrays."""
    shift = np.uint64(47)
    mixed = second * _CROSS_FACTOR
    result = (first ^ _CROSS_FACTOR) ^ ((mixed ^ (mixed >> shift)) * _CROSS_FACTOR)
    result = result * _CROSS_FACTOR
    result = (result ^ (result >> shift)) * _CROSS_FACTOR
    return result ^ (result >> shift)


def _ragged(lists: Any) -> Ragged:
    """A list array without nulls."""
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return Ragged(lists.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0])


def namespace_of(xp: Any) -> Namespace:
    """The namespace of a module: `numpy`, `tensorflow`, or a namespace itself."""
    name = getattr(xp, "__name__", "")
    if name == "numpy":
        return NumpyNamespace()
    if name.split(".")[0] == "tensorflow":
        from .namespace_tf import TensorFlowNamespace

        return TensorFlowNamespace()
    found: Namespace = xp
    return found
