"""What a `@pipeline` function sees while it is traced: promises of outputs, and the trace that makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .artifact import Artifact
from .component import Component
from .conditions import HOMES, Condition, Fact
from .errors import PipelineError
from .pipeline import STEP_NAME, Step, StepOutput, map_values
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

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._outputs and self._outputs != ("output",):
            return Promise(self._step, (name,))
        if name in HOMES:
            return PromisedEntry(self._reference(""), name)
        raise UnknownOutputError(
            f"{self._step} has no output {name!r}; inside a @pipeline nothing is computed yet",
            given=name,
            available=self._outputs,
            remedy='decide by `with when(….summary["ENTRY"]):`, or move what needs it into a component',
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
            remedy="decide by the pipeline's parameters, by `with when(…):`, or inside a component",
        )

    def __repr__(self) -> str:
        return f"<promise of {self._step}: {', '.join(self._outputs)}>"


class PromisedEntry:
    """What stands for an entry of an artifact's summary or properties while a pipeline is traced.

    `validated.summary["ok"]` is the condition that it is true, `~validated.summary["ok"]` that it is false,
    and `evaluation.summary["metrics"]["accuracy"] >= 0.9` a comparison; all are for `with when(…):`.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, source: StepOutput, home: str, path: str = "") -> None:
        self._source, self._home, self._path = source, home, path

    def __getitem__(self, key: str) -> PromisedEntry:
        return PromisedEntry(self._source, self._home, f"{self._path}.{key}" if self._path else key)

    def _condition(self, operator: str = "", other: Any = None) -> Condition:
        if not self._path:
            raise PipelineError(
                f"the {self._home} of {self._source.step} as a whole is no condition",
                argument="when",
                remedy=f'name an entry: {self._home}["ENTRY"]',
            )
        right = other._fact() if isinstance(other, PromisedEntry) else other
        return Condition(self._fact(), operator, right)

    def _fact(self) -> Fact:
        return Fact(self._source, self._home, self._path)

    def __invert__(self) -> Condition:
        return self._condition("not")

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._condition("==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._condition("!=", other)

    def __lt__(self, other: Any) -> Condition:
        return self._condition("<", other)

    def __le__(self, other: Any) -> Condition:
        return self._condition("<=", other)

    def __gt__(self, other: Any) -> Condition:
        return self._condition(">", other)

    def __ge__(self, other: Any) -> Condition:
        return self._condition(">=", other)

    def __bool__(self) -> bool:
        raise PipelineError(
            f"what {self._source.step} gives isn't known yet: inside a @pipeline nothing is computed",
            remedy="put the steps that depend on it under `with when(…):`; `not` is written ~",
        )

    def __repr__(self) -> str:
        return f"<promise of {self._home}.{self._path} of {self._source.step}>"


def condition_of(given: Any) -> Condition:
    """The condition that `when` was given: an entry, a comparison, or a value that is known already.

    Raises:
        PipelineError: it is none.
    """
    if isinstance(given, PromisedEntry):
        return given._condition()
    if isinstance(given, Condition | bool):
        return given if isinstance(given, Condition) else Condition(given)
    raise PipelineError(
        f"{given!r} is no condition",
        argument="when",
        remedy='write `with when(validated.summary["ok"]):`, or a comparison of such an entry',
    )


class Trace:
    """The steps that a traced function has added so far.

    Attributes:
        folder: what relative paths are relative to.
        steps: by name.
        runner: of the steps that are being added, or None.
        when: their conditions.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.steps: dict[str, Step] = {}
        self.runner: Mapping[str, str] | None = None
        self.when: tuple[Condition, ...] = ()
        self._prefixes: list[str] = [""]
        self._keys: list[list[str]] = [[]]
        self._folders: list[str] = [folder]
        self._used: set[str] = set()

    def add(
        self,
        component: Component[..., Any],
        step: str,
        arguments: Mapping[str, Any],
        file: str,
        line: int,
        when: tuple[Condition, ...] = (),
    ) -> Any:
        """Adds a step and gives the promise of its outputs.

        Args:
            component: what the step uses.
            step: its name, or an empty string to call it like the component.
            arguments: as they were given, with promises among them.
            file, line: where the component was called.
            when: conditions of its own.

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
        when = (*self.when, *when)
        self.steps[name] = Step(
            name, uses, given, file, line, runner=self.runner, component=component, when=when
        )
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
        prefix, keys = self._prefixes[-1], self._keys[-1]
        suffix = f"[{','.join(keys)}]" if keys else ""
        if wanted and not STEP_NAME.fullmatch(wanted):
            raise PipelineError(f"{wanted!r} can't be a step's name", remedy="use letters, digits, _ and -")
        name, number = f"{prefix}{wanted or default}{suffix}", 1
        if wanted and name in self._used:
            raise PipelineError(f"there is a step {name} already", remedy="give it another name")
        while name in self._used:
            number += 1
            name = f"{prefix}{default}_{number}{suffix}"
        self._used.add(name)
        return name

    def inline(self, function: PipelineFunction[..., R], name: str, call: Callable[[], R]) -> R:
        """Runs `call` with the steps that it adds named `name.step`."""
        self._prefixes.append(f"{self._name(name, function.name)}.")
        self._folders.append(function.folder)
        self._keys.append([])
        try:
            return call()
        finally:
            self._prefixes.pop()
            self._folders.pop()
            self._keys.pop()

    @contextmanager
    def mapped(self, key: str) -> Iterator[None]:
        """Steps that are added in the block have a key behind their names."""
        keys = self._keys[-1]
        keys.append(key)
        try:
            yield
        finally:
            keys.pop()
