"""Which steps of a pipeline share a loop when it is written as Python source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .pipeline import Step, base_name


@dataclass
class Block:
    """Steps that are written one after the other, in one loop if they are mapped.

    Attributes:
        each: the lists that all of them are mapped over; empty for steps that aren't mapped.
        steps: their names.
    """

    each: Mapping[str, Any]
    steps: list[str] = field(default_factory=list)


def blocks(steps: Mapping[str, Step], order: list[str]) -> list[Block]:
    """The steps of a pipeline in blocks, each step behind those that it refers to.

    Args:
        steps: by name.
        order: their names in topological order; it is kept where nothing is mapped.
    """
    if not any(step.each for step in steps.values()):
        return [Block({}, list(order))]
    found: list[Block] = []
    waiting = list(order)
    while waiting:
        ready = [name for name in waiting if not _referred(steps[name], steps) & set(waiting)]
        name = next((name for name in ready if found and _joins(steps[name], found[-1])), ready[0])
        if not (found and _joins(steps[name], found[-1])):
            found.append(Block(steps[name].each))
        found[-1].steps.append(name)
        waiting.remove(name)
    return found


def _referred(step: Step, steps: Mapping[str, Step]) -> set[str]:
    return {base_name(source.step, steps) for source in step.references}


def _joins(step: Step, block: Block) -> bool:
    """Whether a step can stand in a block's loop: it names none of the block's steps with a key.

    The step of another key may be one that the loop has yet to come to.
    """
    keyed = {source.step.rpartition("[")[0] for source in step.references if source.step not in block.steps}
    return step.each == block.each and not keyed & set(block.steps)


def kept(steps: Mapping[str, Step], made: list[Block], outside: list[str]) -> set[str]:
    """The mapped steps that are referred to beyond their loop, so that all of them have to be kept by key.

    Args:
        steps: by name.
        made: the blocks.
        outside: steps that the pipeline's outputs refer to.
    """
    found = {base_name(name, steps) for name in outside}
    for block in made:
        found |= {n for name in block.steps for n in _referred(steps[name], steps)} - set(block.steps)
    return {name for name in found if name in steps and steps[name].each}
