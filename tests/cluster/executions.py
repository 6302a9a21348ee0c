"""One pipeline, executed in many ways from the command line, and what its records tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.pipelines.errors import Problem
from headrace.pipelines.runners.java import SERVERS, find_server, java_of

CLI = "import sys; sys.argv[0] = 'headrace'; from headrace.pipelines.cli import main; main()"


@dataclass(frozen=True)
class Execution:
    """A runner and its options; `name` is what a test or a table calls it."""

    name: str
    runner: str
    options: Mapping[str, str] = field(default_factory=dict)

    def flags(self) -> list[str]:
        options = (f"{name}={value}" for name, value in self.options.items())
        return ["--runner", self.runner, *(part for each in options for part in ("--runner-option", each))]


HERE = (
    Execution("direct, one worker", "direct", {"direct_num_workers": "1"}),
    Execution("direct, two workers", "direct", {"direct_num_workers": "2"}),
    Execution("portable", "portable"),
    Execution("flink", "flink"),
    Execution("spark", "spark"),
)
"""What needs no cluster; the last two need Java and a job server."""


def on_cluster(address: str, boot: Path, **options: str) -> Execution:
    """The standalone cluster, with Python workers that `boot` starts."""
    settings = {
        "flink_master": address, "parallelism": "2", "environment_type": "PROCESS",
        "environment_config": json.dumps({"command": str(boot)}), **options,
    }  # fmt: skip
    return Execution("flink, standalone", "flink", settings)


def lacks(runner: str) -> str:
    """Why a runner can't be had here, or an empty string."""
    if runner not in SERVERS:
        return ""
    if java_of({}) is None:
        return "needs Java 11 or 17 (a JRE will do)"
    found = find_server(SERVERS[runner], {})
    return f"{found.what}; {found.remedy}" if isinstance(found, Problem) else ""


def command(pipeline: str, store: Path, execution: Execution, *more: str, python: str = "") -> list[str]:
    """The command line of a run."""
    start = [python or sys.executable, "-c", CLI, "run", pipeline, "--store", str(store)]
    return [*start, *execution.flags(), *more, "--json"]


def run(
    pipeline: str, store: Path, execution: Execution, cwd: Path, *more: str, **process: Any
) -> dict[str, Any]:
    """Runs a pipeline; gives the records of its steps by name."""
    environment = process.pop("env", None) or os.environ
    python = process.pop("python", "")
    done = subprocess.run(
        command(pipeline, store, execution, *more, python=python),
        cwd=cwd, env=environment, capture_output=True, text=True, **process,
    )  # fmt: skip
    assert done.returncode == 0, f"{execution.name}: {done.stderr[-3000:]}"
    return records(store, json.loads(done.stdout)["run"])


def records(store: Path, name: str) -> dict[str, Any]:
    steps = sorted((store / "runs" / name / "steps").glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in steps}


def digests(steps: Mapping[str, Any]) -> dict[str, str]:
    """The digest of every artifact, by step and output."""
    return {
        f"{step}.{name}": output["digest"]
        for step, record in steps.items()
        for name, output in record["outputs"].items()
    }


def work(steps: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of each Beam stage, by step and stage."""
    return {
        f"{step}.{message['work']['stage']}": message["work"]
        for step, record in steps.items()
        for message in record["messages"]
        if "work" in message
    }


def users(facts: Mapping[str, Any]) -> set[int]:
    """The users as whom a stage's workers ran; a worker is told as `PROCESS-THREAD@USER@HOST`."""
    return {int(worker.split("@")[1]) for worker in facts["workers"]}


def litter(store: Path) -> list[str]:
    """What no run should leave in a store."""
    left: Sequence[Path] = [
        *(store / "staging").iterdir(), *(store / "locks").glob("*-*"), *store.rglob("*.partly"),
    ]  # fmt: skip
    return sorted(str(path.relative_to(store)) for path in left)
