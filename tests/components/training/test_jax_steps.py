"""Steps by Keras' JAX backend, and what is told before a run of a JAX that isn't there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.components.strategies.hosts import COORDINATOR, PROCESS, PROCESSES, host_problems
from headrace.pipelines.processes import worker_environment

TRIED = Path(__file__).with_name("jax_steps_tried.py")


def test_steps_over_eight_devices_resume_bit_by_bit_and_are_those_of_fit() -> None:
    environment = {**os.environ, **worker_environment("jax:8")}
    done = subprocess.run([sys.executable, str(TRIED)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.endswith("all is well\n")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({}, ""),
        ({COORDINATOR: "auto"}, ""),
        ({COORDINATOR: "one:1", PROCESSES: "2", PROCESS: "1"}, ""),
        ({COORDINATOR: "one:1", PROCESSES: "2", PROCESS: "2"}, "HEADRACE_PROCESS is 2, and there are 2"),
        ({PROCESSES: "2"}, "belong together"),
        ({COORDINATOR: "one:1", PROCESSES: "two", PROCESS: "0"}, "belong together"),
    ],
)
def test_what_the_environment_tells_of_several_hosts_is_checked(told: dict[str, str], problem: str) -> None:
    found = host_problems(told)
    assert bool(found) == bool(problem)
    assert not problem or problem in found[0].what
