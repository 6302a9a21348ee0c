"""Batches that are taken ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from headrace.components.input.ahead import Ahead


def test_elements_come_in_their_order_and_an_error_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise ValueError("damaged")

    ahead = Ahead(source())
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)
    assert list(Ahead(iter("abc"))) == ["a", "b", "c"] and list(Ahead(iter(()))) == []


def test_the_next_element_is_taken_while_the_last_is_used() -> None:
    taken = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        taken.set()
        yield 1

    ahead = Ahead(source())
    assert next(ahead) == 0
    assert taken.wait(30) and next(ahead) == 1
