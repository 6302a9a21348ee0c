"""The component, with real parts and real Beam."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from apache_beam.testing.util import assert_that, equal_to

from headrace.components.data_plane import parts
from headrace.components.dataset import dataset
from headrace.components.infer_schema import infer_schema
from headrace.components.preprocessing.auto import Profile, choose
from headrace.components.preprocessing.auto_depth import Choice
from headrace.components.preprocessing.features_grammar import parse_features
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.statistics import statistics
from headrace.components.transform import transform
from headrace.pipelines.artifact import Examples
from headrace.pipelines.errors import DataError, StoreError
from headrace.pipelines.runners.beam import beam_pipeline
from headrace.schemas.schema import Feature
from headrace.schemas.yaml12 import load

from .raw_examples import make_raw_examples

FEATURES: dict[str, Any] = {
    "size": "z_score",
    "rooms": [{"impute": "median"}, "log1p", "z_score"],
    "city": "one_hot",
    "bucket": {"from": "size", "apply": {"bucketize": 4}},
    "word": "vocabulary",
    "number": {"from": "id", "apply": "identity"},
    "hashed": {"from": "word", "apply": [{"hash": 100}, "one_hot"]},
}


def table(rows: int = 1000, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    size = draw.lognormal(3, 1, rows)
    return pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "size": size,
            "rooms": pa.array(draw.integers(1, 9, rows), mask=draw.random(rows) < 0.1),
            "city": draw.choice(["Bonn", "Köln", "京都"], rows),
            "word": pa.array([f"w{i}" for i in draw.integers(0, 200, rows)]),
            "price": size * 3 + draw.normal(size=rows),
        }
    )


@pytest.fixture
def raw(tmp_path: Path) -> Examples:
    return make_raw_examples(
        tmp_path / "raw", {"train": table(), "test": table(300, 1)}, rows_per_part=100, name="raw"
    )


def run(ctx: Any, raw: Examples, **arguments: Any) -> Any:
    arguments = {"label": {"price": "z_score"}, "features": FEATURES, **arguments}
    return transform.function(ctx, raw, **arguments)


def rows_of(examples: Examples, split: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All rows of a split, in the order of the shards."""
    batches = list(dataset(examples, split, batch_size=128).as_numpy_iterator())
    features = {name: np.concatenate([f[name] for f, _ in batches]) for name in batches[0][0]}
    return features, np.concatenate([label for _, label in batches])


@pytest.mark.parametrize(
    ("layout", "compression"),
    [("packed", "none"), ("columns", "none"), ("packed", "gzip")],
)
def test_shards_hold_each_row_once(ctx: Any, raw: Examples, layout: Any, compression: Any) -> None:
    made = run(ctx, raw, layout=layout, compression=compression, shards=3)
    fitted = load_fitted(made.transform.path)
    for split, rows in (("train", table()), ("test", table(300, 1))):
        features, label = rows_of(made.examples, split)
        order = features["number"][:, 0]
        assert sorted(order) == list(range(rows.num_rows))
        assert list(order) != sorted(order)
        (batch,) = rows.combine_chunks().to_batches()
        for name, values in fitted.apply_numpy(batch).items():
            np.testing.assert_array_equal(features[name], values[order])
            assert features[name].dtype == values.dtype
        np.testing.assert_array_equal(label, fitted.labels_numpy(batch)["price"][order])
    told = made.examples.properties
    assert told["splits"]["train"]["rows"] == 1000
    assert len(told["splits"]["train"]["parts"]) == 3
    assert made.examples.summary == {"rows": {"train": 1000, "test": 300}}


