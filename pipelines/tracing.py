"""`@pipeline`: a function whose calls of components become the steps of a pipeline.

    @pipeline
    def housing(path: str = "housing.csv", epochs: int = 20) -> Examples:
        examples = csv_examples(path=path)
        return examples

While it is traced, a component gives a promise of its outputs; the function's own parameters are real
values, so that it can loop and branch on them. What is not known before the run can't be branched on:
a promise has no truth value.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

from .artifact import Artifact
from .component import Component, Marker, _unwrap
from .errors import PipelineError, Problem
from .pipeline import NAME, Pipeline, Step, StepOutput, _current, current_trace, map_values
from .values import Text, convert_given, located, plain, resolve_paths

P = ParamSpec("P")
R = TypeVar("R")


class UnknownOutputError(PipelineError, AttributeError):
    """A promise was asked for an output that its step doesn't have."""


class Promise:
    """What stands for a step's outputs while a pipeline is traced.

    A step with one output gives a promise that is that output; one with several gives a promise that has
    them as attributes and can be unpacked, like the NamedTuple that the component returns.
    """

    def __init__(self, step: str, outputs: tuple[str, ...]) -> None:
        self._step = step
        self._outputs = outputs

    @property
    def step(self) -> str:
        """The step that will give it; an output of this name is reached by unpacking."""
        return self._step

    def reference(self, argument: str) -> StepOutput:
        """The reference to the only output; raises PipelineError, with `argument`, if there are several."""
        if len(self._outputs) > 1:
            raise PipelineError(
                f"{self._step} has several outputs",
                argument=argument,
                available=self._outputs,
                remedy=f"name one of them, for example .{self._outputs[0]}",
            )
        return StepOutput(self._step, self._outputs[0])

    def __getattr__(self, name: str) -> Promise:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._outputs and self._outputs != ("output",):
            return Promise(self._step, (name,))
        raise UnknownOutputError(
            f"{self._step} has no output {name!r}; inside a @pipeline nothing is computed yet",
            given=name,
            available=self._outputs,
            remedy="move what needs the value into a component",
        )

    def __iter__(self) -> Iterator[Promise]:
        if len(self._outputs) == 1:
            raise TypeError(f"{self._step} has a single output, which can't be unpacked")
        return (Promise(self._step, (name,)) for name in self._outputs)

    def __getitem__(self, index: int) -> Promise:
        return list(self)[index]

    def __bool__(self) -> bool:
        raise PipelineError(
            f"{self._step} has no truth value: inside a @pipeline nothing is computed yet",
            remedy="decide by the pipeline's parameters, or move the decision into a component",
        )

    def __repr__(self) -> str:
        return f"<promise of {self._step}: {', '.join(self._outputs)}>"


