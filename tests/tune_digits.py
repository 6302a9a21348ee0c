"""Searches the learning rate and width of `digits`, is killed once, goes on, and looks at what it found.

    python tests/tune_digits.py [--trials 12] [--epochs 12] [--jobs 2] [--seeds 3] [--store FOLDER]

1. `headrace tune` is started, and killed by SIGKILL once some trials are done and others are at work.
2. The same command again goes on; what was finished isn't trained again, and nothing is ingested again.
3. The best and the worst setting are trained with other seeds, to know the noise that the difference of the
   two has to exceed.

It ends with code 1 if any of this isn't so.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from headrace.pipelines.store import Store

CALL = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()"]
DATA_STEPS = ("source", "examples", "transform")


def tune_command(asked: argparse.Namespace, store: Path) -> list[str]:
    return [
        *CALL, "tune", "digits", "--param", f"epochs={asked.epochs}", "--store", str(store), "--json",
        "--over", "train.learning_rate=1e-4..1e-1:log", "--over", "train.model_args.width=0.25,0.5,1",
        "--metric", "train.val_loss", "--trials", str(asked.trials), "-j", str(asked.jobs), "--seed", "3",
    ]  # fmt: skip


def killed(command: list[str], after: int) -> int:
    """Starts a search, and kills it in the middle of a trial after so many; gives how many were done."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    done = 0
    for line in process.stderr:
        sys.stderr.write(line)
        done += line.startswith("trial") and "; best" in line
        if done >= after:
            break
    time.sleep(2)
    process.kill()
    process.communicate()
    return done


def ran(store: Store) -> Counter[str]:
    """How often each step of the pipeline really ran."""
    records = (store.run_record(run) for run in store.runs())
    return Counter(
        name for record in records for name, step in record["steps"].items() if step["status"] == "ran"
    )


def trained_again(
    asked: argparse.Namespace, store: Path, values: dict[str, Any], seed: int
) -> dict[str, float]:
    """The losses and the accuracy of a setting with another seed."""
    sets = [word for name, value in values.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    more = ["--param", f"epochs={asked.epochs}", "--param", f"seed={seed}", "--to", "evaluate"]
    command = [*CALL, "run", "digits", *more, *sets, "--store", str(store), "--json"]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    step = {name: told["steps"][name]["outputs"]["output"]["summary"] for name in ("train", "evaluate")}
    loss, accuracy = step["train"]["best"]["val_loss"], step["evaluate"]["metrics"]["accuracy"]
    return {"val_loss": loss, "test accuracy": accuracy}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("trials", 12), ("epochs", 12), ("jobs", 2), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--store", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(asked, asked.store or Path(folder) / "store")


def check(asked: argparse.Namespace, place: Path) -> int:
    command = tune_command(asked, place)
    done = killed(command, max(2, asked.trials // 3))
    store = Store(place)
    before = ran(store)
    began = time.monotonic()
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    after = ran(store)
    finished = [trial for trial in told["trials"] if trial["state"] == "done"]
    worst = max(finished, key=lambda trial: trial["metric"])
    best = told["best"]
    print(f"killed after {done} trials; the rest took {time.monotonic() - began:.0f} s")
    print("ingested and transformed:", {name: after[name] for name in DATA_STEPS})
    print(f"trained {after['train']} times for {len(finished)} trials, {before['train']} before the kill")
    noise = {}
    for name, trial in (("best", best), ("worst", worst)):
        again = [trained_again(asked, place, trial["values"], seed) for seed in range(2, 2 + asked.seeds)]
        print(f"{name}: trial {trial['number']} {trial['values']}: val_loss {trial['metric']:.4f}")
        for key in again[0]:
            found = [each[key] for each in again]
            print(f"    {key} with {asked.seeds} other seeds:", ", ".join(f"{value:.4f}" for value in found))
        noise[name] = [each["val_loss"] for each in again]
    spread = max(statistics.stdev(values) for values in noise.values())
    gap = statistics.mean(noise["worst"]) - statistics.mean(noise["best"])
    print(f"worst minus best: {gap:.4f} of val_loss; the greater standard deviation by seed: {spread:.4f}")
    once = all(after[name] == 1 for name in DATA_STEPS) and after["train"] == len(finished)
    return 0 if once and gap > 2 * spread and min(noise["worst"]) > max(noise["best"]) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