def test_fitted_on_train_alone(ctx: Any, raw: Examples) -> None:
    made = run(ctx, raw)
    features, _ = rows_of(made.examples, "train")
    np.testing.assert_allclose(features["size"].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(features["size"].std(), 1, atol=1e-5)
    # One pass for each depth: `impute` and all others first, then `z_score` behind it.
    stages = [e["work"]["stage"] for e in ctx.events if "work" in e]
    assert stages == ["analyze-0", "analyze-1", "encode", "write"]


@pytest.mark.parametrize(
    "options",
    [
        {"direct_num_workers": "2", "direct_running_mode": "multi_threading"},
        {"direct_num_workers": "2", "direct_running_mode": "multi_processing"},
    ],
    ids=["threads", "processes"],
)
def test_workers_do_not_show_in_the_result(
    new_ctx: Callable[..., Any], raw: Examples, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "UNIT_ROWS", 1)
    alone, many = new_ctx(), new_ctx(**options)
    first, second = run(alone, raw, seed=3), run(many, raw, seed=3)
    assert first.examples.digest == second.examples.digest
    assert first.transform.digest == second.transform.digest
    work = [e["work"] for e in many.events if "work" in e]
    assert {w["stage"]: w["units"] for w in work}["encode"] == 13
    assert max(len(w["workers"]) for w in work) == 2


def test_the_seed_decides_the_order_and_nothing_else(new_ctx: Callable[..., Any], raw: Examples) -> None:
    first, second = run(new_ctx(), raw), run(new_ctx(), raw, seed=1)
    assert first.transform.digest == second.transform.digest
    orders = [rows_of(made.examples, "train")[0]["number"][:, 0].tolist() for made in (first, second)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_the_order_of_shards_is_random(ctx: Any, raw: Examples) -> None:
    order = rows_of(run(ctx, raw).examples, "train")[0]["number"][:, 0]
    # The mean distance of neighbours is a third of the range in a random order, and 1 in the file's.
    assert 280 < np.abs(np.diff(order)).mean() < 390


def test_one_hots_are_dense_up_to_64_slots(ctx: Any, raw: Examples) -> None:
    told = {f["name"]: f for f in run(ctx, raw).examples.properties["features"]}
    assert (told["city"]["kind"], told["city"]["width"]) == ("dense", 5)
    assert (told["hashed"]["kind"], told["hashed"]["width"]) == ("ids", 100)


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (
            {"size": [None, 1.0, None]},
            {},
            ["features.size", "'size' is missing in 2 of 3 rows of train", "impute"],
        ),
        (
            {"size": [1.0, 2.0, float("inf")]},
            {},
            ["'size' is infinite, or beyond float32 (3.4e38), in 1 rows of the train split", "clip"],
        ),
        (
            {"size": [1.0, -3.0, 2.0]},
            {"features": {"size": "log1p"}},
            [
                "a value that can't be transformed in 1 of 3 rows of train; the first is train, part 0",
                "-3.0",
            ],
        ),
        (
            {"price": [1.0, None, 2.0]},
            {},
            [
                "label.price",
                "the label is missing in 1 of 3 rows of train",
                "row 2 (a row of the Parquet file",
                "train/part-00000.parquet, no line of the file that was ingested)",
                "delete these rows",
                "missing_values",
            ],
        ),
        ({"price": ["a", "a", "a"]}, {"label": "price"}, ["only one class in the train split, 'a'"]),
        ({"price": [2.5, 2.5, 2.5]}, {"label": "price"}, ["only one value in the train split, 2.5"]),
        ({"price": [1e12, 1e12 + 1, 1e12 + 2]}, {"label": {"price": "z_score"}}, ["1e+12", "seventh digit"]),
        ({"price": [1.0, 2.0, 1e300]}, {"label": "price"}, ["label.price", "beyond float32"]),
        ({"size": [1.0, 2.0, 1e300]}, {"features": {"size": "identity"}}, ["beyond float32", "row 3"]),
        ({"size": [None, None, None]}, {}, ["'size' has no value in the train split"]),
        ({}, {"features": {"sise": "z_score"}}, ["no column 'sise'", "did you mean 'size'"]),
        ({}, {"features": {"city": "z_score"}}, ["z_score takes numbers, but the column is a string"]),
        ({}, {"features": {"x": {"from": "size", "apply": {"bucketize": [1]}}}, "label": "cost"}, ["'cost'"]),
    ],
    ids=str,
)
def test_data_that_cannot_be_learned_from(
    ctx: Any, change: dict[str, Any], arguments: dict[str, Any], said: list[str]
) -> None:
    data = {"size": [1.0, 2.0, 3.0], "city": ["a", "b", "c"], "price": [1.0, 2.0, 3.0], **change}
    columns = {name: pa.array(v, pa.float64() if name == "size" else None) for name, v in data.items()}
    raw = make_raw_examples(ctx, {"train": pa.table(columns)})
    with pytest.raises(DataError) as caught:
        run(ctx, raw, **{"features": {"size": "z_score"}, **arguments})
    for words in said:
        assert words in str(caught.value)


