"""`predict_examples`: batch prediction in Beam, beside what `predict` says of the same rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from headrace.components import export, predict_examples
from headrace.components.predict import predict
from headrace.pipelines.artifact import ExportedModel, Files, Predictions
from headrace.pipelines.component import Known
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.errors import DataError, InvalidRequestError

from .model_path import ODD_FEATURES, Paths, Prepared, odd_splits
from .test_predict_images import half, save

FEATURES = {name: value for name, value in ODD_FEATURES.items() if name != "flag"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("batch"))


@pytest.fixture(scope="module")
def path(paths: Paths) -> Prepared:
    return paths.prepare(odd_splits(), FEATURES, "Klasse")


@pytest.fixture(scope="module")
def exported(paths: Paths, path: Prepared) -> ExportedModel:
    return export.function(paths.ctx(), paths.train(path, epochs=3), path.raw)


def batch(folder: Path, *args: Any, workers: int = 2, **more: Any) -> Predictions:
    folder.mkdir()
    options = {"direct_num_workers": str(workers)}
    ctx = Context("step", folder, RunnerSettings("direct", options), lambda event: None)
    return predict_examples.function(ctx, *args, **more)


def table_of(made: Predictions, split: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(part) for part in made.parts(split))


def by_predict(exported: ExportedModel, rows: Path, folder: Path, **more: Any) -> pa.Table:
    predict(exported.path, rows, folder / "told.parquet", **more)
    return pq.read_table(folder / "told.parquet")


def test_examples_have_the_answers_of_predict_in_their_order(paths, path, exported, tmp_path):
    made = batch(tmp_path / "a", exported, path.raw, keep=["größe", "Klasse"])
    assert {split: made.rows(split) for split in made.splits} == {"train": 160, "validation": 40, "test": 40}
    for split in made.splits:
        rows = pa.concat_tables(pq.read_table(part) for part in path.raw.parts(split))
        pq.write_table(rows, tmp_path / "rows.parquet")
        told, found = by_predict(exported, tmp_path / "rows.parquet", tmp_path), table_of(made, split)
        assert found.select(told.column_names).equals(told)
        assert found["größe"].equals(rows["größe"]) and found["Klasse"].equals(rows["Klasse"])
        assert set(found["model"].to_pylist()) == {exported.digest}
        assert set(found["split"].to_pylist()) == {split}
        numbers = [(n, r) for n, p in enumerate(path.raw.splits[split]["parts"]) for r in range(p["rows"])]
        assert list(zip(found["part"].to_pylist(), found["row"].to_pylist(), strict=True)) == numbers
    assert made.properties["model"] == exported.digest
    assert "error" not in made.properties["columns"]


def test_a_split_that_is_named_twice_is_predicted_once(path, exported, tmp_path):
    made = batch(tmp_path / "a", exported, path.raw, split=["test", "test"])
    assert {split: made.rows(split) for split in made.splits} == {"test": 40}


def test_one_worker_and_two_give_equal_bytes(path, exported, tmp_path):
    one = batch(tmp_path / "a", exported, path.raw, workers=1)
    two = batch(tmp_path / "b", exported, path.raw, workers=2)
    assert one.digest == two.digest


def test_csv_and_tfrecord_hold_the_same(path, exported, tmp_path):
    made = {
        form: batch(
            tmp_path / form, exported, path.raw, split="test", format=form, keep=["A", "a", "größe"], top=2
        )
        for form in ("parquet", "csv", "tfrecord")
    }
    table = table_of(made["parquet"], "test")
    assert "prediction_2" in table.column_names and "probability:hoch" not in table.column_names
    (part,) = made["csv"].parts("test")
    with part.open(newline="", encoding="utf-8") as stream:
        written = list(csv.DictReader(stream))
    assert [row["prediction"] for row in written] == table["prediction"].to_pylist()
    assert [float(row["größe"]) for row in written] == table["größe"].to_pylist()
    assert [row["a"] or None for row in written] == table["a"].to_pylist()
    (part,) = made["tfrecord"].parts("test")
    for record, row in zip(tf.data.TFRecordDataset(str(part)), table.to_pylist(), strict=True):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        assert set(feature) == set(table.column_names)
        assert feature["prediction"].bytes_list.value[0].decode() == row["prediction"]
        assert feature["model"].bytes_list.value[0].decode() == exported.digest
        assert feature["row"].int64_list.value[0] == row["row"]
        assert feature["A"].int64_list.value[0] == row["A"]
        assert feature["probability"].float_list.value[0] == row["probability"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_files_have_the_answers_of_predict_with_their_lines(exported, tmp_path, ending):
    tables = [odd_splits()[name] for name in ("test", "validation")]
    files = []
    for name, table in zip(("b", "a"), tables, strict=True):
        file = tmp_path / f"{name}.{ending}"
        files.append(str(file))
        if ending == "csv":
            pyarrow.csv.write_csv(table, file)
        elif ending == "parquet":
            pq.write_table(table, file, row_group_size=15)
        else:
            file.write_text("\n".join(json.dumps(row) for row in table.to_pylist()) + "\n")
    made = batch(tmp_path / "out", exported, files, keep=["größe", "Klasse"])
    found, start = table_of(made, "all"), 0
    for file, table in zip(files, tables, strict=True):
        told = by_predict(exported, Path(file), tmp_path)
        own = found.slice(start, table.num_rows)
        start += table.num_rows
        for name in told.column_names:
            if pa.types.is_floating(told[name].type):
                assert own[name].to_pylist() == pytest.approx(told[name].to_pylist(), rel=1e-5)
            else:
                assert own[name].to_pylist() == told[name].to_pylist()
        first = 2 if ending == "csv" else 1
        assert own["line"].to_pylist() == list(range(first, first + table.num_rows))
        assert set(own["file"].to_pylist()) == {Path(file).name}
        assert own["Klasse"].to_pylist() == table["Klasse"].to_pylist()
    assert start == found.num_rows


def holed(tmp_path: Path) -> Path:
    table = odd_splits()["test"]
    place = table.column_names.index("größe")
    values = table["größe"].to_pylist()
    values[7] = values[30] = None
    table = table.set_column(place, "größe", pa.array(values, pa.float64()))
    pq.write_table(table, tmp_path / "holed.parquet")
    return tmp_path / "holed.parquet"


def test_a_row_without_an_answer_is_an_error_or_has_the_reason(exported, tmp_path):
    file = holed(tmp_path)
    with pytest.raises(
        DataError, match=r"no answer to 2 of 40 rows; the first is holed.parquet:8: größe missing"
    ):
        batch(tmp_path / "a", exported, str(file))
    with pytest.raises(DataError, match=r"2 of 40 rows, more than 1 \(max_rejects\)"):
        batch(tmp_path / "b", exported, str(file), max_rejects=1)
    made = batch(tmp_path / "c", exported, str(file), max_rejects=2)
    found = table_of(made, "all")
    assert made.summary["without_answer"] == 2
    assert [n for n, reason in enumerate(found["error"].to_pylist()) if reason] == [7, 30]
    assert found["error"][7].as_py() == "größe missing"
    assert found["prediction"][7].as_py() is None and found["probability"][30].as_py() is None
    assert found["prediction"].null_count == 2


def test_a_bad_cell_is_told_with_its_place(exported, tmp_path):
    file = tmp_path / "bad.csv"
    pyarrow.csv.write_csv(odd_splits()["test"], file)
    lines = file.read_text().splitlines()
    cells = lines[5].split(",")
    cells[1] = "wide"
    file.write_text("\n".join([*lines[:5], ",".join(cells), *lines[6:]]) + "\n")
    with pytest.raises(DataError, match=r"bad\.csv:6: .*'wide' is not a number"):
        batch(tmp_path / "a", exported, str(file))


def test_what_does_not_fit_is_told_before_the_model_is_loaded(paths, path, exported, tmp_path):
    with pytest.raises(InvalidRequestError, match=r"no split 'tset'.*did you mean 'test'"):
        batch(tmp_path / "a", exported, path.raw, split="tset")
    with pytest.raises(InvalidRequestError, match="no column 'grösse'"):
        batch(tmp_path / "b", exported, path.raw, keep=["grösse"])
    with pytest.raises(InvalidRequestError, match="transformed already"):
        batch(tmp_path / "c", exported, path.examples)
    other = paths.prepare(
        {"train": odd_splits()["train"].drop_columns(["größe"])}, {"A": "z_score"}, "Klasse"
    )
    with pytest.raises(InvalidRequestError, match="no column 'größe', which the model needs"):
        batch(tmp_path / "d", exported, other.raw)
    pyarrow.csv.write_csv(odd_splits()["test"].drop_columns(["2nd"]), tmp_path / "less.csv")
    with pytest.raises(DataError, match="no column '2nd', which the model needs"):
        batch(tmp_path / "e", exported, str(tmp_path / "less.csv"))
    renamed = odd_splits()["test"].append_column("model", [["x"] * 40])
    pyarrow.csv.write_csv(renamed, tmp_path / "model.csv")
    with pytest.raises(InvalidRequestError, match="'model' is a column of the predictions already"):
        batch(tmp_path / "f", exported, str(tmp_path / "model.csv"), keep=["model"])


@pytest.mark.slow
def test_images_of_examples_are_answered_and_broken_ones_told(paths, tmp_path):
    labels = ["above" if i % 2 else "below" for i in range(120)]
    images = [save(half(label, i), "PNG") for i, label in enumerate(labels)]
    table = pa.table({"image": pa.array(images, pa.binary()), "label": labels})
    features = {"image": ["decode", {"resize": [8, 8]}, {"scale": "zero_one"}]}
    small = {"model": "cnn", "model_args": {"width": 0.25, "dropout": 0.0}}
    splits = {"train": table.slice(0, 90), "test": table.slice(90)}
    prepared = paths.prepare(splits, features, "label")
    model = export.function(
        paths.ctx(), paths.train(prepared, epochs=4, batch_size=10, learning_rate=0.01, **small), prepared.raw
    )
    made = batch(tmp_path / "a", model, prepared.raw, split="test", keep=["label"])
    found = table_of(made, "test")
    assert (found["prediction"].to_numpy() == found["label"].to_numpy()).mean() > 0.9
    with pytest.raises(InvalidRequestError, match="image_examples"):
        batch(tmp_path / "b", model, str(made.parts("test")[0]))


def test_the_check_knows_the_models_columns(tmp_path):
    ask = {"examples": None, "split": None, "format": "csv", "keep": None, "top": 0, "max_rejects": 0}
    known = {
        "exported": Known(facts={"inputs": ("age", "size")}),
        "examples": Known(("ages", "size"), ("train",)),
    }
    problems, _ = predict_examples.checker(ask, known)
    assert [p.what for p in problems] == ["there is no column 'age', which the model needs"]
    assert problems[0].closest == "ages"
    problems, _ = predict_examples.checker({**ask, "split": "tran", "keep": ["siz"]}, known)
    assert [p.closest for p in problems] == ["train", "ages", "size"]
    (tmp_path / "rows.csv").write_text("ages,size\n1,2\n")
    problems, _ = predict_examples.checker({**ask, "examples": str(tmp_path / "rows.csv")}, known)
    assert [p.closest for p in problems] == ["ages"]
    problems, _ = predict_examples.checker({**ask, "examples": str(tmp_path / "no.csv")}, known)
    assert problems and problems[0].argument == "examples"


def test_files_of_an_artifact(exported, tmp_path):
    (tmp_path / "staging").mkdir()
    draft = Context("step", tmp_path / "staging").output(Files)
    (draft.path / "deep").mkdir()
    pyarrow.csv.write_csv(odd_splits()["test"], draft.path / "deep" / "rows.csv")
    made = batch(tmp_path / "a", exported, draft.finish())
    assert made.rows("all") == 40
