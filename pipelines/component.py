"""Components: typed functions from artifacts and parameters to artifacts.

    @component
    def statistics(ctx: Context, examples: Examples, *, buckets: int = 10) -> Statistics: ...

Artifact-typed arguments are inputs, the others are parameters, the return annotation is the output
(a NamedTuple for several). Inside a `@pipeline` function a call wires a step and returns a promise of
the output; anywhere else it runs at once and returns the artifact. Users never pass `ctx`.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, TypeVar, Union, cast, overload

from .artifact import Artifact, Files
from .context import Context
from .errors import PipelineError, Problem

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Marker:
    """A note on a parameter's annotation: `Annotated[str, Marker("file")]`.

    `file`: a path, glob or list of them, relative to the pipeline's file; the content is fingerprinted.
    `code`: an import path of a function; its code is fingerprinted.
    `codes`: a value in which texts and keys of the form `file.py:name` are import paths; the code that the
    component's `code_of` finds in it is fingerprinted.
    `operational`: the value doesn't decide the output and is not fingerprinted.

    Attributes:
        kind: one of these.
        words: texts that are no paths in an argument marked `file`, and stay as they are; in one marked
            `code` or `codes` the names that are built in.
        offers: the kind of what other packages offer that plain names in the argument stand for, one of
            `entry_points.KINDS`; they are replaced by their import paths when a pipeline is bound.
    """

    kind: str
    words: tuple[str, ...] = ()
    offers: str = ""


FilePath = Annotated[str, Marker("file")]
"""One file, relative to the pipeline's file."""
FilePaths = Annotated[str | list[str], Marker("file")]
"""A file, a glob, or a list of them, relative to the pipeline's file."""
CodePath = Annotated[str, Marker("code")]
"""A name that is built in, or the import path of a user's function: `module:name`, `file.py:name`."""
Source = Files | Annotated[str | list[str], Marker("file")]
"""External data: an artifact of type Files, or a path, a glob or a list of them."""
SplitSource = Files | Annotated[str | list[str] | dict[str, str | list[str]], Marker("file")]
"""External data as `Source`, or such paths by split: `{train: a/*.csv, test: b.csv}`."""
NamedFile = str | tuple[str, str]
"""A file or folder that is read; or a file, and what it is called where that counts as its content does."""
SourceFinder = Callable[[Mapping[str, Any]], Sequence[NamedFile]]


@dataclass(frozen=True)
class Argument:
    """One argument of a component, as its signature states it.

    Attributes:
        name: the keyword.
        artifacts: the artifact types that it accepts; empty for a parameter.
        annotation: the type of a parameter's value; None if only artifacts are accepted.
        markers: kinds of the markers on the annotation.
        words, offers: see `Marker`.
        default: the default, converted as a given value would be (`1` of a `float` is `1.0`), or
            `inspect.Parameter.empty`.
    """

    name: str
    artifacts: tuple[type[Artifact], ...]
    annotation: Any
    markers: frozenset[str]
    default: Any
    words: frozenset[str] = frozenset()
    offers: str = ""

    @property
    def required(self) -> bool:
        """Whether a step has to give it."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Known:
    """What can be known of an artifact before a run.

    Attributes:
        columns: the column names, where a header, a schema or a plan tells them.
        splits: the names of the splits.
        facts: anything else that one component's check wants to tell another's. `summary` and `properties`
            are the entries that these of the artifact are going to have, `metrics` those of its metrics: what
            a condition looks at has to be among them.
    """

    columns: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


Checked = tuple[list[Problem], Mapping[str, Known]]
Check = Callable[[Mapping[str, Any], Mapping[str, Known]], Checked]
"""Looks at a step before anything runs.

