"""Kills trainings at random instants and goes on: the weights have to be those of an undisturbed training.

    python tests/kill_training.py --times 20 [--kind table|images] [--kills 2] [--seed 0]

A pipeline is run whose training has dropout, a schedule, early stopping and a checkpoint every few steps;
that of a table also has stages, that of images augmentation. Each time it is killed (SIGKILL, with all of its
processes) at up to `--kills` random instants after its training began, and resumed. The digest of the weights
has to be the undisturbed training's, and nothing may be left to go on from. Exits with 1 on the first
difference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = """
pipeline: table
steps:
  examples: {uses: csv_examples, with: {path: rows.csv, splits: {train: 8, validation: 2}}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      features: {a: z_score, b: z_score, c: z_score}
      label: kind
  train:
    uses: train
    with:
      examples: ${steps.transform.examples}
      transform: ${steps.transform.transform}
      model_args: {hidden_units: [64, 32], dropout: 0.3}
      batch_size: 50
      patience: 5
      stages: [{epochs: 12, learning_rate: 0.003}, {epochs: 12, freeze: 1, learning_rate: 0.001}]
      checkpoints: {every_steps: 17}
"""
DIGITS = [
    "digits",
    *("--param", "epochs=9"),
    *("--set", "train.patience=3"),
    *("--set", "train.checkpoints={every_steps: 9}"),
]


def prepared(kind: str, folder: Path) -> list[str]:
    """The pipeline, as arguments of `headrace run`, with its data steps in the store `folder/store`."""
    pipeline = DIGITS
    if kind == "table":
        chance = random.Random(0)
        rows = [[chance.gauss(0, 1) for _ in range(3)] for _ in range(6000)]
        lines = [f"{a},{b},{c},{'yes' if a * b + c + chance.gauss(0, 1) > 0 else 'no'}" for a, b, c in rows]
        (folder / "rows.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
        (folder / "table.yaml").write_text(TABLE)
        pipeline = [str(folder / "table.yaml")]
    finished(["run", *pipeline, "--to", "transform", "--store", str(folder / "store")])
    return [*pipeline, "--to", "train"]


def headrace(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", *arguments]


def finished(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(headrace(*arguments, "--json"), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{arguments} ended with {done.returncode}\n{done.stderr}")
    return dict(json.loads(done.stdout))


def weights(run: dict[str, Any]) -> str:
    manifest = Path(run["steps"]["train"]["outputs"]["output"]["path"], "manifest.json")
    return str(json.loads(manifest.read_text())["properties"]["weights"])


def below(process: int) -> Iterator[int]:
    """A process and all below it, whatever groups and sessions they are in."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from below(int(child))


def kill_once(arguments: list[str], store: Path, seconds: float) -> str | None:
    """Kills a run so many seconds after its training began; says where, or gives None if it came through."""
    process = subprocess.Popen(
        headrace(*arguments, "--store", str(store)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    before = {path: path.stat().st_mtime_ns for path in store.glob("resumable/*/run.txt")}
    while process.poll() is None:
        now = {path: path.stat().st_mtime_ns for path in store.glob("resumable/*/run.txt")}
        if now and now != before:
            break
        time.sleep(0.01)
    time.sleep(seconds)
    if process.poll() is not None:
        return None
    for one in list(below(process.pid)):
        os.kill(one, signal.SIGKILL)
    process.wait()
    kept = sorted(path.name for path in store.glob("resumable/*/checkpoint-*"))
    return kept[-1].removeprefix("checkpoint-").removesuffix(".npz") if kept else "the start"


def disturbed(
    pipeline: list[str], store: Path, seconds: float, kills: int, chance: random.Random
) -> tuple[str, list[str]]:
    """The weights of a training that is killed again and again, and where it was."""
    places = []
    arguments = ["run", *pipeline]
    for _ in range(kills):
        place = kill_once(arguments, store, chance.uniform(0.0, seconds))
        if place is None:
            break
        places.append(place)
        arguments = ["resume"]
    if not places or place is not None:
        run = finished([*arguments, "--store", str(store)])
    else:
        run = finished(["run", *pipeline, "--store", str(store)])  # from the cache
    left = [str(path) for path in store.glob("resumable/*")]
    if left:
        sys.exit(f"there is something left to go on from: {left}")
    return weights(run), places


def undisturbed(pipeline: list[str], store: Path) -> tuple[str, float]:
    """The weights, and the seconds from the training's begin to its end."""
    began = [0.0]
    process = subprocess.Popen(
        headrace("run", *pipeline, "--json", "--store", str(store)), stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        if not began[0] and list(store.glob("resumable/*/run.txt")):
            began[0] = time.monotonic()
        time.sleep(0.01)
    seconds = time.monotonic() - began[0]
    assert process.stdout is not None
    return weights(json.loads(process.stdout.read())), seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("table", "images"), default="table")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        pipeline = prepared(options.kind, folder)
        store = folder / "other"
        shutil.copytree(folder / "store", store)
        wanted, seconds = undisturbed(pipeline, store)
        print(f"undisturbed: {seconds:.1f} s of training, weights {wanted[:12]}", flush=True)
        killed = 0
        for number in range(1, options.times + 1):
            shutil.rmtree(store)
            shutil.copytree(folder / "store", store)
            found, places = disturbed(pipeline, store, seconds, options.kills, chance)
            killed += len(places)
            told = "equal" if found == wanted else f"DIFFERENT: {found[:12]}"
            print(f"{number:3d}  killed at {', '.join(places) or '-'}: {told}", flush=True)
            if found != wanted:
                sys.exit(1)
    print(f"{options.times} trainings with {killed} kills: all equal ({os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
