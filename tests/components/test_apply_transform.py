"""A fitted transform on other examples than those it was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components import apply_transform, dataset, evaluate, load_fitted
from headrace.pipelines.errors import DataError

from .model_path import ODD_FEATURES, Paths, Prepared, odd_splits, odd_table
from .raw_examples import make_raw_examples


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("apply"))


@pytest.fixture(scope="module")
def prepared(paths: Paths) -> Prepared:
    keyed = {"by letter": {"from": "a", "apply": "target_mean"}}
    return paths.prepare(odd_splits(), {**ODD_FEATURES, **keyed}, {"Preis €": "z_score"})


def rows_of(examples: Any, split: str) -> Any:
    """Features and labels, sorted so that two orders can be compared."""
    found = [
        np.concatenate([x.numpy(), y.numpy().reshape(-1, 1)], 1)
        for x, y in dataset(examples, split, batch_size=64, matrix=True)
    ]
    whole = np.concatenate(found)
    return whole[np.lexsort(whole.T)]


def test_other_rows_become_what_the_transform_makes_of_them(paths: Paths, prepared: Prepared) -> None:
    whole = odd_table(150, seed=9)
    raw = make_raw_examples(paths.ctx(), {"train": whole.slice(0, 100), "later": whole.slice(100)}, 40)
    made = apply_transform.function(paths.ctx(), raw, prepared.transform)
    assert {split: made.rows(split) for split in made.splits} == {"train": 100, "later": 50}
    fitted = load_fitted(prepared.transform.path)
    for split, table in (("train", whole.slice(0, 100)), ("later", whole.slice(100))):
        # As at serving: also in a split called train nothing is left out of means by key.
        (batch,) = table.combine_chunks().to_batches()
        columns = fitted.apply_numpy(batch)
        by_hand = np.concatenate(
            [np.asarray(columns[f.name]).reshape(len(table), -1) for f in fitted.features], 1
        )
        given = rows_of(made, split)[:, :-1]
        order = np.lexsort(by_hand.T)
        np.testing.assert_allclose(np.sort(given, axis=0), np.sort(by_hand[order], axis=0), rtol=1e-6)
    assert made.properties["transform"] == prepared.transform.digest
    again = apply_transform.function(paths.ctx(), raw, prepared.transform)
    assert again.digest == made.digest


def test_the_same_rows_become_the_same(paths: Paths, prepared: Prepared) -> None:
    made = apply_transform.function(paths.ctx(), prepared.raw, prepared.transform)
    np.testing.assert_array_equal(rows_of(made, "test"), rows_of(prepared.examples, "test"))
    model = paths.train(prepared, epochs=1)
    told = [
        evaluate.function(paths.ctx(), model, examples).summary["metrics"]
        for examples in (made, prepared.examples)
    ]
    assert told[0] == pytest.approx(told[1])


def test_rows_that_dont_fit(paths: Paths, prepared: Prepared) -> None:
    table = odd_table(20)
    less = make_raw_examples(paths.ctx(), {"train": table.drop_columns(["größe"])})
    with pytest.raises(DataError, match="no column 'größe', which the transform needs"):
        apply_transform.function(paths.ctx(), less, prepared.transform)
    place = table.schema.get_field_index("größe")
    texts = table.set_column(place, "größe", pa.array(["x"] * 20))
    other = make_raw_examples(paths.ctx(), {"train": texts})
    with pytest.raises(
        DataError, match="the column 'größe' is string, and the transform was fitted on float"
    ):
        apply_transform.function(paths.ctx(), other, prepared.transform)
    with pytest.raises(DataError, match="transformed already"):
        apply_transform.function(paths.ctx(), prepared.examples, prepared.transform)
    classes = paths.prepare(odd_splits(), {"A": "z_score"}, {"Klasse": "vocabulary"})
    unknown = table.set_column(table.schema.get_field_index("Klasse"), "Klasse", pa.array(["new"] * 20))
    with pytest.raises(DataError, match="new"):
        apply_transform.function(
            paths.ctx(), make_raw_examples(paths.ctx(), {"train": unknown}), classes.transform
        )
