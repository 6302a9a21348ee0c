"""References in a document's values: `${params.x}`, `${steps.x.y}`, `${each.x}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .conditions import HOMES, Fact
from .pipeline import NAME, STEP_NAME, EachValue, ParamValue, StepOutput, Template, step_output

REFERENCES = StepOutput | ParamValue | EachValue | Template | Fact
MAP_NAME = re.compile(r"[^\W\d][\w-]*")
"""What the name of a step's map may be, since `${each.NAME.ENTRY}` refers to it."""
_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_FACT = re.compile(rf"(.+?)\.({'|'.join(HOMES)})\.(.+)")
_EACH = re.compile(rf"({MAP_NAME.pattern})(?:\.(.+))?")
Where = tuple[str | int, ...]
"""A place of a document: the keys and numbers that lead there."""


class References:
    """Reads the references of one document.

    Args:
        steps: the names of its steps.
        wrong: notes a problem at a place: what is wrong, where, and a `remedy`.
    """

    def __init__(self, steps: Iterable[str], wrong: Callable[..., None]) -> None:
        self.steps = frozenset(steps)
        self.wrong = wrong

    def value(self, value: Any, where: Where) -> Any:
        """A value of any depth, with its references read."""
        if isinstance(value, dict):
            return {key: self.value(item, (*where, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*where, i)) for i, item in enumerate(value)]
        return self.scalar(value, where)

    def scalar(self, value: Any, where: Where) -> Any:
        """A scalar, with its references read."""
        if not isinstance(value, str) or "${" not in value:
            return value
        parts: list[Any] = []
        end = 0
        for match in _TOKEN.finditer(value):
            parts += [value[end : match.start()]] if match.start() > end else []
            parts.append("${" if match[1] is None else self.reference(match[1], where))
            end = match.end()
        rest = value[end:]
        if "${" in rest or any(isinstance(p, str) and p != "${" and "${" in p for p in parts):
            self.wrong(
                f"{value!r} has a reference that doesn't end", where, remedy="close it by }, or write $${"
            )
        parts += [rest] if rest else []
        if len(parts) == 1:
            return parts[0]
        if any(isinstance(part, StepOutput) for part in parts):
            self.wrong("what a step gives can't be put into a text", where, remedy="refer to it alone")
        return _joined(parts)

    def reference(self, inside: str, where: Where, looks: bool = False) -> Any:
        """What stands between `${` and `}`; `looks` if a condition may look into what a step gave."""
        kind, _, name = inside.partition(".")
        fact = _FACT.fullmatch(name) if looks and kind in ("params", "steps") else None
        if fact is not None:
            source = self.reference(f"{kind}.{fact[1]}", where)
            return Fact(source, fact[2], fact[3]) if source else ""
        if kind == "params" and NAME.fullmatch(name):
            return ParamValue(name)
        if kind == "steps" and STEP_NAME.fullmatch(name):
            return step_output(name, self.steps)
        item = _EACH.fullmatch(name) if kind == "each" else None
        if item is not None:
            return EachValue(item[1], item[2] or "")
        remedy = (
            "refer to ${params.NAME}, ${steps.NAME}, ${steps.NAME.OUTPUT} or ${each.NAME}; "
            "write $${ for a literal ${"
        )
        self.wrong(f"${{{inside}}} refers to nothing", where, remedy=remedy)
        return ""


def _joined(parts: list[Any]) -> Any:
    """Neighbouring texts joined; a text if nothing else is left, else a template."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined[0] if len(joined) == 1 else Template(tuple(joined))
