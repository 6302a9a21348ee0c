"""A run that loses a task manager while its workers are at work."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from .executions import Execution, command, records
from .flink import FlinkCluster

PATIENCE = 900.0


def run_and_lose(
    cluster: FlinkCluster, lost: str, pipeline: str, store: Path, execution: Execution, cwd: Path
) -> dict[str, Any]:
    """Kills a task manager in the middle of a pass over many units; gives the steps' records."""
    process = subprocess.Popen(
        command(pipeline, store, execution),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for_result(store, process)
        running = [job["jid"] for job in cluster.jobs() if job["state"] == "RUNNING"]
        cluster.kill(lost)
        assert running, "no job was at work when the task manager was killed"
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, err[-3000:]
    assert_restarted(cluster, running)
    return records(store, json.loads(out)["run"])


def _wait_for_result(store: Path, process: subprocess.Popen[str]) -> None:
    """Waits for the first file of a unit's result, `UNIT-ROWS-ATTEMPT`, of the step with the most units."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if list(store.glob("staging/*/statistics/scratch/*/[0-9]*-[0-9]*-*")):
            return
        time.sleep(0.02)
    raise AssertionError(f"no unit was done: {process.communicate()[1][-3000:]}")


def assert_restarted(cluster: FlinkCluster, jobs: list[str]) -> None:
    """The jobs were hit by the loss: Flink started their tasks again, or they failed and others took over."""
    for job in jobs:
        told = cluster.get(f"/jobs/{job}")
        exceptions = cluster.get(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        assert told["state"] != "FINISHED" or exceptions, told["state"]