Takes the arguments (defaults filled in, paths resolved, artifacts left out) and what is known of each
input artifact; gives the problems found, with `argument` set, and what is known of each output. It must
be quick, import nothing heavy, and touch files only to read a header.
"""


class Component(Generic[P, R]):
    """A component; made by `@component`.

    Attributes:
        name: the function's name.
        function: what runs.
        process: the kind of worker that the step needs, see `worker_kinds`; "" for one without TensorFlow.
        beam: whether it may have work for Beam's workers, which then need what its `process` does.
    """

    def __init__(
        self, function: Callable[Concatenate[Context, P], R], process: str = "", beam: bool | None = None
    ) -> None:
        update_wrapper(cast("Callable[..., R]", self), function)
        self.function = function
        self.name = function.__name__
        self.process = process
        self.beam = not process if beam is None else beam
        self.process_finder: Callable[[Mapping[str, Any]], str] | None = None
        self.checker: Check | None = None
        self.code_finder: Callable[[str, Any], Sequence[str]] | None = None
        self.source_finder: SourceFinder | None = None
        self.schema_finder: Callable[[str], dict[str, Any] | None] | None = None
        signature = inspect.signature(function)
        self.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])

    @property
    def module(self) -> str:
        """The module that defines the function."""
        return self.function.__module__

    @cached_property
    def arguments(self) -> dict[str, Argument]:
        """Inputs and parameters by name, in the order of the signature."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        return {
            name: _argument(name, hints[name], parameter.default)
            for name, parameter in self.__signature__.parameters.items()
        }

    @cached_property
    def outputs(self) -> dict[str, type[Artifact]]:
        """Output types by name; a single output is called `output`."""
        returned = typing.get_type_hints(self.function)["return"]
        if isinstance(returned, type) and issubclass(returned, Artifact):
            return {"output": returned}
        if isinstance(returned, type) and issubclass(returned, tuple) and hasattr(returned, "_fields"):
            return dict(typing.get_type_hints(returned))
        raise TypeError(
            f"component {self.name}: the return annotation has to be an artifact or a NamedTuple of them"
        )

    @cached_property
    def output_tuple(self) -> type[tuple[Any, ...]] | None:
        """The NamedTuple of several outputs, or None for a single one."""
        return None if "output" in self.outputs else typing.get_type_hints(self.function)["return"]

    def check(self, function: Check) -> Check:
        """Decorator: `function` looks at a step of this component before anything runs."""
        self.checker = function
        return function

    def code_of(self, function: Callable[[str, Any], Sequence[str]]) -> Callable[[str, Any], Sequence[str]]:
        """Decorator: `function(name, value)` gives the import paths of the code that an argument uses."""
        self.code_finder = function
        return function

    def sources_of(self, function: SourceFinder) -> SourceFinder:
        """Decorator: `function(parameters)` gives files and folders that are read and that no one argument
        names; their content is fingerprinted, and of pairs of a file and a name the name too."""
        self.source_finder = function
        return function

    def schema_of(
        self, function: Callable[[str], dict[str, Any] | None]
    ) -> Callable[[str], dict[str, Any] | None]:
        """Decorator: `function(name)` gives the JSON Schema of an argument where its annotation says less
        than editors should know, or None; what stands under `$defs` in it is shared by all."""
        self.schema_finder = function
        return function

    def process_of(self, function: Callable[[Mapping[str, Any]], str]) -> Callable[[Mapping[str, Any]], str]:
        """Decorator: `function(arguments)`, with the input artifacts, gives the `process` of a step.

        If the component states a `process` too, the function is asked ahead of the run without the inputs,
        so that a worker of the right kind warms up while the steps before are running.
        """
        self.process_finder = function
        return function

    def process_for(self, arguments: Mapping[str, Any]) -> str:
        """The process that a step with these arguments needs."""
        return self.process_finder(arguments) if self.process_finder else self.process

    def named(self, step: str) -> Component[P, R]:
        """This component, wired as a step called `step`."""
        return _Named(self, step)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name as they were given; raises PipelineError for one that doesn't exist."""
        try:
            return dict(self.__signature__.bind_partial(*args, **kwargs).arguments)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in self.arguments]
            raise PipelineError(
                [
                    Problem(
                        f"{self.name} has no argument {n!r}",
                        argument=n,
                        given=n,
                        available=tuple(self.arguments),
                    )
                    for n in unknown
                ]
                or [Problem(f"{self.name}: {error}", available=tuple(self.arguments))]
            ) from None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Wires a step inside a `@pipeline` function; runs at once anywhere else."""
        return self._call("", args, kwargs, sys._getframe(1))

    def _call(self, step: str, args: Any, kwargs: Any, frame: types.FrameType) -> R:
        arguments = self.bind(args, kwargs)
        from .pipeline import current_trace

        trace = current_trace()
        if trace is not None:
            return cast(R, trace.add(self, step, arguments, frame.f_code.co_filename, frame.f_lineno))
        from .alone import run_alone

        return cast(R, run_alone(self, arguments))

    def __repr__(self) -> str:
        return f"<component {self.module}:{self.name}>"


class _Named(Component[P, R]):
    def __init__(self, base: Component[P, R], step: str) -> None:
        self.__dict__.update(base.__dict__)
        self._step = step

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(self._step, args, kwargs, sys._getframe(1))


@overload
def component(function: Callable[Concatenate[Context, P], R], /) -> Component[P, R]: ...
@overload
def component(
    *, process: str = "", beam: bool | None = None
) -> Callable[[Callable[Concatenate[Context, P], R]], Component[P, R]]: ...
def component(function: Any = None, *, process: str = "", beam: bool | None = None) -> Any:
    """Makes a component of a function; see the module's text.

    Args:
        function: takes a `Context` first, then artifacts and parameters.
        process: "tensorflow" to run the step in a process that holds TensorFlow; see `worker_kinds`.
        beam: whether the step may have work for a Beam runner, whose needs are then looked at before the run;
            if not stated, one that states a `process` has none.
    """
    if function is None:
        return lambda f: Component(f, process, beam)
    return Component(function, process, beam)


def _argument(name: str, annotation: Any, default: Any) -> Argument:
    markers: set[str] = set()
    words: set[str] = set()
    offers = ""
    artifacts: list[type[Artifact]] = []
    values: list[Any] = []
    for member in _members(annotation):
        bare, notes = _unwrap(member)
        for note in notes:
            if isinstance(note, Marker):
                markers.add(note.kind)
                words.update(note.words)
                offers = offers or note.offers
        if isinstance(bare, type) and issubclass(bare, Artifact):
            artifacts.append(bare)
        else:
            values.append(member)
    rest = [member for member in values if member is not type(None)]
    value = (Union[tuple(values)] if rest else None) if artifacts else annotation  # noqa: UP007 - built at run time
    default = _converted(default, value)
    return Argument(name, tuple(artifacts), value, frozenset(markers), default, frozenset(words), offers)


def _converted(default: Any, annotation: Any) -> Any:
    """The default as it would be if a step gave it, so that both have one fingerprint.

    None, and a default that its own annotation refuses, stay as they are.
    """
    if default is inspect.Parameter.empty or default is None or annotation is None:
        return default
    from .values import convert_given

    converted, problem = convert_given(default, annotation)
    return default if problem else converted


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(annotation) is Annotated:
        bare, *notes = typing.get_args(annotation)
        return bare, tuple(notes)
    return annotation, ()