def test_faults_of_all_parts_and_features_are_told_at_once(ctx: Any) -> None:
    values = [float(i) if i % 3 else None for i in range(30)]
    data = pa.table({"a": values, "b": values[::-1], "y": [float(i) for i in range(30)]})
    raw = make_raw_examples(ctx, {"train": data, "test": data.slice(0, 4)}, rows_per_part=7)
    features = {"a": "z_score", "b": {"bucketize": 3}}
    with pytest.raises(DataError) as caught:
        run(ctx, raw, label="y", features=features)
    assert [p.argument for p in caught.value.problems] == ["features.a", "features.b"]
    assert "in 10 of 30 rows of train, 2 of 4 rows of test; the first is train, part 0, row 1" in str(
        caught.value
    )
    assert not list(ctx.staging.rglob("*.tfrecord"))


def test_a_class_that_is_only_in_another_split(ctx: Any) -> None:
    train = pa.table({"x": [1.0, 2.0], "y": ["a", "b"]})
    test = pa.table({"x": [1.0, 2.0], "y": ["a", "z"]})
    raw = make_raw_examples(ctx, {"train": train, "test": test})
    with pytest.raises(
        DataError, match=r"doesn't have in 1 of 2 rows of test; the first is test.*row 2.*'z'"
    ):
        run(ctx, raw, label="y", features={"x": "z_score"})


