"""What Keras' JAX backend computes on: the devices of this host, or of all hosts of a training.

How these are told of each other is in `hosts`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from ...pipelines.errors import InvalidRequestError, StepError
from ..input.places import Share
from .hosts import AUTO, COORDINATOR, PROCESS, PROCESSES, host_problems

JOIN_SECONDS = 300
"""How long the first host waits for the others, and these for it."""
SILENT_SECONDS = 60
"""How long a host may be silent before it is taken for dead, which ends the others."""
_GONE = re.compile(
    r"gloo|nccl|coordination service|heartbeat|UNAVAILABLE:|DEADLINE_EXCEEDED:|"
    r"connection (reset|closed|refused)",
    re.IGNORECASE,
)
"""What JAX says then, in errors of several types."""


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


@contextlib.contextmanager
def host_errors(share: Share | None) -> Iterator[None]:
    """Says so where a training on several hosts ends because another one is gone.

    Args:
        share: this host's; None where there is one host, and nothing is done.

    Raises:
        StepError: another host is gone, or can't be reached.
    """
    if share is None:
        yield
        return
    try:
        yield
    except Exception as error:
        if not _GONE.search(str(error)):
            raise
        first = next(line for line in str(error).splitlines() if _GONE.search(line))
        raise StepError(
            f"another of the {share.hosts} hosts is gone or can't be reached: {first}",
            remedy="look at the log of the other hosts, and run the command again on all of them: they go on "
            "from the last checkpoint that all have",
        ) from error


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
