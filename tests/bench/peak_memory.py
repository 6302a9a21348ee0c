"""The most memory that the data steps take: `python tests/bench/peak_memory.py [rows]`, on Linux.

A generated table (18 mixed columns) of that many rows, and one of ten times as many, go from CSV to shuffled
shards by `headrace run`. Every 50 ms the resident memory of all its processes is added up; what several share
is counted in each. Prints the peak of both runs and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generated import LABEL, mixed_features, write_csv

STEPS = {
    "examples": {"uses": "csv_examples", "with": {"path": "table.csv"}},
    "statistics": {"uses": "statistics", "with": {"examples": "${steps.examples}"}},
    "schema": {"uses": "infer_schema", "with": {"statistics": "${steps.statistics}"}},
    "transform": {
        "uses": "transform",
        "with": {"examples": "${steps.examples}", "label": LABEL, "features": mixed_features()},
    },
}
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(root: int) -> set[int]:
    """The process and everything that descends from it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has just ended
                continue
    found, more = {root}, True
    while more:
        children = {child for child, parent in parents.items() if parent in found} - found
        found, more = found | children, bool(children)
    return found


def resident(processes: set[int]) -> int:
    """Bytes."""
    total = 0
    for process in processes:
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total


def peak(rows: int) -> int:
    """The peak of one run, in bytes."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_csv(folder / "table.csv", rows)
        (folder / "table.yaml").write_text(json.dumps({"pipeline": "table", "steps": STEPS}))
        command = "from headrace.pipelines.cli import main; main()"
        start, most = time.perf_counter(), 0
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(
                [sys.executable, "-c", command, "run", "table.yaml"], cwd=folder, stdout=log, stderr=log
            )
            while running.poll() is None:
                most = max(most, resident(tree(running.pid)))
                time.sleep(0.05)
        if running.returncode:
            raise SystemExit((folder / "log").read_text()[-3000:])
        seconds = time.perf_counter() - start
    print(f"{rows:12,} rows: {most / 2**20:,.0f} MiB at most, {seconds:.0f} s", flush=True)
    return most


def main(rows: int) -> None:
    few, many = peak(rows), peak(10 * rows)
    print(f"ten times the rows take x{many / few:.2f} of the memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_500_000)
    main(parser.parse_args().rows)
