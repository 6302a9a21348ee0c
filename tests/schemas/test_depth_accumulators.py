"""The laws of the accumulators behind weights, lists, label correlations and lengths."""

from __future__ import annotations

import json
import math
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.co_moments import CoMoments
from headrace.schemas.group_moments import MOST, GroupMoments, PairCounts
from headrace.schemas.histograms import equal_width, whole_numbers
from headrace.schemas.list_counts import ListCounts, flat
from headrace.schemas.string_counts import StringCounts
from headrace.schemas.table_summary import Options, TableSummary
from headrace.schemas.weighted_moments import WeightedMoments

number = st.none() | st.integers(-3, 3).map(float) | st.floats(-1e5, 1e5) | st.just(math.inf)
row = st.tuples(
    number,
    number,
    st.sampled_from([None, "a", "b", "ä"]),
    st.sampled_from([None, "x", "y"]),
    st.integers(0, 5).map(lambda n: n / 2),
    st.none() | st.lists(st.sampled_from(["p", "q"]), max_size=3),
    st.none() | st.sampled_from([b"\xff\xd8\xff", b"\x89PNG", b"", b"\x89PNG" * 999, bytes(2_000)]),
)
parts = st.lists(st.lists(row, max_size=9), min_size=1, max_size=4)
NAMES = ["u", "v", "k", "c", "w", "l", "i"]
COLUMNS: Any = {
    "u": "float",
    "v": "float",
    "k": "string",
    "c": "string",
    "w": "float",
    "l": "strings",
    "i": "image",
}
ARROW = pa.schema(
    [("u", pa.float64()), ("v", pa.float64()), ("k", pa.string()), ("c", pa.string()), ("w", pa.float64()),
     ("l", pa.list_(pa.string())), ("i", pa.binary())]
)  # fmt: skip


def summary(rows: list[Any], options: Options) -> TableSummary:
    rows = [dict(zip(NAMES, one, strict=True)) for one in rows]
    return TableSummary.of(COLUMNS, pa.RecordBatch.from_pylist(rows, ARROW), options)


