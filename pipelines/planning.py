"""Plans: for each step whether it runs, is cached or is skipped, and why.

A decision needs the digests of the step's inputs. Where an input's step has yet to run, the decision is
provisional: if that step gives the same bytes as before, this one turns out to be cached. A step that
the pipeline never ran has no before: it is a first run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .artifact import Artifact
from .bound import BoundPipeline, BoundStep
from .errors import PipelineError, Problem
from .fingerprint import Parts, differences, fingerprint
from .step_parts import parts_of
from .store import Store


@dataclass(frozen=True)
class Selection:
    """Which steps may run.

    Attributes:
        start: this step and all that need it; empty for no bound.
        end: this step and all that it needs; empty for no bound.
        only: this step alone.
        force: steps that run even if they are cached.
    """

    start: str = ""
    end: str = ""
    only: str = ""
    force: frozenset[str] = frozenset()

    def steps(self, bound: BoundPipeline) -> frozenset[str]:
        """The names of the steps that may run; raises PipelineError for a step that isn't there."""
        named = {"--from": self.start, "--to": self.end, "--only": self.only}
        problems = [
            Problem(f"there is no step {name!r}", argument=option, given=name, available=tuple(bound.steps))
            for option, name in [*named.items(), *(("--force", name) for name in sorted(self.force))]
            if name and name not in bound.steps
        ]
        if problems:
            raise PipelineError(problems)
        chosen = frozenset([self.only]) if self.only else frozenset(bound.steps)
        if self.start:
            chosen &= _reach(self.start, bound.downstream)
        if self.end:
            chosen &= _reach(self.end, lambda name: bound.steps[name].upstream)
        return chosen


def _reach(start: str, neighbours: Any) -> frozenset[str]:
    found, todo = set[str](), [start]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(neighbours(name))
    return frozenset(found)


Action = Literal["run", "cached", "skipped"]


@dataclass(frozen=True)
class Decision:
    """What becomes of one step.

    Attributes:
        step: its name.
        action: "run", "cached" or "skipped" (not selected).
        reason: why, as a phrase.
        fingerprint, parts: empty and None while an input isn't known.
        outputs: the artifacts of a step that doesn't run.
        provisional: an input's step runs first, and may give what it gave before.
    """

    step: str
    action: Action
    reason: str
    fingerprint: str = ""
    parts: Parts | None = None
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    provisional: bool = False


class Planner:
    """Decides on the steps of one pipeline against one store."""

    def __init__(self, bound: BoundPipeline, store: Store, selection: Selection | None = None) -> None:
        self.bound = bound
        self.store = store
        self.selection = selection or Selection()
        self.selected = self.selection.steps(bound)

    def plan(self) -> dict[str, Decision]:
        """Decisions by step, in topological order, as far as they can be known now."""
        made: dict[str, Decision] = {}
        for name, step in self.bound.steps.items():
            waiting = [up for up in step.upstream if made[up].action == "run"]
            if not waiting:
                made[name] = self.decide(step, self.inputs(step, {n: d.outputs for n, d in made.items()}))
            elif name in self.selected:
                made[name] = self._after(name, waiting)
            else:
                made[name] = Decision(name, "skipped", "not selected", outputs={}, provisional=True)
        return made

    def inputs(self, step: BoundStep, outputs: Mapping[str, Mapping[str, Artifact]]) -> dict[str, Artifact]:
        """The step's input artifacts by argument."""
        return dict(step.given) | {
            argument: outputs[source.step][source.output]
            for argument, source in step.inputs.items()
            if source.output in outputs[source.step]
        }

    def decide(self, step: BoundStep, inputs: Mapping[str, Artifact]) -> Decision:
        """The decision on a step whose inputs are known."""
        if step.name not in self.selected:
            return self._skipped(step, inputs)
        parts = parts_of(step, inputs, self.store)
        mark = fingerprint(parts)
        if step.name in self.selection.force:
            return Decision(step.name, "run", "forced", mark, parts)
        found = self.store.find(mark)
        if not isinstance(found, str):
            outputs, record = found
            return Decision(
                step.name, "cached", f"nothing changed since run {record['run']}", mark, parts, outputs
            )
        return Decision(step.name, "run", found or self._why(step, parts), mark, parts)

    def _after(self, name: str, waiting: list[str]) -> Decision:
        """A step that may run, whose inputs are still to be made by the steps in `waiting`."""
        if not self.store.index.last_executions(self.bound.name, name, 1):
            return Decision(name, "run", "first run")
        return Decision(name, "run", f"after {', '.join(waiting)}", provisional=True)

    def _why(self, step: BoundStep, parts: Parts) -> str:
        """What changed since the step's last execution, found in the records."""
        earlier = self.store.index.last_executions(self.bound.name, step.name, 1)
        if not earlier:
            return "first run"
        changed = differences(Parts(**earlier[0]["parts"]), parts, step.name)
        changed = [self._with_source(step, text) for text in changed]
        return "; ".join(changed) or "its cached outputs are gone"

    def _with_source(self, step: BoundStep, text: str) -> str:
        argument = text.split(" ")[1] if text.startswith("input ") else ""
        return f"{text} (from {step.inputs[argument].step})" if argument in step.inputs else text

    def _skipped(self, step: BoundStep, inputs: Mapping[str, Artifact]) -> Decision:
        """A step that isn't selected stands with its outputs for these inputs, or else its last ones."""
        if set(step.inputs) <= set(inputs):
            parts = parts_of(step, inputs, self.store)
            found = self.store.find(fingerprint(parts))
            if not isinstance(found, str):
                return Decision(step.name, "skipped", "not selected", fingerprint(parts), parts, found[0])
        for record in self.store.index.last_executions(self.bound.name, step.name):
            found = self.store.find(record["fingerprint"])
            if not isinstance(found, str):
                reason = f"not selected; stands as run {record['run']} left it"
                return Decision(step.name, "skipped", reason, outputs=found[0])
        return Decision(step.name, "skipped", "not selected; never ran")

    def missing(self, plan: Mapping[str, Decision]) -> list[Problem]:
        """Problems with steps that run and need an output of a step that is skipped and has none."""
        return [
            Problem(
                f"needs {source}, which is not selected and has no artifact in the store",
                step=name,
                argument=argument,
                remedy=f"leave out --from/--only, or run `--to {source.step}` first",
            )
            for name, step in self.bound.steps.items()
            if plan[name].action == "run"
            for argument, source in step.inputs.items()
            if plan[source.step].action == "skipped" and source.output not in plan[source.step].outputs
        ]


def with_sample(bound: BoundPipeline, rows: int) -> BoundPipeline:
    """The pipeline with `sample` set in every step that has such a parameter.

    Raises:
        PipelineError: no step has one.
    """
    steps = {
        name: replace(step, parameters={**step.parameters, "sample": rows})
        if "sample" in step.component.arguments
        else step
        for name, step in bound.steps.items()
    }
    if steps == dict(bound.steps) and not any("sample" in s.component.arguments for s in steps.values()):
        raise PipelineError("no step of the pipeline can sample", argument="--sample")
    return replace(bound, steps=steps)
