"""How often each string occurs: exact up to a budget, then for a fixed sample of the values.

Past the budget only the values with the smallest 64-bit hashes are kept ("k minimum values", Bar-Yossef et
al. 2002): the longest run of values in the order of their hashes that fits. Which values those are
depends on the values only, not on batching or merging, and their counts stay exact. The number of distinct
values is then an estimate, and a frequent value may be missing from `top`: the result says `exact: False`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .histograms import length_counts
from .packing import Blob, Column

MAX_VALUES = 500_000
MAX_BYTES = 16_000_000
_ALL = 2**64
_SCHEMA = pa.schema([("value", pa.large_string()), ("count", pa.int64()), ("hash", pa.uint64())])
_NO_VALUES = _SCHEMA.empty_table()


@dataclass(frozen=True, eq=False)
class StringCounts:
    """An accumulator over one string or bool column (bools are "true" and "false").

    Attributes:
        table: columns `value` (large_string, distinct), `count` (int64) and `hash` (uint64), ascending by
            hash, equal hashes by value.
        threshold: values with this hash or a greater one were dropped; 2^64 if none was.
        rows, missing: rows, and those without a value.
        shortest, longest, characters: the least and greatest length and their sum, in code points.
        lengths: how many values have which length; from 1,024 on lengths are cut to seven bits, so that
            there are never many.
        invalid: values that aren't UTF-8. They are counted with U+FFFD for their bad bytes.
        max_values, max_bytes: the budget, in distinct values and their UTF-8 bytes.
    """

    table: pa.Table
    threshold: int
    rows: int
    missing: int
    shortest: int
    longest: int
    characters: int
    max_values: int = MAX_VALUES
    max_bytes: int = MAX_BYTES
    lengths: Mapping[int, int] = field(default_factory=dict)
    invalid: int = 0

    @classmethod
    def empty(cls, max_values: int = MAX_VALUES, max_bytes: int = MAX_BYTES) -> StringCounts:
        """The neutral element of `merge`."""
        return cls(_NO_VALUES, _ALL, 0, 0, 2**62, 0, 0, max_values, max_bytes)

    @classmethod
    def of(cls, column: Column, max_values: int = MAX_VALUES, max_bytes: int = MAX_BYTES) -> StringCounts:
        """Counts the values of a string, bool or integer column."""
        text, invalid = pc.drop_null(pc.cast(column, pa.large_string())), 0
        try:
            values, counts, hashes = _count(text)
        except UnicodeDecodeError:
            text, invalid = _valid(text)
            values, counts, hashes = _count(text)
        lengths = pc.utf8_length(values)
        table = pa.Table.from_arrays([values, counts, hashes], schema=_SCHEMA)
        empty = cls.empty(max_values, max_bytes)
        return replace(
            empty,
            table=_sorted(table),
            rows=len(column),
            missing=column.null_count,
            shortest=pc.min(lengths).as_py() if len(lengths) else empty.shortest,
            longest=pc.max(lengths).as_py() or 0,
            characters=pc.sum(pc.multiply(lengths, counts)).as_py() or 0,
            lengths=length_counts(lengths.to_numpy(), counts.to_numpy()),
            invalid=invalid,
        )._fit()

    @classmethod
    def of_counts(cls, values: pa.Array, counts: pa.Array) -> StringCounts:
        """From distinct strings and how often each was counted elsewhere; lengths are not known."""
        columns = [values.cast(pa.large_string()), counts, hash_strings(values)]
        table = _sorted(pa.Table.from_arrays(columns, schema=_SCHEMA))
        return replace(cls.empty(), table=table, rows=pc.sum(counts).as_py() or 0)._fit()

    def merge(self, other: StringCounts) -> StringCounts:
        """The counts of the rows of both."""
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[StringCounts]) -> StringCounts:
        """The counts of the rows of all, of which there is at least one."""
        if len(parts) == 1:
            return parts[0]
        threshold = min(part.threshold for part in parts)
        lengths: Counter[int] = Counter()
        for part in parts:
            lengths.update(part.lengths)
        return cls(
            _sum([_below(part.table, threshold) for part in parts]),
            threshold,
            sum(part.rows for part in parts),
            sum(part.missing for part in parts),
            min(part.shortest for part in parts),
            max(part.longest for part in parts),
            sum(part.characters for part in parts),
            min(part.max_values for part in parts),
            min(part.max_bytes for part in parts),
            lengths,
            sum(part.invalid for part in parts),
        )._fit()

    @property
    def nbytes(self) -> int:
        """The bytes of values, counts and hashes."""
        size: int = self.table.nbytes
        return size

    def _fit(self) -> StringCounts:
        """This, with the values that the budget allows.

        A value is dropped once the values up to it, in the order of hashes, exceed the budget. They do so in
        the whole if they do so in a part, hence no part drops what the whole would keep.
        """
        sizes = np.cumsum(pc.binary_length(self.table["value"]).to_numpy())
        fitting = min(self.max_values, int(np.searchsorted(sizes, self.max_bytes, side="right")))
        if fitting >= self.table.num_rows:
            return self
        threshold = min(self.threshold, self.table["hash"][fitting].as_py())
        return replace(self, table=_below(self.table, threshold), threshold=threshold)

    @property
    def exact(self) -> bool:
        """Whether every value is here."""
        return self.threshold == _ALL

    @property
    def count(self) -> int:
        """How many rows have a value."""
        return self.rows - self.missing

    @property
    def distinct(self) -> int:
        """The number of distinct values; an estimate if not `exact`."""
        kept: int = self.table.num_rows
        return kept if self.exact else round(kept * (_ALL / max(self.threshold, 1)))

    @property
    def distinct_error(self) -> float:
        """The relative standard error of `distinct`: 0 if `exact`, else 1 / sqrt(kept - 2)."""
        return 0.0 if self.exact else max(self.table.num_rows - 2, 1) ** -0.5

    @property
    def mean_length(self) -> float:
        """The mean number of code points; NaN without values."""
        return self.characters / self.count if self.count else float("nan")

    def top(self, most: int | None = None) -> list[tuple[str, int]]:
        """The most frequent values with their counts: by descending count, ties by descending value.

        Values compare by their UTF-8 bytes. This is the order of TensorFlow Transform's vocabularies.
        """
        keys = [("count", "descending"), ("value", "descending")]
        if most is not None and most < self.table.num_rows // 4:
            # Values are distinct, so that the order is told and no row stands for another.
            order = pc.select_k_unstable(self.table, most, keys)
        else:
            order = pc.sort_indices(self.table, keys)[:most]
        rows = self.table.take(order)
        return list(zip(rows["value"].to_pylist(), rows["count"].to_pylist(), strict=True))

    def compute(self) -> dict[str, int]:
        """The count by value, in the order of `top`."""
        return dict(self.top())

    def to_bytes(self) -> bytes:
        """The accumulator as an Arrow IPC stream."""
        state = {name: getattr(self, name) for name in _STATE}
        state["lengths"] = sorted(self.lengths.items())
        table = self.table.replace_schema_metadata({"state": json.dumps(state)})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    @classmethod
    def from_bytes(cls, blob: Blob) -> StringCounts:
        """The inverse of `to_bytes`."""
        with pa.ipc.open_stream(pa.py_buffer(blob)) as reader:
            table = reader.read_all()
        state = json.loads(table.schema.metadata[b"state"])
        return cls(table.replace_schema_metadata(None), **{**state, "lengths": dict(state["lengths"])})


_STATE = (
    "threshold",
    "rows",
    "missing",
    "shortest",
    "longest",
    "characters",
    "max_values",
    "max_bytes",
    "invalid",
)


def _count(text: Column) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Distinct values, their counts and hashes; raises UnicodeDecodeError where a value isn't UTF-8."""
    found = pc.value_counts(text)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    values = found.field("values")
    return values, found.field("counts").cast(pa.int64()), hash_strings(values)


