from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from headrace.components.input.position import Position
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.feed import Feed
from headrace.components.training.stream import Stream
from headrace.pipelines.errors import DataError

from .model_path import Paths, Prepared, odd_splits

ROWS, BATCH = 160, 48


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Paths(tmp_path_factory.mktemp("stream")).prepare(odd_splits(), {"größe": "identity"}, "Klasse")


MATRIX = Feed.of("inputs", (OutputFeature("größe", "float32", 1),))


def _same(tensors: Any, y: Any) -> tuple[Any, Any]:
    return MATRIX.network_input(tensors), y


def _stream(prepared: Prepared, **more: Any) -> Stream:
    return Stream(prepared.examples, "train", MATRIX, BATCH, _same, **{"seed": 5, **more})


def _taken(source: Stream, count: int, position: Position = Position()) -> np.ndarray:  # noqa: B008
    """The values of that many examples, in the order in which they come."""
    batches = list(source.batches(position).take(-(-count // BATCH)))
    assert {len(y) for _, y in batches} == {BATCH}
    return np.concatenate([x.numpy()[:, 0] for x, _ in batches])[:count]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own(prepared: Prepared) -> None:
    source = _stream(prepared)
    assert source.rows == ROWS
    taken = _taken(source, 3 * ROWS).reshape(3, ROWS)
    for one, other in itertools.combinations(taken, 2):
        assert not np.array_equal(one, other)
        np.testing.assert_array_equal(np.sort(one), np.sort(other))
    assert len(np.unique(taken[0])) == ROWS
    np.testing.assert_array_equal(_taken(_stream(prepared), 3 * ROWS).reshape(3, ROWS), taken)
    assert not np.array_equal(_taken(_stream(prepared, seed=6), ROWS), taken[0])


def test_a_stream_goes_on_with_the_very_next_example(prepared: Prepared) -> None:
    source = _stream(prepared)
    taken = _taken(source, 3 * ROWS)
    for start in (1, 47, 48, ROWS - 1, ROWS, 2 * ROWS - 5):
        position = Position().after(start, ROWS)
        assert position == Position(*divmod(start, ROWS))
        np.testing.assert_array_equal(_taken(source, 100, position), taken[start : start + 100])


def test_once_keeps_the_order_of_the_shards_and_the_remainder(prepared: Prepared) -> None:
    source = _stream(prepared)
    for _ in range(2):
        batches = list(source.once())
        assert [len(y) for _, y in batches] == [48, 48, 48, 16] and len(source.once()) == 4
        rows = np.concatenate([x.numpy()[:, 0] for x, _ in batches])
        np.testing.assert_array_equal(rows, _taken(_stream(prepared, seed=None), ROWS))


def test_only_some_rows(prepared: Prepared) -> None:
    only = np.arange(ROWS) % 3 == 0
    source = _stream(prepared, only=only)
    wanted = _taken(_stream(prepared, seed=None), ROWS)[only]
    assert source.rows == 54
    np.testing.assert_array_equal(np.sort(_taken(source, 54)), np.sort(wanted))
    np.testing.assert_array_equal(np.concatenate([x.numpy()[:, 0] for x, _ in source.once()]), wanted)


def test_a_batch_larger_than_an_epoch_is_refused(prepared: Prepared) -> None:
    with pytest.raises(DataError, match="batch_size is 48, and the split 'train' has 40 examples"):
        _stream(prepared, only=np.arange(ROWS) < 40).batches()
