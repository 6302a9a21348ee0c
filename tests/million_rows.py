"""Runs the data steps on a generated table of a million rows: equal digests however the work is spread.

    python tests/million_rows.py [--rows 1000000]

One worker, two threads and two processes, each in a fresh store. Prints for each step its seconds, its
units of work and its workers, and exits with 1 if a digest differs, if a step was not cut into 16 units or
more, if only one of two workers worked, or if an element that crossed a stage was larger than stated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from headrace.components.data_plane.descriptions import LARGEST_ELEMENT

EXECUTIONS = {
    "one worker": {"direct_num_workers": "1"},
    "two threads": {"direct_num_workers": "2"},
    "two processes": {"direct_num_workers": "2", "direct_running_mode": "multi_processing"},
}
PIPELINE = """
pipeline: million
steps:
  examples: {uses: csv_examples, with: {path: million.csv}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with: {examples: "${steps.examples}", schema: "${steps.schema}", label: {y: z_score}, shards: 16}
"""


def write_table(path: Path, rows: int) -> None:
    """Ten columns: numbers of three kinds, and two columns of strings, of which one has missing cells."""
    random = np.random.default_rng(0)
    columns = {f"x{i}": random.normal(size=rows).round(6) for i in range(5)}
    columns["skewed"] = random.lognormal(3, 2, rows).round(4)
    columns["n"] = random.integers(0, 1000, rows)
    columns["city"] = np.array(["Oslo", "Bergen", "", "Stavanger, north", "Tromsø"])[
        random.integers(0, 5, rows)
    ]
    columns["kind"] = np.array([f"kind-{i}" for i in range(100)])[random.integers(0, 100, rows)]
    columns["y"] = (columns["x0"] * 2 + columns["x1"] + random.normal(size=rows) * 0.1).round(6)
    pyarrow.csv.write_csv(pa.table(columns), path)


def run(folder: Path, name: str, options: dict[str, str]) -> dict:
    """Runs the pipeline in a fresh store; gives the records of its steps."""
    store = folder / name.replace(" ", "-")
    flags = [part for key, value in options.items() for part in ("--runner-option", f"{key}={value}")]
    command = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", "run", "million.yaml"]
    done = subprocess.run(
        [*command, "--store", str(store), *flags, "--json"], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    ran = json.loads(done.stdout)["run"]
    return {
        path.stem: json.loads(path.read_text())
        for path in sorted((store / "runs" / ran / "steps").glob("*.json"))
    }


def digests(steps: dict) -> dict[str, str]:
    return {
        f"{s}.{name}": o["digest"] for s, record in steps.items() for name, o in record["outputs"].items()
    }


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
        if work and max(facts["units"] for facts in work) < 16:
            found.append(f"{step} was cut into fewer than 16 units")
        if work and max(len(facts["workers"]) for facts in work) < workers:
            found.append(f"{step}: only one of {workers} workers worked")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "million.csv", rows)
        (folder / "million.yaml").write_text(PIPELINE)
        print(f"{rows} rows, {(folder / 'million.csv').stat().st_size / 1e6:.0f} MB of CSV")
        reference: dict[str, str] = {}
        for execution, options in EXECUTIONS.items():
            steps = run(folder, execution, options)
            seconds = {step: record["seconds"] for step, record in steps.items()}
            print(f"{execution}: {sum(seconds.values()):.1f} s {seconds}")
            wrong = faults(steps, 1 if execution == "one worker" else 2)
            reference = reference or digests(steps)
            if digests(steps) != reference:
                wrong.append(f"other digests than with one worker: {digests(steps)} {reference}")
            if wrong:
                sys.exit("\n".join(wrong))
    print(f"{len(reference)} digests, equal in {len(EXECUTIONS)} executions")


if __name__ == "__main__":
    main()
