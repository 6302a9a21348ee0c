from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.dataset import dataset, shard_errors
from headrace.components.transform import transform
from headrace.pipelines.artifact import Examples, load_artifact
from headrace.pipelines.errors import DataError, StoreError

from .raw_examples import make_raw_examples

ROWS = 1000


@pytest.fixture(scope="module")
def examples(tmp_path_factory: Any) -> Examples:
    """A number, a category and ids, in three shards."""
    from headrace.pipelines.context import Context

    folder: Path = tmp_path_factory.mktemp("dataset")
    rows = np.arange(ROWS)
    data = pa.table({"x": rows * 1.0, "c": [f"c{i % 70}" for i in rows], "y": (rows % 3).astype(str)})
    ctx = Context("transform", folder, listener=lambda event: None)
    raw = make_raw_examples(folder / "raw", {"train": data, "test": data.slice(0, 10)}, rows_per_part=200)
    features = {
        "x": "identity",
        "wide": {"from": "c", "apply": "one_hot"},
        "id": {"from": "c", "apply": "vocabulary"},
    }
    return transform.function(ctx, raw, label="y", features=features, shards=3).examples


def order(examples: Examples, **arguments: Any) -> list[float]:
    return [x for f, _ in dataset(examples, **arguments).as_numpy_iterator() for x in f["x"][:, 0]]


def test_batches(examples: Examples) -> None:
    features, label = next(iter(dataset(examples, batch_size=64)))
    assert features["x"].shape == (64, 1) and features["x"].dtype == "float32"
    assert features["wide"].shape == (64, 72) and features["wide"].dtype == "float32"
    assert features["id"].shape == (64, 1) and features["id"].dtype == "int64"
    assert label.shape == (64,) and label.dtype == "int64"
    np.testing.assert_array_equal(features["wide"].numpy().argmax(axis=1), features["id"].numpy()[:, 0])
    np.testing.assert_array_equal(features["x"].numpy()[:, 0] % 3, label)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 300, 1000, 5000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_row_comes_once(examples: Examples, batch_size: int, shuffle: bool) -> None:
    batches = [
        label.shape[0]
        for _, label in dataset(examples, batch_size=batch_size, shuffle=shuffle).as_numpy_iterator()
    ]
    assert sum(batches) == ROWS
    assert set(batches[:-1]) <= {batch_size}
    assert sorted(order(examples, batch_size=batch_size, shuffle=shuffle)) == list(range(ROWS))


def test_the_order_is_a_function_of_seed_and_epoch(examples: Examples) -> None:
    first = order(examples, shuffle=True, seed=1, epoch=0)
    assert order(examples, shuffle=True, seed=1, epoch=0) == first
    assert order(examples, shuffle=True, seed=1, epoch=0, batch_size=50) == first
    others = [order(examples, shuffle=True, seed=s, epoch=e) for s, e in ((1, 1), (2, 0), (1, 2))]
    assert all(a != b for i, a in enumerate([first, *others]) for b in [first, *others][:i])
    assert order(examples) == order(examples, seed=5, epoch=7)


def test_a_dropped_remainder_makes_shapes_static(examples: Examples) -> None:
    batches = dataset(examples, batch_size=64, drop_remainder=True)
    features, label = batches.element_spec
    assert features["wide"].shape.as_list() == [64, 72] and label.shape.as_list() == [64]
    assert len(list(batches)) == len(batches) == ROWS // 64
    assert len(dataset(examples, batch_size=64)) == ROWS // 64 + 1


def test_one_matrix(examples: Examples, ctx: Any) -> None:
    with pytest.raises(DataError, match="id: ids are names and not amounts"):
        dataset(examples, matrix=True)
    data = pa.table({"a": [1.0, 2.0], "b": ["u", "v"], "c": [3, 4], "y": [1.5, 2.5]})
    raw = make_raw_examples(ctx, {"train": data})
    made = transform.function(
        ctx, raw, label="y", features={"b": "one_hot", "a": "identity", "c": "identity"}
    )
    ((matrix, label),) = dataset(made.examples, matrix=True).as_numpy_iterator()
    assert matrix.dtype == np.float32
    rows = sorted([*row, y] for row, y in zip(matrix.tolist(), label.tolist(), strict=True))
    assert rows == [[0, 1, 0, 0, 1, 3, 1.5], [1, 0, 0, 0, 2, 4, 2.5]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"split": "tset"}, "did you mean 'test'"), ({"batch_size": 0}, "batch_size has to be at least 1")],
    ids=str,
)
def test_wrong_arguments(examples: Examples, arguments: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        dataset(examples, **arguments)


@pytest.fixture
def copy(examples: Examples, tmp_path: Path) -> Examples:
    """The examples again, to be damaged."""
    shutil.copytree(examples.path, tmp_path / "copy")
    copied = load_artifact(tmp_path / "copy")
    assert isinstance(copied, Examples)
    return copied


def test_a_shard_that_lost_rows_is_an_error(copy: Examples) -> None:
    import tensorflow as tf

    shard = copy.parts("train")[0]
    length = copy.parts("test")[0].stat().st_size // copy.splits["test"]["parts"][0]["rows"]
    shard.write_bytes(shard.read_bytes()[:-length])
    with pytest.raises(StoreError, match="the shard is damaged: it has") as caught:
        dataset(copy)
    assert caught.value.problems[0].file == str(shard)
    unknown = replace(copy, files=())  # an artifact that nothing is known of: its blocks are
    with pytest.raises(tf.errors.OpError, match="are not what was written"):
        list(dataset(unknown))


def test_a_shard_that_is_gone(copy: Examples) -> None:
    copy.parts("train")[1].unlink()
    with pytest.raises(StoreError, match="gone") as caught:
        dataset(copy)
    assert caught.value.problems[0].file == str(copy.parts("train")[1])


def test_a_flipped_bit_is_found_and_its_file_named(copy: Examples) -> None:
    import tensorflow as tf

    shard = copy.parts("train")[2]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(tf.errors.OpError, match="are not what was written"):
        list(dataset(copy))
    with pytest.raises(StoreError, match="not what was written") as caught, shard_errors(copy, "train"):
        list(dataset(copy))
    assert [problem.file for problem in caught.value.problems] == [str(shard)]


def test_errors_of_sound_shards_pass(examples: Examples) -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError), shard_errors(examples, "train"):
        tf.constant([1.0]) @ tf.constant([1.0])


def test_raw_examples_are_refused(tmp_path: Path) -> None:
    raw = make_raw_examples(tmp_path / "raw", {"train": pa.table({"x": [1.0]})})
    with pytest.raises(DataError, match="the examples are raw"):
        dataset(raw)
