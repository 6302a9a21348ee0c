"""Photographs to shards, and shards to batches: `python tests/bench/images.py [images] [--rounds 3]`.

JPEG files of 500 by 375 become shuffled shards of 224 by 224 pixels by `image_examples` and `transform`,
beside two scripts as one writes them by hand, which neither shuffle nor check (`image_scripts.py`). Rounds
alternate, and the best of each counts. Prints images a second over the whole of each process, imports and
all, and over the work alone (for headrace the seconds of both steps, for a script those behind its imports);
CPU seconds; and the ratios to the better script. Then the images a second that `dataset()` reads of these
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
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

HERE = Path(__file__).parent
FEATURE = {"image": ["decode", {"resize": [224, 224]}, {"scale": "zero_one"}]}
STEPS = {
    "examples": {"uses": "image_examples", "with": {"path": "photos", "splits": {"train": 1}}},
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
    """Seconds: of the whole process, of the work alone, of the CPUs; and of each step."""

    whole: float
    work: float
    cpu: float
    steps: dict[str, float]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[str, float, float]:
    """What a program prints, its seconds, and those of the CPUs; exits where it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, seconds, cpu


def script(how: str, folder: Path) -> Measured:
    """One of the scripts."""
    out = folder / "out"
    out.mkdir()
    printed, seconds, cpu = run(
        [sys.executable, str(HERE / "image_scripts.py"), how, "photos", "out"], folder, dict(os.environ)
    )
    shutil.rmtree(out)
    return Measured(seconds, float(printed.split()[-1]), cpu, {})


def headrace(folder: Path) -> tuple[Measured, Path]:
    """A run of both steps in a fresh store; also the shards' artifact."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    command = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()"]
    options = ["--store", "store", "--runner-option", "direct_num_workers=2", "--json"]
    printed, seconds, cpu = run([*command, "run", "images.yaml", *options], folder, dict(os.environ))
    steps = json.loads(printed)["steps"]
    taken = {name: record["seconds"] for name, record in steps.items()}
    path = Path(steps["transform"]["outputs"]["examples"]["path"])
    return Measured(seconds, sum(taken.values()), cpu, taken), folder / path


def tell(name: str, images: int, measured: list[Measured]) -> Measured:
    """Prints the best of some rounds."""
    best = Measured(*(min(column) for column in list(zip(*measured, strict=True))[:3]), {})
    steps = {step: min(one.steps[step] for one in measured) for step in measured[0].steps}
    more = "".join(f"; {step} {images / seconds:,.0f}/s" for step, seconds in steps.items())
    print(
        f"{name:9} {images / best.whole:7,.0f} images/s, the work alone {images / best.work:7,.0f};"
        f" {1000 * best.cpu / images:.2f} ms of CPU an image{more}",
        flush=True,
    )
    return best


def main(images: int, rounds: int) -> None:
    from photographs import write_photographs

    from headrace.pipelines.processes import worker_environment

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        size = write_photographs(folder / "photos", images)
        print(f"{images} JPEGs of 500 x 375, {size / images / 1000:.0f} KB each", flush=True)
        (folder / "images.yaml").write_text(json.dumps({"pipeline": "images", "steps": STEPS}))
        taken: dict[str, list[Measured]] = {"opencv": [], "tf_data": [], "headrace": []}
        for _ in range(rounds):
            for how in ("opencv", "tf_data"):
                taken[how].append(script(how, folder))
            mine, shards = headrace(folder)
            taken["headrace"].append(mine)
        best = {name: tell(name, images, measured) for name, measured in taken.items()}
        for what in ("whole", "work", "cpu"):
            better = min(getattr(best[how], what) for how in ("opencv", "tf_data"))
            print(f"ratio to the better script, {what}: {better / getattr(best['headrace'], what):.2f}")
        environment = {**os.environ, **worker_environment("tensorflow")}
        command = [sys.executable, "-c", READ, str(shards), str(rounds)]
        print(run(command, folder, environment)[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="?", default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    main(told.images, told.rounds)
