"""Plans: for each step whether it runs, is cached or is skipped, and why.

A decision needs the digests of the step's inputs. Where an input's step has yet to run, the decision is
provisional: if that step gives the same bytes as before, this one turns out to be cached. A step that
the pipeline never ran has no before: it is a first run. A step whose condition doesn't hold is skipped,
and so are those below it; where a condition looks at what has yet to be made, the decision is pending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .artifact import Artifact
from .bound import BoundPipeline, BoundStep
from .conditions import Verdict, judge
from .errors import PipelineError, Problem, StepError
from .fingerprint import Parts, differences, fingerprint
from .pipeline import unkeyed
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

    The name of a mapped step without a key means all that the map made of it.
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
            if name and not bound.named(name)
        ]
        if problems:
            raise PipelineError(problems)
        chosen = frozenset(bound.named(self.only) if self.only else bound.steps)
        if self.start:
            chosen &= _reach(bound.named(self.start), bound.downstream)
        if self.end:
            chosen &= _reach(bound.named(self.end), lambda name: bound.steps[name].upstream)
        return chosen

    def forces(self, step: str) -> bool:
        """Whether a step runs even if it is cached."""
        return step in self.force or unkeyed(step) in self.force


def _reach(start: tuple[str, ...], neighbours: Any) -> frozenset[str]:
    found, todo = set[str](), list(start)
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
        action: "run", "cached" or "skipped" (not selected, or a condition doesn't hold).
        reason: why, as a phrase.
        fingerprint, parts: empty and None while an input isn't known.
        outputs: the artifacts of a step that doesn't run.
        provisional: an input's step runs first, and may give what it gave before.
        verdicts: what became of the step's conditions, as far as it is known.
        unmet: why a condition keeps the step from being there, its own or of a step above; else empty.
        pending: whether that isn't known yet.
    """

    step: str
    action: Action
    reason: str
    fingerprint: str = ""
    parts: Parts | None = None
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    provisional: bool = False
    verdicts: tuple[Verdict, ...] = ()
    unmet: str = ""
    pending: bool = False


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
        outputs: dict[str, Mapping[str, Artifact]] = {}
        for name, step in self.bound.steps.items():
            waiting = [up for up in step.upstream if made[up].action == "run"]
            held = self.held(step, outputs, {up: made[up].unmet for up in step.upstream if made[up].unmet})
            if held is not None:
                made[name] = held
            elif not waiting:
                made[name] = self.decide(step, self.inputs(step, outputs), self.verdicts(step, outputs))
            elif name in self.selected:
                gates = {source.step for source in step.looked_at if made[source.step].action == "run"}
                pending = bool(gates) or any(made[up].pending for up in step.upstream)
                made[name] = self._after(step, waiting, gates, pending)
            else:
                made[name] = Decision(name, "skipped", "not selected", outputs={}, provisional=True)
            outputs[name] = made[name].outputs
        return made

    def held(
        self,
        step: BoundStep,
        outputs: Mapping[str, Mapping[str, Artifact]],
        unmet: Mapping[str, str],
    ) -> Decision | None:
        """The decision on a step that a condition keeps from being there; None if none is known to do so.

        Args:
            step: the step.
            outputs: artifacts of the steps above, as far as they are there.
            unmet: why conditions keep steps above from being there, by step.

        Raises:
            StepError: a condition looks at what isn't there, or compares what can't be compared.
        """
        for name in step.upstream:
            if name in unmet:
                why = unmet[name]
                reason = why if why.startswith("after ") else f"after {name}, which is skipped {why}"
                return Decision(step.name, "skipped", reason, unmet=reason)
        verdicts = self.verdicts(step, outputs)
        for verdict in verdicts:
            if not verdict.met:
                return Decision(step.name, "skipped", verdict.reason, verdicts=verdicts, unmet=verdict.reason)
        return None

    def verdicts(self, step: BoundStep, outputs: Mapping[str, Mapping[str, Artifact]]) -> tuple[Verdict, ...]:
        """What becomes of the step's conditions whose artifacts are there."""
        there = {
            source: outputs[source.step][source.output]
            for source in step.looked_at
            if source.output in outputs.get(source.step, {})
        }
        known = [c for c in step.when if set(c.sources) <= set(there)]
        try:
            return tuple(judge(condition, there) for condition in known)
        except StepError as error:
            raise error.at(step=step.name) from None

    def inputs(self, step: BoundStep, outputs: Mapping[str, Mapping[str, Artifact]]) -> dict[str, Artifact]:
        """The step's input artifacts by argument."""
        return dict(step.given) | {
            argument: outputs[source.step][source.output]
            for argument, source in step.inputs.items()
            if source.output in outputs[source.step]
        }

    def decide(
        self, step: BoundStep, inputs: Mapping[str, Artifact], verdicts: tuple[Verdict, ...] = ()
    ) -> Decision:
        """The decision on a step whose inputs are known and whose conditions hold."""
        if step.name not in self.selected:
            return self._skipped(step, inputs)
        parts = parts_of(step, inputs, self.store)
        mark = fingerprint(parts)
        if self.selection.forces(step.name):
            return Decision(step.name, "run", "forced", mark, parts, verdicts=verdicts)
        found = self.store.find(mark)
        if not isinstance(found, str):
            outputs, record = found
            reason = f"nothing changed since run {record['run']}"
            return Decision(step.name, "cached", reason, mark, parts, outputs, verdicts=verdicts)
        return Decision(step.name, "run", found or self._why(step, parts), mark, parts, verdicts=verdicts)

    def _after(self, step: BoundStep, waiting: list[str], gates: set[str], pending: bool) -> Decision:
        """A step that may run, whose inputs are still to be made by the steps in `waiting`.

        Args:
            step: the step.
            waiting: the steps above that run.
            gates: those of them that its conditions look at.
            pending: whether a condition, its own or of a step above, isn't known yet.
        """
        ran = self.store.index.last_executions(self.bound.name, step.name, 1)
        reason = f"after {', '.join(waiting)}" if ran else "first run"
        unknown = [c.text for c in step.when if gates & {source.step for source in c.sources}]
        if unknown:
            reason += f", if {' and '.join(unknown)}"
        return Decision(step.name, "run", reason, provisional=bool(ran) or pending, pending=pending)

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
            for argument, source in [*step.inputs.items(), *(("when", s) for s in step.looked_at)]
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
