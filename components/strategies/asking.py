"""What is wrong with the strategy that a step asks for, and which process it needs. Standard library only."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...pipelines.errors import Problem
from .batches import indivisible
from .hosts import host_problems

Arguments = Mapping[str, Any]
TPU_ARGS = (
    "tpu", "zone", "project", "job_name", "coordinator_name", "coordinator_address", "discovery_url",
)  # fmt: skip
"""The arguments of TensorFlow's TPUClusterResolver that a pipeline can write down; a test compares them."""
ARGS: Mapping[str, tuple[str, ...]] = {
    "one": (),
    "mirrored": ("devices",),
    "tpu": TPU_ARGS,
    "jax": ("devices",),
}
"""What `strategy_args` may say of a strategy."""
TPU_VARIABLES = ("TPU_NAME", "KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS")
"""Where the resolver looks for a TPU that it isn't told of."""
_NVIDIA = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_DEVICE = re.compile(r"(GPU|CPU):\d+")


def process_of(arguments: Arguments) -> str:
    """The kind of worker that a step needs; see `headrace.pipelines.worker_kinds`.

    Args:
        arguments: those of `train`.
    """
    backend = "jax" if arguments.get("strategy") == "jax" else "tensorflow"
    devices = arguments.get("virtual_devices") or 0
    return f"{backend}:{devices}" if devices > 1 else backend


def execution_problems(arguments: Arguments) -> list[Problem]:
    """Everything that can be told of a strategy without TensorFlow.

    Args:
        arguments: those of `train`, or of what has some of them.
    """
    strategy = arguments.get("strategy", "one")
    if not isinstance(strategy, str) or strategy.startswith("${"):
        return []
    problems = _argument_problems(strategy, arguments.get("strategy_args"))
    problems += _virtual_problems(strategy, arguments)
    if not problems:
        problems += _missing(strategy, arguments)
    return problems + _batch_problems(arguments) + _combination_problems(strategy, arguments)


def replicas_asked_for(arguments: Arguments) -> int | None:
    """How many replicas there will be, as far as the arguments tell; None if they don't."""
    strategy, told = arguments.get("strategy"), arguments.get("strategy_args")
    devices = told.get("devices") if isinstance(told, Mapping) else None
    if strategy in ("auto", "mirrored", "jax") and isinstance(devices, list) and devices:
        return len(devices)
    virtual = arguments.get("virtual_devices")
    if isinstance(virtual, int) and virtual > 1 and strategy != "tpu":
        return virtual
    return 1 if strategy == "one" else None


def tpu_told(told: Mapping[str, Any]) -> str:
    """The address or name of the TPU, of `strategy_args` or the environment; empty if there is none."""
    return str(told.get("tpu") or "") or next((os.environ[n] for n in TPU_VARIABLES if os.environ.get(n)), "")


def _argument_problems(strategy: str, told: Any) -> list[Problem]:
    if not isinstance(told, Mapping):
        return []
    known = ARGS.get(strategy, ("devices", *TPU_ARGS))
    problems = [
        Problem(
            f"the strategy {strategy} has no argument {name!r}",
            argument="strategy_args", given=str(name), available=known,
        )
        for name in told
        if name not in known
    ]  # fmt: skip
    devices = told.get("devices")
    if devices is not None and strategy in ("auto", "mirrored"):
        problems += _device_problems(devices)
    return problems


def _device_problems(devices: Any) -> list[Problem]:
    fine = isinstance(devices, list) and devices and all(isinstance(d, str) for d in devices)
    if not fine or any(not _DEVICE.fullmatch(device) for device in devices):
        what = f"devices are a list of names like GPU:0, and this is {devices!r}"
        return [Problem(what, argument="strategy_args", remedy='write {devices: ["GPU:0", "GPU:1"]}')]
    if len(set(devices)) < len(devices):
        return [Problem("a device is named twice", argument="strategy_args", given=", ".join(devices))]
    return []


