"""What a `@pipeline` function sees while it is traced: promises of outputs, and the trace that makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .artifact import Artifact
from .component import Component
from .errors import PipelineError
from .pipeline import NAME, Step, StepOutput, map_values
from .values import plain, resolve_paths

if TYPE_CHECKING:
    from .tracing import PipelineFunction

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

    def _reference(self, argument: str) -> StepOutput:
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
        self.runner: Mapping[str, str] | None = None
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
        uses = name_of(component, self.folder)
        self.steps[name] = Step(name, uses, given, file, line, runner=self.runner, component=component)
        return Promise(name, tuple(component.outputs))

    def _argument(self, component: Component[..., Any], name: str, value: Any) -> Any:
        def leaf(item: Any) -> Any:
            if isinstance(item, Promise):
                return item._reference(name)
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
        argument = component.arguments[name]
        changed = resolve_paths(
            changed, argument.markers, folder, only_foreign_to=self.folder, words=argument.words
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