def plain(values: list[Any]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def near(a: float | None, b: float) -> None:
    if a is None or math.isnan(b):
        assert a is None and math.isnan(b)
    else:
        assert a == pytest.approx(b, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(parts, st.sampled_from(["u", "c"]))
def test_merged_parts_equal_the_whole(batches: list[Any], label: str) -> None:
    options = Options(label=label, weight="w", buckets=4)
    whole = summary([one for batch in batches for one in batch], options).compute("x")
    packed = [TableSummary.from_bytes(summary(batch, options).to_bytes()) for batch in batches]
    forth = reduce(TableSummary.merge, packed, TableSummary.empty(COLUMNS, options)).compute("x")
    back = reduce(lambda a, b: b.merge(a), reversed(packed)).compute("x")
    for other in (forth, back):
        assert other.weight == pytest.approx(whole.weight)
        for a, b in zip(whole, other, strict=True):
            assert (a.lists, a.lengths, a.missing, a.top) == (b.lists, b.lengths, b.missing, b.top)
            assert a.images == b.images
            if a.numeric and b.numeric:
                assert a.numeric.histogram == b.numeric.histogram
            assert a.weighted and b.weighted and a.weighted.count == pytest.approx(b.weighted.count)
            if a.weighted.mean is not None and b.weighted.mean is not None:
                near(b.weighted.mean, a.weighted.mean)
            if a.correlation and b.correlation:
                assert (a.correlation.rows, a.correlation.method) == (
                    b.correlation.rows,
                    b.correlation.method,
                )
    # Two folds in one order are equal to the last bit.
    again = reduce(TableSummary.merge, packed, TableSummary.empty(COLUMNS, options))
    assert again.compute("x") == forth


@settings(deadline=None)
@given(st.lists(row, min_size=2, max_size=30))
def test_pearson_equals_numpy(rows: list[Any]) -> None:
    x, y = plain([one[0] for one in rows]), plain([one[1] for one in rows])
    both = np.isfinite(x) & np.isfinite(y)
    found = CoMoments.of(x[None], y)
    halves = CoMoments.of(x[None, :1], y[:1]).merge(CoMoments.of(x[None, 1:], y[1:]))
    assert found.count[0] == halves.count[0] == both.sum()
    if both.sum() > 1 and x[both].std() > 1e-3 and y[both].std() > 1e-3:
        expected = np.corrcoef(x[both], y[both])[0, 1]
        assert found.pearson(0) == pytest.approx(expected, abs=1e-7)
        assert halves.pearson(0) == pytest.approx(expected, abs=1e-7)
    assert CoMoments.empty(1).merge(found).to_bytes() == found.to_bytes()
    assert found.merge(CoMoments.empty(1)).to_bytes() == found.to_bytes()
    assert CoMoments.from_bytes(found.to_bytes()).to_bytes() == found.to_bytes()


def test_correlations_by_hand() -> None:
    codes = np.array([0, 0, 1, 1, -1])
    groups = GroupMoments.of(codes, ["a", "b"], np.array([1.0, 3.0, 5.0, 7.0, 100.0]))
    # Means 2 and 6, whole 4: between 2*4 + 2*4 = 16, within 2 + 2 = 4.
    assert groups.eta() == (pytest.approx(math.sqrt(16 / 20)), 4)
    pairs = PairCounts.of(codes, ["a", "b"], np.array([0, 0, 1, 0, 1]), ["x", "y"])
    # Counts (2, 0), (1, 1): chi2 = 4 * (4/(2*3) + 1/(2*3) + 1/(2*1) - 1) = 4/3.
    assert pairs.cramers_v() == (pytest.approx(math.sqrt(1 / 3)), 4)
    same = PairCounts.of(codes, ["a", "b"], codes, ["a", "b"])
    assert same.cramers_v()[0] == 1.0
    constant = GroupMoments.of(codes, ["a", "b"], np.full(5, 0.1))
    assert math.isnan(constant.eta()[0]) and math.isnan(GroupMoments({}).eta()[0])
    assert math.isnan(PairCounts({}).cramers_v()[0])
    assert math.isnan(CoMoments.of(np.full((1, 3), 0.1), np.arange(3.0)).pearson(0))


def test_past_a_thousand_categories_there_is_no_correlation() -> None:
    names = [f"n{i}" for i in range(MOST + 1)]
    codes = np.arange(MOST + 1)
    assert GroupMoments.of(codes, names, np.zeros(MOST + 1)).groups is None
    left = GroupMoments.of(codes[:600], names, np.zeros(600))
    right = GroupMoments.of(codes[600:], names, np.zeros(MOST + 1 - 600))
    assert left.groups and left.merge(right).groups is None and right.merge(left).groups is None
    pairs = PairCounts.of(codes, names, codes * 0, ["x"])
    assert pairs.pairs is None and PairCounts({}).merge(pairs).pairs is None
    for one in (left, GroupMoments(None)):
        assert GroupMoments.from_json(json.loads(json.dumps(one.to_json()))) == one


@settings(deadline=None)
@given(st.lists(row, min_size=1, max_size=30))
def test_weighted_moments_equal_repeated_rows(rows: list[Any]) -> None:
    values, times = plain([one[0] for one in rows]), [int(one[4] * 2) for one in rows]
    found = WeightedMoments.of(np.array(times, np.float64), [np.isnan(values)], values[None])
    repeated = np.repeat(values, times)
    finite = repeated[np.isfinite(repeated)]
    assert found.total == sum(times) and found.present[0] == (~np.isnan(repeated)).sum()
    mean, deviation = found.moments(0)
    if len(finite):
        assert mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-7)
        assert deviation == pytest.approx(finite.std(), rel=1e-6, abs=1e-5)
    else:
        assert math.isnan(mean)
    empty = WeightedMoments.empty(1, 1)
    assert empty.merge(found).to_bytes() == found.to_bytes() == found.merge(empty).to_bytes()
    assert WeightedMoments.from_bytes(found.to_bytes()).to_bytes() == found.to_bytes()


def test_weights_that_are_none_are_counted() -> None:
    weights = np.array([1.0, math.nan, -1.0, math.inf, 2.0])
    found = WeightedMoments.of(weights, [np.zeros(5, bool)], np.arange(5.0)[None])
    assert found.bad == 3 and found.total == 3.0 and found.moments(0)[0] == pytest.approx(8 / 3)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50) | st.floats(-1e9, 1e9), min_size=1, max_size=60), st.integers(1, 12))
