"""What can be known of a pipeline before it runs, without a heavy import.

`check_steps` compares the arguments of every step with its component's signature: names, presence,
artifact types, types and ranges of values. `in_order` finds cycles. `check_components` asks each
component's own check, in topological order, and hands on what is known of the artifacts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .artifact import Artifact
from .bound import BoundStep
from .component import Argument, Component, Known
from .conditions import HOMES, Condition, Fact, shape_problem
from .context import RunnerSettings
from .entry_points import offered_paths
from .errors import HeadraceError, Problem
from .expanding import Used
from .pipeline import Pipeline, StepOutput, leaves, topological
from .runners.settings import check_runner
from .substitution import MISSING
from .values import convert_given, plain, resolve_paths, shown


def check_steps(
    used: Mapping[str, Used], names: tuple[str, ...]
) -> tuple[dict[str, BoundStep], list[Problem]]:
    """Compares every step with its component.

    Args:
        used: the steps by name.
        names: what a reference may name, to choose from.

    Returns:
        The steps that are in order, and the problems of the others.
    """
    steps: dict[str, BoundStep] = {}
    problems: list[Problem] = []
    for name, one in used.items():
        if one.component is None:
            continue
        check = _StepCheck(one, one.component, used, names)
        check.run()
        problems += check.problems
        if not check.failed:
            steps[name] = check.bound()
    return steps, problems


class _StepCheck:
    """Compares one step with its component."""

    def __init__(
        self, used: Used, component: Component[..., Any], steps: Mapping[str, Used], names: tuple[str, ...]
    ) -> None:
        self.used, self.component, self.steps, self.names = used, component, steps, names
        self.problems: list[Problem] = []
        self.failed = False
        self.parameters: dict[str, Any] = {}
        self.inputs: dict[str, StepOutput] = {}

    def wrong(self, what: str, argument: str, **details: Any) -> None:
        """Notes a problem."""
        self.failed = True
        self.problems.append(self.used.problem(what, argument, **details))

    def run(self) -> None:
        """Looks at every argument, given or not."""
        arguments, given = self.component.arguments, self.used.step.arguments
        for name in given:
            if name not in arguments:
                what = f"{self.component.name} has no argument {name!r}"
                self.wrong(what, name, given=name, available=tuple(arguments))
        for name, argument in arguments.items():
            if name in given:
                self.argument(argument, given[name])
            elif argument.required:
                what = f"{self.component.name} needs {name}"
                self.wrong(what, name, remedy=f"give {_wanted(argument)}{self._offer(argument)}")
            else:
                self.parameters[name] = argument.default
        for condition in self.used.step.when:
            self.condition(condition)

    def condition(self, condition: Condition) -> None:
        """One of the step's conditions."""
        if MISSING in (condition.left, condition.right):
            self.failed = True
            return
        for side in (condition.left, condition.right):
            if isinstance(side, StepOutput):
                self.artifact(side)
                return
        if problem := shape_problem(condition):
            self.failed = True
            self.problems.append(self.used.place(problem.at(argument="when")))
        for fact in condition.facts:
            assert isinstance(fact.source, StepOutput)
            self.given(fact.source, "when")

    def artifact(self, source: StepOutput) -> None:
        """A condition on an artifact as a whole, or on an entry without its home."""
        component = self.steps[source.step].component if source.step in self.steps else None
        meant, entry = str(source)[2:-1], "ENTRY"
        if component is not None and source.output != "output" and source.output not in component.outputs:
            meant, entry = str(StepOutput(source.step))[2:-1], source.output
        what = f"{source} is no entry of an artifact's {' or '.join(HOMES)}, which a condition looks at"
        remedy = " or ".join(f"${{{meant}.{home}.{entry}}}" for home in HOMES)
        self.wrong(what, "when", remedy=f"write {remedy}")

    def argument(self, argument: Argument, value: Any) -> None:
        """One argument that is given."""
        held = list(leaves(value))
        if any(leaf is MISSING for leaf in held):
            self.failed = True
        elif isinstance(value, StepOutput):
            self.source(argument, value)
        elif any(isinstance(leaf, StepOutput) for leaf in held):
            remedy = "refer to a step by the whole argument"
            self.wrong("what a step gives can't be inside a list or a mapping", argument.name, remedy=remedy)
        elif argument.annotation is None and not (value is None and argument.default is None):
            what = f"has to be {_wanted(argument)}, not {shown(value)}"
            self.wrong(what, argument.name, remedy=f"refer to a step{self._offer(argument)}")
        else:
            self.value(argument, value)

    def value(self, argument: Argument, value: Any) -> None:
        """A parameter's value."""
        if argument.annotation is None:
            self.parameters[argument.name] = None
            return
        converted, problem = convert_given(value, argument.annotation)
        if problem:
            self.failed = True
            self.problems.append(self.used.place(problem.at(argument=argument.name)))
            return
        paths = (
            resolve_paths(converted, argument.markers, self.used.folder, words=argument.words)
            if argument.markers
            else converted
        )
        named, found = offered_paths(argument, plain(paths))
        if found:
            self.failed = True
            self.problems += [self.used.place(problem) for problem in found]
        self.parameters[argument.name] = named

    def source(self, argument: Argument, source: StepOutput) -> None:
        """A reference to a step."""
        kind = self.given(source, argument.name)
        if kind is None:
            return
        if not argument.artifacts:
            what = f"{argument.name} is a parameter, and {source} gives {kind.__name__}"
            self.wrong(what, argument.name, remedy="write the value")
        elif not issubclass(kind, argument.artifacts):
            what = f"{argument.name} takes {_kinds(argument)}, and {source} gives {kind.__name__}"
            offer = self._offer(argument)
            self.wrong(
                what,
                argument.name,
                remedy=f"refer to a step{offer}" if offer else f"add a step that gives {_kinds(argument)}",
            )
        else:
            self.inputs[argument.name] = source

    def given(self, source: StepOutput, argument: str) -> type[Artifact] | None:
        """The type of what a reference names, or None if it names nothing, which is noted."""
        if source.step not in self.steps:
            what = f"there is no step {source.step!r}"
            self.wrong(what, argument, given=source.step, available=self.names)
            return None
        component = self.steps[source.step].component
        if component is None:
            self.failed = True
            return None
        kind = component.outputs.get(source.output)
        if kind is None:
            self.no_output(argument, source, tuple(component.outputs))
        return kind

    def no_output(self, argument: str, source: StepOutput, outputs: tuple[str, ...]) -> None:
        """A reference to an output that the step doesn't have."""
        if source.output == "output":
            what, given = f"{source.step} has several outputs", ""
        else:
            what, given = f"{source.step} has no output {source.output!r}", source.output
        remedy = (
            f"refer to ${{steps.{source.step}}}"
            if outputs == ("output",)
            else f"refer to ${{steps.{source.step}.{outputs[0]}}}"
        )
        self.wrong(what, argument, given=given, available=outputs, remedy=remedy)

    def _offer(self, argument: Argument) -> str:
        """The references that would do, as the end of a sentence."""
        fitting = [
            str(StepOutput(name, output))
            for name, other in self.steps.items()
            if other.component is not None and name != self.used.step.name
            for output, kind in other.component.outputs.items()
            if argument.artifacts and issubclass(kind, argument.artifacts)
        ]
        return f", for example {' or '.join(fitting[:4])}" if fitting else ""

    def bound(self) -> BoundStep:
        """The step, if nothing was wrong."""
        step = self.used.step
        return BoundStep(
            name=step.name,
            uses=self.used.uses,
            component=self.component,
            parameters={
                name: self.parameters[name] for name in self.component.arguments if name in self.parameters
            },
            inputs=self.inputs,
            runner=step.runner,
            when=step.when,
            file=step.file,
            line=step.line,
            argument_lines=step.argument_lines,
        )


