"""How fast the data steps are, with one thread and two: `python tests/bench/pipeline_speed.py [rows]`.

Prints for each step seconds, CPU seconds (user and system) and rows a second; the rates of the whole and of
raw Examples to shards; how much the second worker gives; and whether the digests are equal. Figures of one
run only can be compared. `--columns N` takes a table of N columns of numbers; `--only 2` one execution.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from generated import LABEL, mixed_features, plain_features, write_csv

from headrace.components import csv_examples, infer_schema, statistics, transform
from headrace.pipelines.context import Context, RunnerSettings

WORKERS = {"1": {"direct_num_workers": "1"}, "2": {"direct_num_workers": "2"}}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(name: str, rows: int, work: Callable[[], Any]) -> tuple[Any, float]:
    start, used = time.perf_counter(), cpu()
    made = work()
    seconds, used = time.perf_counter() - start, cpu() - used
    print(f"  {name:10} {seconds:7.2f} s  {used:7.2f} s CPU  {rows / seconds:12,.0f} rows/s", flush=True)
    return made, seconds


def run(
    folder: Path, table: Path, rows: int, features: Any, options: dict[str, str]
) -> tuple[Any, list[float]]:
    """One execution of the four steps; gives the digests, and the seconds of each step."""

    def context(step: str) -> Context:
        (folder / step).mkdir(parents=True)
        return Context(step, folder / step, RunnerSettings("direct", options), lambda event: None)

    raw, read = timed("ingest", rows, lambda: csv_examples.function(context("ingest"), path=str(table)))
    found, looked = timed("statistics", rows, lambda: statistics.function(context("statistics"), raw))
    schema, inferred = timed("schema", rows, lambda: infer_schema.function(context("schema"), found))
    made, wrote = timed(
        "transform",
        rows,
        lambda: transform.function(context("transform"), raw, label=LABEL, features=features),
    )
    digests = [artifact.digest for artifact in (raw, found, schema, made.examples, made.transform)]
    return digests, [read, looked, inferred, wrote]


def main(rows: int, columns: int, only: str | None) -> None:
    features = plain_features(columns) if columns else mixed_features()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_csv(folder / "table.csv", rows, columns)
        write_csv(folder / "warm.csv", 100, columns)
        run(folder / "warm", folder / "warm.csv", 100, features, {})
        megabytes = (folder / "table.csv").stat().st_size / 1e6
        print(f"{rows:,} rows x {columns or 18} columns, {megabytes:.0f} MB of CSV")
        every, shards, digests = {}, {}, set()
        for workers, options in WORKERS.items():
            if only in (None, workers):
                print(f"{workers} worker(s)")
                made, seconds = run(folder / workers, folder / "table.csv", rows, features, options)
                every[workers], shards[workers] = sum(seconds), seconds[-1]
                digests.add(tuple(made))
                whole, last = rows / every[workers], rows / shards[workers]
                print(f"  CSV to shards: {whole:,.0f} rows/s; raw Examples to shards: {last:,.0f} rows/s")
                print(f"  {whole * (columns or 18):,.0f} cells/s")
        if len(every) == 2:
            print(
                f"second worker: x{every['1'] / every['2']:.2f}, transform x{shards['1'] / shards['2']:.2f}"
            )
            print("digests are equal" if len(digests) == 1 else "DIGESTS DIFFER")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_500_000)
    parser.add_argument("--columns", type=int, default=0)
    parser.add_argument("--only", choices=tuple(WORKERS))
    asked = parser.parse_args()
    main(asked.rows, asked.columns, asked.only)
