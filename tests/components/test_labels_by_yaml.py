"""Several label columns of a table: from the pipeline's document to the columns of `headrace predict`."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from headrace.components import cross_validate, csv_examples, dataset, evaluate, export, train, transform
from headrace.components.exporting.rows import read_rows
from headrace.components.predict import CsvOptions, predict
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.transform import check_transform
from headrace.pipelines.artifact import Evaluation, ExportedModel, Model
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, GateError, InvalidRequestError

from .model_path import Paths, Prepared

LABEL: list[Any] = [
    {"price €": "z_score"},
    "sold",
    {"kind": "vocabulary"},
    {"tags": [{"split": "|"}, "multi_hot"]},
]
FEATURES = {"size": "z_score", "city": "one_hot", "month": {"from": "built", "apply": {"cyclic": "month"}}}
COLUMNS = ("price €", "sold", "kind", "tags")
TRAINING: dict[str, Any] = {
    "epochs": 8,
    "learning_rate": 0.02,
    "loss": {"price €": "huber"},
    "loss_weights": {"sold": 2.0},
    "metrics": {"sold": ["auc"]},
    "class_weights": {"sold": "balanced", "kind": {"hut": 2.0}},
}


def write_homes(path: Path, rows: int = 400) -> list[dict[str, Any]]:
    """A table whose four labels follow from size and city; days are written as in `31/12/2020`."""
    draw = np.random.default_rng(0)
    size, city = draw.normal(100, 30, rows), draw.choice(["Rome", "Oslo", "Lima"], rows)
    told = []
    for s, c in zip(size.round(6), city, strict=True):
        tags = [name for name, has in (("big", s > 110), ("north", c == "Oslo")) if has]
        told.append(
            {
                "size": s,
                "city": c,
                "built": f"{draw.integers(1, 29):02d}/{draw.integers(1, 13):02d}/2020",
                "price €": round(s * 1000 + 20_000 * (c == "Oslo"), 1),
                "sold": "yes" if s > 100 else "no",
                "kind": "flat" if c == "Rome" else "house" if s > 100 else "hut",
                "tags": "|".join(tags),
            }
        )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(told[0]))
        writer.writeheader()
        writer.writerows(told)
    return told


@dataclass
class Made:
    path: Prepared
    model: Model
    evaluation: Evaluation
    exported: ExportedModel


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("labels"))


@pytest.fixture(scope="module")
def prepared(paths: Paths, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    file = tmp_path_factory.mktemp("homes") / "homes.csv"
    write_homes(file)
    splits = {"train": 8, "validation": 1, "test": 1}
    types = {"built": "timestamp:%d/%m/%Y"}
    raw = csv_examples.function(paths.ctx(), path=str(file), splits=splits, types=types)
    return Prepared(raw, *transform.function(paths.ctx(), raw, label=LABEL, features=FEATURES))


@pytest.fixture(scope="module")
def made(paths: Paths, prepared: Prepared) -> Made:
    model = paths.train(prepared, **TRAINING)
    evaluation = evaluate.function(
        paths.ctx(),
        model,
        prepared.raw,
        slices=["city"],
        thresholds={"per_class": {"*": {"kind/recall": 0.2}}},
    )
    return Made(prepared, model, evaluation, export.function(paths.ctx(), model, prepared.raw, evaluation))


@pytest.mark.parametrize("layout", ["packed", "columns"])
def test_every_label_is_in_the_shards(paths: Paths, prepared: Prepared, layout: Any) -> None:
    made = transform.function(paths.ctx(), prepared.raw, label=LABEL, features=FEATURES, layout=layout)
    fitted = load_fitted(made.transform.path)
    kinds = {label.column: (label.kind, set(label.classes)) for label in fitted.labels}
    assert kinds == {
        "price €": ("value", set()),
        "sold": ("class", {"no", "yes"}),
        "kind": ("class", {"flat", "house", "hut"}),
        "tags": ("multi", {"big", "north"}),
    }
    (batch,) = pq.read_table(prepared.raw.parts("train")[0]).to_batches()
    truth, size = fitted.labels_numpy(batch), fitted.apply_numpy(batch)["size"][:, 0]
    order = np.argsort(size, kind="stable")
    batches = list(dataset(made.examples, "train", batch_size=64, shuffle=True).as_numpy_iterator())
    there = np.argsort(np.concatenate([features["size"][:, 0] for features, _ in batches]), kind="stable")
    for column in COLUMNS:
        found = np.concatenate([labels[column] for _, labels in batches])
        assert found.dtype == truth[column].dtype
        np.testing.assert_array_equal(found[there], truth[column][order])


def test_a_transform_of_one_label_that_an_older_version_wrote_is_read(
    prepared: Prepared, tmp_path: Path
) -> None:
    plan = json.loads(prepared.transform.file("transform.json").read_text("utf-8"))
    plan["format"], plan["label"] = 1, plan.pop("labels")[0]
    (tmp_path / "transform.json").write_text(json.dumps(plan), "utf-8")
    (tmp_path / "constants.npz").write_bytes(prepared.transform.file("constants.npz").read_bytes())
    assert load_fitted(tmp_path).labels == load_fitted(prepared.transform.path).labels[:1]


def test_what_is_told_of_each_label(made: Made) -> None:
    told = made.model.read_json("model.json")
    weights = told["class_weights"]
    assert set(weights) == {"sold", "kind"} and weights["kind"] == {"flat": 1, "house": 1, "hut": 2}
    counts = told["train_labels"]["sold"]["counts"]
    assert weights["sold"]["yes"] == pytest.approx(sum(counts.values()) / (2 * counts["yes"]))
    assert {"sold_auc", "kind_accuracy", "val_price_loss", "tags_binary_accuracy"} < set(told["history"][-1])
    assert made.model.properties["tasks"] == {
        "price €": "regression", "sold": "binary", "kind": "multiclass", "tags": "multilabel",
    }  # fmt: skip
    evaluation = made.evaluation.read_json("evaluation.json")
    assert set(evaluation["confusion"]) == {"sold", "kind"}
    assert len(evaluation["reasons"]) == 3, "the classes of the other labels have no kind/recall"


def test_predictions_of_the_file_that_was_ingested_are_what_was_measured(made: Made, tmp_path: Path) -> None:
    rows = pq.read_table(made.path.raw.parts("test")[0])
    days = [day.strftime("%d/%m/%Y") for day in rows["built"].to_pylist()]
    written = rows.set_column(rows.schema.get_field_index("built"), "built", pa.array(days))
    pa.csv.write_csv(written, tmp_path / "rows.csv")
    assert predict(made.exported.path, tmp_path / "rows.csv", tmp_path / "out.parquet") == rows.num_rows
    told, metrics = pq.read_table(tmp_path / "out.parquet"), made.evaluation.summary["metrics"]
    error = np.asarray(told["prediction_price €"]) - np.asarray(rows["price €"])
    assert np.sqrt(np.mean(error**2)) == pytest.approx(metrics["price €/rmse"], rel=1e-3)
    for label in ("sold", "kind"):
        right = np.asarray(told[f"prediction_{label}"]) == np.asarray(rows[label])
        assert right.mean() == pytest.approx(metrics[f"{label}/accuracy"]) and right.mean() > 0.8
        classes = [name for name in told.column_names if name.startswith(f"probability_{label}:")]
        shares = np.stack([np.asarray(told[name]) for name in classes])
        np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-5)
    named = [set(filter(None, text.split("|"))) for text in told["prediction_tags"].to_pylist()]
    truth = [set(filter(None, text.split("|"))) for text in rows["tags"].fill_null("").to_pylist()]
    exact = np.mean([a == b for a, b in zip(named, truth, strict=True)])
    assert exact == pytest.approx(metrics["tags/subset_accuracy"])


def _read(made: Made, path: Path, scratch: Path, **options: Any) -> pa.Table:
    """The rows of a file as `predict` reads them."""
    about = made.exported.read_json("export.json")
    types = {one["column"]: one["type"] for one in about["inputs"]}
    written = CsvOptions(**about["csv"], missing_values=tuple(about["missing_values"]), times=about["times"])
    batches = read_rows(types, path, scratch, CsvOptions(**options).over(written))
    return pa.Table.from_batches(list(batches)).combine_chunks()


def _test_rows(made: Made) -> tuple[pa.Table, pa.Table]:
    """The test split as it is at rest, and with its days as they were written."""
    rows = pq.read_table(made.path.raw.parts("test")[0]).select(["size", "city", "built"])
    days = pa.array([day.strftime("%d/%m/%Y") for day in rows["built"].to_pylist()])
    return rows, rows.set_column(2, "built", days)


def test_times_are_read_as_they_were_ingested_or_as_told(made: Made, tmp_path: Path) -> None:
    assert made.exported.read_json("export.json")["times"] == {"built": "%d/%m/%Y"}
    rows, texts = _test_rows(made)
    seconds = rows.set_column(
        2, "built", pa.array([int(day.timestamp()) for day in rows["built"].to_pylist()])
    )
    none = rows.set_column(2, "built", pa.array(["no day"] * rows.num_rows))
    finer = rows.set_column(2, "built", rows["built"].cast(pa.timestamp("ns")))
    for name, table in {
        "rows": rows,
        "texts": texts,
        "seconds": seconds,
        "none": none,
        "finer": finer,
    }.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    for name in ("rows", "texts", "finer"):
        assert _read(made, tmp_path / f"{name}.parquet", tmp_path).equals(rows)
    assert _read(made, tmp_path / "seconds.parquet", tmp_path, times={"built": "s"}).equals(rows)
    with pytest.raises(DataError, match="is int here, and the unit of its times has to be stated"):
        _read(made, tmp_path / "seconds.parquet", tmp_path)
    with pytest.raises(DataError, match=r"column 'built', row 1: 'no day' is no point in time"):
        _read(made, tmp_path / "none.parquet", tmp_path)
    pa.csv.write_csv(texts, tmp_path / "texts.csv")
    assert _read(made, tmp_path / "texts.csv", tmp_path).equals(rows)
    pa.csv.write_csv(rows, tmp_path / "iso.csv")
    assert _read(made, tmp_path / "iso.csv", tmp_path, times={"built": ""}).equals(rows)
    with pytest.raises(DataError, match=r"(?s)iso.csv:2: column 'built'.*is not a date.*%d/%m/%Y, as in"):
        _read(made, tmp_path / "iso.csv", tmp_path)
    with pytest.raises(InvalidRequestError, match="did you mean 'built'"):
        predict(made.exported.path, tmp_path / "iso.csv", options=CsvOptions(times={"bilt": "s"}))


def test_a_file_without_a_header_is_read_as_it_was_ingested(paths: Paths, made: Made, tmp_path: Path) -> None:
    rows, texts = _test_rows(made)
    bare = pa.csv.WriteOptions(include_header=False)
    pa.csv.write_csv(texts, tmp_path / "bare.csv", bare)
    pa.csv.write_csv(texts, tmp_path / "named.csv")
    pa.csv.write_csv(texts.select(["city", "built", "size"]), tmp_path / "other.csv", bare)
    raw = csv_examples.function(
        paths.ctx(), path=str(tmp_path / "bare.csv"), splits={"train": 1}, columns=["size", "city", "built"]
    )
    written = {name: raw.properties[name] for name in ("names", "header")}
    assert written == {"names": ["size", "city", "built"], "header": False}
    assert _read(made, tmp_path / "bare.csv", tmp_path, **written).equals(rows)
    assert _read(made, tmp_path / "named.csv", tmp_path, **written).equals(rows)
    assert _read(made, tmp_path / "other.csv", tmp_path, names=("city", "built", "size")).equals(rows)
    with pytest.raises(DataError, match="first row has 3 fields, and the columns are 2: size, city"):
        _read(made, tmp_path / "bare.csv", tmp_path, names=("size", "city"))


def test_refusals_name_the_label(paths: Paths, made: Made) -> None:
    thresholds = {
        "sold/accuracy": 2,
        "price €/rmse": {"better_than_naive": 1e9},
        "slices": {"city": {"*": {"kind/f1": 2}}},
    }
    refused = evaluate.function(
        paths.ctx(), made.model, made.path.raw, slices=["city"], thresholds=thresholds
    )
    reasons = refused.properties["reasons"]
    assert [reason.partition(" < ")[0].rpartition(" ")[0] for reason in reasons if " < " in reason] == [
        "sold/accuracy", "kind/f1 of city=Lima", "kind/f1 of city=Oslo", "kind/f1 of city=Rome",
    ]  # fmt: skip
    assert reasons[1].startswith("price €/rmse ")
    with pytest.raises(GateError, match="sold/accuracy"):
        export.function(paths.ctx(), made.model, made.path.raw, refused)
    for wrong, said in {
        "accuracy": "write its label before it: sold/accuracy or kind/accuracy",
        "price €/accuracy": "'accuracy' is no metric of 'price €'",
        "solt/accuracy": "did you mean 'sold'",
    }.items():
        with pytest.raises(InvalidRequestError, match=said):
            evaluate.function(paths.ctx(), made.model, made.path.examples, thresholds={wrong: 0.5})
    with pytest.raises(InvalidRequestError, match="'kind' has no class 'yes'"):
        told = {"per_class": {"yes": {"kind/recall": 0.5}}}
        evaluate.function(paths.ctx(), made.model, made.path.examples, thresholds=told)


def test_folds_are_measured_for_each_label(paths: Paths, prepared: Prepared) -> None:
    told = cross_validate.function(
        paths.ctx(), prepared.examples, prepared.transform, model="linear", folds=2, epochs=2,
        class_weights="balanced", thresholds={"sold/accuracy": 0.1},
    ).read_json("evaluation.json")  # fmt: skip
    assert {name.partition("/")[0] for name in told["metrics"]} == set(COLUMNS)
    each = [fold["metrics"]["kind/accuracy"] for fold in told["folds"]]
    assert told["deviations"]["kind/accuracy"] == pytest.approx(np.std(each, ddof=1))
    assert told["stratified_by"] is None and told["blessed"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"class_weights": {"kind": {"huts": 2}}},
            "the label 'kind' has no class 'huts'; did you mean 'hut'",
        ),
        ({"class_weights": {"sold": {"yes": 0}}}, "the weight of the class 'yes' is 0"),
        ({"class_weights": {"yes": 2}}, "'yes' is no label"),
        ({"loss": {"price": "mae"}}, "'price' is no label; did you mean 'price €'"),
        ({"metrics": {"kin": ["auc"]}}, "'kin' is no label; did you mean 'kind'"),
        ({"task": "binary"}, "there are 4 labels, and one task 'binary'"),
    ],
    ids=str,
)
def test_what_cant_be_said_of_labels(paths: Paths, prepared: Prepared, wrong: Any, said: str) -> None:
    for shard in prepared.examples.parts("train"):
        assert shard.is_file()
    with pytest.raises(InvalidRequestError) as caught:
        paths.train(prepared, **wrong)
    assert said in str(caught.value)


def test_labels_are_checked_before_anything_runs() -> None:
    table = Known(columns=("size", "city", "built", *COLUMNS), facts={"types": {"sold": "bool"}})
    given = {"label": LABEL, "features": FEATURES}
    problems, known = check_transform(given, {"examples": table})
    assert not problems
    labels = {"price €": "value", "sold": "class", "kind": "class", "tags": "multi"}
    assert known["transform"].facts == {
        "labels": labels,
        "images": {},
        "inputs": ("size", "city", "built"),
    }
    assert train.checker is not None and evaluate.checker is not None and cross_validate.checker is not None
    problems, told = train.checker(TRAINING, known)
    assert not problems
    wrong = {
        "loss": {"price": "mae"},
        "loss_weights": {"sell": 1},
        "metrics": {"kin": ["auc"]},
        "class_weights": {"solt": {"yes": 2}, "tags": "balanced", "price €": {"a": 1}},
        "task": "binary",
    }
    problems, _ = train.checker(wrong, known)
    assert [(one.argument, one.closest) for one in problems] == [
        ("loss", "price €"), ("loss_weights", "sold"), ("metrics", "kind"), ("class_weights", "sold"),
        ("task", ""), ("class_weights", ""), ("class_weights", ""),
    ]  # fmt: skip
    thresholds = {
        "thresholds": {"sold/rmse": 1, "tags/lrap": 0.5, "kind/top_3_accuracy": 0.5, "sold/f1": 0.5}
    }
    for checker, step in ((evaluate.checker, {"model": told["output"]}), (cross_validate.checker, known)):
        (problem,), _ = checker(thresholds, step)
        assert problem.what == "'sold/rmse': 'rmse' is no metric of 'sold'"
    problems, known = check_transform({**given, "label": [*LABEL, "solt"]}, {"examples": table})
    assert [problem.closest for problem in problems] == ["sold"] and not known["transform"].facts


HOMES = """
pipeline: homes
steps:
  examples: {uses: csv_examples, with: {path: homes.csv, splits: {train: 8, test: 2}}}
  transform:
    uses: transform
    with: {examples: "${steps.examples}", features: {size: z_score}, label: LABEL}
