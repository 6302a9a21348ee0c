"""The laws of the accumulators by key: identity, independence of batches and order, agreement with NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas import keyed_moments
from headrace.schemas.keyed_counts import KeyedCounts
from headrace.schemas.keyed_means import KeyedMeans
from headrace.schemas.keyed_moments import KeyedMoments

number = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-1e5, 1e5), st.sampled_from([math.nan, math.inf, -0.0])
)
row = st.tuples(st.sampled_from(["", "a", "b", "ä", "1:x"]), number, st.integers(0, 2))
batches = st.lists(st.lists(row, max_size=12), min_size=1, max_size=4)
Rows = Sequence[tuple[str, float, int]]


def parts(rows: Rows) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    keys, values, groups = [list(one) for one in zip(*rows, strict=True)] or ([], [], [])
    return pa.array(keys, pa.string()), np.array(values, np.float64), np.array(groups, np.int64)


def moments(rows: Rows) -> KeyedMoments:
    keys, values, _ = parts(rows) if rows else (pa.array([], pa.string()), np.empty(0), None)
    return KeyedMoments.of(keys, values)


def counts(rows: Rows, budget: int = 1000) -> KeyedCounts:
    keys, values, _ = parts(rows) if rows else (pa.array([], pa.string()), np.empty(0), None)
    return KeyedCounts.of(keys, values, budget)


def means(rows: Rows) -> KeyedMeans:
    if not rows:
        return KeyedMeans.empty(3, 2)
    keys, values, groups = parts(rows)
    return KeyedMeans.of(keys, groups, 3, np.stack([values, values * 2]))


def told(one: KeyedCounts) -> Any:
    return [
        (key, own.values.tolist(), own.counts.tolist(), own.bits, own.low, own.high)
        for key, own in one.compute()
    ]


def orders(made: Sequence[Any], empty: Any) -> list[Any]:
    """The parts merged from the left, from the right, backwards, beside the empty one, and through bytes."""
    kind = type(empty)
    return [
        reduce(kind.merge, made),
        kind.merge_all([*made, empty]),
        reduce(lambda right, left: left.merge(right), reversed(made)),
        reduce(kind.merge, made[::-1]),
        reduce(kind.merge, [kind.from_bytes(one.to_bytes()) for one in made], empty).merge(empty),
    ]


@settings(deadline=None, max_examples=60)
@given(batches, st.sampled_from([3, 1000]))
def test_counts_by_key_do_not_depend_on_batches_or_order(cut: list[Rows], budget: int) -> None:
    whole = [one for rows in cut for one in rows]
    expected = told(counts(whole, budget))
    for merged in orders([counts(rows, budget) for rows in cut], KeyedCounts.empty(budget)):
        assert told(merged) == expected
    if budget == 1000:
        for key, own in counts(whole, budget).compute():
            values = [value for name, value, _ in whole if name == key and math.isfinite(value)]
            assert own.quantiles([0, 0.3, 1]) == list(np.quantile(values, [0, 0.3, 1])) if values else True


@settings(deadline=None, max_examples=60)
@given(batches)
def test_moments_by_key_are_those_of_numpy(cut: list[Rows]) -> None:
    whole = [one for rows in cut for one in rows]
    for merged in [moments(whole), *orders([moments(rows) for rows in cut], KeyedMoments.empty())]:
        found = dict(merged.compute())
        assert list(found) == sorted({key for key, _, _ in whole})
        for key, own in found.items():
            values = np.array([value for name, value, _ in whole if name == key])
            finite = values[np.isfinite(values)]
            assert (own.rows, own.count) == (len(values), len(finite))
            assert (own.missing, own.infinite) == (np.isnan(values).sum(), np.isinf(values).sum())
            assert own.zeros == (finite == 0).sum()
            if len(finite):
                assert (own.min, own.max) == (finite.min(), finite.max())
                assert own.mean == pytest.approx(finite.mean(), abs=1e-9)
                assert own.deviation == pytest.approx(finite.std(), abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(batches)
def test_means_by_key_and_group_are_those_of_numpy(cut: list[Rows]) -> None:
    whole = [one for rows in cut for one in rows]
    for merged in [means(whole), *orders([means(rows) for rows in cut], KeyedMeans.empty(3, 2))]:
        keys, count, mean = merged.compute()
        assert keys == sorted({key for key, value, _ in whole if math.isfinite(value)})
        for k, key in enumerate(keys):
            for group in range(3):
                own = [v for name, v, g in whole if (name, g) == (key, group) and math.isfinite(v)]
                assert count[group, k] == len(own)
                expected = [np.mean(own), 2 * np.mean(own)] if own else [0, 0]
                assert mean[group, :, k].tolist() == pytest.approx(expected, abs=1e-9)


def test_too_many_keys_leave_no_result_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("keyed_moments", "keyed_counts", "keyed_means"):
        monkeypatch.setattr(f"headrace.schemas.{module}.MOST_KEYS", 3)
    assert keyed_moments.MOST_KEYS == 3
    rows = [[("a", 1.0, 0), ("b", 2.0, 0)], [("c", 3.0, 0)], [("d", 4.0, 0)]]
    for make, empty in (
        (moments, KeyedMoments.empty()),
        (counts, KeyedCounts.empty(1000)),
        (means, KeyedMeans.empty(3, 2)),
    ):
        assert reduce(type(empty).merge, [make(one) for one in rows[:2]]).keys is not None
        assert all(merged.keys is None for merged in orders([make(one) for one in rows], empty))
        assert make([one for part in rows for one in part]).keys is None


def test_whole_numbers_stay_whole() -> None:
    large = 2**62
    both = KeyedCounts.of(pa.array(["a", "b"]), np.array([large + 1, 5])).merge(
        KeyedCounts.of(pa.array(["a"]), np.array([large + 1]))
    )
    ((_, own), (_, other)) = both.merge(KeyedCounts.empty()).compute()
    assert own.top(1) == [(large + 1, 2)] and other.top(1) == [(5, 1)]
