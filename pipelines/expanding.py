"""Expands a pipeline: parameters put in, pipelines used as steps inlined, mapped steps once for each item.

A step of a pipeline used as `sub` is called `sub.step`, and one that is mapped over a list `step[key]` for
each item. The conditions of a step that uses a pipeline are those of each step in it. A path belongs to the
folder of whoever wrote it: a text that is handed into a sub-pipeline stays relative to the outer document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .component import Component
from .conditions import Condition, Fact
from .errors import HeadraceError, PipelineError, Problem
from .mapping import Item, combinations
from .pipeline import Pipeline, Step, StepOutput, leaves, map_values
from .resolve import absolute_name, find
from .substitution import MISSING, OUTER, Scope, Substitution, placed
from .tracing import PipelineFunction, missing_param, unknown_param
from .values import located


@dataclass(frozen=True)
class Used:
    """A step after parameters and sub-pipelines are put in.

    Attributes:
        step: with its full name; its arguments hold values, StepOutput, and MISSING.
        uses: a name under which any process finds the component.
        component: the component, or None if it could not be found, which has been reported.
        folder: what its relative paths are relative to.
    """

    step: Step
    uses: str
    component: Component[..., Any] | None
    folder: str

    def problem(self, what: str, argument: str = "", **details: Any) -> Problem:
        """A problem of this step, at the line of the argument if it is known."""
        return self.place(Problem(what, argument=argument, **details))

    def place(self, problem: Problem) -> Problem:
        """The problem with this step's place filled in where it had none."""
        return placed(problem, self.step)


