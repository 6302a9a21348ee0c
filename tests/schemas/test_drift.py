"""Distances, redone by hand."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.schemas.drift import divergence_of_numbers, infinity_norm, jensen_shannon
from headrace.schemas.numeric_counts import NumericCounts

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


@given(counts, counts)
def test_distances_are_symmetric_and_bounded(p: Any, q: Any) -> None:
    far = jensen_shannon(p, q)
    assert 0 <= far <= 1 + 1e-12 and far == pytest.approx(jensen_shannon(q, p))
    one, two = (dict(zip("abc", side, strict=True)) for side in (p, q))
    assert 0 <= infinity_norm(one, two)[0] <= 1
    if any(p):
        assert jensen_shannon(p, [3 * x for x in p]) == pytest.approx(0, abs=1e-12)
