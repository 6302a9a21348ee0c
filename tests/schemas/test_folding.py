"""Folding by halves: the order of the parts is kept, and each is moved log n times."""

from __future__ import annotations

import pytest

from headrace.schemas.folding import fold_halves


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
def test_parts_keep_their_order_and_few_are_moved(count):
    moved = 0

    def merge(a: list[int], b: list[int]) -> list[int]:
        nonlocal moved
        moved += len(a) + len(b)
        return a + b

    assert fold_halves(([i] for i in range(count)), merge, []) == list(range(count))
    assert moved <= count * count.bit_length()


def test_no_parts_are_empty():
    assert fold_halves(iter(()), lambda a, b: a + b, [0]) == [0]
