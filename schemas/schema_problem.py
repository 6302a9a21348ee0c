"""What is wrong with a schema, as a value and as an error."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class SchemaProblem:
    """One thing that is wrong with a schema; the fields are those of `headrace.pipelines.errors.Problem`."""

    what: str
    line: int = 0
    given: str = ""
    available: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        text = f"line {self.line}: {self.what}" if self.line else self.what
        near = difflib.get_close_matches(self.given, self.available, n=1, cutoff=0.5)
        if near:
            text += f"; did you mean {near[0]!r}?"
        return text + (f"\n    remedy: {self.remedy}" if self.remedy else "")


class SchemaError(ValueError):
    """A text that is no schema. `problems` holds everything that is wrong, with lines; `name` is the file."""

    def __init__(self, problems: list[SchemaProblem], name: str = "") -> None:
        self.problems = tuple(problems)
        self.name = name
        super().__init__("\n".join(f"{name}: {problem}" if name else str(problem) for problem in problems))