class Trace:
    """The steps that a traced function has added so far."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.steps: dict[str, Step] = {}
        self._prefixes: list[str] = [""]
        self._folders: list[str] = [folder]
        self._used: set[str] = set()

    def add(
        self, component: Component[..., Any], step: str, arguments: Mapping[str, Any], file: str, line: int
    ) -> Any:
        """Adds a step and gives the promise of its outputs.

        Args:
            component: what the step uses.
            step: its name, or an empty string to call it like the component.
            arguments: as they were given, with promises among them.
            file, line: where the component was called.

        Raises:
            PipelineError: the name is taken or malformed, or an argument holds what isn't a value.
        """
        from .resolve import name_of

        try:
            name = self._name(step, component.name)
            given = {key: self._argument(component, key, value) for key, value in arguments.items()}
        except PipelineError as error:
            raise error.at(step=step or component.name, file=file, line=line) from None
        self.steps[name] = Step(name, name_of(component, self.folder), given, file, line, component=component)
        return Promise(name, tuple(component.outputs))

    def _argument(self, component: Component[..., Any], name: str, value: Any) -> Any:
        def leaf(item: Any) -> Any:
            if isinstance(item, Promise):
                return item.reference(name)
            if isinstance(item, Artifact):
                raise PipelineError(
                    f"{name} is an artifact that exists already, and a pipeline refers to steps",
                    argument=name,
                    remedy="make it by a step of the pipeline, or call the component outside the pipeline",
                )
            return os.fspath(item) if isinstance(item, Path) else item

        changed = leaf(value) if isinstance(value, Promise) else map_values(value, leaf)
        folder = self._folders[-1]
        # A path that was given from elsewhere must not become relative to the outer pipeline's folder.
        changed = resolve_paths(
            changed, component.arguments[name].markers, folder, only_foreign_to=self.folder
        )
        return plain(changed)

    @property
    def caller(self) -> str:
        """The folder of the function that is adding steps now."""
        return self._folders[-1]

    def _name(self, wanted: str, default: str) -> str:
        prefix = self._prefixes[-1]
        if wanted and not NAME.fullmatch(wanted):
            raise PipelineError(f"{wanted!r} can't be a step's name", remedy="use letters, digits, _ and -")
        if wanted and prefix + wanted in self._used:
            raise PipelineError(f"there is a step {prefix + wanted} already", remedy="give it another name")
        name, number = prefix + (wanted or default), 1
        while name in self._used:
            number += 1
            name = f"{prefix}{default}_{number}"
        self._used.add(name)
        return name

    def inline(self, function: PipelineFunction[..., R], name: str, call: Callable[[], R]) -> R:
        """Runs `call` with the steps that it adds named `name.step`."""
        self._prefixes.append(f"{self._name(name, function.name)}.")
        self._folders.append(function.folder)
        try:
            return call()
        finally:
            self._prefixes.pop()
            self._folders.pop()


class PipelineFunction(Generic[P, R]):
    """A function that declares a pipeline; made by `@pipeline`.

    Called inside another `@pipeline` function it adds its steps there, under its name; called anywhere
    else it runs and returns the artifacts. `trace` gives the pipeline as data.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        update_wrapper(cast("Callable[..., R]", self), function)
        self.function = function
        self.name = function.__name__
        self.__signature__ = inspect.signature(function)
        self._step = ""

    @property
    def file(self) -> str:
        """The file that defines the function, or an empty string."""
        path = Path(self.function.__code__.co_filename)
        return str(path.absolute()) if path.exists() else ""

    @property
    def folder(self) -> str:
        """What relative paths are relative to: the file's folder, or the working folder without one."""
        return str(Path(self.file).parent) if self.file else str(Path.cwd())

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The parameters' annotations by name, with `Any` where there is none."""
        hints = get_type_hints(self.function, include_extras=True)
        return {name: hints.get(name, Any) for name in self.__signature__.parameters}

    @property
    def params(self) -> dict[str, Any]:
        """Default values by parameter, None where one must be given."""
        empty = inspect.Parameter.empty
        return {
            n: None if p.default is empty else p.default for n, p in self.__signature__.parameters.items()
        }

    def named(self, step: str) -> PipelineFunction[P, R]:
        """This pipeline, used inside another under the name `step`."""
        other: PipelineFunction[P, R] = PipelineFunction(self.function)
        other._step = step
        return other

    def trace(self, *args: P.args, **kwargs: P.kwargs) -> Pipeline:
        """The pipeline as data, for these parameters.

        Raises:
            PipelineError: a parameter is missing, unknown or of a wrong type, or a step can't be added.
        """
        return self.trace_params(self._bind(args, kwargs))

    def trace_params(self, params: Mapping[str, Any]) -> Pipeline:
        """Like `trace`, with the parameters as a mapping; another pipeline's StepOutputs may be in it."""
        token = _current.set(None)
        try:
            values = self._values(params)
            trace = Trace(self.folder)
            _current.set(trace)
            returned = self.function(**values)  # type: ignore[call-arg]
        finally:
            _current.reset(token)
        outputs = {name: promise.reference("") for name, promise in self._outputs(returned).items()}
        return Pipeline(self.name, {}, trace.steps, self.folder, self.file, outputs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # noqa: D102 - the class says it
        given = self._bind(args, kwargs)
        trace = current_trace()
        if trace is not None:
            frame = sys._getframe(1)
            try:
                values = self._values(given)
            except PipelineError as error:
                raise error.at(file=frame.f_code.co_filename, line=frame.f_lineno) from None
            return cast(R, trace.inline(self, self._step, lambda: self.function(**values)))  # type: ignore[call-arg]
        from .alone import run_function

        return cast(R, run_function(self, given))

    def _bind(self, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = list(self.__signature__.parameters)
        if len(args) > len(names):
            raise PipelineError(f"{self.name} takes {len(names)} parameters", available=tuple(names))
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        names = tuple(self.__signature__.parameters)
        problems = [unknown_param(self.name, name, names) for name in given if name not in names]
        problems += [
            missing_param(self.name, name)
            for name, parameter in self.__signature__.parameters.items()
            if name not in given and parameter.default is inspect.Parameter.empty
        ]
        values = {}
        for name in given:
            if name in names:
                values[name], problem = self._value(name, given[name])
                problems += [problem] if problem else []
        if problems:
            raise PipelineError(problems)
        return values

    def _value(self, name: str, value: Any) -> tuple[Any, Problem | None]:
        if isinstance(value, StepOutput):
            return Promise(value.step, (value.output,)), None
        if isinstance(value, Promise | Artifact):
            return value, None
        annotation, trace = self.annotations[name], current_trace()
        # A path comes from whoever calls, so it is relative to where the call is made.
        folder = trace.caller if trace is not None else str(Path.cwd())
        if isinstance(value, Text):
            folder = value.folder
        converted, problem = convert_given(value, annotation)
        if problem:
            return None, problem.at(argument=name)
        markers = frozenset(note.kind for note in _unwrap(annotation)[1] if isinstance(note, Marker))
        return resolve_paths(located(converted, folder), markers, folder), None

    def _outputs(self, returned: Any) -> dict[str, Promise]:
        if returned is None:
            return {}
        if isinstance(returned, Promise):
            several = len(returned._outputs) > 1
            return (
                {name: getattr(returned, name) for name in returned._outputs}
                if several
                else {"output": returned}
            )
        if isinstance(returned, Mapping):
            named = dict(returned)
        elif isinstance(returned, tuple) and hasattr(returned, "_fields"):
            named = dict(zip(returned._fields, returned, strict=True))
        else:
            raise PipelineError(
                f"{self.name} returns {type(returned).__name__}, and a pipeline returns what its steps give",
                file=self.file,
                remedy="return a step's output, a NamedTuple of outputs, or nothing",
            )
        if not all(isinstance(value, Promise) for value in named.values()):
            raise PipelineError(f"{self.name} returns something that no step gives", file=self.file)
        return named

    def __repr__(self) -> str:
        return f"<pipeline {self.function.__module__}:{self.name}>"


def unknown_param(pipeline: str, name: str, available: tuple[str, ...]) -> Problem:
    """The problem that a pipeline was given a parameter that it doesn't have."""
    return Problem(f"{pipeline} has no parameter {name!r}", argument=name, given=name, available=available)


def missing_param(pipeline: str, name: str) -> Problem:
    """The problem that a parameter without a default was not given."""
    return Problem(
        f"{pipeline} needs a value for its parameter {name!r}",
        argument=name,
        remedy=f"give it, on the command line by --param {name}=…",
    )


def pipeline(function: Callable[P, R], /) -> PipelineFunction[P, R]:
    """Makes a pipeline of a function; see the module's text."""
    return PipelineFunction(function)