def test_a_category_unseen_in_training_goes_to_its_slot(ctx: Any) -> None:
    train = pa.table({"c": ["a", "b", "a"], "y": [1.0, 2.0, 3.0]})
    raw = make_raw_examples(ctx, {"train": train, "test": pa.table({"c": ["z", None], "y": [1.0, 2.0]})})
    made = run(ctx, raw, label="y", features={"c": "one_hot"})
    features, label = rows_of(made.examples, "test")
    np.testing.assert_array_equal(features["c"][np.argsort(label)], [[0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("splits", "said"), [(["test"], "no split 'train'"), (["train", "none"], "the split 'none' has no rows")]
)
def test_splits_that_are_not_there(ctx: Any, splits: list[str], said: str) -> None:
    tables = {split: table(0 if split == "none" else 5) for split in splits}
    with pytest.raises(DataError, match=said):
        run(ctx, make_raw_examples(ctx, tables))


def test_examples_that_are_no_raw_ones(new_ctx: Callable[..., Any], raw: Examples) -> None:
    made = run(new_ctx(), raw).examples
    with pytest.raises(DataError, match="transformed already"):
        run(new_ctx(), made)
    raw.parts("test")[1].write_bytes(b"no parquet")
    with pytest.raises(StoreError, match="can't be read"):
        run(new_ctx(), raw)


def test_odd_column_names_go_through(ctx: Any) -> None:
    names = ["Median Income ($)", "größe", "od280/od315", "A", "a", "1st"]
    draw = np.random.default_rng(0)
    data = pa.table({name: draw.normal(size=50) for name in names} | {"y": draw.normal(size=50)})
    raw = make_raw_examples(ctx, {"train": data})
    made = run(ctx, raw, label="y", features=dict.fromkeys(names, "z_score"), layout="columns")
    features, _ = rows_of(made.examples, "train")
    assert list(features) == names


def test_a_transform_is_applied_in_a_pipeline_of_ones_own(ctx: Any, raw: Examples, tmp_path: Path) -> None:
    """The example in the docstring of `ApplyTransform`."""
    import apache_beam as beam

    from headrace.components import ApplyTransform, ReadCsv, load_fitted

    made = run(ctx, raw).transform
    rows = table(30, 2)
    pa.csv.write_csv(rows, tmp_path / "new.csv")
    types = {"id": "int", "size": "float", "rooms": "int", "city": "string", "word": "string"}
    with beam_pipeline(ctx.runner) as pipeline:
        batches = pipeline | ReadCsv(str(tmp_path / "new.csv"), types=types)
        for name, given in {"artifact": made, "path": made.path, "text": str(made.path)}.items():
            applied = batches | name >> ApplyTransform(given)
            sizes = applied | f"{name} sizes" >> beam.FlatMap(
                lambda features: features["size"][:, 0].tolist()
            )
            expected = load_fitted(str(made.path)).apply_numpy(rows.to_batches()[0])["size"][:, 0]
            assert_that(sizes, equal_to(expected.tolist()), f"{name} is right")
    with pytest.raises(StoreError):
        ApplyTransform(tmp_path)


def test_the_public_names_are_there() -> None:
    import headrace.components as components

    assert {"load_fitted", "shard_errors", "ApplyTransform"} <= set(components.__all__)
    for name in components.__all__:
        assert callable(getattr(components, name)), name


NUMBER = Profile(
    count=100, missing=0, missing_elsewhere=0, distinct=90, low=0, p5=1, median=5, p95=9, high=10
)


def profile(**changed: Any) -> Profile:
    return Profile(**{**NUMBER.__dict__, **changed})


@pytest.mark.parametrize(
    ("feature", "looks", "choice"),
    [
        (Feature("x", "float"), NUMBER, "z_score"),
        (Feature("x", "float"), profile(missing=1), [{"impute": "median"}, "z_score"]),
        (Feature("x", "float"), profile(missing_elsewhere=1), [{"impute": "median"}, "z_score"]),
        (Feature("x", "float"), profile(p95=50, high=99), ["log1p", "z_score"]),
        (Feature("x", "float"), profile(p95=50, high=99, low=-0.1), "z_score"),
        (Feature("x", "int"), profile(p95=1, median=0, p5=0, high=1, distinct=2), "z_score"),
        (Feature("x", "float"), profile(count=0, distinct=0), "no value"),
        (Feature("x", "float"), profile(distinct=1), "the same value in every row"),
        (Feature("x", "int"), profile(distinct=100, low=1, high=100), "numbers the rows"),
        (Feature("x", "int"), profile(distinct=100, low=1, high=9999), "z_score"),
        (Feature("x", "int"), profile(distinct=100, low=1, high=400, elsewhere=300), "numbers the rows"),
        (Feature("x", "int", values=("1", "2")), NUMBER, "one_hot"),
        (Feature("x", "string", values=("a", "b")), profile(distinct=2), "one_hot"),
        (Feature("x", "string"), profile(distinct=99), "free text or an identifier: 99 distinct values"),
        (Feature("x", "bool"), profile(distinct=2), "one_hot"),
    ],
    ids=str,
)
def test_what_auto_chooses(feature: Feature, looks: Profile, choice: Any) -> None:
    made = choose(feature, looks)
    assert made == Choice(choice) or choice in made.dropped


def test_auto_says_what_it_chose_and_it_can_be_edited(new_ctx: Callable[..., Any]) -> None:
    data = table()
    data = data.append_column("text", pa.array([f"a sentence {i}" for i in range(1000)]))
    data = data.append_column("constant", pa.array([1.0] * 1000))
    ctx = new_ctx()
    raw = make_raw_examples(ctx, {"train": data, "test": data.slice(0, 100)}, rows_per_part=300)
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), raw))
    made = transform.function(ctx, raw, label="price", schema=schema)
    text = made.transform.file("auto.yaml").read_text("utf-8")
    assert "# dropped 'text': free text or an identifier: 1,000 distinct values" in text
    assert "# dropped 'constant': it has the same value in every row" in text
    assert "# dropped 'id': it numbers the rows" in text
    assert any(text.rstrip() in e["say"] for e in ctx.events if "say" in e)
    chosen = load(text)["features"]
    assert list(chosen) == ["size", "rooms", "city"]
    assert not parse_features(chosen)[1]
    again = transform.function(new_ctx(), raw, label={"price": "z_score"}, features=chosen)
    assert again.examples.digest == made.examples.digest
    plan = json.loads(made.transform.file("transform.json").read_text("utf-8"))
    assert [stage["name"] for stage in plan["labels"][0]["chain"]] == ["z_score"]


