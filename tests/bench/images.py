"""Photographs to shards, and shards to batches: `python tests/bench/images.py [images] [--rounds 3]`.

JPEG files of 500 by 375 become shuffled shards of 224 by 224 pixels by `image_examples` and `transform`,
beside two scripts as one writes them by hand, which neither shuffle nor check (`image_scripts.py`). All take
that many images and an eighth of them, in rounds that alternate, and the best of each counts. Prints images a
second over the whole of each process, imports and all, and beyond the fixed cost of a process; CPU seconds
beyond it; and the ratios to the better script. Then the images a second that `dataset()` reads of these
shards, in a process as train's. Two workers or threads are used everywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

HERE = Path(__file__).parent
FEATURE = {"image": ["decode", {"resize": [224, 224]}, {"scale": "zero_one"}]}
STEPS = {
    "examples": {"uses": "image_examples", "with": {"path": "many", "splits": {"train": 1}}},
    "transform": {
        "uses": "transform",
        "with": {"examples": "${steps.examples}", "label": "label", "features": FEATURE},
    },
}
READ = """
import sys, time
from pathlib import Path
import numpy as np
from headrace.components.dataset import dataset
from headrace.pipelines.artifact import load_artifact
examples = load_artifact(Path(sys.argv[1]))
for shuffle in (False, True):
    for expand in (False, True):
        best = 0.0
        for _ in range(int(sys.argv[2])):
            batches = dataset(examples, batch_size=64, shuffle=shuffle, expand=expand)
            start = time.perf_counter()
            batches.reduce(np.int64(0), lambda count, *_: count + 1)
            best = max(best, examples.rows("train") / (time.perf_counter() - start))
        kind = "float32" if expand else "uint8"
        print(f"dataset(batch_size=64, shuffle={shuffle}), {kind}: {best:,.0f} images/s", flush=True)
"""


class Measured(NamedTuple):
    """Seconds: of the whole process, and of the CPUs; and of each step."""

    whole: float
    cpu: float
    steps: dict[str, float]

    def best(self, other: Measured) -> Measured:
        """The shorter of each."""
        steps = {name: min(seconds, other.steps[name]) for name, seconds in self.steps.items()}
        return Measured(min(self.whole, other.whole), min(self.cpu, other.cpu), steps)


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[str, float, float]:
    """What a program prints, its seconds, and those of the CPUs; exits where it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, seconds, cpu


def script(how: str, folder: Path, photos: str) -> Measured:
    """One of the scripts."""
    out = folder / "out"
    out.mkdir()
    command = [sys.executable, str(HERE / "image_scripts.py"), how, photos, "out"]
    _, seconds, cpu = run(command, folder, dict(os.environ))
    shutil.rmtree(out)
    return Measured(seconds, cpu, {})


def headrace(folder: Path, photos: str) -> Measured:
    """A run of both steps in a fresh store; leaves `shards`, a link to what it made."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    command = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", "run", "images.yaml"]
    options = ["--set", f"examples.path={photos}", "--runner-option", "direct_num_workers=2", "--json"]
    printed, seconds, cpu = run([*command, "--store", "store", *options], folder, dict(os.environ))
    steps = json.loads(printed)["steps"]
    link = folder / "shards"
    link.unlink(missing_ok=True)
    link.symlink_to(folder / steps["transform"]["outputs"]["examples"]["path"])
    return Measured(seconds, cpu, {name: record["seconds"] for name, record in steps.items()})


WAYS = {
    "opencv": lambda folder, photos: script("opencv", folder, photos),
    "tf.data": lambda folder, photos: script("tf_data", folder, photos),
    "headrace": headrace,
}


def measured(folder: Path, images: Mapping[str, int], rounds: int) -> dict[str, dict[str, float]]:
    """Seconds an image by way: of the whole, beyond the fixed cost, and of the CPUs beyond it."""
    best: dict[tuple[str, str], Measured] = {}
    for _ in range(rounds):
        for photos in images:
            for name, way in WAYS.items():
                taken = way(folder, photos)
                key = name, photos
                best[key] = best[key].best(taken) if key in best else taken
    (few, fewer), (many, more) = images.items()
    found = {}
    for name in WAYS:
        less, all_ = best[name, few], best[name, many]
        seconds = {
            "the whole": all_.whole / more,
            "beyond the fixed cost": (all_.whole - less.whole) / (more - fewer),
            "CPU beyond it": (all_.cpu - less.cpu) / (more - fewer),
        }
        found[name] = seconds
        rates = ", ".join(f"{what} {1 / each:,.0f}" for what, each in seconds.items())
        steps = {s: (more - fewer) / (all_.steps[s] - less.steps[s]) for s in all_.steps}
        print(f"{name:9} images/s: {rates}", *(f"{s} {rate:,.0f}" for s, rate in steps.items()), flush=True)
    return found


def main(images: int, rounds: int) -> None:
    """Prints the rates, then the ratios, then how fast the shards are read."""
    from photographs import write_photographs

    from headrace.pipelines.processes import worker_environment

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        counts = {"few": images // 8, "many": images}
        size = [write_photographs(folder / name, count) for name, count in counts.items()][-1]
        print(f"{images} JPEGs of 500 x 375, {size / images / 1000:.0f} KB each", flush=True)
        (folder / "images.yaml").write_text(json.dumps({"pipeline": "images", "steps": STEPS}))
        found = measured(folder, counts, rounds)
        for what, mine in found["headrace"].items():
            better = min(found[name][what] for name in WAYS if name != "headrace")
            print(f"ratio to the better script, {what}: {better / mine:.2f}")
        environment = {**os.environ, **worker_environment("tensorflow")}
        print(run([sys.executable, "-c", READ, "shards", str(rounds)], folder, environment)[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="?", default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    main(told.images, told.rounds)
