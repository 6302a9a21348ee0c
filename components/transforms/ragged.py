"""Columns with any number of values a row, as the NumPy plane holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .base import MISSING_INT


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of values, one behind the other; as `tf.RaggedTensor` with `row_splits`.

    Attributes:
        values: all values, a NumPy array or an Arrow array of strings without nulls.
        offsets: int64 [n + 1]; row i has the values from `offsets[i]` up to `offsets[i + 1]`.
    """

    values: Any
    offsets: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> np.ndarray[Any, Any]:
        """The row of each value, int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def places(self) -> np.ndarray[Any, Any]:
        """The place of each value in its row, int64."""
        starts: np.ndarray[Any, Any] = np.arange(len(self.values)) - np.repeat(
            self.offsets[:-1], np.diff(self.offsets)
        )
        return starts

    def like(self, values: Any) -> Ragged:
        """Other values in the same rows."""
        return Ragged(values, self.offsets)

    def keep(self, mask: np.ndarray[Any, Any]) -> Ragged:
        """Only the values where the mask is true."""
        if mask.all():
            return self
        kept = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])[self.offsets]
        values = (
            self.values.filter(pa.array(mask)) if isinstance(self.values, pa.Array) else self.values[mask]
        )
        return Ragged(values, kept)

    def padded(self) -> np.ndarray[Any, Any]:
        """[n, longest row], filled up with NaN, -2**63 or the empty string."""
        longest = max(int(np.diff(self.offsets).max(initial=0)), 1)
        if isinstance(self.values, pa.Array):
            values, filler = self.values.to_numpy(zero_copy_only=False), ""
            made: np.ndarray[Any, Any] = np.full((len(self), longest), filler, object)
        else:
            values = self.values
            empty = np.float32(np.nan) if values.dtype == np.float32 else np.int64(MISSING_INT)
            made = np.full((len(self), longest), empty, values.dtype)
        made[self.rows, self.places] = values
        return made
