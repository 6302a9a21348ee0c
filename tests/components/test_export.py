"""evaluate, export and predict on one model with odd column names, and the parity gate."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from headrace.components import evaluate, export
from headrace.components.exporting.parity import ParityGate
from headrace.components.exporting.saved_model import graph_digest, serving_inputs
from headrace.components.predict import CsvOptions, predict
from headrace.components.preprocessing.fitted import FittedTransform
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.training.networks import feed_of, forward, load_network
from headrace.components.training.tasks import tasks_from_json
from headrace.pipelines.artifact import Evaluation, ExportedModel, Model
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, GateError, InvalidRequestError

from .model_path import ODD_FEATURES, Paths, Prepared, odd_splits

CLEAN = """
import json, sys
sys.modules["headrace"] = None
sys.modules["keras"] = None
import tensorflow as tf
folder, rows = sys.argv[1], json.load(open(sys.argv[2]))
loaded = tf.saved_model.load(folder)
serve = loaded.signatures["serving_default"]
spec = serve.structured_input_signature[1]
told = serve(**{name: tf.constant(rows[name], spec[name].dtype) for name in spec})
columns = json.load(open(loaded.columns.asset_path.numpy()))
print(json.dumps([told["prediction"].numpy().astype(str).tolist(), told["probabilities"].numpy().tolist(),
                  [c["column"] for c in columns]]))
