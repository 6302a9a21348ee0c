"""A pipeline as Python source: a `@pipeline` function that gives the same pipeline when it is traced."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import Any

from .artifact import Artifact
from .component import Component
from .document import refuse_unimportable
from .errors import PipelineError, Problem
from .pipeline import (
    Pipeline,
    Step,
    StepOutput,
    base_name,
    topological,
)
from .python_expressions import WIDTH, Expressions, quoted
from .python_loops import Block, blocks, kept
from .resolve import builtin_names, find


def write_python(pipeline: Pipeline) -> str:
    """Python source with one `@pipeline` function; to be saved beside the pipeline's file.

    Raises:
        PipelineError: a component can't be imported by name, a name is no Python name, or
            steps need each other.
    """
    refuse_unimportable(pipeline)
    _refuse_names(pipeline)
    return _Writer(pipeline).source()


def _refuse_names(pipeline: Pipeline) -> None:
    names = [("parameter", name) for name in pipeline.params] + [
        ("output", name) for name in pipeline.outputs
    ]
    problems = [
        Problem(
            f"the {kind} {name!r} is not a name in Python", file=pipeline.file, remedy="give it another name"
        )
        for kind, name in names
        if not name.isidentifier() or keyword.iskeyword(name)
    ]
    if problems:
        raise PipelineError(problems)


class _Writer(Expressions):
    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.function = _identifier(pipeline.name)
        self.callables: dict[str, str] = {}
        self.take("headrace.pipelines", "pipeline")
        self.constants: list[str] = []
        self.taken = {
            "pipeline",
            "components",
            "use",
            "runner",
            "each",
            "key_of",
            "when",
            "Any",
            "NamedTuple",
            "Outputs",
            *Artifact.types,
        }
        self.taken |= {self.function, *pipeline.params}
        steps, outputs = pipeline.steps, list(pipeline.outputs.values())
        sources = [*(source for step in steps.values() for source in step.references), *outputs]
        self.read = {base_name(source.step, steps) for source in sources}
        for step in steps.values():
            self._import(step)
        self.variables = {name: self._free(_identifier(name)) for name in steps}
        items = dict.fromkeys(name for step in steps.values() for name in step.each)
        self.items = {name: self._free(_identifier(name)) for name in items}
        self.blocks = blocks(steps, self._order())
        outside = kept(steps, self.blocks, [source.step for source in outputs])
        self.by_key = {n: self._free(f"{v}_by_key") for n, v in self.variables.items() if n in outside}

    def source(self) -> str:
        """The whole text."""
        body = [line for block in self.blocks for line in self._block(block)]
        self.block = Block({})
        returned, outputs, last = self._return()
        body += last
        header = self._signature(returned)
        if any(re.search(r"\bAny\b", line) for line in header):
            self.take("typing", "Any")
        blocks = [
            [f'"""The pipeline {self.pipeline.name}."""', "", "from __future__ import annotations", ""],
            self._imports(),
            [*self.constants, ""] if self.constants else [],
            outputs,
            ["", *header],
            [f"    {line}" for line in body],
        ]
        return "\n".join(line for block in blocks for line in block) + "\n"

    def _imports(self) -> list[str]:
        """The import lines, sorted as ruff and isort do."""
        lines = [f"import {module}" for module, names in sorted(self.imports.items()) if not names]
        for module, names in sorted(self.imports.items()):
            if names:
                lines.append(f"from {module} import {', '.join(sorted(names, key=_import_order))}")
        standard = [line for line in lines if line.startswith("from typing")]
        others = [line for line in lines if not line.startswith("from typing")]
        return [*standard, "", *others, ""] if standard else [*others, ""]

    def _free(self, name: str) -> str:
        while name in self.taken or hasattr(builtins, name):
            name += "_"
        self.taken.add(name)
        return name

    def _import(self, step: Step) -> None:
        """Makes the component reachable by an expression."""
        if step.uses in self.callables:
            return
        hidden = set(self.pipeline.params)  # a parameter hides a module of its name inside the function
        if step.uses in builtin_names() and "components" not in hidden:
            self.take("headrace", "components")
            self.callables[step.uses] = f"components.{step.uses}"
            return
        place, _, name = step.uses.rpartition(":")
        if place and not place.endswith(".py") and place.split(".")[0] not in hidden:
            self.imports.setdefault(place, set())
            self.taken.add(place.split(".")[0])
            self.callables[step.uses] = f"{place}.{name}"
            return
        self.take("headrace.pipelines", "use")
        variable = self._free("use_" + _identifier(name or re.sub(r"\.ya?ml$", "", place or step.uses)))
        self.constants.append(f"{variable} = use({quoted(step.uses)})")
        self.callables[step.uses] = variable

    def _block(self, block: Block) -> list[str]:
        """Steps one after the other; in a loop for each list that they are mapped over."""
        self.block = block
        lines = []
        for name in block.steps:
            lines += self._step(self.pipeline.steps[name])
            if name in self.by_key:
                lines.append(f"{self.by_key[name]}[{self.key(block.each)}] = {self.variables[name]}")
        for name, items in reversed(list(block.each.items())):
            self.take("headrace.pipelines", "each")
            head = f"for {self.items[name]} in each({self.value(items)}):"
            lines = [head, *(f"    {line}" for line in lines)]
        return [*(f"{self.by_key[name]} = {{}}" for name in block.steps if name in self.by_key), *lines]

    def _step(self, step: Step) -> list[str]:
        call = self.callables[step.uses]
        named = "" if step.uses == step.name else f".named({quoted(step.name)})"
        target = f"{self.variables[step.name]} = " if step.name in self.read else ""
        given = [(f"{name}=", value) for name, value in step.arguments.items()]
        lines = self.wrapped(f"{target}{call}{named}(", given, ")", 4)
        if step.runner is not None:
            self.take("headrace.pipelines.tracing", "runner")
            lines = [f"with runner(**{self.value(step.runner)}):", *(f"    {line}" for line in lines)]
        if step.when:
            self.take("headrace.pipelines", "when")
            head = self.wrapped("with when(", [("", condition) for condition in step.when], "):", 4)
            lines = [*head, *(f"    {line}" for line in lines)]
        return lines

    def _signature(self, returned: str) -> list[str]:
        params = []
        for name, default in self.pipeline.params.items():
            stated = "" if default is None else f" = {self.value(default)}"
            params.append(f"{name}: {_annotation(default)}{stated}")
        inside = ", ".join(["*", *params]) if params else ""
        options: list[tuple[str, Any]] = []
        if self.function != self.pipeline.name:
            options.append(("name=", self.pipeline.name))
        if self.pipeline.runner is not None:
            options.append(("runner=", self.pipeline.runner))
        if self.pipeline.tune is not None:
            options.append(("tune=", self.pipeline.tune))
        decorator = self.wrapped("@pipeline(", options, ")", 0) if options else ["@pipeline"]
        line = f"def {self.function}({inside}) -> {returned}:"
        if len(line) <= WIDTH:
            return [*decorator, line]
        return [
            *decorator,
            f"def {self.function}(",
            *(f"    {p}," for p in ["*", *params]),
            f") -> {returned}:",
        ]

    def _order(self) -> list[str]:
        steps = self.pipeline.steps
        upstream = {n: [base_name(s.step, steps) for s in step.references] for n, step in steps.items()}
        order, cycles = topological(upstream)
        if cycles:
            raise PipelineError(
                f"the steps need each other: {' → '.join(cycles[0])}", file=self.pipeline.file
            )
        return order

    def _return(self) -> tuple[str, list[str], list[str]]:
        """The return annotation, the definition that it needs, and the function's last lines."""
        outputs = self.pipeline.outputs
        if not outputs:
            return "None", [], []
        if list(outputs) == ["output"]:
            return self._type(outputs["output"]), [], [f"return {self.value(outputs['output'])}"]
        self.take("typing", "NamedTuple")
        fields = [f"    {name}: {self._type(source)}" for name, source in outputs.items()]
        given = ", ".join(f"{name}={self.value(source)}" for name, source in outputs.items())
        doc = f'    """What the pipeline {self.pipeline.name} gives."""'
        definition = ["", "class Outputs(NamedTuple):", doc, "", *fields, ""]
        return "Outputs", definition, [f"return Outputs({given})"]

    def _type(self, source: StepOutput) -> str:
        """The name of the artifact type that a step gives, imported."""
        step = self.pipeline.steps[base_name(source.step, self.pipeline.steps)]
        found = step.component or find(step.uses, self.pipeline.folder)
        kind = found.outputs.get(source.output) if isinstance(found, Component) else None
        if kind is None or kind.__module__ != "headrace.pipelines.artifact":
            self.take("typing", "Any")
            return "Any"
        self.take("headrace.pipelines", kind.__name__)
        return kind.__name__


def _annotation(default: Any) -> str:
    if default is None:
        return "Any"
    if isinstance(default, bool | int | float | str):
        return type(default).__name__
    return "list[Any]" if isinstance(default, list | tuple) else "dict[str, Any]"


def _import_order(name: str) -> tuple[bool, str]:
    return not name[0].isupper(), name


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name)
    text = text if text[:1].isidentifier() else f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) else text
