"""Folding: the order of the parts is kept, few are held, and each is moved a few times only."""

from __future__ import annotations

import pytest

from headrace.schemas.folding import HELD_BYTES, fold, in_threads


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
@pytest.mark.parametrize("size", [1, HELD_BYTES // 3, HELD_BYTES])
def test_parts_keep_their_order_and_few_are_moved(count, size):
    moved = 0

    def merge_all(parts):
        nonlocal moved
        moved += sum(map(len, parts))
        return [item for part in parts for item in part]

    parts = ([number] for number in range(count))
    assert fold(parts, merge_all, lambda part: size * len(part), []) == list(range(count))
    assert moved <= count * (count.bit_length() + 1)


def test_what_waits_is_bounded():
    most = 0

    def merge_all(parts):
        nonlocal most
        most = max(most, len(parts))
        return 0

    fold(iter(range(100)), merge_all, lambda part: HELD_BYTES // 10, -1)
    assert most == 12  # what is merged, and one more than waits


def test_no_parts_are_empty():
    assert fold(iter(()), lambda parts: parts[0], lambda part: 0, [0]) == [0]


def test_threads_keep_the_order():
    assert in_threads(lambda number: number * 2, list(range(50))) == list(range(0, 100, 2))
    assert in_threads(lambda number: number * 2, [4]) == [8]
