"""Networks that look ids up: the built-in models and a user's, trained, exported, asked."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from headrace.components import evaluate, export
from headrace.components.exporting.saved_model import serving_inputs
from headrace.components.models.inputs import packed_inputs
from headrace.components.models.layers import IdEmbedding, IdWeights, SequenceEmbedding
from headrace.components.predict import predict
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.feed import Feed
from headrace.components.training.networks import load_network
from headrace.components.transforms.crosses import embedding_size
from headrace.pipelines.artifact import ExportedModel, Model
from headrace.pipelines.errors import DataError, InvalidRequestError

from .model_path import Paths, Prepared

FEATURES: dict[str, Any] = {
    "größe €": {"from": "size", "apply": "z_score"},
    "count": "identity",
    "colour": "one_hot",
    "street/no": {"from": "street", "apply": "one_hot"},
    "street_hash": {"from": "street", "apply": {"hash": 50}},
    "street_vector": {"from": "street", "apply": [{"hash": 40}, {"embedding": 3}]},
    "grid": {"from": {"size": {"bucketize": 4}, "colour": "identity"}, "apply": [{"cross": 30}]},
    "words": {"from": "text", "apply": ["tokens", {"vocabulary": {"top_k": 20}}, {"pad": 5}]},
    "tags": "multi_hot",
    "hour": {"from": "when", "apply": {"date_parts": ["hour"]}},
}
MODELS = """
import keras

def by_name(features, outputs, task, *, units=4):
    inputs = {f.key: keras.Input((f.width,), dtype=f.dtype, name=f.key) for f in features}
    parts = []
    for f in features:
        if f.dtype == "float32":
            parts.append(inputs[f.key])
        else:
            ids = keras.layers.Hashing(16)(inputs[f.key])
            parts.append(keras.layers.Flatten()(keras.layers.Embedding(16, 2)(ids)))
    hidden = keras.layers.Dense(units, activation="relu")(keras.layers.Concatenate()(parts))
    return keras.Model(inputs, keras.layers.Dense(outputs)(hidden))

def by_wrong_name(features, outputs, task):
    given = {"colour": keras.Input((99,), name="colour")}
    return keras.Model(given, keras.layers.Dense(outputs)(given["colour"]))
