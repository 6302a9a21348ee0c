"""What is there to compute on, and what a training takes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ...pipelines.errors import InvalidRequestError
from ..input.places import Share
from .asking import no_gpu_problem, overwriting_problem, tpu_told, xla_problem

if TYPE_CHECKING:
    from ..training.settings import Execution


@dataclass(frozen=True)
class Chosen:
    """What a training runs on.

    Attributes:
        name: "one", "mirrored", "tpu" or "jax".
        replicas: how many copies of the network learn side by side.
        why: in words, for people.
        strategy: TensorFlow's; None where a training needs none.
        distribution: Keras' `DataParallel` of the JAX backend; None where a training needs none.
        share: what this host reads of each batch, where there are several hosts.
    """

    name: str
    replicas: int
    why: str
    strategy: tf.distribute.Strategy | None = None
    distribution: Any = None
    share: Share | None = None

    def scope(self) -> AbstractContextManager[Any]:
        """Where a network is compiled: variables made in it are on every replica."""
        return self.strategy.scope() if self.strategy else nullcontext()


ONE = Chosen("one", 1, "one device")
_NUMBERS = count()
"""Of the strategies of this process."""


def choose(execution: Execution) -> Chosen:
    """Takes what a training asks for, or with `auto` what is there.

    Has to come before anything else uses TensorFlow, since a TPU is initialized here.

    Args:
        execution: what is asked for.

    Raises:
        InvalidRequestError: it isn't there, or can't be had together.
    """
    name = execution.strategy
    if name == "auto":
        name = _automatic(execution)
    if name == "tpu":
        chosen = _tpu(execution.strategy_args)
    elif name == "mirrored":
        chosen = _mirrored(execution)
    elif name == "jax":
        chosen = _jax(execution)
    else:
        chosen = Chosen("one", 1, f"one device, {_kinds(tf.config.list_logical_devices())[0]}")
    if chosen.replicas > 1 and chosen.name != "jax" and execution.xla:
        raise InvalidRequestError([xla_problem()])
    return chosen


def require_optimizer(optimizer: Any, replicas: int) -> None:
    """Refuses what Keras' optimizers can't do on several replicas.

    Args:
        optimizer: of a compiled network.
        replicas: how many there are.

    Raises:
        InvalidRequestError: it averages weights and overwrites them.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if replicas > 1 and getattr(inner, "use_ema", False) and inner.ema_overwrite_frequency:
        raise InvalidRequestError([overwriting_problem()])


def _automatic(execution: Execution) -> str:
    if execution.strategy_args.get("devices") or (execution.virtual_devices or 1) > 1:
        return "mirrored"
    if tpu_told(execution.strategy_args):
        return "tpu"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"


def _tpu(told: Mapping[str, Any]) -> Chosen:
    from .tpu import tpu_strategy

    strategy = tpu_strategy(told)
    cores = strategy.num_replicas_in_sync
    return Chosen("tpu", cores, f"{cores} cores of the TPU {tpu_told(told)}", strategy)


def _mirrored(execution: Execution) -> Chosen:
    devices = _devices(execution)
    if len(devices) == 1:
        why = f"one device, {devices[0]}: there is no other to mirror the network on"
        return Chosen("mirrored", 1, why, tf.distribute.OneDeviceStrategy(devices[0]))
    how = "named" if execution.strategy_args.get("devices") else "all of this machine"
    if (execution.virtual_devices or 1) > 1:
        how = "virtual ones of one CPU: a trial, and no quicker than one device"
    why = f"{len(devices)} mirrored devices ({', '.join(devices)}; {how})"
    return Chosen("mirrored", len(devices), why, _strategy_over(devices))


def _strategy_over(devices: Sequence[str]) -> tf.distribute.Strategy:
    """TensorFlow's, whose exchanges between devices have numbers of their own.

    TensorFlow numbers them alike for each strategy, and remembers them: a process that trained one network
    and then mirrors another would fail with a mismatch of shapes.
    """
    base = {"_collective_key_base": 1000 * next(_NUMBERS)}
    kind = type("MirroredStrategy", (tf.distribute.MirroredStrategy,), base)
    # On a CPU, collective operations wait for each other, each in a thread of the few that there are.
    on_cpu = any(device.startswith("CPU") for device in devices)
    return kind(list(devices), tf.distribute.ReductionToOneDevice() if on_cpu else None)


def _devices(execution: Execution) -> Sequence[str]:
    """The devices to mirror on, as `GPU:0`."""
    there = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    virtual, named = execution.virtual_devices or 1, execution.strategy_args.get("devices")
    if named:
        missing = [device for device in named if device not in there]
        if missing:
            what = f"there is no device {missing[0]}"
            raise InvalidRequestError(
                what, argument="strategy_args", given=missing[0], available=tuple(there)
            )
        return list(named)
    if virtual > 1:
        cpus = [name for name in there if name.startswith("CPU:")]
        if len(cpus) < virtual:
            raise InvalidRequestError(
                f"this process has {len(cpus)} CPU devices and not {virtual}",
                argument="virtual_devices",
                remedy="call train as a component, which takes a process of its own for it",
            )
        return cpus[:virtual]
    gpus = [name for name in there if name.startswith("GPU:")]
    if not gpus:
        raise InvalidRequestError([no_gpu_problem()])
    return gpus


def _kinds(devices: Sequence[Any]) -> Sequence[str]:
    """Names of devices, the accelerators first."""
    return [d.name.removeprefix("/device:") for d in sorted(devices, key=lambda d: d.device_type == "CPU")]


def _jax(execution: Execution) -> Chosen:
    from .jax_devices import data_parallel, jax_devices, share_of_host

    devices, share = jax_devices(execution.strategy_args), share_of_host()
    where = f" of {share.hosts} hosts" if share else ""
    why = f"{len(devices)} {devices[0].platform.upper()} device{'s' * (len(devices) > 1)} of JAX{where}"
    return Chosen("jax", len(devices), why, distribution=data_parallel(devices), share=share)
