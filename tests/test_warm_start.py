"""A pipeline in which one training begins with another's Model, and learns from other examples first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = "import sys; from headrace.pipelines.cli import main; main()"
PIPELINE = """
pipeline: warm
params: {rate: 0.01}
steps:
  wine: {uses: wine_csv}
  examples: {uses: csv_examples, with: {path: "${steps.wine}", splits: {train: 6, validation: 2, test: 2}}}
  others: {uses: csv_examples, with: {path: "${steps.wine}", splits: {train: 8, validation: 2}, seed: 7}}
  transform:
    uses: transform
    with: {examples: "${steps.examples}", label: cultivar, features: {alcohol: z_score, hue: z_score}}
  applied:
    uses: apply_transform
    with: {examples: "${steps.others}", transform: "${steps.transform.transform}"}
  first:
    uses: train
    with:
      examples: "${steps.transform.examples}"
      transform: "${steps.transform.transform}"
      epochs: 3
      optimizer: {adam: {use_ema: true, gradient_accumulation_steps: 2}}
      learning_rate_schedule: {plateau: {patience: 1, min_delta: 9, factor: 0.5}, warmup: 1}
      learning_rate: "${params.rate}"
  second:
    uses: train
    with:
      examples: "${steps.transform.examples}"
      transform: "${steps.transform.transform}"
      weights: "${steps.first}"
      pretraining: "${steps.applied}"
      model_args: {l1: 1e-4, l2: 1e-4, max_norm: 3, dropout: 0.2}
      stages:
        - {examples: pretraining, epochs: 2, learning_rate_schedule: {constant: {}, warmup: 0.5}}
        - {epochs: 2, optimizer: {sgd: {momentum: 0.9}}, learning_rate: "${params.rate}"}
"""


def headrace(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], cwd=folder, capture_output=True, text=True, timeout=280
    )


def about(told: dict, step: str) -> dict:
    path = Path(told["steps"][step]["outputs"]["output"]["path"])
    return dict(json.loads((path / "model.json").read_text("utf-8")))


@pytest.mark.slow
def test_a_model_begins_where_another_ended(tmp_path: Path) -> None:
    (tmp_path / "warm.yaml").write_text(PIPELINE)
    done = headrace(tmp_path, "run", "warm.yaml", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    first, second = about(told, "first"), about(told, "second")
    # Without the first's weights a network of three classes begins at about ln 3.
    assert second["history"][0]["val_loss"] < first["history"][0]["val_loss"]
    assert second["settings"]["weights"] and [row["stage"] for row in second["history"]] == [1, 1, 2, 2]
    again = json.loads(headrace(tmp_path, "run", "warm.yaml", "--json").stdout)
    assert {step["status"] for step in again["steps"].values()} == {"cached"}
    # Another seed of the examples to pre-train on leaves the first model as it is.
    changed = PIPELINE.replace("seed: 7", "seed: 8")
    (tmp_path / "warm.yaml").write_text(changed)
    third = json.loads(headrace(tmp_path, "run", "warm.yaml", "--json").stdout)
    assert third["steps"]["first"]["status"] == "cached" and third["steps"]["second"]["status"] == "ran"