"""


def table(rows: int) -> pa.Table:
    """Columns of every type, a value and several classes to learn."""
    draw = np.random.default_rng(1)
    size = draw.exponential(3, rows)
    street = draw.choice([f"street {i}" for i in range(100)], rows)
    colour = draw.choice(["red", "green", ""], rows)
    tags = [sorted(set(draw.choice(["a", "b", "c"], draw.integers(0, 3)))) for _ in range(rows)]
    effect = dict(zip(sorted(set(street)), draw.normal(size=100), strict=False))
    price = size + np.array([effect[s] for s in street]) + 2.0 * (colour == "red")
    when = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=int(h)) for h in draw.integers(0, 9999, rows)]
    return pa.table(
        {
            "size": size,
            "count": draw.integers(0, 9, rows),
            "colour": pa.array(colour, pa.string()),
            "street": pa.array(street, pa.string()),
            "text": pa.array([f"{c} house in {s}" for c, s in zip(colour, street, strict=True)], pa.string()),
            "tags": pa.array(tags, pa.list_(pa.string())),
            "when": pa.array(when, pa.timestamp("us", "UTC")),
            "weight": draw.choice([0.0, 1.0, 2.0], rows),
            "price": price,
            "dear": price > 4.0,
            "kinds": pa.array(
                [
                    "|".join(n for n, yes in (("big", s > 3), ("red", c == "red")) if yes)
                    for s, c in zip(size, colour, strict=True)
                ],
                pa.string(),
            ),
        }
    )


def splits() -> dict[str, pa.Table]:
    whole = table(480)
    return {"train": whole.slice(0, 320), "validation": whole.slice(320, 80), "test": whole.slice(400)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def prepared(paths: Paths) -> Prepared:
    return paths.prepare(splits(), FEATURES, {"price": "z_score"})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "named_models.py"
    path.write_text(MODELS)
    return path


# layers


def test_look_ups_equal_a_dense_layer_on_one_hots_and_pass_over_ids_outside() -> None:
    layer = IdWeights([3, 5], 2, "glorot_uniform")
    ids = np.array([[0, 4], [2, 0], [-1, 5], [3, -(2**63)], [2**40, 1]], np.int64)
    given = layer(ids).numpy()
    hots = np.zeros((5, 8), np.float32)
    for row, (first, second) in enumerate(ids):
        hots[row, first if 0 <= first < 3 else []] = 1
        hots[row, 3 + second if 0 <= second < 5 else []] = 1
    np.testing.assert_allclose(given, hots @ layer.table.numpy(), rtol=1e-6)
    assert not given[2].any()
    vectors = IdEmbedding([3, 5], 4)
    looked = vectors(ids).numpy()
    np.testing.assert_array_equal(looked[0], vectors.table.numpy()[[0, 7]].reshape(-1))
    assert looked.shape == (5, 8) and not looked[2].any()


def test_the_mean_of_a_sequence_leaves_padding_out() -> None:
    layer = SequenceEmbedding(6, 3)
    ids = np.array([[2, 5, 0, 0], [1, 1, 1, 4], [0, 0, 0, 0], [7, -1, 3, 0]], np.int64)
    given, rows = layer(ids).numpy(), layer.table.numpy()
    np.testing.assert_allclose(given[0], (rows[2] + rows[5]) / 2, rtol=1e-6)
    np.testing.assert_allclose(given[1], (3 * rows[1] + rows[4]) / 4, rtol=1e-6)
    assert not given[2].any()
    np.testing.assert_allclose(given[3], rows[3], rtol=1e-6)


def test_the_rule_of_embedding_sizes() -> None:
    assert [embedding_size(n) for n in (1, 3, 10, 100, 467, 10**6)] == [2, 3, 6, 21, 50, 50]


def test_features_are_packed_by_dtype() -> None:
    columns = (
        OutputFeature("a b", "float32", 1),
        OutputFeature("hot", "float32", 3, "dense", (3,)),
        OutputFeature("wide", "float32", 300, "ids", (100, 200)),
        OutputFeature("whole", "int64", 2),
        OutputFeature("words", "int64", 4, "ids", (9, 9, 9, 9), 2, sequence=True),
    )
    packed = packed_inputs(columns)
    told = [(f.key, f.kind, f.dtype, f.width, f.sizes, f.start) for f in packed.features]
    assert told == [
        ("a_b", "numbers", "float32", 1, (), 0),
        ("hot", "one_hot", "float32", 3, (3,), 1),
        ("wide", "one_hot", "int64", 2, (100, 200), 0),
        ("whole", "numbers", "float32", 2, (), 4),
        ("words", "sequence", "int64", 4, (9,), 2),
    ]
    assert (packed.dense, packed.ids) == (6, 6)
    assert Feed.of("packed", columns).owners == ("a b", "hot", "hot", "hot", "whole", "whole")
    assert Feed.of("packed", columns[:2]).kind == "matrix"
    with pytest.raises(DataError, match="words: ids are names"):
        Feed.of("inputs", columns)


# training, export


def _sent(exported: ExportedModel, model: Model, rows: pa.Table) -> dict[str, Any]:
    fitted = load_fitted(model.path / "transform")
    columns = fitted.serving_columns(rows.to_batches()[0])
    serve = tf.saved_model.load(str(exported.path / "1")).signatures["serving_default"]
    given = {i.name: tf.constant(columns[i.column], tf.as_dtype(i.dtype)) for i in serving_inputs(fitted)}
    return {name: value.numpy() for name, value in serve(**given).items()}


@dataclasses.dataclass
class Served:
    model: Model
    exported: ExportedModel

    def answer(self, rows: pa.Table) -> Any:
        return _sent(self.exported, self.model, rows)["prediction"]


@pytest.fixture(scope="module")
def wide_deep(paths: Paths, prepared: Prepared) -> Served:
    model = paths.train(prepared, model="wide_deep", epochs=4)
    return Served(model, export.function(paths.ctx(), model, prepared.raw))


@pytest.mark.parametrize("name", ["mlp", "by_name"])
def test_ids_are_learned_exported_and_served(
    paths: Paths, prepared: Prepared, models: Path, name: str
) -> None:
    code = f"{models}:{name}" if name == "by_name" else name
    model = paths.train(prepared, model=code, epochs=4)
    about = model.read_json("model.json")
    assert about["feed"] == ("features" if name == "by_name" else "packed")
    assert about["history"][-1]["loss"] < about["history"][0]["loss"]
    told = evaluate.function(paths.ctx(), model, prepared.examples)
    exported = export.function(paths.ctx(), model, prepared.raw, told)
    rows = splits()["test"]
    error = _sent(exported, model, rows)["prediction"] - np.array(rows["price"])
    assert np.sqrt(np.mean(error**2)) == pytest.approx(told.summary["metrics"]["rmse"], rel=1e-4)


def test_wide_and_deep_repeats_and_its_rows_come_from_any_file(
    paths: Paths, prepared: Prepared, wide_deep: Served, tmp_path: Path
) -> None:
    model, exported = wide_deep.model, wide_deep.exported
    assert paths.train(prepared, model="wide_deep", epochs=4).digest == model.digest
    told = evaluate.function(paths.ctx(), model, prepared.examples)
    raw = evaluate.function(paths.ctx(), model, prepared.raw)
    with pytest.raises(InvalidRequestError, match="'tags' has several values a row"):
        evaluate.function(paths.ctx(), model, prepared.raw, slices=["tags"])
    assert raw.summary["metrics"]["rmse"] == pytest.approx(told.summary["metrics"]["rmse"], rel=1e-5)
    rows = splits()["test"]
    served = wide_deep.answer(rows)
    pq.write_table(rows.drop_columns(["price"]), tmp_path / "rows.parquet")
    assert predict(exported.path, tmp_path / "rows.parquet", tmp_path / "parquet.parquet") == 80
    lines = [{**row, "when": row["when"].isoformat()} for row in rows.to_pylist()]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert predict(exported.path, tmp_path / "rows.jsonl", tmp_path / "json.parquet") == 80
    for file in ("parquet.parquet", "json.parquet"):
        np.testing.assert_allclose(pq.read_table(tmp_path / file)["prediction"], served, rtol=1e-5)


def test_files_that_rows_cant_come_from(wide_deep: Served, tmp_path: Path) -> None:
    rows = splits()["test"]
    pyarrow.csv.write_csv(
        rows.drop_columns(["tags"]).append_column("tags", rows["text"]), tmp_path / "rows.csv"
    )
    (tmp_path / "none.parquet").write_bytes(b"size,count\n")
    pq.write_table(rows.drop_columns(["size"]), tmp_path / "less.parquet")
    (tmp_path / "half.jsonl").write_text('{"size": 1.0}\n{"size": ')
    line = {**rows.to_pylist()[0], "when": "31.1.2024"}
    (tmp_path / "when.jsonl").write_text(json.dumps(line) + "\n")
    for name, message in {
        "rows.csv": "several values a row, which a CSV",
        "none.parquet": "can't be read as Parquet",
        "less.parquet": "there is no column 'size'",
        "half.jsonl": "can't be read as JSON Lines",
        "when.jsonl": "column 'when': '31.1.2024' is not a time",
    }.items():
        with pytest.raises(DataError, match=message):
            predict(wide_deep.exported.path, tmp_path / name, tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()


def test_tf_examples_with_several_values_are_served(wide_deep: Served) -> None:
    rows = splits()["test"].slice(0, 6)
    records = []
    for row in rows.to_pylist():
        example = tf.train.Example()
        feature = example.features.feature
        feature["size"].float_list.value.append(row["size"])
        feature["count"].int64_list.value.append(row["count"])
        feature["when"].int64_list.value.append(int(row["when"].timestamp() * 1_000_000))
        for name in ("colour", "street", "text"):
            feature[name].bytes_list.value.append(row[name].encode())
        if row["tags"]:
            feature["tags"].bytes_list.value.extend(tag.encode() for tag in row["tags"])
        records.append(example.SerializeToString())
    signatures = tf.saved_model.load(str(wide_deep.exported.path / "1")).signatures
    given = signatures["serve_examples"](examples=tf.constant(records))["prediction"].numpy()
    np.testing.assert_allclose(given, wide_deep.answer(rows), rtol=1e-6)


def test_unseen_and_missing_values_are_answered(wide_deep: Served) -> None:
    rows = splits()["test"].slice(0, 4)
    for name, value in {"street": "nowhere", "colour": None, "text": "", "tags": ["z", "y"]}.items():
        column = pa.array([value] * 4, rows.schema.field(name).type)
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    assert np.isfinite(wide_deep.answer(rows)).all()
    empty = rows.set_column(rows.schema.get_field_index("size"), "size", pa.array([None] * 4, pa.float64()))
    assert np.isnan(wide_deep.answer(empty)).all()


def test_linear_looks_wide_one_hots_up_and_refuses_ids(paths: Paths, prepared: Prepared) -> None:
    with pytest.raises(DataError, match=r"street_hash, .*the linear model can't take them"):
        paths.train(prepared, model="linear")
    some = {name: FEATURES[name] for name in ("größe €", "colour", "street/no")}
    wide = paths.prepare(splits(), some, {"price": "z_score"})
    network = load_network(paths.train(wide, model="linear", epochs=1))
    assert [w.shape for w in network.weights] == [(5, 1), (1,), (97, 1)]


def test_a_network_that_takes_other_rows_is_refused(paths: Paths, prepared: Prepared, models: Path) -> None:
    with pytest.raises(InvalidRequestError, match="does not take a dict of gro_e"):
        paths.train(prepared, model=f"{models}:by_wrong_name")


# weights


def _losses(paths: Paths, path: Prepared, **more: Any) -> dict[str, float]:
    still = {"epochs": 1, "learning_rate": 1e-9, "batch_size": 320, "model": "linear", **more}
    return paths.train(path, **still).read_json("model.json")["history"][0]


def test_row_weights_multiply_the_loss_in_training_and_validation(paths: Paths) -> None:
    features = {"size": "z_score"}
    plain = paths.prepare(splits(), features, {"price": "identity"})
    weighted = paths.prepare(splits(), features, {"price": "identity"}, weight="weight")
    model = paths.train(plain, epochs=1, learning_rate=1e-9, model="linear")
    network = load_network(model)
    told = _losses(paths, weighted)
    for split, key in (("train", "loss"), ("validation", "val_loss")):
        rows = splits()[split]
        size, price = np.array(rows["size"]), np.array(rows["price"])
        train_size = np.array(splits()["train"]["size"])
        x = ((size - train_size.mean()) / train_size.std()).astype(np.float32)[:, None]
        error = (network(x).numpy()[:, 0] - price) ** 2
        assert told[key] == pytest.approx(np.mean(error * np.array(rows["weight"])), rel=1e-4)
        assert _losses(paths, plain)[key] == pytest.approx(np.mean(error), rel=1e-4)


def test_class_weights_are_multiplied_with_row_weights(paths: Paths) -> None:
    features = {"size": "z_score"}
    path = paths.prepare(splits(), features, "dear", weight="weight")
    model = paths.train(path, epochs=1, learning_rate=1e-9, model="linear", class_weights={"true": 3.0})
    assert model.read_json("model.json")["class_weights"] == {"dear": {"false": 1.0, "true": 3.0}}
    rows = splits()["train"]
    dear, weight = np.array(rows["dear"]), np.array(rows["weight"])
    size = np.array(rows["size"])
    x = ((size - size.mean()) / size.std()).astype(np.float32)[:, None]
    p = load_network(model)(x).numpy()[:, 0]
    each = -np.where(dear, np.log(p), np.log(1 - p)) * weight * np.where(dear, 3.0, 1.0)
    told = _losses(paths, path, class_weights={"true": 3.0})
    assert told["loss"] == pytest.approx(each.mean(), rel=1e-4)
    balanced = paths.train(path, epochs=1, class_weights="balanced").read_json("model.json")["class_weights"]
    counts = np.array([np.sum(~dear), np.sum(dear)])
    assert list(balanced["dear"].values()) == pytest.approx(320 / (2 * counts))


def test_class_weights_that_cant_be(paths: Paths, prepared: Prepared) -> None:
    path = paths.prepare(splits(), {"size": "z_score"}, "dear")
    with pytest.raises(InvalidRequestError, match="has no class 'treu'") as refused:
        paths.train(path, class_weights={"treu": 2.0})
    assert refused.value.problems[0].closest == "true"
    with pytest.raises(InvalidRequestError, match="the task of the label 'price' is regression"):
        paths.train(prepared, class_weights="balanced")
    with pytest.raises(InvalidRequestError, match="'balanced' or by class"):
        paths.train(path, class_weights="even")
    with pytest.raises(InvalidRequestError, match="is 0, and has to be a number above 0"):
        paths.train(path, class_weights={"true": 0})


def test_row_weights_of_nothing_are_refused(paths: Paths) -> None:
    whole = splits()
    zero = whole["train"].set_column(7, "weight", pa.array([0.0] * 320))
    path = paths.prepare({**whole, "train": zero}, {"size": "z_score"}, {"price": "z_score"}, weight="weight")
    with pytest.raises(DataError, match="every row weight in the split 'train' is 0"):
        paths.train(path)


# several classes a row


def test_a_multi_label_task(paths: Paths, tmp_path: Path) -> None:
    features = {"size": "z_score", "colour": "one_hot"}
    path = paths.prepare(splits(), features, {"kinds": [{"split": "|"}, "multi_hot"]})
    model = paths.train(path, epochs=60, learning_rate=0.02)
    about = model.read_json("model.json")
    assert about["task"] == {"name": "multilabel", "label": "kinds", "classes": about["task"]["classes"]}
    assert sorted(about["task"]["classes"]) == ["big", "red"]
    assert about["train_label"]["rows"] == 320
    exported = export.function(paths.ctx(), model, path.raw)
    rows = splits()["test"]
    told = _sent(exported, model, rows)
    assert set(told) == {"prediction", "probabilities", "classes"}
    names = [set(text.decode().split("|")) - {""} for text in told["prediction"]]
    truth = [set(text.split("|")) - {""} for text in rows["kinds"].to_pylist()]
    assert np.mean([a == b for a, b in zip(names, truth, strict=True)]) > 0.9
    for row, chosen in zip(told["probabilities"], names, strict=True):
        assert {c for c, p in zip(about["task"]["classes"], row, strict=True) if p >= 0.5} == chosen
    pq.write_table(rows, tmp_path / "rows.parquet")
    predict(exported.path, tmp_path / "rows.parquet", tmp_path / "out.parquet")
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["prediction", *(f"probability:{c}" for c in about["task"]["classes"])]
    assert [set(text.split("|")) - {""} for text in out["prediction"].to_pylist()] == names


def test_layers_are_read_back_without_the_registry(wide_deep: Served) -> None:
    keras.saving.get_custom_objects().clear()
    assert load_network(wide_deep.model).name == "wide_deep"
