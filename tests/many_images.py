"""Twenty thousand images through both data steps: equal digests however the work is spread, in flat memory.

    python tests/many_images.py [--images 20000] [--kills 3] [--seed 0]

Generated photographs of some 19 KB go by `image_examples` and `transform` into shards of 96 by 96 pixels: by
one worker, and by two threads, each in a fresh store; and a tenth of them by two threads. Then runs are
killed at random moments and resumed. Prints seconds, units of work, workers and the most memory of all
processes, and exits with 1 if a digest differs, if a step was not cut into 16 units or more, if only one of
two workers worked, if the whole took half as much memory again as the tenth, or if a killed run left anything
behind.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "bench"))

from kill_and_resume import finished, identities, kill_once, litter
from peak_memory import resident, tree
from photographs import write_photographs

from headrace.components.data_plane.descriptions import LARGEST_ELEMENT

UNITS = 16
MOST_GROWTH = 1.5
FEATURE = {"image": ["decode", {"resize": [96, 96]}, "standardize"]}
STEPS = {
    "examples": {"uses": "image_examples", "with": {"path": "many"}},
    "transform": {
        "uses": "transform",
        "with": {"examples": "${steps.examples}", "label": "label", "features": FEATURE},
    },
}


def run(folder: Path, photos: str, workers: int) -> tuple[dict, float, int]:
    """A run in a fresh store: the records of its steps, seconds, and bytes of memory at most."""
    store = folder / f"{photos}-{workers}"
    command = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", "run", "images.yaml"]
    flags = ["--set", f"examples.path={photos}", "--runner-option", f"direct_num_workers={workers}"]
    start, most = time.perf_counter(), 0
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        options = [*flags, "--store", str(store), "--json"]
        running = subprocess.Popen([*command, *options], cwd=folder, stdout=out, stderr=log)
        while running.poll() is None:
            most = max(most, resident(tree(running.pid)))
            time.sleep(0.05)
    if running.returncode:
        sys.exit((folder / "log").read_text()[-3000:])
    name = json.loads((folder / "out").read_text())["run"]
    steps = {
        path.stem: json.loads(path.read_text())
        for path in sorted((store / "runs" / name / "steps").glob("*.json"))
    }
    seconds = time.perf_counter() - start
    print(f"{photos}, {workers} at work: {seconds:.0f} s, {most / 2**20:,.0f} MiB at most", flush=True)
    return steps, seconds, most


def digests(steps: dict) -> dict[str, str]:
    """By step and output."""
    return {f"{s}.{n}": o["digest"] for s, record in steps.items() for n, o in record["outputs"].items()}


def faults(steps: dict, workers: int) -> list[str]:
    """What is wrong with how the work was spread."""
    found = []
    for step, record in steps.items():
        work = [message["work"] for message in record["messages"] if "work" in message]
        for facts in work:
            seen = len(facts["workers"])
            print(f"    {step}.{facts['stage']}: {facts['units']} units, {seen} workers")
            if facts["largest_element_bytes"] > LARGEST_ELEMENT:
                found.append(f"{step}.{facts['stage']}: an element of {facts['largest_element_bytes']} bytes")
        if max(facts["units"] for facts in work) < UNITS:
            found.append(f"{step} was cut into fewer than {UNITS} units")
        if max(len(facts["workers"]) for facts in work) < workers:
            found.append(f"{step}: only one of {workers} workers worked")
    return found


def kill(folder: Path, times: int, seed: int, seconds: float, wanted: dict[str, str]) -> list[str]:
    """Kills runs, resumes them, and says what differs then."""
    chance = random.Random(seed)
    found = []
    for number in range(times):
        store = folder / f"killed-{number}"
        told = kill_once([str(folder / "images.yaml")], store, chance.uniform(2, 0.8 * seconds))
        begun = told.startswith("killed") and list(store.glob("runs/*/record.json"))
        again = ["resume"] if begun else ["run", str(folder / "images.yaml")]
        made = identities(finished([*again, "--store", str(store)]))
        time.sleep(0.2)
        left = litter(store)
        print(f"{told}: {'equal' if made == wanted else 'DIFFERENT'}", flush=True)
        found += [f"after kill {number}: other digests"] if made != wanted else []
        found += [f"after kill {number}: {what} was left" for what in left]
        subprocess.run(["rm", "-rf", str(store)], check=True)
    return found


def main(images: int, kills: int, seed: int) -> None:
    """Runs all, and exits with 1 if anything is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_photographs(folder / "many", images, 280, 210)
        write_photographs(folder / "few", images // 10, 280, 210)
        print(f"{images} images, {size / images / 1000:.1f} KB each", flush=True)
        (folder / "images.yaml").write_text(json.dumps({"pipeline": "images", "steps": STEPS}))
        _, _, little = run(folder, "few", 2)
        one, *_ = run(folder, "many", 1)
        wrong = faults(one, 1)
        two, seconds, much = run(folder, "many", 2)
        wrong += faults(two, 2)
        wanted = digests(one)
        if digests(two) != wanted:
            wrong.append(f"other digests by two workers: {digests(two)} {wanted}")
        print(f"ten times the images take x{much / little:.2f} of the memory")
        if much > MOST_GROWTH * little:
            wrong.append(f"{much:,} bytes of memory, and {little:,} for a tenth of the images")
        wrong += kill(folder, kills, seed, seconds, wanted)
        if wrong:
            sys.exit("\n".join(wrong))
    print(f"{len(wanted)} digests, equal with one worker, with two, and after {kills} kills")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    main(told.images, told.kills, told.seed)
