"""How the hosts of a training by JAX are told of each other. Standard library only.

A training on several hosts is the same command on each of them, with these variables of the environment:

    HEADRACE_COORDINATOR   host:port of the first host, which the others reach
    HEADRACE_PROCESSES     how many there are
    HEADRACE_PROCESS       which this one is, from 0

On a TPU pod the first is `auto`: JAX then finds the others by itself. Each host reads its own rows of each
batch, all end with equal weights, and each writes its own artifacts in its own store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...pipelines.errors import Problem

COORDINATOR, PROCESSES, PROCESS = "HEADRACE_COORDINATOR", "HEADRACE_PROCESSES", "HEADRACE_PROCESS"
AUTO = "auto"


def host_problems(environment: Mapping[str, str] = os.environ) -> list[Problem]:
    """What is wrong with the variables that tell of several hosts."""
    coordinator, *numbers = (environment.get(name, "") for name in (COORDINATOR, PROCESSES, PROCESS))
    if coordinator == AUTO or not (coordinator or any(numbers)):
        return []
    remedy = f"set {COORDINATOR}=host:port, {PROCESSES} and {PROCESS} (from 0), or none of them"
    if not (coordinator and all(number.isdecimal() for number in numbers)):
        return [Problem(f"{COORDINATOR}, {PROCESSES} and {PROCESS} belong together", remedy=remedy)]
    if not int(numbers[1]) < int(numbers[0]):
        return [Problem(f"{PROCESS} is {numbers[1]}, and there are {numbers[0]}", remedy=remedy)]
    return []
