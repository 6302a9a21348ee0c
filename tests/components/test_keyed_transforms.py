"""Scaling and imputing by key, and target means, against NumPy and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.data_plane.row_hash import fold_of
from headrace.components.dataset import dataset
from headrace.components.preprocessing.analysis import analyze_batches
from headrace.components.preprocessing.features_checks import check_specs
from headrace.components.preprocessing.features_grammar import LabelSpec, parse_features, parse_labels
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.preprocessing.fitting import Fitter
from headrace.components.transform import transform
from headrace.pipelines.errors import DataError

from .raw_examples import make_raw_examples
from .transform_cases import batch, fit

VALUES = [1.0, 3.0, 10.0, 20.0, 60.0, None, 5.0, 7.0]
KEYS = ["a", "a", "b", "b", "b", "a", None, None]


def by_key(made: Any, kind: str = "float", values: Any = VALUES, keys: Any = KEYS) -> Any:
    """What a transform fitted by key makes of its own rows, then of 4 with the keys never, a, "" and b."""
    fitted = fit({"f": {"from": "c", "apply": made}}, {"c": (kind, values), "k": ("string", keys)})
    raw = {"c": (kind, [4.0, None, 6.0, 30.0]), "k": ("string", ["never", "a", "", "b"])}
    own = batch({"c": (kind, values), "k": ("string", keys)})
    return fitted.apply_numpy(own)["f"][:, 0], fitted.apply_numpy(batch(raw))["f"][:, 0]


def test_z_score_by_key() -> None:
    own, other = by_key({"z_score": {"by": "k"}})
    values = np.array([v for v in VALUES if v is not None])
    b = np.array([10.0, 20.0, 60.0])
    np.testing.assert_allclose(own[:2], [-1, 1])
    np.testing.assert_allclose(own[2:5], (b - b.mean()) / b.std(), rtol=1e-6)
    np.testing.assert_allclose(own[6:], [-1, 1])  # rows without a key are a group of their own
    np.testing.assert_allclose(other[0], (4 - values.mean()) / values.std(), rtol=1e-6)
    assert np.isnan(other[1])
    np.testing.assert_allclose(other[2:], [0, 0], atol=1e-6)


def test_the_other_scalings_by_key() -> None:
    np.testing.assert_allclose(by_key({"min_max": {"by": "k"}})[0][[0, 1, 2, 3, 4]], [0, 1, 0, 0.2, 1])
    np.testing.assert_allclose(by_key({"max_abs": {"by": "k"}})[1][[0, 3]], [4 / 60, 0.5])
    own, other = by_key({"robust": {"by": "k"}})
    np.testing.assert_allclose(own[2:5], (np.array([10.0, 20, 60]) - 20) / 25)
    values = [v for v in VALUES if v is not None]
    spread = np.quantile(values, 0.75) - np.quantile(values, 0.25)
    np.testing.assert_allclose(other[0], (4 - np.median(values)) / spread, rtol=1e-6)


@pytest.mark.parametrize(
    ("how", "of_a", "overall"), [("mean", 2, 106 / 7), ("median", 2, 7), ("most_frequent", 3, 60)]
)
def test_impute_by_key(how: str, of_a: float, overall: float) -> None:
    own, other = by_key({"impute": {"value": how, "by": "k"}})
    assert own[5] == other[1] == of_a
    fitted = fit(
        {"f": {"from": "c", "apply": {"impute": {"value": how, "by": "k"}}}},
        {"c": ("float", VALUES), "k": ("string", KEYS)},
    )
    unseen = fitted.apply_numpy(batch({"c": ("float", [None]), "k": ("string", ["never"])}))["f"]
    np.testing.assert_allclose(unseen, overall, rtol=1e-6)


def test_strings_and_whole_numbers_are_imputed_by_key() -> None:
    words = ["x", "x", "y", "z", "y", None, None, "x:1"]
    fitted = fit(
        {"f": {"from": "c", "apply": [{"impute": {"value": "most_frequent", "by": "k"}}, "one_hot"]}},
        {"c": ("string", words), "k": ("string", KEYS)},
    )
    (keys,) = (stage.constants["keys"] for stage in fitted.fitted[0].branches[0].stages[1:])
    made = fitted.apply_numpy(batch({"c": ("string", words), "k": ("string", KEYS)}))["f"]
    assert [keys[i] for i in made.argmax(axis=1)] == ["x", "x", "y", "z", "y", "x", "x:1", "x:1"]
    whole, _ = by_key(
        {"impute": {"value": "most_frequent", "by": "k"}}, "int", [2**60 + 1, 5, 9, 9, 1, None, 8, None]
    )
    assert whole.dtype == np.int64 and whole[5] == 2**60 + 1 and whole[7] == 8


def test_keys_that_cannot_be() -> None:
    types = {"a": "float", "k": "string", "when": "timestamp", "y": "float"}
    cases: list[tuple[Any, str]] = [
        ({"z_score": {"by": "kk"}}, "there is no column 'kk'; did you mean 'k'?"),
        ({"z_score": {"by": "y"}}, "by: y is a label"),
        ({"z_score": {"by": "when"}}, "is of type timestamp, and a key is a string"),
        ({"impute": {"value": 3, "by": "k"}}, "the same for each k"),
        ([{"bucketize": 3}, {"target_mean": {"target": "yy"}}], "'yy' is no label; did you mean 'y'?"),
    ]
    for told, said in cases:
        specs, problems = parse_features({"a": told})
        problems += check_specs(specs, (LabelSpec("y"),), types, list(types))
        assert said in "\n".join(map(str, problems))
    behind = {"from": ["k", "when"], "apply": [{"cross": 9}, "target_mean"]}
    assert "can't stand behind cross" in str(parse_features({"f": behind})[1][0])
    assert "a prediction has no key" in str(parse_labels({"y": {"z_score": {"by": "k"}}})[1][0])


def test_more_keys_than_are_held_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("keyed_moments", "keyed_counts", "keyed_means"):
        monkeypatch.setattr(f"headrace.schemas.{module}.MOST_KEYS", 2)
    for made in ({"z_score": {"by": "k"}}, {"robust": {"by": "k"}}):
        with pytest.raises(DataError, match=r"(?s)different values of 'k' in the train split.*coarser"):
            by_key(made)
    with pytest.raises(DataError, match=r"(?s)different values of 'k'.*hash: 10000"):
        fit({"f": {"from": "k", "apply": "target_mean"}}, {"k": ("string", KEYS)})


def table(rows: int = 600, seed: int = 3) -> pa.Table:
    draw = np.random.default_rng(seed)
    city = draw.choice(["rome", "oslo", "bonn", None], rows)
    user = [f"u{i}" for i in draw.integers(0, rows // 2, rows)]
    noise = draw.normal(size=rows)
    classes = np.array(["low", "mid", "high"])[np.digitize(noise, [-0.4, 0.4])]
    return pa.table(
        {
            "city": pa.array(city, pa.string()),
            "user": user,
            "number": np.arange(rows),
            "y": noise + 100.0,
            "yes": noise > 0,
            "class": pa.array(classes, pa.string()),
        }
    )


def learned(ctx: Any, made: Any, label: Any, column: str = "user") -> tuple[np.ndarray, Any, pa.RecordBatch]:
    """The feature as a model learns from it, in the order of the rows; the transform, and the rows."""
    whole = table()
    examples = make_raw_examples(ctx, {"train": whole, "test": whole}, rows_per_part=170)
    features = {"f": {"from": column, "apply": made}, "number": "identity"}
    result = transform.function(ctx, examples, label=label, features=features)
    read, _ = next(iter(dataset(result.examples, "train", batch_size=whole.num_rows)))
    order = np.argsort(read["number"].numpy()[:, 0])
    same, _ = next(iter(dataset(result.examples, "test", batch_size=whole.num_rows)))
    fitted = load_fitted(result.transform.path)
    raw = whole.combine_chunks().to_batches()[0]
    served = same["f"].numpy()[np.argsort(same["number"].numpy()[:, 0])]
    np.testing.assert_array_equal(served, fitted.apply_numpy(raw)["f"])
    return read["f"].numpy()[order], fitted, raw


def folds(rows: int, part: int = 170) -> np.ndarray:
    return fold_of([(i, min(part, rows - at)) for i, at in enumerate(range(0, rows, part))], 5, 0)


@pytest.mark.parametrize(
    ("label", "target"),
    [("y", "continuous"), ("yes", "binary"), ("class", "multiclass")],
)
def test_target_means_are_those_of_scikit_learn(ctx: Any, label: str, target: str) -> None:
    from sklearn.preprocessing import TargetEncoder

    made, fitted, raw = learned(ctx, {"target_mean": 7}, label)
    x = np.array(raw["user"].to_pylist(), object)[:, None]
    y = np.array(raw[label].to_pylist())
    fold = folds(len(y))
    assert set(fold) == set(range(5)) and min(np.bincount(fold)) > 80

    def encoder() -> Any:
        return TargetEncoder(smooth=7.0, target_type=target)

    np.testing.assert_allclose(fitted.apply_numpy(raw)["f"], encoder().fit(x, y).transform(x), rtol=1e-5)
    assert made.shape[1] == (3 if target == "multiclass" else 1)
    for own in range(5):
        rest = encoder().fit(x[fold != own], y[fold != own])
        np.testing.assert_allclose(made[fold == own], rest.transform(x[fold == own]), rtol=1e-5)


def test_the_label_does_not_leak_into_its_own_row(ctx: Any) -> None:
    # The label is noise and a user has two rows or so: a mean that holds the row's own label tells it.
    made, fitted, raw = learned(ctx, {"target_mean": 0}, "y")
    y = raw["y"].to_numpy()
    leaking = np.corrcoef(fitted.apply_numpy(raw)["f"][:, 0], y)[0, 1]
    assert leaking > 0.6
    assert abs(np.corrcoef(made[:, 0], y)[0, 1]) < 0.15
    assert fitted.labels[0].kind == "value"


def test_missing_and_unseen_categories(ctx: Any) -> None:
    _, fitted, raw = learned(ctx, [{"target_mean": {"smoothing": 0}}], "y", "city")
    y = raw["y"].to_numpy()
    gone = np.array(raw["city"].is_null())
    rows = pa.record_batch({"city": [None, "", "never"], "number": [1, 2, 3]})
    made = fitted.apply_numpy(rows)["f"][:, 0]
    np.testing.assert_allclose(made, [y[gone].mean(), y[gone].mean(), y.mean()], rtol=1e-6)


def test_a_label_with_transforms_and_one_with_several_classes_a_row() -> None:
    data: dict[str, Any] = {"c": ("string", ["p", "p", "q"]), "y": ("float", [1.0, 3.0, 8.0])}
    (spec,), _ = parse_labels({"y": "z_score"})
    made = fit({"c": {"target_mean": 0}}, data, spec).apply_numpy(batch(data))["c"][:, 0]
    np.testing.assert_allclose(made, (np.array([2, 2, 8]) - 4) / np.std([1, 3, 8]), rtol=1e-6)
    data["y"] = ("string", ["red|blue", "blue", ""])
    (spec,), _ = parse_labels({"y": ["split", "multi_hot"]})
    made = fit({"c": {"target_mean": 0}}, data, spec).apply_numpy(batch(data))["c"]
    np.testing.assert_allclose(made, [[1, 0.5], [1, 0.5], [0, 0]])


def test_one_of_several_labels_is_named() -> None:
    data: dict[str, Any] = {"c": ("string", ["p", "p", "q"]), "y": ("float", [1.0, 3.0, 8.0])}
    data["z"] = ("string", ["no", "yes", "no"])
    labels, _ = parse_labels(["y", "z"])
    types = {name: kind for name, (kind, _) in data.items()}
    for told, said in (({}, "2 labels, and one has to be named"), ({"target": "x"}, "'x' is no label")):
        specs, _ = parse_features({"c": {"target_mean": told}})
        assert said in "\n".join(map(str, check_specs(specs, labels, types, list(types))))
    specs, _ = parse_features(
        {n: {"from": "c", "apply": {"target_mean": {"target": n, "smoothing": 0}}} for n in ("z", "y")}
    )
    fitter = Fitter(types, lambda _, asked: analyze_batches(asked, [batch(data)]), [].append)
    made = fitter.fit(specs, labels).apply_numpy(batch(data))
    np.testing.assert_allclose(made["y"][:, 0], [2, 2, 8])
    np.testing.assert_allclose(made["z"][:, 0], [0.5, 0.5, 0])


def test_what_takes_one_column_cannot_follow_several() -> None:
    data = {"c": ("string", ["p", "p", "q"]), "y": ("string", ["a", "b", "c"])}
    with pytest.raises(DataError, match="gives 3 columns, one for each class of 'y', and z_score takes one"):
        fit({"c": ["target_mean", "z_score"]}, data, LabelSpec("y"))


def test_what_is_learned_does_not_depend_on_the_workers(new_ctx: Any) -> None:
    digests = set()
    features = {"user": ["target_mean", "z_score"], "number": {"robust": {"by": "city"}}}
    for workers in ("1", "3"):
        ctx = new_ctx(direct_num_workers=workers, direct_running_mode="multi_threading")
        examples = make_raw_examples(ctx, {"train": table()}, rows_per_part=50)
        made = transform.function(ctx, examples, label="y", features=features)
        digests.add((made.examples.digest, made.transform.digest))
    assert len(digests) == 1
