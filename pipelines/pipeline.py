"""Pipelines as data: what a document or a traced function says, before anything is looked up.

A `Pipeline` comes from YAML (`document.py`) or from a traced `@pipeline` function (`tracing.py`). `bind`
(`binding.py`) makes a `BoundPipeline` (`bound.py`) of it, in which every name is resolved and every value
is converted; that is what is planned and run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

NAME = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")
"""What a step, a parameter or an output may be called; a dot joins a sub-pipeline's name and its step's."""


@dataclass(frozen=True)
class StepOutput:
    """A reference to what a step gives: `${steps.NAME}` or `${steps.NAME.OUTPUT}`."""

    step: str
    output: str = "output"

    def __str__(self) -> str:
        return (
            f"${{steps.{self.step}}}" if self.output == "output" else f"${{steps.{self.step}.{self.output}}}"
        )


@dataclass(frozen=True)
class ParamValue:
    """A reference that fills a whole scalar, `${params.NAME}`: the value keeps its type."""

    name: str

    def __str__(self) -> str:
        return f"${{params.{self.name}}}"


@dataclass(frozen=True)
class Template:
    """A text with references to parameters inside, which are put in as text."""

    parts: tuple[str | ParamValue, ...]

    def __str__(self) -> str:
        return "".join(p.replace("${", "$${") if isinstance(p, str) else str(p) for p in self.parts)


@dataclass(frozen=True)
class Step:
    """One use of a component, or of a pipeline, as it was declared.

    Attributes:
        name: unique within the pipeline.
        uses: the component's or the pipeline's name, see `resolve.py`.
        arguments: values by argument; JSON values that may hold StepOutput, ParamValue and Template.
        file, line: where it was declared; line counts from 1, 0 is unknown.
        argument_lines: lines by argument.
        runner: the step's own runner options, or None.
        component: the component itself where Python code gave it; then nothing has to be looked up.
    """

    name: str
    uses: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    argument_lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    runner: Mapping[str, Any] | None = None
    component: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Pipeline:
    """A DAG of steps; data, not behaviour.

    Attributes:
        name: the pipeline's name.
        params: default values by parameter; None where a value must be given.
        steps: by name, in the order of declaration.
        folder: what relative paths are relative to.
        file: where it was declared, or an empty string.
        outputs: what it gives to a pipeline that uses it, by name.
        runner: runner options of all steps, or None.
        tune: the search that `headrace tune` makes, see `tuning.settings`, or None.
        output_lines: lines of the outputs in the file.
        tune_line: the line of the search in the file.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Step] = field(default_factory=dict)
    folder: str = field(default="", compare=False)
    file: str = field(default="", compare=False)
    outputs: Mapping[str, StepOutput] = field(default_factory=dict)
    runner: Mapping[str, Any] | None = None
    tune: Mapping[str, Any] | None = None
    output_lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    tune_line: int = field(default=0, compare=False)


def map_values(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` applied to each leaf of its lists and mappings; keys stay as they are."""
    if isinstance(value, Mapping):
        return {key: map_values(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [map_values(item, change) for item in value]
    return change(value)


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of nested lists and mappings."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def topological(upstream: Mapping[str, Sequence[str]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Sorts steps so that each comes after those it reads from, and else as they were declared.

    Args:
        upstream: the steps that each step reads from; names that are no steps are passed over.

    Returns:
        The order, and the cycles, each beginning and ending with the same step.
    """
    order: list[str] = []
    cycles: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in upstream:
        # No recursion: a chain of steps may be longer than Python's stack.
        path: list[str] = []
        waiting: list[tuple[int, str]] = [(0, start)]
        while waiting:
            depth, name = waiting.pop()
            for left in reversed(path[depth:]):
                done.add(left)
                order.append(left)
            del path[depth:]
            if name in path:
                cycles.append((*path[path.index(name) :], name))
            elif name in upstream and name not in done:
                path.append(name)
                waiting += [(depth + 1, other) for other in reversed(upstream[name])]
        order += reversed(path)
        done.update(path)
    return order, cycles


_current: ContextVar[Any] = ContextVar("headrace_trace", default=None)


def current_trace() -> Any:
    """The trace that calls of components add steps to, or None outside a `@pipeline` function."""
    return _current.get()
