"""A pipeline's values as Python expressions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .conditions import Condition, Fact
from .mapping import KEY_ENTRY
from .pipeline import EachValue, ParamValue, Pipeline, StepOutput, Template, base_name
from .python_loops import Block

WIDTH = 100
"""Columns of the source."""


class Expressions:
    """Writes values.

    Attributes:
        pipeline: whose values they are.
        imports: names that the source imports, by module; no name for a module as a whole.
        variables: what the steps' promises are called.
        items: what the items of maps are called.
        by_key: what the mappings are called that keep all twins of a step.
        block: the steps around the place where a value is written.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.imports: dict[str, set[str]] = {}
        self.variables: dict[str, str] = {}
        self.items: dict[str, str] = {}
        self.by_key: dict[str, str] = {}
        self.block = Block({})

    def take(self, module: str, name: str) -> None:
        """Makes the source import a name."""
        self.imports.setdefault(module, set()).add(name)

    def wrapped(self, start: str, items: list[tuple[str, Any]], end: str, indent: int) -> list[str]:
        """`start`, the items with what stands before each, and `end`: in one line if they fit."""
        line = f"{start}{', '.join(before + self.value(value) for before, value in items)}{end}"
        if len(line) + indent <= WIDTH or not items:
            return [line]
        lines = [start]
        for before, value in items:
            if isinstance(value, Mapping):
                keyed = [(f"{quoted(key)}: ", item) for key, item in value.items()]
                inner = self.wrapped(before + "{", keyed, "}", indent + 5)
            elif isinstance(value, list | tuple):
                inner = self.wrapped(before + "[", [("", item) for item in value], "]", indent + 5)
            else:
                inner = [before + self.value(value)]
            lines += [f"    {text}" for text in inner[:-1]] + [f"    {inner[-1]},"]
        return [*lines, end]

    def value(self, value: Any) -> str:
        """A value, a reference or a condition."""
        if isinstance(value, StepOutput):
            variable = self._variable(value.step)
            return variable if value.output == "output" else f"{variable}.{value.output}"
        if isinstance(value, ParamValue):
            return value.name
        if isinstance(value, EachValue):
            return self._item(value)
        if isinstance(value, Fact):
            inside = "".join(f"[{quoted(key)}]" for key in value.path.split("."))
            return f"{self.value(value.source)}.{value.home}{inside}"
        if isinstance(value, Condition):
            return self._condition(value)
        if isinstance(value, Template):
            return self._template(value.parts)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{quoted(key)}: {self.value(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self.value(item) for item in value) + "]"
        if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
            return f"float({str(value)!r})"
        return quoted(value) if isinstance(value, str) else repr(value)

    def _variable(self, step: str) -> str:
        """What a step's outputs are called where the current block is."""
        declared = base_name(step, self.pipeline.steps)
        if step != declared:
            return f"{self.by_key[declared]}[{quoted(step[len(declared) + 1 : -1])}]"
        each = self.pipeline.steps[step].each
        if each and step not in self.block.steps:
            return f"{self.by_key[step]}[{self.key(each)}]"
        return self.variables[step]

    def _item(self, value: EachValue) -> str:
        if value.entry == KEY_ENTRY:
            return self.key({value.name: None})
        # In single quotes, since it may stand in an f-string.
        return self.items[value.name] + "".join(f"[{key!r}]" for key in value.entry.split(".") if key)

    def _condition(self, condition: Condition) -> str:
        left, operator = self.value(condition.left), condition.operator
        if operator == "not":
            return f"~{left}" if isinstance(condition.left, Fact) else f"not {left}"
        return f"{left} {operator} {self.value(condition.right)}" if operator else left

    def _template(self, parts: tuple[str | ParamValue | EachValue, ...]) -> str:
        first = parts[0]
        if not isinstance(first, str) and self._is_text(first):
            # A sum remembers which folder the parameter's value is relative to; an f-string doesn't.
            return f"{self.value(first)} + {self._template(parts[1:])}"
        if len(parts) == 1 and isinstance(first, str):
            return quoted(first)
        texts = [_braces(p) if isinstance(p, str) else f"{{{self.value(p)}}}" for p in parts]
        return "f" + quoted("".join(texts))

    def _is_text(self, value: ParamValue | EachValue) -> bool:
        """Whether a reference is known to give a text."""
        if isinstance(value, ParamValue):
            return isinstance(self.pipeline.params.get(value.name), str)
        items = self.block.each[value.name]
        items = self.pipeline.params.get(items.name) if isinstance(items, ParamValue) else items
        return not value.entry and bool(items) and all(isinstance(item, str) for item in items or ())

    def key(self, each: Mapping[str, Any]) -> str:
        """The key of the current items of a map."""
        self.take("headrace.pipelines.mapping", "key_of")
        return f"key_of({', '.join(self.items[name] for name in each)})"


def quoted(text: str) -> str:
    """A string's literal in double quotes; JSON's is one of Python's too."""
    return json.dumps(str(text), ensure_ascii=False)


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
