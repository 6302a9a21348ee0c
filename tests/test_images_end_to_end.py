"""Whole pipelines of images by the command line, from files and TensorFlow Datasets to a clean process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

MAIN = "import sys; from headrace.pipelines.cli import main; main()"


def headrace(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(*arguments: str, cwd: Path) -> dict:
    return json.loads(headrace("run", *arguments, "--json", cwd=cwd))


def path_of(result: dict, step: str, output: str = "output") -> Path:
    return Path(result["steps"][step]["outputs"][output]["path"])


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """A folder in which `digits` ran for a few epochs; its result is in `result.json`."""
    folder = tmp_path_factory.mktemp("digits")
    short = ("--param", "epochs=4", "--set", "evaluate.thresholds.accuracy=0.8")
    (folder / "result.json").write_text(json.dumps(run("digits", *short, cwd=folder)))
    return folder


CLEAN = """
import json, sys
sys.modules["headrace"] = sys.modules["keras"] = None
import pyarrow.parquet as pq
import tensorflow as tf

serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
right = rows = 0
for path in sys.argv[2:]:
    table = pq.read_table(path, columns=["image", "label"])
    told = serve(image=tf.constant(table["image"].to_pylist()))
    names = [name.decode() for name in told["prediction"].numpy()]
    right += sum(name == label for name, label in zip(names, table["label"].to_pylist()))
    rows += len(names)
print(json.dumps([right, rows]))
"""


def test_raw_bytes_in_a_clean_process_agree_with_evaluate(digits):
    result = json.loads((digits / "result.json").read_text())
    parts = sorted((path_of(result, "examples") / "test").glob("*.parquet"))
    exported = path_of(result, "export") / "1"
    done = subprocess.run(
        [sys.executable, "-I", "-c", CLEAN, str(exported), *map(str, parts)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    right, rows = json.loads(done.stdout.splitlines()[-1])
    evaluation = result["steps"]["evaluate"]["outputs"]["output"]["summary"]
    assert rows == result["steps"]["examples"]["outputs"]["output"]["summary"]["rows"]["test"]
    assert right / rows == pytest.approx(evaluation["metrics"]["accuracy"], abs=1e-9)
    assert right / rows > 0.8


def test_a_file_is_predicted_by_the_command_line(digits):
    result = json.loads((digits / "result.json").read_text())
    test = pq.read_table(sorted((path_of(result, "examples") / "test").glob("*.parquet"))[0])
    source = path_of(result, "source")
    files = [str(source / path) for path in test["path"].to_pylist()[:40]]
    headrace("predict", str(path_of(result, "export")), *files, "--output", "answers.csv", cwd=digits)
    with (digits / "answers.csv").open(newline="") as stream:
        answers = list(csv.DictReader(stream))
    assert [answer["path"] for answer in answers] == files
    right = [answer["prediction"] == Path(answer["path"]).parent.name for answer in answers]
    assert np.mean(right) > 0.7


BUILDER = """
import numpy as np
import tensorflow_datasets as tfds


class Bars(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("2.1.0")

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(None, None, 3)),
            "kind": tfds.features.ClassLabel(names=["upright", "level"]),
            "number": np.int64,
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("picture", "kind")
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 120), "test": self._generate_examples(120, 160)}

    def _generate_examples(self, begin, end):
        for number in range(begin, end):
            picture = np.zeros((10 + number % 3, 12, 3), np.uint8)
            kind = ("upright", "level")[number % 2]
            place = 4 + number % 4
            picture[(slice(None), place) if kind == "upright" else (place, slice(None))] = 255
            yield number, {"picture": picture, "kind": kind, "number": number}
"""
FROM_BUILDER = """
pipeline: bars
steps:
  examples: {uses: tfds_examples, with: {builder: "theirs.py:Bars"}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      label: kind
      features: {picture: [decode, {resize: [8, 8]}, {scale: minus_one_one}]}
  train:
    uses: train
    with:
      examples: ${steps.transform.examples}
      transform: ${steps.transform.transform}
      model: cnn
      epochs: 6
  evaluate: {uses: evaluate, with: {model: "${steps.train}", examples: "${steps.transform.examples}"}}
  export:
    uses: export
    with: {model: "${steps.train}", evaluation: "${steps.evaluate}", examples: "${steps.examples}"}
"""


def test_a_builder_of_somebody_else_goes_through_to_an_export(tmp_path):
    (tmp_path / "theirs.py").write_text(BUILDER)
    (tmp_path / "bars.yaml").write_text(FROM_BUILDER)
    result = run("bars.yaml", cwd=tmp_path)
    assert result["steps"]["evaluate"]["outputs"]["output"]["summary"]["metrics"]["accuracy"] > 0.9
    about = json.loads((path_of(result, "export") / "export.json").read_text())
    assert about["task"]["classes"] == ["level", "upright"]
    picture = np.zeros((9, 14, 3), np.uint8)
    picture[:, 6] = 255
    Image.fromarray(picture).save(tmp_path / "new.webp", lossless=True)
    answer = headrace("predict", str(path_of(result, "export")), "new.webp", cwd=tmp_path)
    assert next(csv.DictReader(answer.splitlines()))["prediction"] == "upright"
