from __future__ import annotations

import numpy as np
import pytest

from headrace.components.input.order import WINDOW_BLOCKS, Order
from headrace.components.input.places import Places, Share
from headrace.components.input.position import Position
from headrace.components.input.sampling import Balanced
from headrace.pipelines.errors import DataError

SHARDS, BLOCK = (700, 0, 1, 523, 300), 10
ROWS = sum(SHARDS)


def epoch_of(order: Order, epoch: int) -> np.ndarray:
    return np.concatenate([order.window(epoch, number).numbers for number in range(order.windows)])


def read(places: Places, count: int) -> list[tuple[int, int, bool]]:
    """Epoch, number and whether it is padding, of examples of some windows."""
    found: list[tuple[int, int, bool]] = []
    for index in range(places.first, places.first + count):
        epoch, _, numbers, padding = places.at(index)
        found += [(epoch, int(number), bool(pad)) for number, pad in zip(numbers, padding, strict=True)]
    return found


def test_each_epoch_has_every_example_once_in_an_order_of_its_own() -> None:
    order = Order(SHARDS, BLOCK, seed=3)
    assert order.rows == ROWS and order.windows > 5
    epochs = [epoch_of(order, epoch) for epoch in range(3)]
    for numbers in epochs:
        np.testing.assert_array_equal(np.sort(numbers), np.arange(ROWS))
    assert not np.array_equal(epochs[0], epochs[1])
    np.testing.assert_array_equal(epoch_of(Order(SHARDS, BLOCK, seed=3), 2), epochs[2])
    assert not np.array_equal(epoch_of(Order(SHARDS, BLOCK, seed=4), 2), epochs[2])
    np.testing.assert_array_equal(epoch_of(Order(SHARDS, BLOCK), 5), np.arange(ROWS))


def test_the_order_is_known() -> None:
    """A changed order would make a training that is resumed see other examples than before."""
    assert epoch_of(Order([12], 4, seed=1), 0).tolist() == GOLDEN
    assert Order(SHARDS, BLOCK, seed=3).window(7, 2).numbers[:6].tolist() == GOLDEN_WINDOW


GOLDEN = [11, 3, 2, 5, 10, 4, 8, 7, 6, 9, 0, 1]
GOLDEN_WINDOW = [314, 65, 253, 1209, 1207, 1107]


def test_a_window_brings_blocks_of_all_shards_together() -> None:
    order = Order(SHARDS, BLOCK, seed=3)
    first = order.window(0, 0)
    assert len(first.blocks) == WINDOW_BLOCKS
    assert len({block.shard for block in first.blocks}) > 1
    assert {block.first for block in first.blocks} != {block.first for block in order.window(1, 0).blocks}
    assert not np.array_equal(first.numbers, np.sort(first.numbers))


def test_reading_begins_at_any_example() -> None:
    order = Order(SHARDS, BLOCK, seed=3)
    stream = np.concatenate([epoch_of(order, epoch) for epoch in range(3)])
    draw = np.random.default_rng(0)
    for start in [0, 1, ROWS - 1, ROWS, *draw.integers(0, 2 * ROWS, 30).tolist()]:
        places = Places(order, Position(*divmod(start, ROWS)))
        numbers = [number for _, number, _ in read(places, 3)]
        np.testing.assert_array_equal(numbers, stream[start : start + len(numbers)])
    with pytest.raises(DataError, match="there is no example 1,524 in an epoch of 1,524"):
        order.find(Position(0, ROWS))


@pytest.mark.parametrize("carry", [True, False])
def test_the_shares_of_hosts_are_the_batches(carry: bool) -> None:
    order, start, size = Order(SHARDS, BLOCK, seed=3), Position(1, 77), 12
    whole = read(Places(order, start, size, pad=not carry, carry=carry), 3 * order.windows)
    batches = [whole[at : at + size] for at in range(0, len(whole) - size, size)]
    if not carry:
        assert all(len({epoch for epoch, *_ in batch}) == 1 for batch in batches)
        assert sum(padding for *_, padding in whole[: ROWS - 77 + size]) == -(ROWS - 77) % size
    for hosts in (1, 2, 3):
        each = [
            read(Places(order, start, size, Share(host, hosts), not carry, carry), 3 * order.windows)
            for host in range(hosts)
        ]
        own = size // hosts
        for place, batch in enumerate(batches):
            assert [one for host in each for one in host[place * own : (place + 1) * own]] == batch


def test_only_some_examples() -> None:
    only = np.random.default_rng(1).random(ROWS) < 0.1
    only[200:600] = False  # whole windows without any
    copies = only.astype(np.int8)
    order = Order(SHARDS, BLOCK, None, lambda epoch: copies)
    assert order.rows == only.sum()
    np.testing.assert_array_equal(epoch_of(order, 0), np.flatnonzero(only))
    for start in range(0, order.rows, 7):
        numbers = [number for _, number, _ in read(Places(order, Position(0, start)), 2)]
        np.testing.assert_array_equal(numbers, np.tile(np.flatnonzero(only), 2)[start : start + len(numbers)])


def test_every_class_comes_equally_often() -> None:
    labels = np.repeat([0, 3, 5], [1000, 500, 24])[np.random.default_rng(2).permutation(ROWS)]
    order = Order(SHARDS, BLOCK, 3, Balanced(labels, seed=9))
    assert order.rows == ROWS
    times = np.zeros(ROWS, int)
    for epoch in range(4):
        numbers = epoch_of(order, epoch)
        assert np.bincount(labels[numbers])[[0, 3, 5]].tolist() == [508, 508, 508]
        times += np.bincount(numbers, minlength=ROWS)
    for one in (0, 3, 5):
        assert np.ptp(times[labels == one]) <= 1
    assert times.min() >= 2  # of a thousand each epoch takes half, in turn
    again = Balanced(labels, seed=9)(3)
    np.testing.assert_array_equal(Balanced(labels, seed=9)(3), again)
    assert not np.array_equal(Balanced(labels, seed=8)(3), again)
    only = np.arange(ROWS) % 2 == 0
    few = Balanced(labels, only)(0)
    assert few.sum() == only.sum() and not few[~only].any()