"""


def _headrace(folder: Path, command: str, label: str, code: int) -> str:
    (folder / "homes.yaml").write_text(HOMES.replace("LABEL", label), "utf-8")
    main = "import sys; from headrace.pipelines.cli import main; sys.exit(main())"
    ran = [sys.executable, "-c", main, command, "homes.yaml"]
    done = subprocess.run(ran, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_by_the_command_line(tmp_path: Path) -> None:
    rows = write_homes(tmp_path / "homes.csv", 60)
    with (tmp_path / "homes.csv").open("a", encoding="utf-8") as file:
        file.write("90,Oslo,01/01/2020,,yes,flat,big\n91,Rome,01/01/2020,9000,,flat,big\n")
    assert len(rows) == 60
    said = _headrace(tmp_path, "run", "{price €: z_score, sold: vocabulary, kind: vocabulary}", 1)
    assert "label.price €: the label is missing in 1 of" in said
    assert "label.sold: the label is missing in 1 of" in said
    for label, said in {
        "[sold, kind, sold]": "transform.label: the label 'sold' is listed twice",
        "{size: z_score, sold: vocabulary}": "the feature 'size' is made from the label 'size'",
        "{price €: z_score, solt: vocabulary}": "there is no column 'solt'; did you mean 'sold'?",
        "{sold: , kind: vocabulary}": "label.sold: there is no transform",
    }.items():
        assert said in _headrace(tmp_path, "validate", label, 2)
