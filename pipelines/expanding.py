"""Puts parameters into a pipeline's steps and inlines the pipelines that it uses as steps.

A step of a pipeline used as `sub` is called `sub.step`. A path belongs to the folder of whoever wrote it:
a text that is handed into a sub-pipeline stays relative to the outer document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .component import Component
from .errors import HeadraceError, PipelineError, Problem
from .pipeline import ParamValue, Pipeline, Step, StepOutput, Template, leaves, map_values
from .resolve import absolute_name, find
from .tracing import PipelineFunction, missing_param, unknown_param
from .values import Text, located, parsed, spelled

OUTER = "/"
"""Marks a step's name, handed into a traced sub-pipeline, as the name of a step outside of it."""


class _Missing:
    """Stands for a value whose absence has been reported already."""


MISSING = _Missing()


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


def placed(problem: Problem, step: Step) -> Problem:
    """The problem with a step's place filled in where it had none."""
    if problem.file:
        return problem.at(step=step.name)
    parts = problem.argument.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    line = next((step.argument_lines[name] for name in names if name in step.argument_lines), step.line)
    return problem.at(step=step.name, file=step.file, line=line)


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
        for step in pipeline.steps.values():
            self._step(step, values, pipeline, prefix, inside)
        return {name: _renamed(source, prefix) for name, source in pipeline.outputs.items()}

    def _step(
        self, step: Step, values: Mapping[str, Any], pipeline: Pipeline, prefix: str, inside: tuple[str, ...]
    ) -> None:
        full = replace(step, name=prefix + step.name)
        substitution = _Substitution(full, values, pipeline.folder, prefix)
        arguments = {name: substitution.argument(name, value) for name, value in step.arguments.items()}
        self.problems += substitution.problems
        full = replace(full, arguments=arguments)
        uses = absolute_name(step.uses, pipeline.folder)
        try:
            found = step.component or find(step.uses, pipeline.folder)
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
            self._used.append(Used(full, uses, found, pipeline.folder))

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
            def leaf(item: Any) -> Any:
                if not isinstance(item, StepOutput):
                    return item
                source = self._source(item)
                outputs = self._given.get(source.step)
                if outputs is None:
                    return source
                what = f"the pipeline {source.step} has no output {source.output!r}"
                found = used.problem(what, name, given=source.output, available=tuple(outputs))
                self.problems.append(found.at(remedy="name it under `outputs:` in that pipeline"))
                return MISSING

            return map_values(value, leaf)

        arguments = {name: argument(name, value) for name, value in used.step.arguments.items()}
        return replace(used, step=replace(used.step, arguments=arguments))

    def _source(self, source: StepOutput) -> StepOutput:
        """Follows a reference through sub-pipelines to the step that gives it."""
        seen = set()
        while source not in seen and source.output in self._given.get(source.step, {}):
            seen.add(source)
            source = self._given[source.step][source.output]
        return source


def _renamed(source: StepOutput, prefix: str) -> StepOutput:
    name = source.step.removeprefix(OUTER) if source.step.startswith(OUTER) else prefix + source.step
    return StepOutput(name, source.output)


def _marked(leaf: Any) -> Any:
    return StepOutput(OUTER + leaf.step, leaf.output) if isinstance(leaf, StepOutput) else leaf


class _Substitution:
    """Puts parameters' values into one step's arguments."""

    def __init__(self, step: Step, values: Mapping[str, Any], folder: str, prefix: str) -> None:
        self.step, self.values, self.folder, self.prefix = step, values, folder, prefix
        self.problems: list[Problem] = []

    def argument(self, name: str, value: Any) -> Any:
        """An argument; a text from the command line that fills it whole is read by the annotation later."""
        if isinstance(value, ParamValue):
            return self._param(value.name, name)
        leaf: Callable[[Any], Any] = lambda item: self._leaf(item, name)  # noqa: E731
        return map_values(value, leaf)

    def _leaf(self, item: Any, argument: str) -> Any:
        if isinstance(item, StepOutput):
            return _renamed(item, self.prefix)
        if isinstance(item, ParamValue):
            return parsed(self._param(item.name, argument))
        if isinstance(item, Template):
            return self._text(item, argument)
        return located(item, self.folder)

    def _param(self, name: str, argument: str) -> Any:
        if name in self.values:
            return self.values[name]
        what = f"there is no parameter {name!r}"
        problem = Problem(what, argument=argument, given=name, available=tuple(self.values))
        self.problems.append(placed(problem.at(remedy="declare it under `params:`"), self.step))
        return MISSING

    def _text(self, template: Template, argument: str) -> Any:
        text, folder = "", self.folder
        for part in template.parts:
            value = self._param(part.name, argument) if isinstance(part, ParamValue) else part
            if value is MISSING:
                return MISSING
            if not isinstance(value, str | int | float):
                what = f"{part} can't be put into a text, since it is no text and no number"
                self.problems.append(placed(Problem(what, argument=argument), self.step))
                return MISSING
            if isinstance(value, Text) and not text:
                # A path that begins with a parameter is relative to where the parameter came from.
                folder = value.folder
            text += spelled(value)
        return Text(text, folder)
