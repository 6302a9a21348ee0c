"""Rates of each runner as ratios to direct with one worker: `python tests/bench/runners.py [--rows 1000000]`.

A CSV file becomes statistics, a schema and shards, in a fresh store on each runner. The seconds are those of
the steps' records; the run's own, with what is started before and after, stand beside them. What is missing
(Java, a job server, a Flink distribution named by HEADRACE_FLINK for the standalone cluster) is said and left
out. The digests have to be equal. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
import environments
from cases import million
from executions import HERE, Execution, digests, lacks, on_cluster, run
from flink import FlinkCluster, share


def executions(folder: Path, shared: Path, stack: ExitStack) -> Iterator[Execution]:
    """What can be executed here; a cluster is started, and stopped with `stack`."""
    for execution in HERE:
        missing = lacks(execution.runner)
        if missing:
            print(f"{execution.name}: left out, {missing}")
        else:
            yield execution
    distribution = os.environ.get("HEADRACE_FLINK", "")
    if not distribution or lacks("flink"):
        print("flink, standalone: left out, needs Java, a job server and HEADRACE_FLINK")
        return
    python = environments.make_tabular(folder / "tabular")
    cluster = FlinkCluster(folder / "flink")
    cluster.start(Path(distribution))
    stack.callback(cluster.stop)
    yield on_cluster(cluster.address, environments.boot(folder, python))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", action="append", default=[], help="a runner by name, beside the first")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, ExitStack() as stack:
        folder, shared = Path(name), Path(name) / "shared"
        folder.chmod(0o755)
        share(shared)
        pipeline = million(shared, given.rows)
        print(f"{given.rows} rows, {(shared / 'million.csv').stat().st_size / 1e6:.0f} MB of CSV")
        base, expected = 0.0, {}
        for number, execution in enumerate(executions(folder, shared, stack)):
            if number and given.only and execution.name not in given.only:
                continue
            started = time.perf_counter()
            steps = run(pipeline, shared / f"store{number}", execution, shared)
            whole = time.perf_counter() - started
            seconds = sum(record["seconds"] for record in steps.values())
            base, expected = base or seconds, expected or digests(steps)
            if digests(steps) != expected:
                sys.exit(f"{execution.name}: other digests")
            print(
                f"{execution.name:20} {seconds:7.1f} s  {given.rows / seconds / 1000:7.1f}k rows/s"
                f"  {base / seconds:5.2f} x  (the whole run {whole:.1f} s)"
            )


if __name__ == "__main__":
    main()
