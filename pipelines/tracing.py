"""`@pipeline`: a function whose calls of components become the steps of a pipeline.

    @pipeline
    def housing(path: str = "housing.csv", epochs: int = 20) -> Examples:
        examples = csv_examples(path=path)
        return examples

While it is traced, a component gives a promise of its outputs; the function's own parameters are real
values, so that it can loop and branch on them. What is not known before the run can't be branched on:
a promise has no truth value. `with when(…):` gives steps conditions that are looked at during the run, and
`for item in each(…):` names the steps of a loop by their items.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_type_hints, overload

from .artifact import Artifact
from .component import Marker, _unwrap
from .errors import PipelineError, Problem
from .mapping import keyed
from .pipeline import Pipeline, StepOutput, _current, current_trace
from .promises import Promise, Trace, condition_of
from .values import Text, convert_given, located, resolve_paths

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class PipelineFunction(Generic[P, R]):
    """A function that declares a pipeline; made by `@pipeline`.

    Called inside another `@pipeline` function it adds its steps there, under its name; called anywhere
    else it runs and returns the artifacts. `trace` gives the pipeline as data.
    """

    def __init__(
        self,
        function: Callable[P, R],
        name: str = "",
        runner: Mapping[str, str] | None = None,
        tune: Mapping[str, Any] | None = None,
    ) -> None:
        update_wrapper(cast("Callable[..., R]", self), function)
        self.function = function
        self.name = name or function.__name__
        self.runner = runner
        self.tune = tune
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
        other: PipelineFunction[P, R] = PipelineFunction(self.function, self.name, self.runner, self.tune)
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
        except PipelineError as error:
            raise error.at(**_place(error)) from None
        finally:
            _current.reset(token)
        outputs = {name: promise._reference("") for name, promise in self._outputs(returned).items()}
        line = self.function.__code__.co_firstlineno if self.tune is not None else 0
        return Pipeline(
            self.name, {}, trace.steps, self.folder, self.file, outputs, self.runner, self.tune,
            tune_line=line,
        )  # fmt: skip

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
        notes = [note for note in _unwrap(annotation)[1] if isinstance(note, Marker)]
        markers, words = (
            frozenset(note.kind for note in notes),
            frozenset(w for note in notes for w in note.words),
        )
        return resolve_paths(located(converted, folder), markers, folder, words=words), None

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


def _place(error: BaseException) -> dict[str, Any]:
    """File and line of the innermost call that led to `error` and is not part of this package."""
    place: dict[str, Any] = {}
    own = str(Path(__file__).parent)
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not file.startswith(own):
            place = {"file": file, "line": step.tb_lineno}
        step = step.tb_next
    return place


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


@overload
def pipeline(function: Callable[P, R], /) -> PipelineFunction[P, R]: ...
@overload
def pipeline(
    *, name: str = "", runner: Mapping[str, str] | None = None, tune: Mapping[str, Any] | None = None
) -> Callable[[Callable[P, R]], PipelineFunction[P, R]]: ...
def pipeline(
    function: Any = None,
    *,
    name: str = "",
    runner: Mapping[str, str] | None = None,
    tune: Mapping[str, Any] | None = None,
) -> Any:
    """Makes a pipeline of a function; see the module's text.

    Args:
        function: its calls of components become steps; what it returns are the pipeline's outputs.
        name: the pipeline's name, if the function's can't be it.
        runner: the Beam runner's `name` and its options, for all steps.
        tune: the search that `headrace tune` makes, see `headrace.pipelines.tuning.settings`.
    """
    if function is None:
        return lambda f: PipelineFunction(f, name, runner, tune)
    return PipelineFunction(function)


@contextmanager
def runner(**options: str) -> Iterator[None]:
    """Steps that are added in the block run on a Beam runner of their own.

    Args:
        options: the runner's `name`, and its options.
    """
    trace = _tracing("a step's runner is stated")
    before, trace.runner = trace.runner, dict(options)
    try:
        yield
    finally:
        trace.runner = before


@contextmanager
def when(*conditions: Any) -> Iterator[None]:
    """Steps that are added in the block run if all conditions hold; else they and all below are skipped.

        with when(validated.summary["ok"], evaluation.summary["metrics"]["accuracy"] >= 0.9):
            export(model=model, examples=examples)

    Args:
        conditions: entries of what a step gives, which have to be true (`~` in front: false), comparisons of
            them, or values that are known already, such as a parameter.

    Raises:
        PipelineError: something is no condition, or no pipeline is being traced.
    """
    trace = _tracing("a condition is stated")
    before, trace.when = trace.when, (*trace.when, *map(condition_of, conditions))
    try:
        yield
    finally:
        trace.when = before


def each(items: Iterable[T]) -> Iterator[T]:
    """The items one by one; the steps that are added meanwhile are called `step[key]`.

        for country in each(["de", "fr"]):
            train(examples=csv_examples(path=f"{country}.csv"))

    Args:
        items: texts, numbers, or mappings with an entry `key`; keys hold letters, digits, _ . + and -.

    Raises:
        PipelineError: there is no item, a key is there twice or can't be one, or no pipeline is being traced.
    """
    trace = _tracing("steps are mapped")
    for key, item in keyed(list(items)).items():
        with trace.mapped(key):
            yield item


def _tracing(what: str) -> Trace:
    trace = current_trace()
    if trace is None:
        raise PipelineError(f"{what} inside a @pipeline function")
    return cast(Trace, trace)
