"""A pipeline as Python source: a `@pipeline` function that gives the same pipeline when it is traced."""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from .artifact import Artifact
from .component import Component
from .conditions import Condition, Fact
from .document import refuse_unimportable
from .errors import PipelineError, Problem
from .mapping import KEY_ENTRY
from .pipeline import (
    EachValue,
    ParamValue,
    Pipeline,
    Step,
    StepOutput,
    Template,
    base_name,
    topological,
)
from .python_loops import Block, blocks, kept
from .resolve import builtin_names, find

_WIDTH = 100


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


class _Writer:
    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.function = _identifier(pipeline.name)
        self.callables: dict[str, str] = {}
        self.imports: dict[str, set[str]] = {"headrace.pipelines": {"pipeline"}}
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
        self.block = Block({})

    def source(self) -> str:
        """The whole text."""
        body = [line for block in self.blocks for line in self._block(block)]
        self.block = Block({})
        returned, outputs, last = self._return()
        body += last
        header = self._signature(returned)
        if any(re.search(r"\bAny\b", line) for line in header):
            self._from("typing", "Any")
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

    def _from(self, module: str, name: str) -> None:
        self.imports.setdefault(module, set()).add(name)

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
            self._from("headrace", "components")
            self.callables[step.uses] = f"components.{step.uses}"
            return
        place, _, name = step.uses.rpartition(":")
        if place and not place.endswith(".py") and place.split(".")[0] not in hidden:
            self.imports.setdefault(place, set())
            self.taken.add(place.split(".")[0])
            self.callables[step.uses] = f"{place}.{name}"
            return
        self._from("headrace.pipelines", "use")
        variable = self._free("use_" + _identifier(name or re.sub(r"\.ya?ml$", "", place or step.uses)))
        self.constants.append(f"{variable} = use({_quoted(step.uses)})")
        self.callables[step.uses] = variable

    def _block(self, block: Block) -> list[str]:
        """Steps one after the other; in a loop for each list that they are mapped over."""
        self.block = block
        lines = []
        for name in block.steps:
            lines += self._step(self.pipeline.steps[name])
            if name in self.by_key:
                lines.append(f"{self.by_key[name]}[{self._key(block.each)}] = {self.variables[name]}")
        for name, items in reversed(list(block.each.items())):
            self._from("headrace.pipelines", "each")
            head = f"for {self.items[name]} in each({self._value(items)}):"
            lines = [head, *(f"    {line}" for line in lines)]
        return [*(f"{self.by_key[name]} = {{}}" for name in block.steps if name in self.by_key), *lines]

    def _key(self, each: Mapping[str, Any]) -> str:
        self._from("headrace.pipelines.mapping", "key_of")
        return f"key_of({', '.join(self.items[name] for name in each)})"

    def _step(self, step: Step) -> list[str]:
        call = self.callables[step.uses]
        named = "" if step.uses == step.name else f".named({_quoted(step.name)})"
        target = f"{self.variables[step.name]} = " if step.name in self.read else ""
        given = [(f"{name}=", value) for name, value in step.arguments.items()]
        lines = self._wrapped(f"{target}{call}{named}(", given, ")", 4)
        if step.runner is not None:
            self._from("headrace.pipelines.tracing", "runner")
            lines = [f"with runner(**{self._value(step.runner)}):", *(f"    {line}" for line in lines)]
        if step.when:
            self._from("headrace.pipelines", "when")
            head = self._wrapped("with when(", [("", condition) for condition in step.when], "):", 4)
            lines = [*head, *(f"    {line}" for line in lines)]
        return lines

    def _wrapped(self, start: str, items: list[tuple[str, Any]], end: str, indent: int) -> list[str]:
        """`start`, the items with what stands before each, and `end`: in one line if they fit."""
        line = f"{start}{', '.join(before + self._value(value) for before, value in items)}{end}"
        if len(line) + indent <= _WIDTH or not items:
            return [line]
        lines = [start]
        for before, value in items:
            if isinstance(value, Mapping):
                keyed = [(f"{_quoted(key)}: ", item) for key, item in value.items()]
                inner = self._wrapped(before + "{", keyed, "}", indent + 5)
            elif isinstance(value, list | tuple):
                inner = self._wrapped(before + "[", [("", item) for item in value], "]", indent + 5)
            else:
                inner = [before + self._value(value)]
            lines += [f"    {text}" for text in inner[:-1]] + [f"    {inner[-1]},"]
        return [*lines, end]

    def _value(self, value: Any) -> str:
        if isinstance(value, StepOutput):
            variable = self._variable(value.step)
            return variable if value.output == "output" else f"{variable}.{value.output}"
        if isinstance(value, ParamValue):
            return value.name
        if isinstance(value, EachValue):
            return self._item(value)
        if isinstance(value, Fact):
            inside = "".join(f"[{_quoted(key)}]" for key in value.path.split("."))
            return f"{self._value(value.source)}.{value.home}{inside}"
        if isinstance(value, Condition):
            return self._condition(value)
        if isinstance(value, Template):
            return self._template(value.parts)
        if isinstance(value, Mapping):
            return (
                "{" + ", ".join(f"{_quoted(key)}: {self._value(item)}" for key, item in value.items()) + "}"
            )
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self._value(item) for item in value) + "]"
        if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
            return f"float({str(value)!r})"
        return _quoted(value) if isinstance(value, str) else repr(value)

    def _variable(self, step: str) -> str:
        """What a step's outputs are called where the current block is."""
        declared = base_name(step, self.pipeline.steps)
        if step != declared:
            return f"{self.by_key[declared]}[{_quoted(step[len(declared) + 1 : -1])}]"
        each = self.pipeline.steps[step].each
        if each and step not in self.block.steps:
            return f"{self.by_key[step]}[{self._key(each)}]"
        return self.variables[step]

    def _item(self, value: EachValue) -> str:
        if value.entry == KEY_ENTRY:
            return self._key({value.name: None})
        # In single quotes, since it may stand in an f-string.
        return self.items[value.name] + "".join(f"[{key!r}]" for key in value.entry.split(".") if key)

    def _condition(self, condition: Condition) -> str:
        left, operator = self._value(condition.left), condition.operator
        if operator == "not":
            return f"~{left}" if isinstance(condition.left, Fact) else f"not {left}"
        return f"{left} {operator} {self._value(condition.right)}" if operator else left

    def _template(self, parts: tuple[str | ParamValue | EachValue, ...]) -> str:
        first = parts[0]
        if not isinstance(first, str) and self._is_text(first):
            # A sum remembers which folder the parameter's value is relative to; an f-string doesn't.
            return f"{self._value(first)} + {self._template(parts[1:])}"
        if len(parts) == 1 and isinstance(first, str):
            return _quoted(first)
        texts = [_braces(p) if isinstance(p, str) else f"{{{self._value(p)}}}" for p in parts]
        return "f" + _quoted("".join(texts))

    def _is_text(self, value: ParamValue | EachValue) -> bool:
        """Whether a reference is known to give a text."""
        if isinstance(value, ParamValue):
            return isinstance(self.pipeline.params.get(value.name), str)
        items = self.block.each[value.name]
        items = self.pipeline.params.get(items.name) if isinstance(items, ParamValue) else items
        return not value.entry and bool(items) and all(isinstance(item, str) for item in items or ())

    def _signature(self, returned: str) -> list[str]:
        params = []
        for name, default in self.pipeline.params.items():
            stated = "" if default is None else f" = {self._value(default)}"
            params.append(f"{name}: {_annotation(default)}{stated}")
        inside = ", ".join(["*", *params]) if params else ""
        options: list[tuple[str, Any]] = []
        if self.function != self.pipeline.name:
            options.append(("name=", self.pipeline.name))
        if self.pipeline.runner is not None:
            options.append(("runner=", self.pipeline.runner))
        if self.pipeline.tune is not None:
            options.append(("tune=", self.pipeline.tune))
        decorator = self._wrapped("@pipeline(", options, ")", 0) if options else ["@pipeline"]
        line = f"def {self.function}({inside}) -> {returned}:"
        if len(line) <= _WIDTH:
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
            return self._type(outputs["output"]), [], [f"return {self._value(outputs['output'])}"]
        self._from("typing", "NamedTuple")
        fields = [f"    {name}: {self._type(source)}" for name, source in outputs.items()]
        given = ", ".join(f"{name}={self._value(source)}" for name, source in outputs.items())
        doc = f'    """What the pipeline {self.pipeline.name} gives."""'
        definition = ["", "class Outputs(NamedTuple):", doc, "", *fields, ""]
        return "Outputs", definition, [f"return Outputs({given})"]

    def _type(self, source: StepOutput) -> str:
        """The name of the artifact type that a step gives, imported."""
        step = self.pipeline.steps[base_name(source.step, self.pipeline.steps)]
        found = step.component or find(step.uses, self.pipeline.folder)
        kind = found.outputs.get(source.output) if isinstance(found, Component) else None
        if kind is None or kind.__module__ != "headrace.pipelines.artifact":
            self._from("typing", "Any")
            return "Any"
        self._from("headrace.pipelines", kind.__name__)
        return kind.__name__


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _annotation(default: Any) -> str:
    if default is None:
        return "Any"
    if isinstance(default, bool | int | float | str):
        return type(default).__name__
    return "list[Any]" if isinstance(default, list | tuple) else "dict[str, Any]"


def _quoted(text: str) -> str:
    """A string's literal in double quotes; JSON's is one of Python's too."""
    return json.dumps(str(text), ensure_ascii=False)


def _import_order(name: str) -> tuple[bool, str]:
    return not name[0].isupper(), name


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name)
    text = text if text[:1].isidentifier() else f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) else text
