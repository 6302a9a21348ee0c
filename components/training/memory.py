"""Out of memory while a network is trained: what was too large, and what to make smaller."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...pipelines.errors import StepError

if TYPE_CHECKING:
    from .checkpoints import Checkpoints

_BYTES = {"float": 4, "float32": 4, "double": 8, "half": 2, "bfloat16": 2, "int64": 8, "int32": 4, "uint8": 1}
_SHAPE = re.compile(r"shape ?[\[(]([\d, ]+)[\])](?: and (?:data )?type (\w+))?")
_SIZE = re.compile(r"allocat\w* (\d+) bytes")
_DEVICE = re.compile(r"device:(\w+):(\d+)")


@contextlib.contextmanager
def memory_errors(batch_size: int, split: str, checkpoints: Checkpoints | None = None) -> Iterator[None]:
    """Says of an error of memory inside the block what was too large.

    Args:
        batch_size: examples a step.
        split: what is learned from.
        checkpoints: tells which one is kept.

    Raises:
        StepError: TensorFlow, JAX or NumPy got no memory.
    """
    try:
        yield
    except Exception as error:
        if not is_of_memory(error):
            raise
        kept = checkpoints.kept() if checkpoints else ""
        raise memory_error(str(error), batch_size, split, kept) from error


def is_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory couldn't be had, on the host or on a device."""
    if isinstance(error, MemoryError):
        return True
    kind = type(error)
    # By name: neither TensorFlow nor JAX is imported where the other computes.
    if kind.__name__ == "ResourceExhaustedError" and kind.__module__.startswith("tensorflow"):
        return True
    return kind.__name__ in ("JaxRuntimeError", "XlaRuntimeError") and "RESOURCE_EXHAUSTED" in str(error)


def memory_error(text: str, batch_size: int, split: str, kept: str = "") -> StepError:
    """An error of memory with its remedies.

    Args:
        text: of the library's error; it mostly has the shape that got no memory.
        batch_size, split: see `memory_errors`.
        kept: which checkpoint is kept; empty for none.
    """
    shape, size = _asked(text)
    device = _DEVICE.search(text)
    of = f" of the {device[1]} {device[2]}" if device and device[1] != "CPU" else ""
    what = f"out of memory{of}, with {batch_size:,} examples a step"
    if size:
        asked = f" for a tensor of {' x '.join(f'{n:,}' for n in shape)}" if shape else ""
        what += f": there was no room for {_told(size)}{asked}"
    remedies = []
    if shape and batch_size not in shape:  # weights or their gradients, mostly
        remedies.append("make the model smaller (model_args: hidden_units, width)")
    if batch_size > 1:
        half = batch_size // 2
        remedies.append(
            f"take a smaller batch: batch_size: {half}; gradient_accumulation_steps: 2 among the optimizer's "
            "arguments makes up for it"
        )
    remedies.append(
        f"if the split {split!r} fills the host's memory, cache: none; smaller images (resize), "
        "or precision: bfloat16"
    )
    return StepError(what, argument="batch_size", remedy="; ".join([*remedies, *([kept] if kept else [])]))


def _asked(text: str) -> tuple[tuple[int, ...], int]:
    """The shape and the bytes that there was no room for; nothing and 0 where they aren't told."""
    found = _SHAPE.search(text)
    if found:
        shape = tuple(int(n) for n in found[1].replace(" ", "").strip(",").split(",") if n)
        return shape, math.prod(shape) * _BYTES.get(found[2] or "float", 4)
    size = _SIZE.search(text)
    return (), int(size[1]) if size else 0


def _told(size: int) -> str:
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20)):
        if size >= 1 << power:
            return f"{size / (1 << power):.1f} {unit}"
    return f"{size:,} bytes"
