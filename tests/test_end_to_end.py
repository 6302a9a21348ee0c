"""Whole pipelines by the command line, on real tables, as a user runs them."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

MAIN = "import sys; from headrace.pipelines.cli import main; main()"


def headrace(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == code, done.stderr
    return done


def run(*arguments: str, cwd: Path, code: int = 0) -> dict:
    return json.loads(headrace("run", *arguments, "--json", cwd=cwd, code=code).stdout)


def statuses(result: dict) -> dict[str, str]:
    return {name: step["status"] for name, step in result["steps"].items()}


STEPS = ("source", "examples", "statistics", "schema", "transform", "train", "evaluate", "export")


@pytest.fixture(scope="module")
def wine(tmp_path_factory) -> Path:
    """A folder in which `wine` ran once; its result is in `result.json`."""
    folder = tmp_path_factory.mktemp("wine")
    (folder / "result.json").write_text(json.dumps(run("wine", cwd=folder)))
    return folder


def test_wine_runs_to_an_export(wine):
    result = json.loads((wine / "result.json").read_text())
    assert statuses(result) == dict.fromkeys(STEPS, "ran")
    evaluation = result["steps"]["evaluate"]["outputs"]["output"]
    assert evaluation["type"] == "Evaluation"
    assert evaluation["summary"]["split"] == "test"
    assert evaluation["summary"]["metrics"]["accuracy"] >= 0.9
    rows = result["steps"]["examples"]["outputs"]["output"]["summary"]["rows"]
    assert sum(rows.values()) == 178
    exported = Path(result["steps"]["export"]["outputs"]["output"]["path"])
    assert (exported / "1" / "saved_model.pb").is_file()


def test_a_cached_run_computes_and_imports_nothing(wine):
    code = textwrap.dedent(
        """
        import sys
        from headrace.pipelines.cli import main
        try:
            main()
        finally:
            heavy = {"tensorflow", "keras", "apache_beam", "numpy", "pyarrow", "google.protobuf", "pydantic"}
            heavy.add("rich")
            sys.stderr.write("HEAVY " + " ".join(heavy & set(sys.modules)))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "wine", "--json"], cwd=wine, capture_output=True, text=True
    )
    assert statuses(json.loads(done.stdout)) == dict.fromkeys(STEPS, "cached")
    assert done.stderr.split("HEAVY")[1].strip() == ""


def test_a_changed_parameter_reruns_what_it_reaches_and_is_explained(wine):
    changed = run("wine", "--param", "epochs=2", "--set", "evaluate.thresholds.accuracy=0.1", cwd=wine)
    assert statuses(changed) == {
        **dict.fromkeys(STEPS[:5], "cached"),
        **dict.fromkeys(STEPS[5:], "ran"),
    }
    assert changed["steps"]["train"]["reason"] == "train.epochs 60 → 2"
    explained = headrace("explain", "train", cwd=wine).stdout
    assert "train.epochs 60 → 2" in explained
    planned = json.loads(headrace("plan", "wine", "--json", cwd=wine).stdout)
    assert "cached" in json.dumps(planned)


def test_a_gate_that_refuses_fails_the_run_and_says_why(wine):
    done = headrace("run", "wine", "--set", "evaluate.thresholds.accuracy=1.01", "--json", cwd=wine, code=1)
    result = json.loads(done.stdout)
    assert statuses(result) == {**dict.fromkeys(STEPS[:6], "cached"), "evaluate": "ran", "export": "failed"}
    assert "accuracy" in done.stderr
    assert "1.01" in done.stderr


MODEL = """
import keras
from parts import width


def build(inputs, outputs, task, **arguments):
    values = keras.Input((inputs,))
    hidden = keras.layers.Dense(width(), activation="relu")(values)
    return keras.Model(values, keras.layers.Dense(outputs, activation="softmax")(hidden))
"""


def test_a_helper_of_a_users_model_function_reruns_training_and_a_comment_does_not(wine):
    (wine / "mine.py").write_text(MODEL)
    parts = wine / "parts.py"
    parts.write_text("def width():\n    return 8\n\n\ndef other():\n    return 1\n")
    arguments = ("--to", "train", "--param", "epochs=1", "--set", "train.model=mine.py:build")
    arguments += ("--set", "train.model_args=null")
    first = run("wine", *arguments, cwd=wine)
    assert first["steps"]["train"]["status"] == "ran"
    parts.write_text("def width():\n    return 8  # units\n\n\ndef other():\n    return 2\n")
    assert run("wine", *arguments, cwd=wine)["steps"]["train"]["status"] == "cached"
    parts.write_text("def width():\n    return 9\n\n\ndef other():\n    return 2\n")
    changed = run("wine", *arguments, cwd=wine)
    assert changed["steps"]["train"]["status"] == "ran"
    assert changed["steps"]["train"]["reason"] == "train.model: code changed: parts:width"


