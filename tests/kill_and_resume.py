"""Kills runs at random moments and resumes them: the results have to be those of an undisturbed run.

    python tests/kill_and_resume.py --pipeline wine --times 20 [--seed 0] [--param k=v …]

Each time: a fresh store, `headrace run`, SIGKILL of the run's process after a random part of the time that
the undisturbed run took, `headrace resume`. Then every data artifact has the same digest, the model the
same weights, and neither staging, locks nor processes are left over. Exits with 1 on the first difference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = ("Files", "Examples", "Statistics", "Schema", "Transform")


def headrace(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", *arguments]


def finished(arguments: list[str]) -> dict:
    done = subprocess.run(headrace(*arguments, "--json"), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{arguments} ended with {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def identities(run: dict) -> dict[str, str]:
    """What has to be equal: digests of data artifacts, the digest of the weights of models."""
    found = {}
    for step, record in run["steps"].items():
        for name, output in record["outputs"].items():
            if output["type"] in DATA:
                found[f"{step}.{name}"] = output["digest"]
            elif output["type"] == "Model":
                manifest = json.loads(Path(output["path"], "manifest.json").read_text())
                found[f"{step}.{name}"] = manifest["properties"]["weights"]
    return found


def litter(store: Path) -> list[str]:
    """What a run must not leave behind: staging, locks, half-written files, living workers."""
    left = [str(path) for path in (store / "staging").iterdir()]
    left += [str(path) for path in (store / "locks").iterdir() if path.name != "using"]
    left += [str(path) for path in (store / "runs").rglob(".*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(store).encode() in (process / "environ").read_bytes():
                left.append(f"process {process.name}")
        except OSError:
            continue
    return left


def kill_once(arguments: list[str], store: Path, seconds: float) -> str:
    """Starts a run, kills it after `seconds`; says what it was doing."""
    process = subprocess.Popen(
        headrace("run", *arguments, "--store", str(store)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    process.kill()
    code = process.wait()
    records = [json.loads(path.read_text()) for path in store.glob("runs/*/steps/*.json")]
    done = [record["step"] for record in sorted(records, key=lambda r: r["started"])]
    return f"{'killed' if code == -9 else 'had ended'} after {seconds:5.2f} s, done: {', '.join(done) or '-'}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", default="wine")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--param", action="append", default=[])
    options = parser.parse_args()
    arguments = [options.pipeline, *(part for param in options.param for part in ("--param", param))]
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        reference = finished(["run", *arguments, "--store", f"{folder}/reference"])
        wanted = identities(reference)
        print(f"undisturbed: {reference['seconds']:.1f} s, {len(wanted)} identities")
        for number in range(options.times):
            store = Path(folder, f"store-{number}")
            what = kill_once(arguments, store, chance.uniform(0.05, reference["seconds"]))
            started = list(store.glob("runs/*/record.json"))
            again = (
                ["resume"] if started else ["run", *arguments]
            )  # nothing to resume before the first record
            found = identities(finished([*again, "--store", str(store)]))
            time.sleep(0.2)
            left = litter(store)
            print(
                f"{number + 1:3d}  {what}: {'equal' if found == wanted and not left else 'DIFFERENT'}",
                flush=True,
            )
            if found != wanted or left:
                sys.exit(json.dumps({"wanted": wanted, "found": found, "left": left}, indent=1))
            subprocess.run(["rm", "-rf", str(store)], check=True)
    print(f"{options.times} kills, {options.times} equal results, no litter ({os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
