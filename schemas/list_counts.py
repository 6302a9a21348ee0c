"""How many values the rows of a list column hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .packing import Column
from .statistics import ListStatistics


@dataclass(frozen=True)
class ListCounts:
    """An accumulator over one list column; exact, whatever the order.

    Attributes:
        missing: rows whose list is null or empty.
        filled: the other rows.
        fewest, most, values: the least and greatest number of values in a filled row, and their sum.
    """

    missing: int = 0
    filled: int = 0
    fewest: int = 2**62
    most: int = 0
    values: int = 0

    @classmethod
    def of(cls, column: Column) -> ListCounts:
        """Of a column of lists."""
        sizes = pc.drop_null(pc.list_value_length(column))
        sizes = sizes.filter(pc.greater(sizes, 0))
        if not len(sizes):
            return cls(len(column))
        ends = pc.min_max(sizes).as_py()
        total = pc.sum(sizes).as_py()
        return cls(len(column) - len(sizes), len(sizes), ends["min"], ends["max"], total)

    def merge(self, other: ListCounts) -> ListCounts:
        """The counts of the rows of both."""
        return ListCounts(
            self.missing + other.missing,
            self.filled + other.filled,
            min(self.fewest, other.fewest),
            max(self.most, other.most),
            self.values + other.values,
        )

    def compute(self) -> ListStatistics:
        """The result; None where there is no filled row."""
        if not self.filled:
            return ListStatistics(None, None, None, 0)
        return ListStatistics(self.fewest, self.most, self.values / self.filled, self.values)

    def to_json(self) -> dict[str, Any]:
        """JSON values; `ListCounts(**told)` is the inverse."""
        return asdict(self)


def flat(column: Column) -> pa.Array:
    """The values in the lists, nulls among them included."""
    values = pc.list_flatten(column)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