def test_runs_are_listed_compared_and_traced(wine):
    listed = json.loads(headrace("runs", "list", "--json", cwd=wine).stdout)
    assert len(listed) >= 1
    result = json.loads((wine / "result.json").read_text())
    digest = result["steps"]["export"]["outputs"]["output"]["digest"]
    ancestry = headrace("lineage", digest[:12], cwd=wine).stdout
    assert "train" in ancestry
    assert "examples" in ancestry
    shown = headrace(
        "artifacts", "show", result["steps"]["statistics"]["outputs"]["output"]["digest"], cwd=wine
    )
    assert "malic_acid" in shown.stdout


NAMES = [
    "Median Income ($)",
    "größe",
    "od280/od315",
    "A",
    "a",
    "1st",
    "with, comma",
    'quo"te',
    "serving_default",
]


def write_weird(path: Path, rows: int = 600) -> list[dict[str, str]]:
    chance = random.Random(3)
    table = []
    for _ in range(rows):
        row: dict[str, object] = {name: round(chance.gauss(0, 1), 3) for name in NAMES[:6]}
        row["with, comma"] = chance.choice(["x", "y", "Zürich", ""])
        row['quo"te'] = chance.choice(["no", "yes", "12:30"])
        row["serving_default"] = chance.choice(["p q", "r\ns"])
        good = row["größe"] + row["A"] - row["a"] + (row["with, comma"] == "x") > 0.2  # type: ignore[operator]
        table.append({**{k: str(v) for k, v in row.items()}, "Is it good?": "good" if good else "bad"})
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(table[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(table)
    return table


CLEAN = """
import csv, json, sys
sys.modules["headrace"] = sys.modules["keras"] = None
import numpy as np
import tensorflow as tf
folder, mapping, table = sys.argv[1:]
served = tf.saved_model.load(folder).signatures["serving_default"]
mapping = json.loads(mapping)
rows = list(csv.DictReader(open(table, encoding="utf-8", newline=""), delimiter=";"))[:50]
inputs = {}
for name, spec in served.structured_input_signature[1].items():
    cells = [row[mapping[name]] for row in rows]
    inputs[name] = tf.constant(cells if spec.dtype == tf.string else np.array(cells, np.float32))
answers = served(**inputs)
found = {"names": [name.decode() for name in answers["prediction"].numpy()]}
print(json.dumps(found | {"probability": answers["probability"].numpy().tolist()}))
"""


def test_odd_names_go_all_the_way_and_answers_agree_everywhere(tmp_path):
    write_weird(tmp_path / "weird.csv")
    result = run(
        "csv", "--param", "path=weird.csv", "--param", "label=Is it good?", "--param", "epochs=8",
        "--set", "examples.delimiter=;", cwd=tmp_path,
    )  # fmt: skip
    assert result["steps"]["evaluate"]["outputs"]["output"]["summary"]["metrics"]["accuracy"] > 0.7
    exported = Path(result["steps"]["export"]["outputs"]["output"]["path"])
    told = json.loads((exported / "export.json").read_text())
    mapping = {entry["name"]: entry["column"] for entry in told["inputs"]}
    assert set(mapping.values()) <= set(NAMES)
    arguments = [sys.executable, "-I", "-c", CLEAN, str(exported / "1"), json.dumps(mapping), "weird.csv"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    clean = json.loads(done.stdout.splitlines()[-1])
    headrace(
        "predict", str(exported), "weird.csv", "--delimiter", ";", "--output", "answers.csv", cwd=tmp_path
    )
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8") as stream:
        predicted = list(csv.DictReader(stream))
    assert len(predicted) == 600
    assert [row["prediction"] for row in predicted[:50]] == clean["names"]
    # One float32 has up to nine digits; the batches differ (50 rows here, more there), so the last may.
    probability = [float(row["probability"]) for row in predicted[:50]]
    assert probability == pytest.approx(clean["probability"], rel=1e-5)


HOUSING = """
pipeline: housing
params: {epochs: 25}
steps:
  examples: {uses: csv_examples, with: {path: housing.csv, splits: {train: 8, validation: 1, test: 1}}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      label: {median_house_value: z_score}
      features:
        longitude: z_score
        latitude: z_score
        housing_median_age: z_score
        total_rooms: [log1p, z_score]
        total_bedrooms: [{impute: median}, log1p, z_score]
        population: [log1p, z_score]
        households: [log1p, z_score]
        median_income: z_score
        income_bucket: {from: median_income, apply: {bucketize: [1.5, 3, 4.5, 6]}}
        ocean_proximity: one_hot
  train:
    uses: train
    with:
      examples: ${steps.transform.examples}
      transform: ${steps.transform.transform}
      model: mlp
      epochs: ${params.epochs}
      seed: 1
  evaluate: {uses: evaluate, with: {model: "${steps.train}", examples: "${steps.transform.examples}"}}
  export:
    uses: export
    with: {model: "${steps.train}", evaluation: "${steps.evaluate}", examples: "${steps.examples}"}
"""


@pytest.mark.slow
def test_housing_reaches_a_useful_error_in_dollars(tmp_path, housing_csv):
    (tmp_path / "housing.csv").write_bytes(housing_csv.read_bytes())
    (tmp_path / "housing.yaml").write_text(HOUSING)
    result = run("housing.yaml", cwd=tmp_path)
    metrics = result["steps"]["evaluate"]["outputs"]["output"]["summary"]["metrics"]
    assert metrics["rmse"] < 56_000
    table = (tmp_path / "housing.csv").read_text().splitlines()
    touched = run("housing.yaml", cwd=tmp_path)
    assert set(statuses(touched).values()) == {"cached"}
    digest = result["steps"]["statistics"]["outputs"]["output"]["digest"]
    assert "ocean_proximity" in headrace("artifacts", "show", digest, cwd=tmp_path).stdout
    cells = table[1].split(",")
    table[1] = ",".join([*cells[:3], "881.0", *cells[4:]])
    (tmp_path / "housing.csv").write_text("\n".join(table) + "\n")
    planned = json.loads(headrace("plan", "housing.yaml", "--json", cwd=tmp_path).stdout)
    assert "content of the file changed" in json.dumps(planned)


WIDE_DEEP = """
pipeline: wide_deep
steps:
  examples: {uses: csv_examples, with: {path: housing.csv, splits: {train: 8, validation: 1, test: 1}}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  hot:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      label: {median_house_value: z_score}
      features:
        NUMBERS
        grid: {from: GRID, apply: [{cross: 400}, one_hot]}
        sea: {from: SEA, apply: [{cross: 60}, one_hot]}
        ocean: {from: ocean_proximity, apply: one_hot}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      label: {median_house_value: z_score}
      features:
        NUMBERS
        grid: {from: GRID, apply: [{cross: 400}, one_hot]}
        place: {from: GRID, apply: [{cross: 400}, {embedding: 8}]}
        sea: {from: SEA, apply: [{cross: 60}]}
        ocean: {from: ocean_proximity, apply: [vocabulary, {embedding: 4}]}
  linear:
    uses: train
    with:
      {examples: "${steps.hot.examples}", transform: "${steps.hot.transform}", model: linear, epochs: 6,
       batch_size: 256, learning_rate: 0.01}
  train:
    uses: train
    with:
      {examples: "${steps.transform.examples}", transform: "${steps.transform.transform}", model: wide_deep,
       epochs: 8, batch_size: 128, learning_rate: 0.003, seed: 1}
  measured: {uses: evaluate, with: {model: "${steps.linear}", examples: "${steps.hot.examples}"}}
  evaluate: {uses: evaluate, with: {model: "${steps.train}", examples: "${steps.transform.examples}"}}
  export:
    uses: export
    with: {model: "${steps.train}", evaluation: "${steps.evaluate}", examples: "${steps.examples}"}
"""
HOUSING_NUMBERS = """longitude: z_score
        latitude: z_score
        housing_median_age: z_score
        total_rooms: [log1p, z_score]
        total_bedrooms: [{impute: median}, log1p, z_score]
        population: [log1p, z_score]
        households: [log1p, z_score]
        median_income: z_score"""


@pytest.mark.slow
def test_wide_and_deep_beats_linear_on_housing(tmp_path, housing_csv):
    (tmp_path / "housing.csv").write_bytes(housing_csv.read_bytes())
    text = WIDE_DEEP.replace("NUMBERS", HOUSING_NUMBERS)
    text = text.replace("GRID", "{longitude: {bucketize: 20}, latitude: {bucketize: 20}}")
    text = text.replace("SEA", "{housing_median_age: {bucketize: 6}, ocean_proximity: identity}")
    (tmp_path / "housing.yaml").write_text(text)
    steps = run("housing.yaml", cwd=tmp_path)["steps"]
    linear, wide_deep = (
        steps[name]["outputs"]["output"]["summary"]["metrics"]["rmse"] for name in ("measured", "evaluate")
    )
    assert wide_deep < 52_000
    assert wide_deep < linear - 5_000
    parity = steps["export"]["outputs"]["output"]["summary"]["parity"]
    assert parity["rows"] == 2000
    assert parity["worst_output"] < 1e-4