def test_histograms_equal_numpy(given_values: list[float], buckets: int) -> None:
    values, counts = np.unique(np.array(given_values, np.float64), return_counts=True)
    found = equal_width(values, counts, buckets)
    assert found is not None and sum(found.counts) == len(given_values)
    assert (found.edges[0], found.edges[-1]) == (values[0], values[-1])
    if len(values) > 1:
        assert len(found.counts) == buckets
        expected = np.histogram(np.array(given_values, np.float64), np.array(found.edges))[0]
        assert list(found.counts) == expected.tolist()


def test_histograms_of_extremes() -> None:
    huge = equal_width(np.array([-1.7e308, 1.7e308]), np.array([1, 2]))
    assert huge is not None and np.isfinite(huge.edges).all() and huge.counts == (1, *[0] * 8, 2)
    one = equal_width(np.array([7]), np.array([3]))
    assert one is not None and (one.edges, one.counts) == ((7.0, 7.0), (3,))
    assert equal_width(np.array([]), np.array([])) is None and whole_numbers({}) is None
    few = whole_numbers({1: 5, 3: 2})
    assert few is not None and few.edges == (1.0, 2.0, 3.0) and few.counts == (5, 2)


def test_long_lengths_are_cut_to_seven_bits() -> None:
    counts = StringCounts.of(pa.array(["x" * n for n in (5, 1_023, 1_024, 1_030, 100_003)]))
    assert counts.lengths == {5: 1, 1_023: 1, 1_024: 2, 99_328: 1}
    assert all(abs(cut - n) / n < 2**-7 for cut, n in ((1_024, 1_030), (99_328, 100_003)))
    assert (counts.shortest, counts.longest) == (5, 100_003)


def test_invalid_utf8_is_counted_and_marked() -> None:
    raw = pa.array([b"ok", b"\xff\xfe", b"\xff\xfe", None, b"caf\xe9", b"\xc3\xa9"], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 6, raw.buffers())
    counts = StringCounts.of(column)
    assert counts.invalid == 3 and counts.missing == 1
    assert dict(counts.top()) == {"\ufffd\ufffd": 2, "ok": 1, "caf\ufffd": 1, "é": 1}
    assert StringCounts.from_bytes(counts.to_bytes()).merge(counts).invalid == 6


def test_list_counts() -> None:
    column = pa.array([[1, 2], [], None, [3], [None, 4, 5]], pa.list_(pa.int64()))
    counts = ListCounts.of(column)
    assert (counts.missing, counts.filled, counts.fewest, counts.most, counts.values) == (2, 3, 1, 3, 6)
    pieces = [ListCounts.of(column.slice(start, size)) for start, size in ((0, 2), (2, 1), (3, 2))]
    assert reduce(ListCounts.merge, pieces, ListCounts()) == counts
    assert reduce(ListCounts.merge, reversed(pieces)) == counts
    assert ListCounts(**counts.to_json()) == counts
    assert flat(column.slice(3)).to_pylist() == [3, None, 4, 5]
    assert ListCounts().compute().min is None