"""


@dataclasses.dataclass
class Made:
    path: Prepared
    model: Model
    evaluation: Evaluation
    exported: ExportedModel

    @property
    def test_rows(self) -> pa.Table:
        return pq.read_table(self.path.raw.parts("test")[0])


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def made(paths: Paths) -> Made:
    path = paths.prepare(odd_splits(), ODD_FEATURES, "Klasse")
    model = paths.train(path, epochs=6)
    evaluation = evaluate.function(paths.ctx(), model, path.examples)
    return Made(path, model, evaluation, export.function(paths.ctx(), model, path.raw, evaluation))


@pytest.fixture(scope="module")
def regression(paths: Paths) -> Made:
    features = {name: ODD_FEATURES[name] for name in ("income ü", "größe", "a")}
    path = paths.prepare(odd_splits(), features, {"Preis €": "z_score"})
    model = paths.train(path, epochs=6)
    evaluation = evaluate.function(paths.ctx(), model, path.raw)
    return Made(path, model, evaluation, export.function(paths.ctx(), model, path.raw))


def _predicted(exported: ExportedModel, table: pa.Table, folder: Path, **options: Any) -> pa.Table:
    pyarrow.csv.write_csv(table, folder / "rows.csv")
    assert predict(exported.path, folder / "rows.csv", folder / "out.parquet", **options) == table.num_rows
    return pq.read_table(folder / "out.parquet")


# evaluate


def test_transformed_and_raw_examples_give_equal_metrics(paths: Paths, made: Made) -> None:
    raw = evaluate.function(paths.ctx(), made.model, made.path.raw)
    assert raw.summary["metrics"] == pytest.approx(made.evaluation.summary["metrics"], abs=1e-5)
    assert made.evaluation.summary["split"] == "test"
    assert made.evaluation.summary["reasons"] == ["no thresholds were given"]
    assert np.sum(raw.read_json("evaluation.json")["confusion"]) == 40


def test_slices_have_the_metrics_of_their_rows(paths: Paths, made: Made, tmp_path: Path) -> None:
    told = evaluate.function(paths.ctx(), made.model, made.path.raw, slices=["a", "flag"])
    slices = told.read_json("evaluation.json")["slices"]
    assert set(slices["a"]) <= {"x", "y", "zé", "(missing)"}
    assert sum(part["rows"] for part in slices["flag"].values()) == 40
    rows = made.test_rows
    right = np.array(_predicted(made.exported, rows, tmp_path)["prediction"]) == np.array(rows["Klasse"])
    chosen = np.array(rows["flag"])
    assert slices["flag"]["true"]["accuracy"] == pytest.approx(right[chosen].mean())
    assert slices["flag"]["false"]["accuracy"] == pytest.approx(right[~chosen].mean())


def test_slices_that_cant_be(paths: Paths, made: Made, regression: Made) -> None:
    with pytest.raises(InvalidRequestError, match=r"\$\{steps.examples\}"):
        evaluate.function(paths.ctx(), made.model, made.path.examples, slices=["a"])
    with pytest.raises(InvalidRequestError, match="no column 'flg'"):
        evaluate.function(paths.ctx(), made.model, made.path.raw, slices=["flg"])


def test_a_regression_is_measured_in_the_labels_units(paths: Paths, regression: Made, tmp_path: Path) -> None:
    metrics = regression.evaluation.summary["metrics"]
    rows = regression.test_rows
    y = np.array(rows["Preis €"])
    guess = np.array(_predicted(regression.exported, rows, tmp_path)["prediction"], np.float64)
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean((guess - y) ** 2)), rel=1e-4)
    naive = regression.evaluation.read_json("evaluation.json")["naive"]
    train_rows = pq.read_table(regression.path.raw.parts("train")[0])
    assert naive["prediction"] == pytest.approx(np.mean(np.array(train_rows["Preis €"])), rel=1e-5)


def test_thresholds_bless_or_refuse(paths: Paths, made: Made) -> None:
    thresholds = {"accuracy": 0.999, "log_loss": {"max": 50.0}}
    refused = evaluate.function(paths.ctx(), made.model, made.path.examples, thresholds=thresholds)
    assert refused.summary["blessed"] is False
    (reason,) = refused.summary["reasons"]
    assert reason.startswith("accuracy 0.") and "< 0.999 (rule min: 0.999)" in reason
    with pytest.raises(GateError, match=r"not blessed: accuracy 0\.\d+ < 0.999"):
        export.function(paths.ctx(), made.model, made.path.raw, refused)
    forced = export.function(paths.ctx(), made.model, made.path.raw, refused, force=True)
    assert forced.digest == made.exported.digest
    with pytest.raises(InvalidRequestError, match="'rmse' is no metric of a multiclass task"):
        evaluate.function(paths.ctx(), made.model, made.path.examples, thresholds={"rmse": 3.0})


def test_a_model_that_loses_to_the_naive_prediction_is_warned_of(
    paths: Paths, made: Made, regression: Made
) -> None:
    def warnings() -> list[str]:
        return [event["warn"] for event in paths.events if "warn" in event]

    evaluate.function(paths.ctx(), made.model, made.path.examples)
    assert warnings() == []
    for one, metric in ((made, "accuracy"), (regression, "rmse")):
        weak = paths.train(one.path, epochs=1, learning_rate=1e-9)
        evaluation = evaluate.function(paths.ctx(), weak, one.path.examples)
        (told,) = warnings()
        assert told.startswith("the model is not better than the naive prediction") and f": {metric} " in told
        assert evaluation.summary["blessed"] is True


def test_splits_that_cant_be_measured(paths: Paths, made: Made) -> None:
    with pytest.raises(InvalidRequestError, match="no split 'tset'"):
        evaluate.function(paths.ctx(), made.model, made.path.examples, split="tset")
    splits = {**made.path.raw.splits, "test": {"rows": 0, "parts": []}}
    empty = dataclasses.replace(made.path.raw, properties={**made.path.raw.properties, "splits": splits})
    with pytest.raises(DataError, match="'test' has no rows"):
        evaluate.function(paths.ctx(), made.model, empty)


def test_a_class_unseen_in_training_is_told(paths: Paths, made: Made, tmp_path: Path) -> None:
    from .raw_examples import make_raw_examples

    rows = made.test_rows
    place = rows.schema.get_field_index("Klasse")
    strange = rows.set_column(place, "Klasse", pa.array(["nie gesehen"] * rows.num_rows))
    with pytest.raises(DataError, match="nie gesehen"):
        evaluate.function(paths.ctx(), made.model, make_raw_examples(paths.ctx(), {"test": strange}))


def test_damaged_weights_are_refused(paths: Paths, made: Made) -> None:
    other = dataclasses.replace(made.model, properties={**made.model.properties, "weights": "0" * 64})
    with pytest.raises(DataError, match="not those that the artifact was published with"):
        evaluate.function(paths.ctx(), other, made.path.examples)


# export


def test_the_export_answers_in_a_process_without_headrace_and_keras(made: Made, tmp_path: Path) -> None:
    fitted = load_fitted(made.model.path / "transform")
    rows = made.test_rows
    columns = fitted.serving_columns(rows.to_batches()[0])
    inputs = serving_inputs(fitted)
    (tmp_path / "rows.json").write_text(json.dumps({i.name: columns[i.column].tolist() for i in inputs}))
    (tmp_path / "clean.py").write_text(CLEAN)
    command = [
        sys.executable,
        "-I",
        str(tmp_path / "clean.py"),
        str(made.exported.path / "1"),
        str(tmp_path / "rows.json"),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-2000:]
    names, shares, told_columns = json.loads(answer.stdout.strip().splitlines()[-1])
    predicted = _predicted(made.exported, rows, tmp_path)
    assert [name.removeprefix("b'").removesuffix("'") for name in names] == predicted[
        "prediction"
    ].to_pylist()
    here = np.stack([np.array(predicted[f"probability:{c}"]) for c in ("hoch", "mittel", "tief")], axis=1)
    np.testing.assert_allclose(here, shares, atol=1e-6)
    assert told_columns == list(fitted.columns)


def test_predictions_have_the_metrics_of_evaluate(made: Made, tmp_path: Path) -> None:
    rows = made.test_rows
    predicted = _predicted(made.exported, rows, tmp_path)
    shares = np.stack([np.array(predicted[f"probability:{c}"]) for c in ("hoch", "mittel", "tief")], axis=1)
    labels = np.searchsorted(["hoch", "mittel", "tief"], np.array(rows["Klasse"]).astype(str))
    from headrace.components.evaluation.metrics import classification_metrics

    told = classification_metrics(labels, shares)
    assert told == pytest.approx(made.evaluation.summary["metrics"], abs=1e-5)


def test_tf_examples_are_answered_like_columns(made: Made) -> None:
    fitted = load_fitted(made.model.path / "transform")
    batch = made.test_rows.to_batches()[0]
    columns = fitted.serving_columns(batch)
    signatures = tf.saved_model.load(str(made.exported.path / "1")).signatures
    rows = [_tf_example(fitted, batch.slice(k, 1).to_pylist()[0]) for k in range(batch.num_rows)]
    one = signatures["serve_examples"](examples=tf.constant(rows))
    named = {i.name: tf.constant(columns[i.column], tf.as_dtype(i.dtype)) for i in serving_inputs(fitted)}
    other = signatures["serving_default"](**named)
    assert set(one) == {"prediction", "probability", "probabilities", "classes"}
    for name, value in one.items():
        np.testing.assert_array_equal(value.numpy(), other[name].numpy())


def _tf_example(fitted: FittedTransform, row: dict[str, Any]) -> bytes:
    example = tf.train.Example()
    for column, dtype in fitted.columns.items():
        value = row[column]
        if value is None:
            continue  # what is missing is left out
        feature = example.features.feature[column]
        if dtype == "float32":
            feature.float_list.value.append(value)
        elif dtype == "int64":
            feature.int64_list.value.append(int(value))
        else:
            feature.bytes_list.value.append(value.encode())
    return bytes(example.SerializeToString())


def test_equal_exports_have_equal_digests(paths: Paths, made: Made) -> None:
    again = export.function(paths.ctx(), made.model, made.path.raw)
    assert again.properties == made.exported.properties
    assert again.digest == made.exported.digest
    stable = {f.path for f in again.files if not f.volatile}
    assert stable >= {"export.json", "1/assets/columns.json"}


def test_the_digest_tells_another_graph(tmp_path: Path) -> None:
    class Half(tf.Module):
        def __init__(self, share: float) -> None:
            super().__init__()
            spec = [tf.TensorSpec([None], tf.float32, name="x")]
            self.call = tf.function(lambda x: {"y": x * share}, input_signature=spec)

    digests = []
    for number, share in enumerate([0.5, 0.5, 0.25]):
        module = Half(share)
        tf.saved_model.save(module, str(tmp_path / str(number)), signatures=module.call)
        digests.append(graph_digest(tmp_path / str(number)))
    assert digests[0] == digests[1] != digests[2]


def test_the_worst_difference_is_in_the_artifact(made: Made) -> None:
    told = made.exported.read_json("export.json")["parity"]
    assert told["rows"] == 40
    assert 0 <= told["worst_ulps"] <= told["tolerance_ulps"] == 64
    assert made.exported.summary["parity"]["worst_output"] == told["worst_output"] < 1e-4


def _gate(made: Made, fitted: FittedTransform, network: Any = None) -> ParityGate:
    feed = feed_of(made.model, fitted)
    call = forward(network or load_network(made.model), feed)
    tasks = tasks_from_json(made.model.read_json("model.json"))
    return ParityGate(made.exported.path / "1", fitted, call, feed, tasks, serving_inputs(fitted), 64)


def _tampered(fitted: FittedTransform, feature: str, constant: str, change: Any) -> FittedTransform:
    """The same preprocessing with one constant of one feature changed."""

    def stage(one: Any) -> Any:
        constants = dict(one.constants)
        if constant in constants:
            constants[constant] = change(constants[constant])
        return dataclasses.replace(one, constants=constants)

    def branch(one: Any) -> Any:
        return dataclasses.replace(one, stages=tuple(stage(s) for s in one.stages))

    features = tuple(
        dataclasses.replace(f, branches=tuple(branch(b) for b in f.branches)) if f.name == feature else f
        for f in fitted.fitted
    )
    return dataclasses.replace(fitted, fitted=features)


@pytest.mark.parametrize(
    ("feature", "constant", "change"),
    [
        ("größe", "mean", lambda value: value * 1.0001),
        ("income ü", "scale", lambda value: value * 1.001),
        ("od280/od315", "boundaries", lambda value: np.asarray(value) + np.float32(0.5)),
        ("a", "keys", lambda value: value[::-1]),
    ],
)
def test_a_wrong_constant_in_one_plane_is_refused(
    made: Made, feature: str, constant: str, change: Any
) -> None:
    fitted = load_fitted(made.model.path / "transform")
    wrong = _tampered(fitted, feature, constant, change)
    rows = made.test_rows.to_batches()[0]
    _gate(made, fitted).check(rows)
    with pytest.raises(GateError, match=r"in training, .* in the export") as refused:
        _gate(made, wrong).check(rows)
    assert feature in str(refused.value)
    assert " in row " in str(refused.value)


def test_a_wrong_network_is_refused(made: Made) -> None:
    fitted = load_fitted(made.model.path / "transform")
    network = load_network(made.model)
    network.get_layer("output").bias.assign_add([0.01, 0.0, 0.0])
    gate = _gate(made, fitted, network)
    with pytest.raises(GateError, match="the network's output"):
        gate.check(made.test_rows.to_batches()[0])


def test_rows_on_a_boundary_are_counted_and_not_failed(made: Made) -> None:
    fitted = load_fitted(made.model.path / "transform")
    shifted = _tampered(fitted, "od280/od315", "boundaries", lambda b: np.nextafter(b, np.float32(9)))
    rows = made.test_rows
    place = rows.schema.get_field_index("od280/od315")
    on_it = rows.set_column(place, "od280/od315", pa.array([2.0] * rows.num_rows)).to_batches()[0]
    gate = _gate(made, shifted)
    gate.check(on_it)
    assert gate.parity.boundary_rows == gate.parity.rows == 40


def test_exports_that_cant_be(paths: Paths, made: Made, regression: Made) -> None:
    with pytest.raises(InvalidRequestError, match="of another model"):
        export.function(paths.ctx(), made.model, made.path.raw, regression.evaluation)
    with pytest.raises(InvalidRequestError, match="needs the raw examples"):
        export.function(paths.ctx(), made.model, made.path.examples)


# predict


def test_predict_reads_as_csv_examples_does(made: Made, tmp_path: Path) -> None:
    rows = made.test_rows
    plain = _predicted(made.exported, rows, tmp_path)
    # Another order, a column too many, no label, semicolons, marks for what is missing, an encoding.
    table = rows.drop_columns(["Klasse", "ok", "Preis €"])
    table = table.select(table.column_names[::-1]).append_column("more", pa.array(["1\n2"] * rows.num_rows))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow(["NA" if value is None else value for value in row.values()])
    (tmp_path / "other.csv").write_bytes(text.getvalue().encode("cp1252"))
    options = CsvOptions(delimiter=";", encoding="cp1252")
    assert (
        predict(made.exported.path / "1", tmp_path / "other.csv", tmp_path / "other.parquet", options=options)
        == 40
    )
    assert pq.read_table(tmp_path / "other.parquet").equals(plain)


def test_predict_reads_a_file_as_the_examples_were_read(paths: Paths, made: Made, tmp_path: Path) -> None:
    plain = _predicted(made.exported, made.test_rows, tmp_path)
    written = {"delimiter": ";", "quote": "'", "encoding": "cp1252"}
    raw = dataclasses.replace(made.path.raw, properties={**made.path.raw.properties, **written})
    exported = export.function(paths.ctx(), made.model, raw)
    assert exported.read_json("export.json")["csv"] == written
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", quotechar="'")
    writer.writerow(made.test_rows.column_names)
    for row in made.test_rows.to_pylist():
        writer.writerow(["NA" if value is None else value for value in row.values()])
    (tmp_path / "same.csv").write_bytes(text.getvalue().encode("cp1252") + b";" * 10 + b"\n")
    assert predict(exported.path, tmp_path / "same.csv", tmp_path / "same.parquet") == 40
    assert pq.read_table(tmp_path / "same.parquet").equals(plain)
    other = CsvOptions(delimiter=",", quote='"', encoding="utf-8")
    assert _predicted(exported, made.test_rows, tmp_path, options=other).equals(plain)
    with pytest.raises(DataError, match="separated by ';'"):
        predict(exported.path, tmp_path / "rows.csv", options=CsvOptions(encoding="utf-8"))


def test_predictions_as_csv_and_to_a_stream(made: Made, tmp_path: Path) -> None:
    table = _predicted(made.exported, made.test_rows, tmp_path)
    stream = io.StringIO()
    predict(made.exported.path, tmp_path / "rows.csv", stream=stream)
    predict(made.exported.path, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == stream.getvalue()
    read = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [row["prediction"] for row in read] == table["prediction"].to_pylist()
    assert [np.float32(row["probability:tief"]) for row in read] == table["probability:tief"].to_pylist()


def test_a_file_without_rows_gives_a_header(made: Made, tmp_path: Path) -> None:
    pyarrow.csv.write_csv(made.test_rows.slice(0, 0), tmp_path / "none.csv")
    stream = io.StringIO()
    assert predict(made.exported.path, tmp_path / "none.csv", stream=stream) == 0
    assert stream.getvalue().startswith("prediction,probability,")


def test_files_that_predict_cant_read(made: Made, tmp_path: Path) -> None:
    rows, bad = made.test_rows, tmp_path / "bad.csv"
    pyarrow.csv.write_csv(
        rows.rename_columns(["groesse" if n == "größe" else n for n in rows.column_names]), bad
    )
    with pytest.raises(DataError, match="no column 'größe'") as missing:
        predict(made.exported.path, bad, tmp_path / "out.csv")
    assert missing.value.problems[0].closest == "groesse"
    lines = (made.path.raw.path / "rows.csv", tmp_path / "word.csv")[1]
    pyarrow.csv.write_csv(rows, lines)
    text = lines.read_text().splitlines()
    cells = next(csv.reader([text[2]]))
    cells[rows.column_names.index("2nd")] = "viel"
    text[2] = ",".join(cells)
    lines.write_text("\n".join(text) + "\n")
    with pytest.raises(DataError, match=r"word.csv:3: column '2nd': 'viel' is not a number"):
        predict(made.exported.path, lines, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    assert not list(tmp_path.glob(".*partly"))
    with pytest.raises(InvalidRequestError, match=r"can't be written as '.xlsx'"):
        predict(made.exported.path, lines, tmp_path / "out.xlsx")
    with pytest.raises(InvalidRequestError, match=r"export\.json"):
        predict(tmp_path, lines)


def test_a_row_without_an_answer_is_served_as_such(made: Made) -> None:
    fitted = load_fitted(made.model.path / "transform")
    columns = fitted.serving_columns(made.test_rows.to_batches()[0])
    columns["größe"] = np.where(np.arange(40) == 3, np.float32("nan"), columns["größe"])
    serve = tf.saved_model.load(str(made.exported.path / "1")).signatures["serving_default"]
    inputs = serving_inputs(fitted)
    told = serve(**{i.name: tf.constant(columns[i.column], tf.as_dtype(i.dtype)) for i in inputs})
    without = told["prediction"].numpy() == b""
    assert np.flatnonzero(without).tolist() == [3]
    np.testing.assert_array_equal(np.isnan(told["probability"].numpy()), without)
    assert np.isnan(told["probabilities"].numpy()[3]).all()


def test_a_missing_value_that_isnt_imputed_is_told(paths: Paths, regression: Made, tmp_path: Path) -> None:
    from .raw_examples import make_raw_examples

    rows = regression.test_rows
    sizes = [None if k == 4 else size for k, size in enumerate(rows["größe"].to_pylist())]
    holed = rows.set_column(rows.schema.get_field_index("größe"), "größe", pa.array(sizes, pa.float64()))
    pyarrow.csv.write_csv(holed, tmp_path / "holed.csv")
    with pytest.raises(DataError, match=r"holed\.csv: .* no answer to row 5: größe missing"):
        predict(regression.exported.path, tmp_path / "holed.csv", tmp_path / "out.csv")
    with pytest.raises(DataError, match="missing or infinite in these rows: größe"):
        evaluate.function(paths.ctx(), regression.model, make_raw_examples(paths.ctx(), {"test": holed}))


# static checks


def test_the_static_checks() -> None:
    assert evaluate.checker is not None and export.checker is not None
    raw = Known(("price", "city"), ("train", "test"))
    transformed = Known(("x",), ("train", "test"), {"format": "tfrecord"})
    arguments = {"split": "tset", "slices": ["citty"], "thresholds": {"acuracy": 0.9}}
    problems, _ = evaluate.checker(arguments, {"examples": raw})
    assert [(p.argument, p.closest) for p in problems] == [
        ("split", "test"),
        ("slices", "city"),
        ("thresholds", "accuracy"),
    ]
    (problem,), _ = evaluate.checker({"split": "test", "slices": ["city"]}, {"examples": transformed})
    assert "transformed" in problem.what and "${steps.examples}" in problem.remedy
    (problem,), _ = export.checker({"split": "test"}, {"examples": transformed})
    assert problem.argument == "examples"
    assert export.checker({"split": "test"}, {"examples": raw})[0] == []
