"""What one more day costs: `python tests/bench/appended_day.py [rows a day] [--days 30] [--parquet]`.

A folder of 30 generated files (18 mixed columns) is ingested, a file is added, and it is ingested again;
beside that all of it is ingested into an empty store. Each is a whole `headrace run` of a pipeline with this
one step. Prints seconds, CPU seconds, the step's own seconds, and the ratios; the digests have to be equal.
Compare figures of one run only. With `--repeat 3` the best of three counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from generated import mixed_piece

PIPELINE = "pipeline: days\nsteps:\n  examples: {{uses: {uses}, with: {{path: 'data/*'}}}}\n"
SETTLED = 2.5
"""Seconds after which the store remembers the digest of a file that was written."""


class Cost(NamedTuple):
    wall: float
    cpu: float
    step: float

    def shown(self, name: str) -> str:
        return f"{name:22} {self.wall:7.2f} s {self.cpu:7.2f} s CPU, the step {self.step:7.2f} s"


def write_day(path: Path, day: int, rows: int) -> None:
    table: pa.Table = mixed_piece(day, rows)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pq.write_table(table, path)


def run(folder: Path, store: str) -> tuple[Cost, str, str]:
    """One whole process; its cost, the digest, and what it said of the files."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", "run", "days.yaml"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*command, "--store", store, "--json"], cwd=folder, env=environment, capture_output=True, check=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    step = json.loads(done.stdout)["steps"]["examples"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    made = step["outputs"]["output"]
    reused = f"{made['summary'].get('reused', 0)} of {made['summary'].get('files', 0)} files reused"
    return Cost(wall, cpu, step["seconds"]), made["digest"], reused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=100_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--repeat", type=int, default=1)
    asked = parser.parse_args()
    uses, end = ("parquet_examples", "parquet") if asked.parquet else ("csv_examples", "csv")
    appended, full = [], []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "data").mkdir()
        (folder / "days.yaml").write_text(PIPELINE.format(uses=uses))
        days = [folder / "data" / f"day-{day:03d}.{end}" for day in range(asked.days + 1)]
        for day, path in enumerate(days[:-1]):
            write_day(path, day, asked.rows)
        for turn in range(asked.repeat):
            time.sleep(SETTLED)
            run(folder, f"store-{turn}")
            write_day(days[-1], asked.days, asked.rows)
            time.sleep(SETTLED)
            grown, digest, reused = run(folder, f"store-{turn}")
            whole, expected, _ = run(folder, f"empty-{turn}")
            if digest != expected:
                raise SystemExit(f"the digests differ: {digest} and {expected}")
            print(whole.shown("full ingest"), flush=True)
            print(grown.shown("one appended day"), f"({reused})", flush=True)
            appended.append(grown)
            full.append(whole)
            days[-1].unlink()
    best, worst = [Cost(*map(min, zip(*costs, strict=True))) for costs in (appended, full)]
    ratios = [f"{mine / other:.3f}" for mine, other in zip(best, worst, strict=True)]
    print(f"ratio: {ratios[0]} of the time, {ratios[1]} of the CPU time, {ratios[2]} of the step's time")


if __name__ == "__main__":
    main()
