"""The example of somebody's own Beam pipeline, from CSV to shards to a model to predictions."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from headrace.components import csv_examples, dataset, export, predict_examples, train
from headrace.components.predict import predict
from headrace.pipelines.artifact import load_artifact

FILE = Path(__file__).parent / "foreign_beam_pipeline.py"
CITIES = ("Rom", "Pisa", "Bari", "Asti", "Como", "Lodi", "Vasto", "Prato")

AS_SCRIPT = """
import runpy, sys
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
print("tensorflow" in sys.modules)
"""


@pytest.fixture(scope="module")
def foreign() -> ModuleType:
    spec = importlib.util.spec_from_file_location("foreign_beam_pipeline", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def houses(rows: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    lines = ["size,rooms,city,price"]
    for number in range(rows):
        size, rooms, city = rng.uniform(30, 200), int(rng.integers(1, 8)), int(rng.integers(len(CITIES)))
        price = 1500 * size + 9000 * rooms + 5000 * city
        lines.append(f"{'' if number % 9 == 4 else f'{size:.1f}'},{rooms},{CITIES[city]},{price:.0f}")
    return "\n".join([*lines, "50,2,Rom,-1", "60,2,Rom,"]) + "\n"


def test_from_csv_to_shards_to_predictions(foreign, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_STORE", str(tmp_path / "store"))
    (tmp_path / "work").mkdir()
    (tmp_path / "houses.csv").write_text(houses(600, 1))
    (tmp_path / "new.csv").write_text(houses(40, 2))
    out = tmp_path / "out"
    out.mkdir()
    given = [str(FILE), "shards", str(tmp_path / "houses.csv"), str(tmp_path / "work"), str(out)]
    ran = subprocess.run([sys.executable, "-c", AS_SCRIPT, *given], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "False\n"), ran.stderr  # and TensorFlow was not imported

    assert json.loads((out / "missing").read_text())["size"] == 67
    shards, fitted = load_artifact(out / "examples"), load_artifact(out / "transform")
    assert sum(shards.rows(split) for split in shards.splits) == 600  # the two without a price are gone
    assert sum(len(label) for _, label in dataset(shards, "test", batch_size=64)) == shards.rows("test") > 0

    model = train(shards, fitted, model="linear", epochs=3, validation_split="test")
    raw = csv_examples(path=str(tmp_path / "houses.csv"), types=foreign.TYPES, splits={"train": 1, "test": 1})
    exported = export(model, raw)
    foreign.main(["predictions", str(tmp_path / "new.csv"), str(exported.path), str(out / "answers.jsonl")])

    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert predict(exported.path, tmp_path / "new.csv", out / "told.jsonl") == len(answers) == 42
    told = [json.loads(line)["prediction"] for line in (out / "told.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in answers] == pytest.approx(told, rel=1e-6)
    assert {row["model"] for row in answers} == {exported.digest}
    assert all(row["error"] is None and row["city"] in CITIES for row in answers)

    # The component gives the same, with its cache and lineage.
    batch = predict_examples(exported, str(tmp_path / "new.csv"), format="csv")
    assert batch.rows("all") == 42
