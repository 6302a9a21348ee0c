"""What a worker process is set up for: the text `backend` or `backend:devices`.

    ""                what imports no TensorFlow
    "tensorflow"      Keras on TensorFlow, on the devices that are there
    "tensorflow:4"    the same, with the CPU cut into 4 logical devices
    "jax"             Keras on JAX; TensorFlow, which reads the data, leaves the accelerators alone
    "jax:4"           the same, with 4 virtual CPU devices

Logical devices can only be set up before TensorFlow or JAX is used for the first time, and Keras' backend
before it is imported, so that each of these is a process of its own.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

VIRTUAL_DEVICES = "HEADRACE_VIRTUAL_DEVICES"
"""The variable of the environment that tells a worker into how many logical devices its CPU is cut."""
_FORCED = "--xla_force_host_platform_device_count"
_PATIENCE = "--xla_cpu_collective_call_terminate_timeout_seconds"
"""Of virtual devices that wait for each other: XLA ends the process after 40 s, which a busy CPU may need."""


@dataclass(frozen=True)
class WorkerKind:
    """A kind of worker.

    Attributes:
        backend: of Keras: "tensorflow" or "jax"; "" for a worker that uses none.
        devices: into how many logical devices the CPU is cut; 0 to leave it whole.
    """

    backend: str
    devices: int = 0

    @classmethod
    def of(cls, text: str) -> WorkerKind:
        """Of the text that a component's `process` is.

        Raises:
            ValueError: it is none.
        """
        backend, _, devices = text.partition(":")
        count = int(devices) if devices else 0
        if backend not in ("", "tensorflow", "jax") or (text.endswith(":") or count < 0):
            raise ValueError(f"{text!r} is no kind of process; tensorflow, tensorflow:4, jax and jax:4 are")
        return cls(backend, count)

    def environment(self) -> dict[str, str]:
        """The variables that have to be set before the process starts.

        A worker's own workers inherit them, so that each kind sets all of them.
        """
        devices = str(self.devices) if self.devices else ""
        found = {"KERAS_BACKEND": self.backend or "tensorflow", VIRTUAL_DEVICES: devices}
        before = os.environ.get("XLA_FLAGS", "")
        if self.devices and self.backend == "jax":
            kept = re.sub(rf"({_FORCED}|{_PATIENCE})=\S*", "", before).strip()
            found["XLA_FLAGS"] = f"{kept} {_FORCED}={self.devices} {_PATIENCE}=600".strip()
            found["JAX_PLATFORMS"] = "cpu"
        return found

    @property
    def is_here(self) -> bool:
        """Whether this process, which was started by somebody else, can do what such a worker does."""
        if self.devices:
            return False
        if self.backend == "jax" and "keras" in sys.modules:
            return False
        return self.backend in ("", os.environ.get("KERAS_BACKEND", "tensorflow"))


def configure() -> None:
    """Sets this worker's devices up as its environment says, before TensorFlow is used for the first time."""
    jax = os.environ.get("KERAS_BACKEND") == "jax"
    devices = int(os.environ.get(VIRTUAL_DEVICES) or 0)
    if not devices and not jax:
        return
    import tensorflow as tf

    if jax:  # else TensorFlow takes the memory that JAX needs
        tf.config.set_visible_devices([], "GPU")
        return
    logical = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
