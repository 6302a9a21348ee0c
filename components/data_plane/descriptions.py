"""What is asked of a unit's description before it travels: it is small, and means the same on every host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

from apache_beam.coders import FastPrimitivesCoder

LARGEST_ELEMENT = 64 * 2**10
"""Bytes that an element crossing a stage may have: a unit's description, a result's reference. What is
larger belongs in a file, since a runner may keep every such element in one process's memory."""


def check_descriptions(stage: str, units: Sequence[Any], work: Any) -> int:
    """Checks the units of a stage and what is done with them; gives the bytes of the largest unit.

    Raises:
        ValueError: a unit is larger than LARGEST_ELEMENT, or names a file relative to this process's folder,
            which a worker doesn't share.
    """
    coder = FastPrimitivesCoder()
    largest = max(len(coder.encode(unit)) for unit in enumerate(units))
    if largest > LARGEST_ELEMENT:
        raise ValueError(f"{stage}: a unit's description has {largest} bytes, more than {LARGEST_ELEMENT}")
    for path in paths_in((work, *units)):
        if not path.is_absolute():
            raise ValueError(f"{stage}: a unit names {path}, which isn't the same file for every worker")
    return largest


def paths_in(value: Any) -> Iterator[PurePath]:
    """Every path in dataclasses, named tuples, sequences and mappings, however deep."""
    if isinstance(value, PurePath):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from paths_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from paths_in(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from paths_in(getattr(value, field.name))
