"""Distances, redone by hand."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.schemas.drift import (
    common_counts,
    divergence_of_counts,
    divergence_of_numbers,
    infinity_norm,
    jensen_shannon,
)
from headrace.schemas.numeric_counts import NumericCounts
from headrace.schemas.string_counts import StringCounts

counts = st.lists(st.integers(0, 1000), min_size=3, max_size=3)


def test_by_hand() -> None:
    # a: 3/4 and 1/4; b: 1/4 and 1/4; c: 0 and 1/2.
    assert infinity_norm({"a": 3, "b": 1}, {"a": 1, "b": 1, "c": 2}) == (0.5, "c")
    p, q = 0.75, 0.25
    expected = 0.5 * (p * log2(p / 0.5) + q * log2(q / 0.5)) * 2
    assert jensen_shannon([3, 1], [1, 3]) == pytest.approx(expected, rel=1e-15)
    assert jensen_shannon([1, 0], [0, 9]) == 1.0


def test_numbers_share_their_bins() -> None:
    first = NumericCounts.of_array(np.arange(10, dtype=np.float64))
    last = NumericCounts.of_array(np.array([9.0, 9.0, 0.0]))
    # Bins of width 0.9: each of 0 … 9 has its own, 9 with the last one closed.
    expected = jensen_shannon([1] * 10, [1, *[0] * 8, 2])
    assert divergence_of_numbers(first, last) == pytest.approx(expected, rel=1e-15)
    wide = NumericCounts.of_array(np.array([-1.7e308, 1.7e308]))
    assert divergence_of_numbers(wide, wide) == 0.0
    assert divergence_of_numbers(NumericCounts.empty(), first) == 1.0
    assert divergence_of_numbers(NumericCounts.empty(), NumericCounts.empty()) == 0.0


def test_what_the_budget_cut_off_on_one_side_is_no_distance() -> None:
    column = pa.array([f"v{n % 300}" for n in range(900)])
    small, large, whole = (StringCounts.of(column, max_values=most) for most in (40, 90, 1000))
    assert not small.exact and not large.exact and whole.exact
    for one, two in ((small, large), (large, small), (small, whole), (whole, large)):
        p, q = common_counts(one, two)
        assert p == q and 0 < len(p) <= 90
        assert divergence_of_counts(p, q) == 0
        assert infinity_norm(p, q, one.count, two.count)[0] == 0
    # A value that is there keeps its true share: 3 of 900 here, and 3 of 1,800 there.
    p, q = common_counts(small, small.merge(StringCounts.of(pa.array(["other"] * 900), max_values=40)))
    value = next(v for v in p if v != "other")
    assert infinity_norm({value: p[value]}, {value: q[value]}, 900, 1800)[0] == pytest.approx(3 / 1800)
    assert common_counts(whole, whole)[0] == whole.compute()
    assert infinity_norm({}, {}, 5, 7) == (0.0, "")


@given(counts, counts)
def test_distances_are_symmetric_and_bounded(p: Any, q: Any) -> None:
    far = jensen_shannon(p, q)
    assert 0 <= far <= 1 + 1e-12 and far == pytest.approx(jensen_shannon(q, p))
    one, two = (dict(zip("abc", side, strict=True)) for side in (p, q))
    assert 0 <= infinity_norm(one, two)[0] <= 1
    if any(p):
        assert jensen_shannon(p, [3 * x for x in p]) == pytest.approx(0, abs=1e-12)
