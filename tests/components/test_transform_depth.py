"""Crosses, sequences, several labels a row and row weights through the shards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.dataset import dataset
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.transform import transform
from headrace.pipelines.errors import DataError

from .raw_examples import make_raw_examples

ROWS = 40


def table() -> pa.Table:
    draw = np.random.default_rng(3)
    tags = [["a", "b"], ["b"], [], ["c", "a"]]
    return pa.table(
        {
            "x": draw.normal(size=ROWS),
            "y": draw.normal(size=ROWS),
            "city": draw.choice(["rome", "oslo", "bonn"], ROWS),
            "tags": ["|".join(tags[i % 4]) for i in range(ROWS)],
            "w": draw.integers(0, 5, ROWS).astype(float),
            "label": draw.normal(size=ROWS),
        }
    )


FEATURES: dict[str, Any] = {
    "grid": {"from": ["x", "y"], "apply": [{"bucketize": 3}, {"cross": 200}, "one_hot"]},
    "city": ["vocabulary", {"embedding": 2}],
    "words": {"from": "tags", "apply": ["split", "vocabulary", {"pad": 2}, {"embedding": 3}]},
    "x": "z_score",
}


@pytest.mark.parametrize("layout", ["packed", "columns"])
def test_dataset_gives_what_numpy_makes(ctx: Any, layout: str) -> None:
    examples = make_raw_examples(ctx, {"train": table()})
    made = transform.function(
        ctx, examples, label="label", features=FEATURES, weight="w", layout=layout, seed=1
    )
    fitted = load_fitted(made.transform.path)
    expected = fitted.apply_numpy(table().combine_chunks().to_batches()[0])
    weights = fitted.weight_numpy(table().combine_chunks().to_batches()[0])
    features, label, weight = next(iter(dataset(made.examples, batch_size=ROWS)))
    order = np.argsort(label.numpy())
    there = np.argsort(np.asarray(table()["label"], np.float32))
    for name, values in expected.items():
        np.testing.assert_array_equal(features[name].numpy()[order], values[there])
    np.testing.assert_array_equal(weight.numpy()[order], weights[there])
    grid, city, words, _ = fitted.features
    assert (grid.stored, grid.sizes, grid.width) == ("ids", (200,), 200)
    assert (city.embedding, city.dtype, words.embedding, words.sequence) == (2, "int64", 3, True)
    ids, *_ = next(iter(dataset(made.examples, batch_size=ROWS, expand=False)))
    assert ids["grid"].shape == (ROWS, 1)
    np.testing.assert_array_equal(ids["grid"].numpy()[order][:, 0], expected["grid"][there].argmax(axis=1))


def test_several_classes_a_row_as_label(ctx: Any) -> None:
    examples = make_raw_examples(ctx, {"train": table()})
    label = {"tags": [{"split": "|"}, "multi_hot"]}
    made = transform.function(ctx, examples, label=label, features={"x": "z_score"})
    fitted = load_fitted(made.transform.path)
    assert (fitted.labels[0].kind, fitted.labels[0].classes) == ("multi", ("a", "b", "c"))
    _, labels = next(iter(dataset(made.examples, batch_size=ROWS)))
    np.testing.assert_array_equal(labels.numpy().sum(axis=0), [ROWS / 2, ROWS / 2, ROWS / 4])


def test_a_class_that_train_does_not_have_is_an_error(ctx: Any) -> None:
    other = table().set_column(3, "tags", pa.array(["a|new"] * ROWS))
    examples = make_raw_examples(ctx, {"train": table(), "test": other})
    label = {"tags": ["split", "multi_hot"]}
    with pytest.raises(
        DataError,
        match=r"of a class that the train split doesn't have in 40 of 40 rows of test.*\n.*by `stratify` in",
    ):
        transform.function(ctx, examples, label=label, features={"x": "z_score"})


def test_classes_that_a_label_leaves_out(new_ctx: Callable[..., Any]) -> None:
    other = table().set_column(3, "tags", pa.array(["a|new"] * ROWS))
    examples = make_raw_examples(new_ctx(), {"train": table(), "test": other})
    label = {"tags": ["split", {"multi_hot": {"top_k": 2}}]}
    made = transform.function(new_ctx(), examples, label=label, features={"x": "z_score"})
    fitted = load_fitted(made.transform.path)
    assert fitted.labels[0].partial and fitted.labels[0].classes == ("a", "b")
    _, labels = next(iter(dataset(made.examples, "test", batch_size=ROWS)))
    assert (labels.numpy() == [1, 0]).all()
    label = {"tags": {"vocabulary": {"top_k": 2}}}
    with pytest.raises(DataError, match=r"top_k or min_count leaves out.* in 10 of 40 rows of train"):
        transform.function(new_ctx(), examples, label=label, features={"x": "z_score"})


def test_a_row_weight_below_zero_is_an_error(ctx: Any) -> None:
    wrong = table().set_column(4, "w", pa.array([1.0] * (ROWS - 1) + [-2.0]))
    examples = make_raw_examples(ctx, {"train": wrong})
    with pytest.raises(DataError, match="row weight is missing, below 0, or infinite in 1 of 40 rows"):
        transform.function(ctx, examples, label="label", features={"x": "z_score"}, weight="w")
    with pytest.raises(DataError, match="there is no column 'v'"):
        transform.function(ctx, examples, label="label", features={"x": "z_score"}, weight="v")