class Expansion:
    """One expansion of a pipeline; `problems` collects what is wrong."""

    def __init__(self, declared: Pipeline, params: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._used: list[Used] = []
        self._given: dict[str, Mapping[str, StepOutput]] = {}
        self.params: dict[str, Any] = {}
        self._outputs = self._pipeline(declared, params, "", ())
        self.used = {used.step.name: used for used in map(self._resolved, self._used)}
        self.outputs = {name: self._source(source) for name, source in self._outputs.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that `${steps.NAME}` may have."""
        return tuple(dict.fromkeys([*self.used, *self._given]))

    def gives(self, step: str) -> Mapping[str, StepOutput] | None:
        """The outputs of a sub-pipeline, or None if `step` isn't one."""
        return self._given.get(step)

    def _pipeline(
        self,
        pipeline: Pipeline,
        given: Mapping[str, Any],
        prefix: str,
        inside: tuple[str, ...],
        user: Step | None = None,
    ) -> dict[str, StepOutput]:
        """Adds the steps of a pipeline, and gives its outputs by their full names."""
        names = tuple(pipeline.params)
        found = [unknown_param(pipeline.name, name, names) for name in given if name not in names]
        values = {
            **located(pipeline.params, pipeline.folder),
            **{n: v for n, v in given.items() if n in names},
        }
        found += [missing_param(pipeline.name, name) for name, value in values.items() if value is None]
        self.problems += [placed(problem, user) if user else problem for problem in found]
        values = {name: MISSING if value is None else value for name, value in values.items()}
        if user is None:
            self.params = values
        scope = Scope(values, pipeline.folder, prefix, {})
        maps = {step.name: self._items(step, scope) for step in pipeline.steps.values() if step.each}
        scope = replace(scope, maps=maps)
        for step in pipeline.steps.values():
            for item in maps.get(step.name, [Item()]):
                self._step(step, scope, item, inside, user.when if user else ())
        outputs = {
            name: self._output(name, source, pipeline, scope) for name, source in pipeline.outputs.items()
        }
        return {name: source for name, source in outputs.items() if source is not None}

    def _items(self, step: Step, scope: Scope) -> list[Item]:
        """What a step is mapped over; nothing where that is wrong."""
        substitution = Substitution(step, scope)
        lists = {name: substitution.items(name, items) for name, items in step.each.items()}
        self.problems += substitution.problems
        if any(leaf is MISSING for leaf in leaves(lists)):
            return []
        found, problems = combinations(lists)
        self.problems += [placed(problem, substitution.step) for problem in problems]
        return found

    def _output(self, name: str, source: StepOutput, pipeline: Pipeline, scope: Scope) -> StepOutput | None:
        """What the pipeline gives, by its full name; None if that is wrong, which has been reported."""
        found = scope.full_name(source.step, Item())
        if isinstance(found, Problem):
            line = pipeline.output_lines.get(name, 0)
            self.problems.append(found.at(argument=f"outputs.{name}", file=pipeline.file, line=line))
        return replace(source, step=found) if isinstance(found, str) else None

    def _step(
        self, step: Step, scope: Scope, item: Item, inside: tuple[str, ...], above: tuple[Condition, ...]
    ) -> None:
        full = replace(step, name=f"{scope.prefix}{step.name}{item.suffix}", each={})
        substitution = Substitution(full, scope, item)
        arguments = {name: substitution.argument(name, value) for name, value in step.arguments.items()}
        when = (*above, *substitution.conditions(step.when))
        self.problems += substitution.problems
        full = replace(full, arguments=arguments, when=when)
        uses = absolute_name(step.uses, scope.folder)
        try:
            found = step.component or find(step.uses, scope.folder)
            if isinstance(found, Component):
                found.arguments, found.outputs  # noqa: B018 - an annotation that can't be read is found here
        except HeadraceError as error:
            # What is wrong inside another document keeps its own place.
            self.problems += [placed(problem, full) for problem in error.problems]
            found = None
        except (NameError, TypeError) as error:
            what = f"the signature of {step.uses} can't be read: {error}"
            remedy = "annotate every argument, with names that exist at run time"
            self.problems.append(placed(Problem(what, argument="uses", remedy=remedy), full))
            found = None
        if isinstance(found, Pipeline | PipelineFunction):
            self._given[full.name] = self._inlined(full, found, inside)
        else:
            self._used.append(Used(full, uses, found, scope.folder))

    def _inlined(
        self, step: Step, found: Pipeline | PipelineFunction[..., Any], inside: tuple[str, ...]
    ) -> Mapping[str, StepOutput]:
        prefix = f"{step.name}."
        if isinstance(found, Pipeline):
            if found.file in inside:
                chain = " → ".join(("…", *inside[inside.index(found.file) :], found.file)[1:])
                self.problems.append(
                    placed(Problem(f"the pipeline uses itself: {chain}", argument="uses"), step)
                )
                return {}
            return self._pipeline(found, step.arguments, prefix, (*inside, found.file), step)
        if any(value is MISSING for value in leaves(step.arguments)):
            return {}
        try:
            traced = found.trace_params(map_values(step.arguments, _marked))
        except PipelineError as error:
            self.problems += [placed(problem, step) for problem in error.problems]
            return {}
        return self._pipeline(traced, {}, prefix, inside, step)

    def _resolved(self, used: Used) -> Used:
        """The step with references to sub-pipelines' outputs followed."""

        def argument(name: str, value: Any) -> Any:
            return map_values(value, lambda item: self._followed(used, name, item))

        def side(value: Any) -> Any:
            if not isinstance(value, Fact):
                return value
            source = self._followed(used, "when", value.source)
            return MISSING if source is MISSING else replace(value, source=source)

        arguments = {name: argument(name, value) for name, value in used.step.arguments.items()}
        when = tuple(condition.with_operands(side) for condition in used.step.when)
        return replace(used, step=replace(used.step, arguments=arguments, when=when))

    def _followed(self, used: Used, argument: str, item: Any) -> Any:
        """A reference followed to the step that gives it; anything else as it is."""
        if not isinstance(item, StepOutput):
            return item
        source = self._source(item)
        outputs = self._given.get(source.step)
        if outputs is None:
            return source
        what = f"the pipeline {source.step} has no output {source.output!r}"
        found = used.problem(what, argument, given=source.output, available=tuple(outputs))
        self.problems.append(found.at(remedy="name it under `outputs:` in that pipeline"))
        return MISSING

    def _source(self, source: StepOutput) -> StepOutput:
        """Follows a reference through sub-pipelines to the step that gives it."""
        seen = set()
        while source not in seen and source.output in self._given.get(source.step, {}):
            seen.add(source)
            source = self._given[source.step][source.output]
        return source


def _marked(leaf: Any) -> Any:
    return StepOutput(OUTER + leaf.step, leaf.output) if isinstance(leaf, StepOutput) else leaf