def _kinds(argument: Argument) -> str:
    return " or ".join(kind.__name__ for kind in argument.artifacts)


def _wanted(argument: Argument) -> str:
    from .values import describe

    parts = [_kinds(argument)] if argument.artifacts else []
    parts += [describe(argument.annotation)] if argument.annotation is not None else []
    return " or ".join(parts)


def in_order(used: Mapping[str, Used]) -> tuple[list[str], list[Problem]]:
    """The names of the steps, each after those it reads from and else as declared; and the cycles."""
    upstream = {name: [source.step for source in one.step.references] for name, one in used.items()}
    order, cycles = topological(upstream)
    remedy = "remove one of these references"
    return order, [
        used[cycle[0]].problem(f"the steps need each other: {' → '.join(cycle)}", remedy=remedy)
        for cycle in cycles
    ]


def check_components(
    steps: Mapping[str, BoundStep], place: Callable[[str, Problem], Problem]
) -> tuple[list[Problem], dict[StepOutput, Known]]:
    """Asks the components' own checks about the steps that are in order.

    Args:
        steps: in topological order; one that is missing here is skipped, and nothing is known of its outputs.
        place: gives a problem of the named step with its place filled in.

    Returns:
        The problems, and what is known of the artifacts.
    """
    problems: list[Problem] = []
    known: dict[StepOutput, Known] = {}
    for name, step in steps.items():
        if step.component.checker is None:
            continue
        inputs = {argument: known.get(source, Known()) for argument, source in step.inputs.items()}
        try:
            found, outputs = step.component.checker(step.parameters, inputs)
        except HeadraceError as error:
            found, outputs = list(error.problems), {}
        problems += [place(name, problem) for problem in found]
        known.update((StepOutput(name, output), value) for output, value in outputs.items())
    for name, step in steps.items():
        looked_at = [fact for condition in step.when for fact in condition.facts]
        problems += [place(name, p) for fact in looked_at if (p := _no_entry(fact, known))]
    return problems, known


