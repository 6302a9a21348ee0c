"""Pipelines with every name resolved and every value converted: what is planned and run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from .artifact import Artifact, load_artifact
from .component import Component
from .conditions import Condition
from .errors import StoreError
from .pipeline import StepOutput, unkeyed


@dataclass(frozen=True)
class BoundStep:
    """One use of a component, ready to run.

    Attributes:
        name: the step's name; a step of a sub-pipeline is called `sub.step`.
        uses: a name under which any process finds the component.
        component: the component.
        parameters: every parameter, defaults filled in, converted to its annotation; paths are absolute. An
            optional input that is not given is here with its default.
        inputs: where each given artifact argument comes from.
        given: artifacts by argument that no step of the pipeline makes, of a step that is run alone.
        runner: the step's own runner options, or None.
        when: conditions that all have to hold, else the step is skipped; they look at facts and values.
        file, line, argument_lines: where it was declared.
    """

    name: str
    uses: str
    component: Component[..., Any]
    parameters: Mapping[str, Any]
    inputs: Mapping[str, StepOutput]
    runner: Mapping[str, Any] | None = None
    when: tuple[Condition, ...] = ()
    file: str = ""
    line: int = 0
    argument_lines: Mapping[str, int] = field(default_factory=dict)
    given: Mapping[str, Artifact] = field(default_factory=dict)

    @property
    def upstream(self) -> tuple[str, ...]:
        """The steps that this one reads from or looks at, each once, in the order of the arguments."""
        return tuple(dict.fromkeys(source.step for source in (*self.inputs.values(), *self.looked_at)))

    @property
    def looked_at(self) -> tuple[StepOutput, ...]:
        """What its conditions look at, each once."""
        return tuple(dict.fromkeys(source for condition in self.when for source in condition.sources))


@dataclass(frozen=True)
class BoundPipeline:
    """A pipeline that can run as it stands.

    Attributes:
        name: the pipeline's name.
        params: the values of its parameters, for the record.
        steps: by name, in topological order.
        outputs: what the pipeline gives, by name.
        folder: what relative paths were relative to.
        file: where it was declared, or an empty string.
        runner: runner options of all steps, or None.
        tune: the search that was declared with it, see `tuning.settings`, or None; no run depends on it.
        target: what `load_pipeline` was asked for, if that is how it came, or an empty string.
    """

    name: str
    params: Mapping[str, Any]
    steps: Mapping[str, BoundStep]
    outputs: Mapping[str, StepOutput] = field(default_factory=dict)
    folder: str = ""
    file: str = ""
    runner: Mapping[str, Any] | None = None
    tune: Mapping[str, Any] | None = None
    target: str = ""

    def named(self, name: str) -> tuple[str, ...]:
        """The steps that a name means: the one that has it, or all that a map made of the one it names."""
        return (name,) if name in self.steps else tuple(step for step in self.steps if unkeyed(step) == name)

    def downstream(self, step: str) -> tuple[str, ...]:
        """The steps that read directly from `step` or look at it, in topological order."""
        return tuple(name for name, other in self.steps.items() if step in other.upstream)

    def to_json(self) -> dict[str, Any]:
        """JSON values from which `from_json` makes the same pipeline in another process."""
        return {
            "pipeline": self.name,
            "params": msgspec.to_builtins(self.params, str_keys=True),
            "steps": {name: _step_to_json(step) for name, step in self.steps.items()},
            "outputs": {name: [source.step, source.output] for name, source in self.outputs.items()},
            "folder": self.folder,
            "file": self.file,
            "runner": dict(self.runner) if self.runner is not None else None,
            "target": self.target,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> BoundPipeline:
        """The pipeline that `to_json` wrote down.

        Raises:
            StoreError: the document was not written by `to_json`.
            PipelineError: a component can't be found any more, or a value doesn't suit it any more.
        """
        try:
            steps = {name: _step_from_json(name, step) for name, step in document["steps"].items()}
            return cls(
                name=document["pipeline"],
                params=document["params"],
                steps=steps,
                outputs={name: StepOutput(*source) for name, source in document["outputs"].items()},
                folder=document["folder"],
                file=document["file"],
                runner=document["runner"],
                target=document["target"],
            )
        except (KeyError, TypeError) as error:
            raise StoreError(f"the recorded pipeline can't be read ({error!r})") from error


def _step_to_json(step: BoundStep) -> dict[str, Any]:
    return {
        "uses": step.uses,
        "parameters": msgspec.to_builtins(step.parameters, str_keys=True),
        "inputs": {name: [source.step, source.output] for name, source in step.inputs.items()},
        "runner": dict(step.runner) if step.runner is not None else None,
        **({"when": [condition.to_json() for condition in step.when]} if step.when else {}),
        "file": step.file,
        "line": step.line,
        "argument_lines": dict(step.argument_lines),
        **({"given": {name: str(made.path) for name, made in step.given.items()}} if step.given else {}),
    }


def _step_from_json(name: str, document: Mapping[str, Any]) -> BoundStep:
    from .resolve import find_component
    from .values import convert

    component = find_component(document["uses"])
    arguments = component.arguments
    recorded = document["parameters"]
    return BoundStep(
        name=name,
        uses=document["uses"],
        component=component,
        # An argument that the component no longer has stays as it was recorded: calling it says so.
        parameters={
            key: convert(value, arguments[key].annotation)
            if key in arguments and value is not None
            else value
            for key, value in recorded.items()
        },
        inputs={key: StepOutput(*source) for key, source in document["inputs"].items()},
        runner=document["runner"],
        when=tuple(Condition.from_json(told) for told in document.get("when", ())),
        file=document["file"],
        line=document["line"],
        argument_lines=document["argument_lines"],
        given={key: load_artifact(Path(path)) for key, path in document.get("given", {}).items()},
    )