def test_auto_does_not_pass_over_numbers_beyond_float32(new_ctx: Callable[..., Any]) -> None:
    data = pa.table({"x": [i * 1e300 for i in range(100)], "y": [float(i) for i in range(100)]})
    raw = make_raw_examples(new_ctx(), {"train": data})
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), raw))
    with pytest.raises(DataError, match="'x' is infinite, or beyond float32"):
        transform.function(new_ctx(), raw, label="y", schema=schema)


@pytest.mark.parametrize(("values", "warned"), [([0.0, 1.0, 2.0], True), ([0.5, 1.0, 2.0], False)])
def test_a_value_that_looks_like_a_class_is_told(ctx: Any, values: list[float], warned: bool) -> None:
    data = pa.table({"size": [1.0, 2.0, 3.0], "price": values})
    made = run(ctx, make_raw_examples(ctx, {"train": data}), features={"size": "z_score"}, label="price")
    assert made.transform.summary["labels"]["price"]["kind"] == "value"
    told = [event["warn"] for event in ctx.events if "warn" in event]
    assert ["only the 3 values 0, 1, 2" in text and "types: {price: int}" in text for text in told] == [
        True
    ] * warned


def test_shards_merged_in_pieces_are_the_same(
    new_ctx: Callable[..., Any], raw: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.components.tfrecords import shards

    whole = run(new_ctx(), raw, shards=2)
    monkeypatch.setattr(shards, "MERGE_BYTES", 1000)
    assert run(new_ctx(), raw, shards=2).examples.digest == whole.examples.digest


def test_auto_needs_a_schema(ctx: Any, raw: Examples) -> None:
    with pytest.raises(DataError, match="none is given"):
        transform.function(ctx, raw, label="price")


def test_the_housing_document(new_ctx: Callable[..., Any], housing_csv: Path) -> None:
    data = pyarrow.csv.read_csv(housing_csv)
    ctx = new_ctx()
    raw = make_raw_examples(
        ctx, {"train": data.slice(0, 18_000), "test": data.slice(18_000)}, rows_per_part=5000
    )
    features = {
        "longitude": "z_score",
        "total_bedrooms": [{"impute": "median"}, "log1p", "z_score"],
        "income_bucket": {"from": "median_income", "apply": {"bucketize": [1.5, 3, 4.5, 6]}},
        "ocean_proximity": "one_hot",
    }
    made = transform.function(ctx, raw, label={"median_house_value": "z_score"}, features=features)
    fitted = load_fitted(made.transform.path)
    assert {f.name: f.width for f in fitted.features} == {
        "longitude": 1,
        "total_bedrooms": 1,
        "income_bucket": 5,
        "ocean_proximity": 7,
    }
    rooms, label = rows_of(made.examples, "train")
    np.testing.assert_allclose(rooms["total_bedrooms"].std(), 1, atol=1e-4)
    expected = data.slice(0, 18_000)["median_house_value"].to_numpy()
    np.testing.assert_allclose(np.sort(fitted.labels[0].inverse(np, label)), np.sort(expected), rtol=1e-5)