def _begins(path: str, names: Iterable[str]) -> bool:
    """Whether a dotted path leads to one of the names, or into it."""
    return any(f"{path}.".startswith(f"{name}.") for name in names)


def _no_entry(fact: Fact, known: Mapping[StepOutput, Known]) -> Problem | None:
    """The problem that a condition looks at what isn't there, where the step's check tells what is."""
    assert isinstance(fact.source, StepOutput)
    facts = known.get(fact.source, Known()).facts
    entries, metrics = facts.get(fact.home), facts.get("metrics")
    head, _, rest = fact.path.partition(".")
    what = f"{fact}: {fact.source.step} gives no such entry"
    if entries is not None and not _begins(fact.path, entries):
        return Problem(what, argument="when", given=head, available=tuple(entries))
    if metrics is not None and (fact.home, head) == ("summary", "metrics") and not _begins(rest, metrics):
        return Problem(what, argument="when", given=rest, available=tuple(metrics))
    return None


def check_runners(pipeline: Pipeline, used: Mapping[str, Used]) -> list[Problem]:
    """Checks the runner options of the pipeline and of its steps."""
    problems = [problem.at(file=pipeline.file) for problem in _runner_problems(pipeline.runner)]
    for one in used.values():
        problems += [one.place(problem) for problem in _runner_problems(one.step.runner)]
    return problems


def _runner_problems(runner: Mapping[str, Any] | None) -> list[Problem]:
    if runner is None:
        return []
    try:
        # As the executor takes them: a pipeline in Python may state a number.
        options = {name: str(value) for name, value in runner.items() if name != "name"}
        check_runner(RunnerSettings(runner.get("name", "direct"), options))
    except HeadraceError as error:
        return list(error.problems)
    return []
