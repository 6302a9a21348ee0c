"""What Keras' JAX backend computes on: the devices of this host, or of all hosts of a training.

A training on several hosts is the same command on each of them, with these variables of the environment:

    HEADRACE_COORDINATOR   host:port of the first host, which the others reach
    HEADRACE_PROCESSES     how many there are
    HEADRACE_PROCESS       which this one is, from 0

On a TPU pod the first is `auto`: JAX then finds the others by itself. Each host reads its own rows of each
batch, all end with equal weights, and each writes its own artifacts in its own store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ...pipelines.errors import InvalidRequestError, Problem, StepError
from ..input.places import Share

COORDINATOR, PROCESSES, PROCESS = "HEADRACE_COORDINATOR", "HEADRACE_PROCESSES", "HEADRACE_PROCESS"
AUTO = "auto"
JOIN_SECONDS = 300
"""How long the first host waits for the others, and these for it."""
SILENT_SECONDS = 60
"""How long a host may be silent before it is taken for dead, which ends the others."""
INSTALL = "pip install 'headrace[jax]'"


def jax_devices(told: Mapping[str, Any]) -> Sequence[Any]:
    """The devices to train on, of all hosts; joins these first, where there are several.

    Args:
        told: the argument `strategy_args`: `devices`, a list of names like `gpu:0`; all by default.

    Raises:
        InvalidRequestError: JAX isn't there or isn't Keras' backend here, or has no such device.
        StepError: the other hosts can't be reached.
    """
    if keras.backend.backend() != "jax":
        raise InvalidRequestError(
            f"Keras' backend is {keras.backend.backend()} in this process, and not jax",
            argument="strategy",
            remedy="call train as a component, which takes a process of its own for it",
        )
    import jax

    _join_hosts(jax)
    try:
        there = {f"{device.platform}:{device.id}": device for device in jax.devices()}
    except RuntimeError as error:
        raise InvalidRequestError(f"JAX finds no devices: {error}", argument="strategy") from error
    named = told.get("devices") or list(there)
    missing = [name for name in named if str(name).lower() not in there]
    if missing:
        raise InvalidRequestError(
            f"JAX has no device {missing[0]}",
            argument="strategy_args",
            given=str(missing[0]),
            available=tuple(there),
        )
    return [there[str(name).lower()] for name in named]


def data_parallel(devices: Sequence[Any]) -> Any:
    """Keras' distribution of each batch over devices; None for one device, which needs none."""
    if len(devices) == 1:
        return None
    return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)


def share_of_host() -> Share | None:
    """What this host reads of each batch; None where there is one host."""
    import jax

    return Share(jax.process_index(), jax.process_count()) if jax.process_count() > 1 else None


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


def _join_hosts(jax: Any) -> None:
    """Joins the other hosts, if the environment tells of any; once in a process."""
    coordinator = os.environ.get(COORDINATOR, "")
    problems = host_problems()
    if problems:
        raise InvalidRequestError(problems)
    if not coordinator or jax.distributed.is_initialized():
        return
    told: dict[str, Any] = {}
    if coordinator != AUTO:
        told = {
            "coordinator_address": coordinator,
            "num_processes": int(os.environ[PROCESSES]),
            "process_id": int(os.environ[PROCESS]),
        }
    try:
        jax.distributed.initialize(
            **told, initialization_timeout=JOIN_SECONDS, heartbeat_timeout_seconds=SILENT_SECONDS
        )
    except (RuntimeError, ValueError) as error:
        raise StepError(
            f"the hosts of {COORDINATOR}={coordinator} don't come together: {error}",
            remedy=f"run the same command on each host, with {PROCESS} from 0 on, and a port that they reach",
        ) from error
