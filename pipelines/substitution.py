"""Puts the values of parameters and items into one step's arguments and conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .conditions import Condition, Fact, entry
from .errors import Problem
from .mapping import KEY_ENTRY, Item, twin
from .pipeline import EachValue, ParamValue, Step, StepOutput, Template, map_values
from .values import Text, located, parsed, plain, spelled

OUTER = "/"
"""Marks a step's name, handed into a traced sub-pipeline, as the name of a step outside of it."""


class _Missing:
    """Stands for a value whose absence has been reported already."""


MISSING = _Missing()


def placed(problem: Problem, step: Step) -> Problem:
    """The problem with a step's place filled in where it had none."""
    if problem.file:
        return problem.at(step=step.name)
    parts = problem.argument.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    line = next((step.argument_lines[name] for name in names if name in step.argument_lines), step.line)
    return problem.at(step=step.name, file=step.file, line=line)


@dataclass(frozen=True)
class Scope:
    """What names mean in one pipeline.

    Attributes:
        values: of its parameters.
        folder: what its relative paths are relative to.
        prefix: what its steps' full names begin with.
        maps: what its mapped steps are mapped over.
    """

    values: Mapping[str, Any]
    folder: str
    prefix: str
    maps: Mapping[str, list[Item]]

    def full_name(self, step: str, own: Item) -> str | Problem | None:
        """The full name of a step that one with the item `own` refers to; None if its map is wrong."""
        if step.startswith(OUTER):
            return step.removeprefix(OUTER)
        base, _, key = step.removesuffix("]").rpartition("[") if step.endswith("]") else (step, "", "")
        if base not in self.maps:
            return self.prefix + step
        items = self.maps[base]
        if not items:
            return None
        if not key:
            found = twin(base, items, own)
            return found if isinstance(found, Problem) else self.prefix + found
        names = tuple(f"{base}{item.suffix}" for item in items)
        if step in names:
            return self.prefix + step
        return Problem(f"there is no step {step!r}", given=step, available=names)


class Substitution:
    """Puts values into one step; `problems` collects what is wrong."""

    def __init__(self, step: Step, scope: Scope, item: Item | None = None) -> None:
        self.step, self.scope, self.item = step, scope, item or Item()
        self.problems: list[Problem] = []

    def argument(self, name: str, value: Any) -> Any:
        """An argument; a text from the command line that fills it whole is read by the annotation later."""
        if isinstance(value, ParamValue):
            return self._param(value.name, name)
        leaf: Callable[[Any], Any] = lambda item: self._leaf(item, name)  # noqa: E731
        return map_values(value, leaf)

    def items(self, name: str, value: Any) -> Any:
        """A list that the step is mapped over."""
        return parsed(self.argument(f"each.{name}", value))

    def conditions(self, conditions: Iterable[Condition]) -> list[Condition]:
        """The step's conditions."""
        return [condition.with_operands(self._side) for condition in conditions]

    def _side(self, side: Any) -> Any:
        if not isinstance(side, Fact):
            return plain(self._leaf(side, "when"))
        source = self._leaf(side.source, "when")
        if isinstance(source, StepOutput):
            return replace(side, source=source)
        if source is not MISSING:
            what = f"{side} looks at what a step gives, and {side.source} is none"
            self._wrong(what, "when", remedy="hand in a step's output")
        return MISSING

    def _wrong(self, what: str, argument: str, **details: Any) -> Any:
        self.problems.append(placed(Problem(what, argument=argument, **details), self.step))
        return MISSING

    def _leaf(self, item: Any, argument: str) -> Any:
        if isinstance(item, StepOutput):
            return self._source(item, argument)
        if isinstance(item, ParamValue):
            return parsed(self._param(item.name, argument))
        if isinstance(item, EachValue):
            return self._item(item, argument)
        if isinstance(item, Template):
            return self._text(item, argument)
        return located(item, self.scope.folder)

    def _source(self, source: StepOutput, argument: str) -> Any:
        found = self.scope.full_name(source.step, self.item)
        if isinstance(found, Problem):
            self.problems.append(placed(found.at(argument=argument), self.step))
        return StepOutput(found, source.output) if isinstance(found, str) else MISSING

    def _param(self, name: str, argument: str) -> Any:
        values = self.scope.values
        if name in values:
            return values[name]
        what = f"there is no parameter {name!r}"
        return self._wrong(
            what, argument, given=name, available=tuple(values), remedy="declare it under `params:`"
        )

    def _item(self, reference: EachValue, argument: str) -> Any:
        values, name, path = self.item.values, reference.name, reference.entry
        if name not in values:
            what = f"the step is not mapped over {name!r}"
            remedy = f"add `each: {{{name}: [ITEM, …]}}` to the step"
            return self._wrong(what, argument, given=name, available=tuple(values), remedy=remedy)
        value = values[name]
        if not path:
            return value
        if path == KEY_ENTRY:
            return self.item.keys[name]
        if not isinstance(value, Mapping):
            what = f"{reference}: the item {spelled(value)} is no mapping"
            return self._wrong(what, argument, remedy=f"write ${{each.{name}}}")
        try:
            return entry(value, path)
        except KeyError:
            what = f"the item {self.item.keys[name]} has no entry {path!r}"
            return self._wrong(what, argument, given=path, available=tuple(map(str, value)))

    def _text(self, template: Template, argument: str) -> Any:
        text, folder = "", self.scope.folder
        for part in template.parts:
            value = part if isinstance(part, str) else self._leaf(part, argument)
            if value is MISSING:
                return MISSING
            if not isinstance(value, str | int | float):
                return self._wrong(
                    f"{part} can't be put into a text, since it is no text and no number", argument
                )
            if isinstance(value, Text) and not text:
                # A path that begins with a parameter is relative to where the parameter came from.
                folder = value.folder
            text += spelled(value)
        return Text(text, folder)
