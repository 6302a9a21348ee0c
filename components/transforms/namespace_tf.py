"""TensorFlow behind the array functions that transforms are written against."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .base import MISSING_INT
from .images import ImageStep, Pixels
from .images_tf import render
from .namespace import SPECIAL_CASES, UNIT_SEPARATOR


class _Table:
    """A look-up table with the number of its keys."""

    def __init__(self, keys: list[str]) -> None:
        # At least one key: TensorFlow has no table without any. The empty string is never looked up in
        # earnest, since missing values are sorted out before.
        initializer = tf.lookup.KeyValueTensorInitializer(
            tf.constant(keys or [""], tf.string), tf.range(max(len(keys), 1), dtype=tf.int64) - (not keys)
        )
        self.count = len(keys)
        self.table = tf.lookup.StaticHashTable(initializer, default_value=-1)


class TensorFlowNamespace:
    """See `headrace.components.transforms.namespace.Namespace`.

    Attributes:
        tables: every look-up table that `prepare` made; a module that is exported has to hold them.
    """

    def __init__(self) -> None:
        self.tables: list[Any] = []

    def prepare(self, value: Any) -> Any:
        """Lists of strings become look-up tables, arrays constants."""
        if isinstance(value, (list, tuple)):
            table = _Table(list(value))
            self.tables.append(table.table)
            return table
        return value

    def length(self, keys: Any) -> int:
        """The number of keys."""
        return int(keys.count)

    def int_to_float(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.where(column == MISSING_INT, np.float32(np.nan), tf.cast(column, tf.float32))

    def int_to_string(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.where(column == MISSING_INT, "", tf.strings.as_string(column))

    def to_float(self, column: Any) -> Any:
        """See `Namespace`."""
        return column if column.dtype == tf.float32 else self.int_to_float(column)

    def rescale(self, pixels: Any, shift: tuple[float, ...], divisor: tuple[float, ...]) -> Any:
        """See `Namespace`."""
        made = tf.cast(pixels, tf.float32)
        # Each is a pass over memory, which is most of what reading stored pixels costs.
        made = made - tf.constant(shift) if any(shift) else made
        return made if set(divisor) == {1.0} else made / tf.constant(divisor)

    def render(self, column: Any, steps: tuple[ImageStep, ...]) -> Pixels:
        """See `Namespace`."""
        return render(column, steps)

    def normalize(self, pixels: Any, table: Any) -> Any:
        """See `Namespace`."""
        channels = table.shape[1]
        places = tf.cast(pixels, tf.int32) * channels + tf.range(channels)
        return tf.gather(tf.constant(table.reshape(-1)), places)

    def blank(self, images: Any, valid: Any) -> Any:
        """See `Namespace`."""
        return tf.where(valid[:, tf.newaxis, tf.newaxis, tf.newaxis], images, np.float32(np.nan))

    def log1p(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.math.log1p(column)

    def expm1(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.math.expm1(column)

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        """See `Namespace`."""
        # A whole number beside a tensor of floats is one of these, as it is to NumPy.
        if isinstance(yes, int) and tf.is_tensor(no):
            yes = tf.constant(yes, no.dtype)
        elif isinstance(no, int) and tf.is_tensor(yes):
            no = tf.constant(no, yes.dtype)
        return tf.where(condition, yes, no)

    def full_like(self, ids: Any, value: int) -> Any:
        """See `Namespace`."""
        return tf.fill(tf.shape(ids), tf.constant(value, tf.int64))

    def fill_float(self, column: Any, value: Any) -> Any:
        """See `Namespace`."""
        return tf.where(tf.math.is_nan(column), value, column)

    def fill_int(self, column: Any, value: Any) -> Any:
        """See `Namespace`."""
        return tf.where(column == MISSING_INT, value if tf.is_tensor(value) else np.int64(value), column)

    def fill_string(self, column: Any, value: Any) -> Any:
        """See `Namespace`."""
        return tf.where(column == "", value, column)

    def is_empty(self, column: Any) -> Any:
        """See `Namespace`."""
        return column == ""

    def bucket(self, column: Any, boundaries: Any) -> Any:
        """See `Namespace`."""
        found = tf.searchsorted(tf.constant(boundaries, tf.float32), column, side="right", out_type=tf.int64)
        return tf.where(tf.math.is_nan(column), np.int64(-1), found)

    def look_up(self, column: Any, keys: Any) -> Any:
        """See `Namespace`."""
        return keys.table.lookup(column)

    def hash_bucket(self, column: Any, buckets: int) -> Any:
        """See `Namespace`."""
        return tf.strings.to_hash_bucket_fast(column, buckets)

    def cross_bucket(self, columns: list[Any], buckets: int) -> Any:
        """See `Namespace`."""
        crossed = tf.sparse.cross_hashed([column[:, None] for column in columns], num_buckets=buckets)
        return crossed.values

    def take(self, values: Any, places: Any) -> Any:
        """See `Namespace`."""
        return tf.gather(tf.constant(values), places)

    def to_string(self, column: Any) -> Any:
        """See `Namespace`."""
        return column if column.dtype == tf.string else self.int_to_string(column)

    def minimum(self, column: Any, most: float) -> Any:
        """See `Namespace`."""
        return tf.minimum(column, np.float32(most))

    def isnan(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.math.is_nan(column)

    def sin(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.sin(column)

    def cos(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.cos(column)

    def log(self, column: Any) -> Any:
        """See `Namespace`."""
        return tf.math.log(column)

    def power(self, column: Any, exponent: float) -> Any:
        """See `Namespace`."""
        return tf.pow(column, np.float32(exponent))

    def split(self, column: Any, separator: str) -> Any:
        """See `Namespace`."""
        cut = tf.strings.split(column, separator)
        bare = cut.with_flat_values(
            tf.strings.regex_replace(cut.flat_values, r"^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$", "")
        )
        return tf.ragged.boolean_mask(bare, bare != "")

    def tokens(self, column: Any, pattern: str, lower: bool) -> Any:
        """See `Namespace`."""
        if lower:
            for special, plain in SPECIAL_CASES.items():
                column = tf.strings.regex_replace(column, special, plain)
            column = tf.strings.lower(column, encoding="utf-8")
        return self.split(tf.strings.regex_replace(column, pattern, UNIT_SEPARATOR), UNIT_SEPARATOR)

    def ragged(self, column: Any) -> Any:
        """See `Namespace`; takes padded values, [n, longest row]."""
        if column.dtype == tf.string:
            there = column != ""
        else:
            there = ~tf.math.is_nan(column) if column.dtype == tf.float32 else column != MISSING_INT
        return tf.ragged.boolean_mask(column, there)

    def is_ragged(self, column: Any) -> bool:
        """See `Namespace`."""
        return isinstance(column, tf.RaggedTensor)

    def values(self, column: Any) -> Any:
        """See `Namespace`."""
        return column.flat_values

    def like(self, column: Any, values: Any) -> Any:
        """See `Namespace`."""
        return column.with_flat_values(values)

    def counts(self, column: Any, size: int) -> Any:
        """See `Namespace`."""
        ids, rows = column.flat_values, column.value_rowids()
        inside = (ids >= 0) & (ids < size)
        cells = tf.boolean_mask(tf.stack([tf.cast(rows, tf.int64), ids], axis=1), inside)
        shape = tf.stack([column.nrows(out_type=tf.int64), tf.constant(size, tf.int64)])
        return tf.ensure_shape(tf.scatter_nd(cells, tf.ones(tf.shape(cells)[:1]), shape), [None, size])

    def pad(self, column: Any, width: int) -> Any:
        """See `Namespace`."""
        return column.to_tensor(0, shape=[None, width])

    def one_hot(self, ids: Any, size: int) -> Any:
        """See `Namespace`."""
        return tf.one_hot(ids, size, dtype=tf.float32)

    def stack(self, columns: list[Any]) -> Any:
        """See `Namespace`."""
        return tf.stack(columns, axis=1)

    def concat(self, matrices: list[Any]) -> Any:
        """See `Namespace`."""
        return tf.concat(matrices, axis=1)

    def float32(self, values: Any) -> Any:
        """See `Namespace`."""
        return tf.cast(values, tf.float32)

    def uint8(self, values: Any) -> Any:
        """See `Namespace`."""
        return tf.saturate_cast(tf.round(values), tf.uint8)

    def int64(self, values: Any) -> Any:
        """See `Namespace`."""
        return tf.cast(values, tf.int64)
