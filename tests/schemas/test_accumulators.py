"""The laws of the accumulators: identity, associativity, independence of order, agreement with NumPy."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas import string_counts
from headrace.schemas.moments import Moments
from headrace.schemas.numeric_counts import EXACT, LEVELS, NumericCounts
from headrace.schemas.string_counts import StringCounts

numbers = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([float("inf"), float("-inf"), -0.0])
)
column = st.lists(numbers | st.none(), max_size=60)
words = st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(0, 40).map(str)), max_size=60)


@st.composite
def cut(draw: Any, rows: Any) -> tuple[list[Any], list[list[Any]], list[int]]:
    """Rows, the same cut into batches, and an order of the batches."""
    whole = draw(rows)
    ends = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    batches = [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]
    return whole, batches, draw(st.permutations(range(len(batches))))


def numeric(values: list[Any], budget: int = 65_536) -> NumericCounts:
    return NumericCounts.of(pa.array(values, pa.float64()), budget)


def moments(values: list[Any]) -> Moments:
    array = pa.array(values, pa.float64())
    doubled = pa.array([None if v is None else v * 2 + 1 for v in values], pa.float64())
    return Moments.of(["a", "b"], pa.record_batch({"a": array, "other": array, "b": doubled}))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=80), st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_the_bits_that_are_left_are_the_most_that_fit(values: list[float], budget: int) -> None:
    found = numeric(values, budget)
    exact = numeric(values)
    bits = EXACT
    while len(exact._cut(bits).values) > budget and bits > 0:
        bits = LEVELS[LEVELS.index(bits) + 1]
    assert found.bits == bits and found.values.tolist() == exact._cut(bits).values.tolist()


def same_numeric(a: NumericCounts, b: NumericCounts) -> None:
    assert a.values.tolist() == b.values.tolist() and a.counts.tolist() == b.counts.tolist()
    assert (None if a.hashes is None else a.hashes.tolist()) == (
        None if b.hashes is None else b.hashes.tolist()
    )
    assert (a.bits, a.low, a.high, a.budget) == (b.bits, b.low, b.high, b.budget)


def same_strings(a: StringCounts, b: StringCounts) -> None:
    assert a.table.equals(b.table)
    assert a.compute() == b.compute() and list(a.compute()) == list(b.compute())
    fields = ("threshold", "rows", "missing", "shortest", "longest", "characters", "max_values", "max_bytes")
    assert [getattr(a, f) for f in fields] == [getattr(b, f) for f in fields]


def close(a: Moments, b: Moments) -> None:
    for field in ("rows", "missing", "infinite", "count", "zeros", "min", "max"):
        assert getattr(a, field).tolist() == getattr(b, field).tolist(), field
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(a.m2, b.m2, rtol=1e-9, atol=1e-6)


@settings(deadline=None)
@given(cut(column), st.sampled_from([3, 8, 65_536]))
def test_numeric_counts_do_not_depend_on_batches_or_order(rows: Any, budget: int) -> None:
    whole, batches, order = rows
    expected = numeric(whole, budget)
    parts = [numeric(b, budget) for b in batches]
    same_numeric(reduce(NumericCounts.merge, parts), expected)
    same_numeric(reduce(NumericCounts.merge, (parts[i] for i in order)), expected)
    same_numeric(reduce(lambda right, left: left.merge(right), reversed(parts)), expected)
    same_numeric(NumericCounts.empty(budget).merge(expected), expected)
    same_numeric(expected.merge(NumericCounts.empty(budget)), expected)
    same_numeric(NumericCounts.from_bytes(expected.to_bytes()), expected)


def test_distinct_numbers_are_counted_or_estimated() -> None:
    values = np.random.default_rng(5).normal(size=300_000)
    parts = [NumericCounts.of_array(np.tile(part, 2)) for part in np.split(values, 6)]
    assert parts[0].exact and parts[0].distinct == 50_000
    forth, back = reduce(NumericCounts.merge, parts), reduce(NumericCounts.merge, parts[::-1])
    assert not forth.exact and forth.distinct == pytest.approx(300_000, rel=0.06)
    same_numeric(forth, back)


@settings(deadline=None)
@given(cut(words), st.sampled_from([(5, 10**6), (10**6, 12), (500, 500)]))
def test_string_counts_do_not_depend_on_batches_or_order(rows: Any, budget: tuple[int, int]) -> None:
    whole, batches, order = rows
    expected = StringCounts.of(pa.array(whole, pa.string()), *budget)
    parts = [StringCounts.of(pa.array(b, pa.string()), *budget) for b in batches]
    same_strings(reduce(StringCounts.merge, parts), expected)
    same_strings(reduce(StringCounts.merge, (parts[i] for i in order)), expected)
    same_strings(reduce(lambda right, left: left.merge(right), reversed(parts)), expected)
    same_strings(StringCounts.empty(*budget).merge(expected), expected)
    same_strings(expected.merge(StringCounts.empty(*budget)), expected)
    same_strings(StringCounts.from_bytes(expected.to_bytes()), expected)


@settings(deadline=None)
@given(cut(column))
def test_moments_obey_the_laws(rows: Any) -> None:
    whole, batches, order = rows
    expected = moments(whole)
    parts = [moments(b) for b in batches]
    close(reduce(Moments.merge, parts), expected)
    close(reduce(Moments.merge, (parts[i] for i in order)), expected)
    for merged in (Moments.empty(["a", "b"]).merge(expected), expected.merge(Moments.empty(["a", "b"]))):
        assert merged.to_bytes() == expected.to_bytes()
    assert Moments.from_bytes(expected.to_bytes()).to_bytes() == expected.to_bytes()


@settings(deadline=None)
@given(column)
def test_moments_equal_numpy(values: list[Any]) -> None:
    got = moments(values)["a"]
    present = np.array([v for v in values if v is not None], np.float64)
    finite = present[np.isfinite(present)]
    assert (got.rows, got.missing, got.count) == (len(values), len(values) - len(present), len(finite))
    assert got.infinite == len(present) - len(finite) and got.zeros == int((finite == 0).sum())
    if len(finite):
        assert (got.min, got.max) == (finite.min(), finite.max())
        np.testing.assert_allclose(got.mean, finite.mean(), rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(got.deviation, finite.std(), rtol=1e-9, atol=1e-6)
    else:
        assert np.isnan([got.mean, got.deviation, got.min, got.max]).all()


def test_a_constant_column_has_exactly_no_variance() -> None:
    parts = [moments([0.1] * n) for n in (3, 7, 1, 1000)]
    got = reduce(Moments.merge, parts)["a"]
    assert got.mean == 0.1 and got.variance == 0.0 and got.deviation == 0.0


def test_moments_survive_a_large_offset() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=10_000)
    got = reduce(Moments.merge, (moments(list(part)) for part in np.split(values, 10)))["a"]
    assert got.variance == pytest.approx(values.var(), rel=1e-6)


def test_moments_of_other_columns_are_not_merged() -> None:
    with pytest.raises(ValueError, match="can't be merged"):
        Moments.empty(["a"]).merge(Moments.empty(["b"]))


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9) | st.integers(-4, 4).map(float), min_size=1, max_size=50))
def test_exact_quantiles_equal_numpy(values: list[float]) -> None:
    shares = [0.0, 0.01, 0.25, 1 / 3, 0.5, 0.9, 1.0]
    counts = numeric(values)
    expected = np.quantile(np.array(values) + 0.0, shares)
    np.testing.assert_allclose(counts.quantiles(shares), expected, rtol=1e-14, atol=1e-300)
    assert counts.distinct == len(set(values)) and counts.exact and counts.relative_error == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9) | st.integers(-4, 4).map(float), min_size=1, max_size=50), st.data())
def test_cuts_stand_where_tft_has_them(values: list[float], data: st.DataObject) -> None:
    buckets = data.draw(st.integers(2, 20))
    ordered = sorted(value + 0.0 for value in values)
    expected = [ordered[i * len(values) // buckets] for i in range(1, buckets)]
    half = len(values) // 2
    assert numeric(values).cuts(buckets) == expected
    assert numeric(values[:half]).merge(numeric(values[half:])).cuts(buckets) == expected


def test_cuts_of_nothing_are_nan() -> None:
    assert np.isnan(NumericCounts.empty().cuts(3)).tolist() == [True, True]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e8])
def test_cut_quantiles_are_within_the_stated_error(scale: float) -> None:
    values = np.random.default_rng(1).lognormal(sigma=2, size=50_000) * scale
    counts = NumericCounts.of_array(values, budget=4_096)
    assert not counts.exact and len(counts.values) <= 4_096 and counts.count == 50_000
    shares = np.linspace(0, 1, 101)
    expected = np.quantile(values, shares)
    error = np.abs(np.array(counts.quantiles(shares)) - expected) / expected
    # Interpolation between two far neighbours (the tail) keeps the bound, each end being within it.
    assert error.max() <= counts.relative_error and counts.relative_error < 0.01
    assert (
        counts.quantiles([0, 1]) == [values.min(), values.max()]
        or error[[0, -1]].max() <= counts.relative_error
    )


def test_the_finest_precision_that_fits_is_kept() -> None:
    values = np.random.default_rng(2).uniform(1, 2, size=10_000)
    counts = NumericCounts.of_array(values, budget=1_500)
    assert counts.bits == 10 and len(counts.values) <= 1_024
    assert NumericCounts.of_array(values, budget=1_000).bits == 9
    assert counts.distinct == pytest.approx(10_000, rel=0.06)


def test_extreme_floats_fit_the_default_budget() -> None:
    bits = np.random.default_rng(3).integers(-(2**63), 2**63, size=400_000, dtype=np.int64)
    counts = NumericCounts.of_array(bits.view(np.float64))
    assert len(counts.values) <= 65_536 and np.isfinite(counts.compute()[0]).all()


def test_integers_stay_exact_above_two_to_the_53() -> None:
    big = 2**60
    column = pa.array([big, big + 1, None, big + 1])
    counts = NumericCounts.of(column).merge(NumericCounts.of(pa.array([big + 2])))
    assert counts.top(2) == [(big + 1, 2), (big + 2, 1)] and counts.distinct == 3


def test_ties_go_to_the_greater_value() -> None:
    assert numeric([1, 2, 2, 3, 3]).top(2) == [(3.0, 2), (2.0, 2)]
    assert StringCounts.of(pa.array(["a", "b", "ä", "b", "ä"])).top(2) == [("ä", 2), ("b", 2)]


@settings(deadline=None)
@given(words)
def test_string_counts_equal_a_counter(values: list[Any]) -> None:
    counts = StringCounts.of(pa.chunked_array([values[:7], values[7:]], pa.string()))
    present = [v for v in values if v is not None]
    expected = Counter(present)
    assert counts.compute() == expected
    order = [(-n, [-c for c in v.encode()] + [1]) for v, n in counts.top()]
    assert order == sorted(order)
    assert (counts.rows, counts.missing, counts.distinct) == (
        len(values),
        len(values) - len(present),
        len(expected),
    )
    if present:
        lengths = [len(v) for v in present]
        assert (counts.shortest, counts.longest) == (min(lengths), max(lengths))
        assert counts.mean_length == pytest.approx(sum(lengths) / len(lengths))


def test_past_the_budget_kept_counts_are_exact_and_distinct_is_near() -> None:
    values = [f"v{i % 20_000}" for i in range(50_000)]
    counts = StringCounts.of(pa.array(values), max_values=2_000)
    assert not counts.exact and counts.table.num_rows == 2_000
    expected = Counter(values)
    assert all(expected[v] == n for v, n in counts.top())
    assert counts.distinct == pytest.approx(20_000, rel=0.1)
    assert counts.count == 50_000


def test_values_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = lambda values: pa.array([len(v) for v in values.to_pylist()], pa.uint64())  # noqa: E731
    monkeypatch.setattr(string_counts, "hash_strings", lengths)
    parts = [
        StringCounts.of(pa.array(p, pa.string())) for p in (["b", "a", "cc"], ["a", "c", "c"], ["a", "dd"])
    ]
    for order in permutations(parts):
        merged = reduce(StringCounts.merge, order)
        assert merged.compute() == {"a": 3, "c": 2, "dd": 1, "cc": 1, "b": 1}
        assert merged.table["value"].to_pylist() == ["a", "b", "c", "cc", "dd"]
    cut = [
        StringCounts.of(pa.array(p, pa.string()), max_values=4) for p in (["b", "a", "cc"], ["a", "c", "dd"])
    ]
    assert cut[0].merge(cut[1]).compute() == cut[1].merge(cut[0]).compute() == {"a": 2, "c": 1, "b": 1}


def test_bools_are_counted_as_words() -> None:
    assert StringCounts.of(pa.array([True, None, False, True])).top() == [("true", 2), ("false", 1)]
