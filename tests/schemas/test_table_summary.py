from __future__ import annotations

from functools import reduce
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas import table_summary
from headrace.schemas.schema import FeatureType
from headrace.schemas.statistics import DatasetStatistics
from headrace.schemas.table_summary import Options, TableSummary, column_types

COLUMNS: Any = {"i": "int", "f": "float", "s": "string", "b": "bool"}
ARROW = pa.schema([("i", pa.int64()), ("f", pa.float64()), ("s", pa.string()), ("b", pa.bool_())])
rows = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-(2**63), 2**63 - 1),
            "f": st.none() | st.floats(-1e12, 1e12) | st.sampled_from([float("nan"), float("inf")]),
            "s": st.none() | st.text(max_size=2),
            "b": st.none() | st.booleans(),
        }
    ),
    max_size=12,
)


def summary(some: list[Any]) -> TableSummary:
    return TableSummary.of(COLUMNS, pa.RecordBatch.from_pylist(some, ARROW))


@settings(deadline=None, max_examples=40)
@given(st.lists(rows, min_size=1, max_size=4))
def test_batches_add_up_to_the_table(parts: list[list[Any]]) -> None:
    whole = summary([row for part in parts for row in part]).compute("x", 5)
    packed = [TableSummary.from_bytes(summary(part).to_bytes()) for part in parts]
    merged = reduce(TableSummary.merge, packed, TableSummary.empty(COLUMNS)).compute("x", 5)
    for a, b in zip(whole, merged, strict=True):
        assert (a.rows, a.missing, a.distinct, a.top, a.lengths) == (
            b.rows,
            b.missing,
            b.distinct,
            b.top,
            b.lengths,
        )
        if a.numeric and b.numeric:
            assert (a.numeric.min, a.numeric.max, a.numeric.zeros) == (
                b.numeric.min,
                b.numeric.max,
                b.numeric.zeros,
            )
            assert a.numeric.quantiles == b.numeric.quantiles and a.numeric.median == b.numeric.median
            assert (a.numeric.mean is None) == (b.numeric.mean is None)
            # Means are sums of float64: off by some units in the last place of the largest value.
            largest = max(abs(a.numeric.min or 0), abs(a.numeric.max or 0))
            near = pytest.approx(b.numeric.mean or 0, rel=1e-6, abs=1e-3 + 1e-15 * largest)
            assert (a.numeric.mean or 0) == near
    statistics = DatasetStatistics((merged,))
    assert DatasetStatistics.from_json(statistics.to_json()) == statistics


def test_packing_is_exact_and_deterministic() -> None:
    one = summary([{"i": 1, "f": 0.1, "s": "x", "b": True}, {"i": None, "f": 0.2, "s": None, "b": None}])
    assert TableSummary.from_bytes(one.to_bytes()).to_bytes() == one.to_bytes()


def test_column_types() -> None:
    assert column_types(ARROW) == COLUMNS
    assert column_types(pa.schema([("a", pa.float32()), ("b", pa.large_string())])) == {
        "a": "float",
        "b": "string",
    }
    lists = [("t", pa.list_(pa.string())), ("n", pa.large_list(pa.int32())), ("x", pa.list_(pa.float64()))]
    assert column_types(pa.schema([("when", pa.timestamp("s")), *lists])) == {
        "when": "timestamp",
        "t": "strings",
        "n": "ints",
        "x": "floats",
    }
    with pytest.raises(TypeError, match="'when' has the type time32"):
        column_types(pa.schema([("when", pa.time32("s"))]))


def test_the_numbers_of_a_wide_table_are_counted_within_a_budget_of_all_columns(monkeypatch: Any) -> None:
    assert [Options().numbers(columns) for columns in (0, 1, 256, 2000, 10_000)] == [
        65_536, 65_536, 65_536, 8_388, 4_096,
    ]  # fmt: skip
    monkeypatch.setattr(table_summary, "ALL_NUMBERS", 200)
    monkeypatch.setattr(table_summary, "LEAST_NUMBERS", 10)
    columns: dict[str, FeatureType] = {f"x{i}": "float" for i in range(4)}
    values = {name: pa.array([float(i * k) for i in range(100)]) for k, name in enumerate(columns, 1)}
    whole = TableSummary.of(columns, pa.table(values))
    assert all(len(counts.values) <= 50 and not counts.exact for counts in whole.numbers.values())
    halves = [TableSummary.of(columns, pa.table(values).slice(at, 50)) for at in (0, 50)]
    assert [half.numbers["x1"].exact for half in halves] == [True, True]
    merged = TableSummary.merge_all([TableSummary.from_bytes(half.to_bytes()) for half in halves])
    for name, counts in whole.numbers.items():
        assert merged.numbers[name].values.tolist() == counts.values.tolist()
        assert merged.numbers[name].counts.tolist() == counts.counts.tolist()
    few = TableSummary.of({"x0": "float"}, pa.table({"x0": values["x0"]}))
    assert few.numbers["x0"].exact
