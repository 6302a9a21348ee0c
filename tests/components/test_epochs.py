from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training import epochs
from headrace.components.training.epochs import Epochs
from headrace.components.training.feed import Feed

from .model_path import Paths, Prepared, odd_splits


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Paths(tmp_path_factory.mktemp("epochs")).prepare(odd_splits(), {"größe": "identity"}, "Klasse")


MATRIX = Feed.of("inputs", (OutputFeature("größe", "float32", 1),))


def _same(tensors: Any, y: Any) -> tuple[Any, Any]:
    return MATRIX.network_input(tensors), y


def _rows(source: Epochs, epoch: int) -> np.ndarray:
    return np.concatenate([np.column_stack([x.numpy(), y.numpy()]) for x, y in source(epoch)])


@pytest.mark.parametrize("in_memory", [True, False])
def test_each_epoch_has_every_row_once_in_an_order_of_its_own(
    prepared: Prepared, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr(epochs, "IN_MEMORY_BYTES", 0)
    source, again = (Epochs(prepared.examples, "train", MATRIX, 48, _same, seed=5) for _ in range(2))
    assert [len(y) for _, y in source(0)] == [48, 48, 48, 16]
    first, second = _rows(source, 0), _rows(source, 1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, _rows(again, 0))
    np.testing.assert_array_equal(second, _rows(again, 1))
    np.testing.assert_array_equal(np.sort(first[:, 0]), np.sort(second[:, 0]))
    assert len(np.unique(first[:, 0])) == 160
    assert not np.array_equal(first, _rows(Epochs(prepared.examples, "train", MATRIX, 48, _same, seed=6), 0))


def test_without_a_seed_the_order_is_that_of_the_shards(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _rows(Epochs(prepared.examples, "train", MATRIX, 48, _same), 3)
    monkeypatch.setattr(epochs, "IN_MEMORY_BYTES", 0)
    np.testing.assert_array_equal(kept, _rows(Epochs(prepared.examples, "train", MATRIX, 48, _same), 0))
