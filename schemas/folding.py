"""Many accumulators merged into one by halves: n parts cost n·log n values moved, not n²."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

T = TypeVar("T")

THREADS = 2
"""How many merges run at once. More would gain little, since the last merge, of two halves, stands alone."""
_WAITING = 8
"""How many merges may be asked for and not done, so that reading doesn't run ahead of merging."""


def fold_halves(parts: Iterable[T], merge: Callable[[T, T], T], empty: T) -> T:
    """Merges neighbours of equal size first, as a binary counter carries; one pass, log n held at once.

    A fold from the left would move everything that was counted so far for each part. The order is a
    function of the number of parts alone; merges that don't need each other run in threads.

    Args:
        parts: accumulators in their order.
        merge: associative; pure, as it is called in other threads.
        empty: the result of no parts.
    """
    held: list[tuple[int, Future[T]]] = []
    waiting: deque[Future[T]] = deque()
    turn = BoundedSemaphore(THREADS)

    def joined(left: Future[T], right: Future[T]) -> T:
        first, second = left.result(), right.result()
        with turn:
            return merge(first, second)

    # A merge waits only for those asked for before it, and there is a thread for each: none waits for ever.
    with ThreadPoolExecutor(_WAITING + 1) as pool:

        def ask(left: Future[T], right: Future[T]) -> Future[T]:
            if len(waiting) >= _WAITING:
                waiting.popleft().result()
            waiting.append(pool.submit(joined, left, right))
            return waiting[-1]

        for part in parts:
            size, made = 1, _done(part)
            while held and held[-1][0] == size:
                made = ask(held.pop()[1], made)
                size *= 2
            held.append((size, made))
        if not held:
            return empty
        total = held.pop()[1]
        while held:
            total = ask(held.pop()[1], total)
        return total.result()


def _done(value: T) -> Future[T]:
    made: Future[T] = Future()
    made.set_result(value)
    return made
