"""What a component gets besides its inputs: where to write, how to run Beam, whom to tell.

A context belongs to one attempt of one step. A component writes its artifacts by `ctx.output(Type)`,
its temporary files under `ctx.staging`, and says how far it is by `ctx.progress`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .artifact import Artifact, Draft, confined

if TYPE_CHECKING:
    from .resumable import Resumables
    from .reuse import Reuse

A = TypeVar("A", bound=Artifact)

T = TypeVar("T")
R = TypeVar("R")

Listener = Callable[[Mapping[str, Any]], None]
"""Takes events as JSON values: `{"progress": {…}}`, `{"say": text}`, `{"warn": text}`, `{"work": {…}}`,
`{"job": {…}}`."""


def print_event(event: Mapping[str, Any]) -> None:
    """The listener of a component that is called outside a pipeline: messages to standard error."""
    for kind in ("say", "warn"):
        if kind in event:
            sys.stderr.write(f"{'warning: ' if kind == 'warn' else ''}{event[kind]}\n")


@dataclass(frozen=True)
class RunnerSettings:
    """Which Beam runner executes, and its options. Never part of a fingerprint.

    Attributes:
        name: `direct`, `flink`, `spark`, `dataflow` or `portable`.
        options: Beam pipeline options by name, without dashes, as the user stated them.
        flags: what the run added, as flags of Beam's command line: the endpoint of a job server that it
            started, the environment of the workers, packages.
    """

    name: str = "direct"
    options: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {"name": self.name, "options": dict(self.options), "flags": list(self.flags)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> RunnerSettings:
        """What `to_json` gave."""
        return cls(told["name"], told["options"], tuple(told["flags"]))


class Exchange(Protocol):
    """How workers elsewhere read and write a store that isn't a folder which they see.

    The work of a unit uses plain paths. Around it the files that it reads are fetched, and those that it
    writes below the step's staging folder are brought to the store, also when it fails: the text of its error
    is one of them. `None` in a context where the store's folder is reached by every worker.
    """

    def to_json(self) -> Mapping[str, Any]:
        """For the step's process."""
        ...

    def around(self, work: Callable[[T], R]) -> Callable[[T], R]:
        """The same work for a worker elsewhere; picklable, and it knows by itself how to reach the store.

        Paths of the store's folder are found in the work's own fields and in what it is given (`Path`
        values, in dataclasses, tuples, lists and mappings), and are those of the driver.
        """
        ...

    def names(self, folder: Path) -> Iterable[str]:
        """The names of the files that workers have written into a folder so far, here or in the store.

        Asked twice a second while a job runs, to show how far it is; it may be cheap and late.
        """
        ...

    def collect(self, folder: Path) -> None:
        """Brings what workers wrote into a folder (flat) here; called by the driver when a job has ended."""
        ...


@dataclass
class Context:
    """The surroundings of one attempt of a step.

    Attributes:
        step: the step's name.
        staging: a folder of this attempt's own, on the store's file system, so that every worker
            reaches it and a finished artifact can be renamed into place. Removed after the attempt.
        runner: the Beam runner to use, see `headrace.pipelines.runners`.
        listener: receives progress and messages.
        reuse: what earlier attempts left to be used again; None where there is no store.
        resumables: what killed attempts left to go on from; None where there is no store.
        exchange: how workers elsewhere reach the store; None where its folder is reached by all.
        opener: makes a runner ready, see `open_runner`; None where it is ready, or needs nothing.
    """

    step: str
    staging: Path
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    listener: Listener = print_event
    drafts: dict[str, Any] = field(default_factory=dict)
    reuse: Reuse | None = None
    resumables: Resumables | None = None
    exchange: Exchange | None = None
    opener: Callable[[RunnerSettings], RunnerSettings] | None = None

    def open_runner(self) -> RunnerSettings:
        """The Beam runner, ready to take jobs.

        What it needs on this machine, such as a job server, is started when the first step of a run asks for
        it, and ended with the run: a run that has nothing for Beam to do starts nothing.
        """
        if self.opener is not None:
            self.runner, self.opener = self.opener(self.runner), None
        return self.runner

    def output(self, kind: type[A], name: str = "output") -> Draft[A]:
        """A new artifact of type `kind` to be filled and finished; `name` is the output's name."""
        if name in self.drafts:
            raise ValueError(f"the output {name!r} was begun twice")
        draft = Draft(kind, confined(self.staging / "outputs", name))
        self.drafts[name] = draft
        return draft

    def scratch(self, name: str) -> Path:
        """A fresh temporary folder under `staging`."""
        folder = self.staging / "scratch" / name
        folder.mkdir(parents=True)
        return folder

    def resumable(self, facts: Any = None, *, without: Sequence[str] = ()) -> Path | None:
        """A folder that survives when the step is killed, for what it needs to go on.

        An attempt with equal code, inputs and parameters finds the files of the one before. It is this
        attempt's alone until the step ends, and is removed when its outputs are published.

        Args:
            facts: JSON values of what else has to be equal.
            without: parameters that may be others when the step goes on.

        Returns:
            None where there is no store, or another process is in the folder, which people are warned of.
        """
        if self.resumables is None:
            return None
        folder = self.resumables.take(facts, without)
        if folder is None:
            self.warn("another process does the same just now, so that nothing is kept to go on from")
        return folder

    def progress(self, **values: float | int | str) -> None:
        """Says how far the step is.

        Args:
            values: `done` and `total` in units of work, `rows`, `loss`, `epoch`, or what else there
                is to show; numbers are shown as they are.
        """
        self.listener({"progress": values})

    def say(self, text: str) -> None:
        """A message to the person who runs this, for example what was chosen for them."""
        self.listener({"say": text})

    def warn(self, text: str) -> None:
        """A message that asks for attention and doesn't stop the step."""
        self.listener({"warn": text})

    def job(self, **facts: Any) -> None:
        """A job that was given to a remote runner, or its new state; see `runners.jobs`."""
        self.listener({"job": facts})

    def work(self, stage: str, **facts: Any) -> None:
        """Facts on how the work of a Beam stage was done, for the run record: units, workers, bytes."""
        self.listener({"work": {"stage": stage, **facts}})
