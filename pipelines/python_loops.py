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
    found: list[Block] = []
    waiting = list(order)
    while waiting:
        done = {name for block in found for name in block.steps}
        ready = [
            n for n in waiting if {base_name(s.step, steps) for s in steps[n].references} & set(steps) <= done
        ]
        here = [n for n in ready if found and _joins(steps[n], found[-1])]
        name = (here or ready)[0] if any(step.each for step in steps.values()) else waiting[0]
        if not (found and _joins(steps[name], found[-1])):
            found.append(Block(steps[name].each))
        found[-1].steps.append(name)
        waiting.remove(name)
    return found


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
        referred = {base_name(s.step, steps) for name in block.steps for s in steps[name].references}
        found |= referred - set(block.steps)
    return {name for name in found if name in steps and steps[name].each}
