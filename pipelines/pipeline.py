"""Pipelines as data: what a document or a traced function says, before anything is looked up.

A `Pipeline` comes from YAML (`document.py`) or from a traced `@pipeline` function (`tracing.py`). `bind`
(`binding.py`) makes a `BoundPipeline` (`bound.py`) of it, in which every name is resolved and every value
is converted; that is what is planned and run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conditions import Condition

NAME = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")
"""What a step, a parameter or an output may be called; a dot joins a sub-pipeline's name and its step's."""
KEY = re.compile(r"[\w.+-]+")
"""What the key of a mapped step's item may be."""
STEP_NAME = re.compile(
    NAME.pattern.replace(r"[\w-]*", rf"[\w-]*(?:\[{KEY.pattern}(?:,{KEY.pattern})*\])?"), NAME.flags
)
"""What a step may be called: one that was made by a map has its key behind its name, `train[de]`."""


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
class EachValue:
    """A reference to a mapped step's item, `${each.NAME}`, or to an entry of it, `${each.NAME.ENTRY}`."""

    name: str
    entry: str = ""

    def __str__(self) -> str:
        return f"${{each.{self.name}{'.' if self.entry else ''}{self.entry}}}"


@dataclass(frozen=True)
class Template:
    """A text with references to parameters and items inside, which are put in as text."""

    parts: tuple[str | ParamValue | EachValue, ...]

    def __str__(self) -> str:
        return "".join(p.replace("${", "$${") if isinstance(p, str) else str(p) for p in self.parts)


@dataclass(frozen=True)
class Step:
    """One use of a component, or of a pipeline, as it was declared.

    Attributes:
        name: unique within the pipeline.
        uses: the component's or the pipeline's name, see `resolve.py`.
        arguments: values by argument; JSON values that may hold references: StepOutput, ParamValue,
            EachValue and Template.
        file, line: where it was declared; line counts from 1, 0 is unknown.
        argument_lines: lines by argument.
        runner: the step's own runner options, or None.
        component: the component itself where Python code gave it; then nothing has to be looked up.
        when: conditions that all have to hold, else the step is skipped.
        each: lists by name, or parameters that hold them; the step is there once for each item.
    """

    name: str
    uses: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    argument_lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    runner: Mapping[str, Any] | None = None
    component: Any = field(default=None, compare=False, repr=False)
    when: tuple[Condition, ...] = ()
    each: Mapping[str, Any] = field(default_factory=dict)

    @property
    def references(self) -> list[StepOutput]:
        """Every output that it refers to, in its arguments and then in its conditions."""
        read = [leaf for leaf in leaves(self.arguments) if isinstance(leaf, StepOutput)]
        return [*read, *(source for condition in self.when for source in condition.sources)]


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


def unkeyed(name: str) -> str:
    """A step's name without the keys of the maps that it was made by."""
    return re.sub(r"\[[^\]]*\]", "", name)


def base_name(name: str, steps: Container[str]) -> str:
    """The declared step that a reference's `name` means: itself, or what is left without its key."""
    return name if name in steps else re.sub(r"\[[^\]]*\]$", "", name)


def step_output(name: str, steps: Container[str]) -> StepOutput:
    """What stands behind `steps.` in a reference.

    Args:
        name: a step's name, and an output's behind a dot.
        steps: the steps' names. The longest that the reference begins with is meant, since a step of a
            sub-pipeline has a dot in its own; a mapped step's may have a key behind it.
    """
    dots = [match.start() for match in re.finditer(r"\.(?![^\[]*\])", name)]
    for end in [len(name), *reversed(dots)]:
        step = name[:end]
        if base_name(step, steps) in steps:
            return StepOutput(step, name[end + 1 :] or "output")
    return StepOutput(name[: dots[0]], name[dots[0] + 1 :]) if dots else StepOutput(name)


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