def _virtual_problems(strategy: str, arguments: Arguments) -> list[Problem]:
    virtual = arguments.get("virtual_devices")
    if not isinstance(virtual, int) or virtual < 2:
        return []
    if strategy in ("one", "tpu"):
        what = f"the strategy {strategy} doesn't use the {virtual} virtual devices of the CPU"
        return [
            Problem(
                what, argument="virtual_devices", remedy="take strategy: mirrored or jax, or leave it out"
            )
        ]
    told = arguments.get("strategy_args")
    named = told.get("devices") if isinstance(told, Mapping) and strategy != "jax" else None
    there = [f"CPU:{number}" for number in range(virtual)]
    return [
        Problem(
            f"there is no device {device} among {virtual} virtual ones",
            argument="strategy_args", given=str(device), available=tuple(there),
        )
        for device in (named if isinstance(named, list) else [])
        if device not in there
    ]  # fmt: skip


def _missing(strategy: str, arguments: Arguments) -> list[Problem]:
    """What a strategy needs and this machine doesn't have."""
    told = arguments.get("strategy_args")
    told = told if isinstance(told, Mapping) else {}
    virtual = (arguments.get("virtual_devices") or 1) > 1
    if strategy == "tpu" and not tpu_told(told):
        remedy = "set TPU_NAME, or strategy_args: {tpu: NAME} (`local` on a TPU VM), or take strategy: jax"
        return [
            Problem("there is no TPU: no name or address of one is told", argument="strategy", remedy=remedy)
        ]
    if strategy == "jax" and find_spec("jax") is None:
        what = "the strategy jax needs JAX, which is not installed"
        return [Problem(what, argument="strategy", remedy="pip install 'headrace[jax]'")]
    if strategy == "jax":
        return host_problems()
    wanted = told.get("devices") or ["GPU:0"]
    needs_gpu = any(str(device).startswith("GPU") for device in wanted)
    if strategy == "mirrored" and not virtual and needs_gpu and no_gpu():
        return [no_gpu_problem()]
    return []


def no_gpu() -> bool:
    """Whether this machine can't have a GPU that TensorFlow uses; False where that isn't known."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return True
    return sys.platform == "linux" and not any(Path(device).exists() for device in _NVIDIA)


def no_gpu_problem() -> Problem:
    """The problem of mirroring over GPUs where there is none."""
    return Problem(
        "there is no GPU on this machine to mirror the network on",
        argument="strategy",
        remedy="take strategy: one (or auto), or try it on the CPU with virtual_devices: 2",
    )


def _batch_problems(arguments: Arguments) -> list[Problem]:
    size, each = arguments.get("batch_size"), arguments.get("replica_batch_size")
    if size is not None and each is not None:
        what = "batch_size and replica_batch_size both say how many examples a step has"
        return [Problem(what, argument="replica_batch_size", remedy="leave one out")]
    replicas = replicas_asked_for(arguments)
    if replicas is None or not isinstance(size, int):
        return []
    problem = indivisible(size, replicas)
    return [problem] if problem else []


def _combination_problems(strategy: str, arguments: Arguments) -> list[Problem]:
    """What TensorFlow can't do on several replicas."""
    replicas = replicas_asked_for(arguments)
    several = strategy == "mirrored" or (strategy == "auto" and (replicas or 1) > 1)
    if not several or replicas == 1:
        return []
    problems = [xla_problem()] if arguments.get("xla") is True else []
    optimizer = arguments.get("optimizer")
    for told in optimizer.values() if isinstance(optimizer, Mapping) else ():
        if isinstance(told, Mapping) and told.get("ema_overwrite_frequency"):
            problems.append(overwriting_problem())
    return problems


def xla_problem() -> Problem:
    """Of XLA and several replicas: tried on a CPU, TensorFlow fails in the first step."""
    return Problem(
        "a step of several replicas is not compiled by XLA: on CPUs TensorFlow can't compile the exchange of "
        "their gradients, and on GPUs it was never tried here",
        argument="xla",
        remedy="leave xla out, or take strategy: jax, which always compiles by XLA",
    )


def overwriting_problem() -> Problem:
    """Of averaged weights and several replicas: Keras overwrites them in a branch, where these can't meet."""
    return Problem(
        "Keras can't overwrite the weights with their average (ema_overwrite_frequency) on several replicas: "
        "it does so within tf.cond, where they can't be synchronized",
        argument="optimizer",
        remedy="leave ema_overwrite_frequency out, or take strategy: one or jax",
    )
