"""Many accumulators merged into one: many at a time, and never many in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

HELD_BYTES = 16 * 2**20
"""Bytes of accumulators that may wait to be merged."""
THREADS = 2
"""How many columns are merged at once; NumPy's sorts let other threads run."""


def fold(parts: Iterable[T], merge_all: Callable[[Sequence[T]], T], size: Callable[[T], int], empty: T) -> T:
    """Merges the parts in their order; a sort of many costs less than a sort for each.

    What waits is merged once it has `HELD_BYTES` and as many as what is merged already, so that n parts cost
    n·log n values moved, not n².

    Args:
        parts: accumulators in their order.
        merge_all: one accumulator of one or more, associative.
        size: an accumulator's bytes.
        empty: the result of no parts.
    """
    held: list[T] = []
    waiting = merged = 0
    for part in parts:
        held.append(part)
        waiting += size(part)
        if waiting > max(HELD_BYTES, merged):
            held = [merge_all(held)]
            waiting, merged = 0, size(held[0])
    return merge_all(held) if held else empty


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` on each item, in their order; in threads where there are several."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))