def _valid(text: Column) -> tuple[pa.Array, int]:
    """The values with U+FFFD for what isn't UTF-8, and how many had such bytes."""
    raw = pc.cast(text, pa.large_binary())
    # By way of the distinct values, of which there are fewer.
    encoded = (raw.combine_chunks() if isinstance(raw, pa.ChunkedArray) else raw).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = encoded.dictionary.to_pylist()
    decoded = [value.decode("utf-8", "replace") for value in values]
    bad = np.array([new.encode() != old for new, old in zip(decoded, values, strict=True)], bool)
    invalid = int(bad[encoded.indices.to_numpy()].sum())
    return pa.array(decoded, pa.large_string()).take(encoded.indices), invalid


def hash_strings(values: pa.Array) -> pa.Array:
    """FarmHash's fingerprint of each string, uint64, equal on every platform."""
    import farmhash

    hashed = map(farmhash.fingerprint64, values.to_pylist())
    return pa.array(np.fromiter(hashed, np.uint64, len(values)))


def _below(table: pa.Table, threshold: int) -> pa.Table:
    """The rows with a lesser hash; they come first."""
    if threshold == _ALL:
        return table
    return table.slice(0, int(np.searchsorted(table["hash"].to_numpy(), np.uint64(threshold), side="left")))


def _sorted(table: pa.Table) -> pa.Table:
    hashes = table["hash"].to_numpy()
    order = np.argsort(hashes, kind="stable")
    if (np.diff(hashes[order]) == 0).any():  # two values with one hash: their order is stated too
        return table.take(pc.sort_indices(table, [("hash", "ascending"), ("value", "ascending")]))
    return table.take(pa.array(order)).combine_chunks()


def _sum(tables: Sequence[pa.Table]) -> pa.Table:
    """Equal values of sorted tables as one, with the sum of their counts, sorted."""
    tables = [table for table in tables if table.num_rows]
    if len(tables) < 2:
        return tables[0] if tables else _NO_VALUES
    table = pa.concat_tables(tables).combine_chunks()
    hashes = table["hash"].to_numpy()
    order = np.argsort(hashes, kind="stable")  # which merges runs that are sorted already
    hashes = hashes[order]
    first = np.concatenate([[True], hashes[1:] != hashes[:-1]])
    every = table["value"].chunk(0)
    values = every.take(pa.array(order[first]))
    # A value with the hash of another one is rare, and has to be told from it.
    again = np.flatnonzero(~first)
    meant = values.take(pa.array(np.cumsum(first)[again] - 1))
    if not pc.all(pc.equal(every.take(pa.array(order[again])), meant), min_count=0).as_py():
        return _sum_collided(table)
    counts = np.add.reduceat(table["count"].to_numpy()[order], np.flatnonzero(first))
    return pa.Table.from_arrays([values, pa.array(counts), pa.array(hashes[first])], schema=_SCHEMA)


def _sum_collided(table: pa.Table) -> pa.Table:
    """`_sum` where different values have one hash, which is rare and slower."""
    summed = table.group_by(["value", "hash"], use_threads=False).aggregate([("count", "sum")])
    return _sorted(summed.select(["value", "count_sum", "hash"]).rename_columns(_SCHEMA.names).cast(_SCHEMA))
