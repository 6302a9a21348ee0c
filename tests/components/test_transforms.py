"""Transforms against independent references, and what is special in each."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.preprocessing.features_checks import check_specs
from headrace.components.preprocessing.features_grammar import LabelSpec, parse_features
from headrace.components.preprocessing.fitted_file import load_fitted, save_fitted
from headrace.pipelines.errors import DataError, StoreError

from .transform_cases import batch, fit, one


def test_z_score_is_that_of_numpy() -> None:
    values = np.random.default_rng(1).normal(100, 7, 1000)
    expected = (values - values.mean()) / values.std()
    np.testing.assert_allclose(one("z_score", "float", values)[:, 0], expected, atol=2e-6)
    np.testing.assert_array_equal(one("z_score", "float", [3.3] * 7), 0)


def test_min_max_spans_its_range() -> None:
    made = one({"min_max": [-1, 1]}, "float", [2.0, 4.0, 3.0], [2.0, 4.0, 3.0, 5.0])
    np.testing.assert_array_equal(made[:, 0], [-1, 1, 0, 2])
    np.testing.assert_array_equal(one("min_max", "float", [5.0, 5.0]), 0.5)


def test_scaling_by_hand() -> None:
    np.testing.assert_array_equal(one({"rescale": {"factor": 2, "offset": 1}}, "int", [1, 2])[:, 0], [3, 5])
    np.testing.assert_allclose(one("log1p", "float", [0.0, math.e - 1])[:, 0], [0, 1], rtol=1e-6)
    clipped = one({"clip": [0, 10]}, "float", [-5.0, 5.0, 50.0, math.inf, None])[:, 0]
    np.testing.assert_array_equal(clipped, [0, 5, 10, 10, np.nan])
    assert one("identity", "int", [1, 2]).dtype == np.int64


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", 3.0), ("median", 2.0), ("most_frequent", 2.0), (9, 9.0)], ids=str
)
def test_impute(how: Any, expected: float) -> None:
    made = one({"impute": how}, "float", [1.0, 2.0, 2.0, 7.0, None])
    np.testing.assert_array_equal(made[:, 0], [1, 2, 2, 7, expected])


def test_an_int_column_stays_int_where_it_can() -> None:
    assert one({"impute": "most_frequent"}, "int", [4, 4, None]).tolist() == [[4], [4], [4]]
    assert one({"impute": "most_frequent"}, "int", [4, 4, None]).dtype == np.int64
    assert one({"impute": "mean"}, "int", [4, 5, None]).tolist() == [[4], [5], [4.5]]


def test_buckets_count_the_boundaries_below_or_equal() -> None:
    made = one({"bucketize": [1.5, 3]}, "float", [1.0, 1.5, 2.0, 3.0, 4.0, None])
    np.testing.assert_array_equal(made[:5].argmax(axis=1), [0, 1, 1, 2, 2])
    np.testing.assert_array_equal(made[5], 0)
    ids = one({"bucketize": {"buckets": 4, "output": "ids"}}, "float", np.arange(100.0))
    assert np.bincount(ids[:, 0]).tolist() == [25, 25, 25, 25]


def test_quantile_buckets_that_coincide_are_one() -> None:
    ids = one({"bucketize": {"buckets": 4, "output": "ids"}}, "float", [0.0] * 9 + [1.0])
    assert sorted(set(ids[:, 0])) == [1]


def test_vocabulary_is_ordered_as_in_tft() -> None:
    seen = ["b", "a", "c", "c", None]
    ids = one("vocabulary", "string", seen, ["c", "b", "a", "never", None, ""])
    assert ids[:, 0].tolist() == [0, 1, 2, 3, 4, 4]
    kept = one({"vocabulary": {"min_count": 2}}, "string", seen, ["c", "b", None])
    assert kept[:, 0].tolist() == [0, 1, 2]


def test_oov_buckets_are_those_of_tensorflow() -> None:
    import tensorflow as tf

    words = [f"word {i}" for i in range(50)]
    made = one({"vocabulary": {"oov_buckets": 5}}, "string", ["a"], words)
    assert made[:, 0].tolist() == (tf.strings.to_hash_bucket_fast(words, 5).numpy() + 1).tolist()


def test_one_hot_has_slots_for_unknown_and_missing() -> None:
    made = one("one_hot", "string", ["x", "x", "y"], ["x", "y", "z", None])
    np.testing.assert_array_equal(made, np.eye(4))


def test_hash_is_that_of_tensorflow() -> None:
    import tensorflow as tf

    words = ["", "a", "日本", "x" * 1000, *[str(i) for i in range(500)]]
    made = one({"hash": 1000}, "string", words)
    assert made[:, 0].tolist() == tf.strings.to_hash_bucket_fast(words, 1000).numpy().tolist()
    numbers = one({"hash": 1000}, "int", [0, -7, 2**62])
    assert (
        numbers[:, 0].tolist()
        == tf.strings.to_hash_bucket_fast(["0", "-7", str(2**62)], 1000).numpy().tolist()
    )


def test_a_cross_is_that_of_keras() -> None:
    import keras

    numbers, words = [5, 7, 5, -1, 2**62], ["a", "日本", "", "b", "a"]
    data = {"a": ("int", numbers), "b": ("string", words)}
    fitted = fit({"f": {"from": ["a", "b"], "apply": {"cross": 97}}}, data)
    columns = [np.array(numbers)[:, None], np.array(words)[:, None]]
    expected = keras.layers.HashedCrossing(num_bins=97, dtype="int64")(columns)
    np.testing.assert_array_equal(fitted.apply_numpy(batch(data))["f"], np.asarray(expected))


def test_text_is_made_small_alike_in_both_planes() -> None:
    surrogates = range(0xD800, 0xE000)
    # Letters that came with Unicode 14 and later, which the libraries don't all know.
    young = {0x2C2F, *range(0xA7C0, 0xA7DD), *range(0x10570, 0x10596), *range(0x1DF00, 0x1DF2B)}
    words = [f"x{chr(p)}y" for p in range(1, 0x1FFFF) if p not in surrogates and p not in young]
    assert_planes_cut_alike(words)
    assert_planes_cut_alike(["ΟΔΟΣ Σ ΑΣ", "İSTANBUL", "Straße", "ÀÉ", "a\x1fb"])


def assert_planes_cut_alike(words: list[str]) -> None:
    import tensorflow as tf

    from headrace.components.transforms.namespace import NumpyNamespace
    from headrace.components.transforms.namespace_tf import TensorFlowNamespace

    pattern = r"[^\p{L}\p{N}_]+"
    here = NumpyNamespace().tokens(pa.array(words), pattern, True)
    there = TensorFlowNamespace().tokens(tf.constant(words), pattern, True)
    assert [one.decode() for one in there.flat_values.numpy()] == here.values.to_pylist()
    np.testing.assert_array_equal(there.row_splits.numpy(), here.offsets)


def test_calendar_is_that_of_python() -> None:
    times = [
        datetime(1, 1, 1),
        datetime(1600, 2, 29, 5),
        datetime(1969, 12, 31, 23, 59, 59),
        datetime(2024, 12, 31),
    ]
    parts = ["year", "month", "day", "day_of_year", "weekday", "hour", "minute", "second"]
    expected = [
        [t.year, t.month, t.day, t.timetuple().tm_yday, t.weekday(), t.hour, t.minute, t.second]
        for t in times
    ]
    np.testing.assert_array_equal(one({"date_parts": parts}, "timestamp", times), expected)


def test_numbers_of_another_distribution_are_those_of_scikit_learn() -> None:
    from sklearn.preprocessing import MaxAbsScaler, PowerTransformer, QuantileTransformer, RobustScaler

    values = np.random.default_rng(5).gamma(2, 3, 500).astype(np.float32).astype(np.float64)
    table = values[:, None]
    pairs = {
        "max_abs": (MaxAbsScaler(), 1e-6),
        "robust": (RobustScaler(), 1e-6),
        "power": (PowerTransformer(standardize=False), 1e-3),
        "quantile_normal": (QuantileTransformer(n_quantiles=500, output_distribution="normal"), 1e-4),
    }
    for name, (scaler, tolerance) in pairs.items():
        made = one({name: 500} if name == "quantile_normal" else name, "float", values)
        expected = np.asarray(scaler.fit_transform(table))
        if name == "quantile_normal":  # scikit-learn's ends lie farther out
            expected = np.clip(expected, made.min(), made.max())
        np.testing.assert_allclose(made, expected, atol=tolerance, rtol=tolerance)


def test_several_values_a_row() -> None:
    cells = ["red|blue", " blue ", "", None, "red|red"]
    hot = one([{"split": "|"}, "multi_hot"], "string", cells, [*cells, "green"])
    np.testing.assert_array_equal(hot, [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]])
    ids = one([{"split": "|"}, "vocabulary", {"pad": 3}], "string", cells)
    assert ids.tolist() == [[1, 2, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0]]
    bag = one(["tokens", {"bag": 50}], "string", ["A a, b", "c"])
    assert sorted(bag[0][bag[0] > 0]) == [1, 2]


def test_a_chain_that_does_not_fit_is_refused() -> None:
    refused = {
        "cross needs two columns": {"from": "a", "apply": {"cross": 5}},
        "a point in time": {"from": "when", "apply": [{"date_parts": "hour"}, "split"]},
        "points in time": {"from": "a", "apply": {"date_parts": "hour"}},
        "lists of strings": {"from": "b", "apply": "split"},
        "look-around": {"from": "b", "apply": [{"tokens": "(?=x)"}, {"bag": 5}]},
        "but the column is a float": {"from": ["a", "b"], "apply": {"cross": 9}},
        "twice": {"from": ["b", "b"], "apply": {"cross": 9}},
    }
    types = {"a": "float", "b": "string", "when": "timestamp", "label": "float"}
    for expected, made in refused.items():
        specs, problems = parse_features({"f": made})
        problems += check_specs(specs, (LabelSpec("label"),), types, list(types))
        assert problems, expected


def test_several_columns_lie_side_by_side() -> None:
    data = {"a": ("string", ["x", "y"]), "b": ("int", [1, 1])}
    fitted = fit({"f": {"from": ["a", "b"], "apply": "one_hot"}}, data)
    assert fitted.features[0].sizes == (4, 3)
    made = fitted.apply_numpy(batch(data))["f"]
    np.testing.assert_array_equal(made, [[0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0, 0]])
    assert fitted.columns == {"a": "string", "b": "int64"}


def test_wide_one_hots_are_stored_as_ids() -> None:
    words = [f"w{i:03}" for i in range(100)]
    data = {"c": ("string", words)}
    fitted = fit({"f": {"from": "c", "apply": "one_hot"}}, data)
    (feature,) = fitted.features
    assert (feature.stored, feature.stored_width, feature.width) == ("ids", 1, 102)
    assert fitted.apply_numpy(batch(data))["f"].sum() == 100


def test_a_matrix_has_no_ids() -> None:
    data = {"a": ("string", ["x", "y"]), "b": ("float", [1.0, 3.0])}
    fitted = fit({"b": "z_score", "a": "one_hot"}, data)
    matrix = fitted.matrix(np, fitted.apply_numpy(batch(data)))
    np.testing.assert_array_equal(matrix, np.float32([[-1, 0, 1, 0, 0], [1, 1, 0, 0, 0]]))
    with_ids = fit({"b": "z_score", "a": "vocabulary"}, data)
    with pytest.raises(DataError, match="names and not amounts"):
        with_ids.matrix(np, with_ids.apply_numpy(batch(data)))


@pytest.mark.parametrize("chain", ["z_score", "min_max", {"rescale": 0.01}, ["log1p", "z_score"], "identity"])
def test_a_label_comes_back_in_its_units(chain: Any) -> None:
    import tensorflow as tf

    from headrace.components.preprocessing.features_grammar import parse_labels

    (spec,), problems = parse_labels({"y": chain})
    assert not problems
    data = {"x": ("float", [1.0, 2.0, 3.0]), "y": ("float", [10.0, 200.0, 3000.0])}
    fitted = fit({"x": "z_score"}, data, spec)
    made = fitted.labels_numpy(batch(data))["y"]
    assert made.dtype == np.float32
    np.testing.assert_allclose(fitted.labels[0].inverse(np, made), [10, 200, 3000], rtol=1e-5)
    np.testing.assert_allclose(
        fitted.labels[0].inverse(tf, tf.constant(made)[:, None])[:, 0], [10, 200, 3000], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "values", "classes"),
    [
        ("string", ["b", "a", "b"], ("a", "b")),
        ("bool", [True, False, True], ("false", "true")),
        ("int", [10, 9, 10], ("9", "10")),
        ("int", list(range(21)), None),
        ("float", [1.0, 2.5, 2.5], None),
    ],
    ids=str,
)
def test_what_a_label_is(kind: str, values: list[Any], classes: tuple[str, ...] | None) -> None:
    data = {"x": ("float", [float(i) for i in range(len(values))]), "y": (kind, values)}
    fitted = fit({"x": "z_score"}, data, LabelSpec("y"))
    made = fitted.labels_numpy(batch(data))["y"]
    if classes is None:
        assert (fitted.labels[0].kind, made.tolist()) == ("value", [float(v) for v in values])
    else:
        names = [str(v).lower() if kind == "bool" else str(v) for v in values]
        assert (fitted.labels[0].kind, fitted.labels[0].classes) == ("class", classes)
        assert made.dtype == np.int64 and [classes[i] for i in made] == names


def test_labels_that_cannot_be_learned() -> None:
    data = {"x": ("float", [1.0, 2.0]), "y": ("string", ["a", "b"])}
    fitted = fit({"x": "z_score"}, data, LabelSpec("y"))
    with pytest.raises(DataError, match=r"missing in 1 of 2 rows, first in row 2"):
        fitted.labels_numpy(batch({**data, "y": ("string", ["a", None])}))
    with pytest.raises(
        DataError, match=r"(?s)a class that the train split doesn't have in 1 of 2 rows.*\(c\)"
    ):
        fitted.labels_numpy(batch({**data, "y": ("string", ["c", "a"])}))
    with pytest.raises(DataError, match="only one class in the train split, 'a'"):
        fit({"x": "z_score"}, {**data, "y": ("string", ["a", "a"])}, LabelSpec("y"))


def test_columns_without_what_is_needed() -> None:
    with pytest.raises(DataError, match="'c' has no value in the train split"):
        one("z_score", "float", [None, None])
    with pytest.raises(DataError, match=r"(?s)infinite, or beyond .* in 1 rows.*clip"):
        one("z_score", "float", [1.0, math.inf])


def test_a_damaged_or_newer_transform_is_refused(tmp_path: Path) -> None:
    save_fitted(fit({"c": "z_score"}, {"c": ("float", [1.0, 2.0])}), tmp_path)
    plan = (tmp_path / "transform.json").read_text("utf-8")
    (tmp_path / "transform.json").write_text(plan.replace('"format": 2', '"format": 3'), "utf-8")
    with pytest.raises(StoreError, match="format 3"):
        load_fitted(tmp_path)
    (tmp_path / "transform.json").write_text(plan[:-20], "utf-8")
    with pytest.raises(StoreError, match="can't be read"):
        load_fitted(tmp_path)
