"""Conditions of steps: comparisons with what an artifact's summary or properties say.

    train:
      uses: train
      when: ${steps.validate.summary.ok}
    export:
      uses: export
      when: ["${steps.evaluate.summary.blessed}", "${steps.evaluate.summary.metrics.accuracy} >= 0.9"]

A condition is `REFERENCE`, `not REFERENCE` or `REFERENCE OPERATOR VALUE`; of several, all have to hold. A
step whose condition doesn't hold is skipped, and so is every step below it. What is looked at has to be
there first, so it is a dependency; it is no part of the step's fingerprint.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..schemas import yaml12
from .artifact import Artifact
from .errors import Problem, StepError
from .pipeline import EachValue, ParamValue, StepOutput
from .values import shown, spelled

HOMES = ("summary", "properties")
"""The parts of an artifact that a condition may look at."""
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
COMPARISONS = ("==", "!=", *_ORDERS)
_MIRRORED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<", "==": "==", "!=": "!="}
_FORM = re.compile(r"\s*(not\s+)?(\$\{[^{}]*\})\s*(?:(==|!=|<=|>=|<|>)\s*(\S.*?)\s*)?", re.DOTALL)
_REMEDY = (
    "write ${steps.NAME.summary.ENTRY}, not ${steps.NAME.summary.ENTRY}, or "
    f"${{steps.NAME.summary.ENTRY}} OPERATOR VALUE with one of {' '.join(COMPARISONS)}"
)


@dataclass(frozen=True)
class Fact:
    """An entry of an artifact's summary or properties: `${steps.NAME.summary.ENTRY}`.

    Attributes:
        source: the output, or a sub-pipeline's parameter that one is handed in by.
        home: "summary" or "properties".
        path: the entry; a dot leads into an entry that is a mapping.
    """

    source: StepOutput | ParamValue
    home: str
    path: str

    def __str__(self) -> str:
        return f"{str(self.source)[:-1]}.{self.home}.{self.path}}}"

    @property
    def short(self) -> str:
        """The reference without its braces, as a picture shows it."""
        return f"{self.home}.{self.path}"


@dataclass(frozen=True)
class Condition:
    """One condition of a step.

    Attributes:
        left: a Fact, a ParamValue or EachValue, or the value that one of those became.
        operator: empty if `left` has to be true, "not" if it has to be false, or one of `COMPARISONS`.
        right: what `left` is compared with.
        said: the text of the document, for people.
    """

    left: Any
    operator: str = ""
    right: Any = None
    said: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self._written(_operand)

    def _written(self, operand: Callable[[Any], str]) -> str:
        if self.operator in ("", "not"):
            return f"{self.operator} {operand(self.left)}".strip()
        return f"{operand(self.left)} {self.operator} {operand(self.right)}"

    @property
    def text(self) -> str:
        """The condition for people: where nothing but parameters decides, as it was written."""
        return str(self) if self.facts or not self.said else self.said

    @property
    def label(self) -> str:
        """The condition without the names of steps, as a picture shows it at an arrow."""
        return self._written(lambda side: side.short if isinstance(side, Fact) else _operand(side))

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What it looks at."""
        return tuple(side for side in (self.left, self.right) if isinstance(side, Fact))

    @property
    def sources(self) -> tuple[StepOutput, ...]:
        """The outputs that it looks at."""
        return tuple(fact.source for fact in self.facts if isinstance(fact.source, StepOutput))

    def with_operands(self, change: Callable[[Any], Any]) -> Condition:
        """The condition with both sides changed, and a fact on the left if there is one."""
        left, right = change(self.left), change(self.right)
        made = replace(self, left=left, right=right, said=self.said or str(self))
        if isinstance(right, Fact) and not isinstance(left, Fact):
            return replace(made, left=right, operator=_MIRRORED[self.operator], right=left)
        return made

    def to_json(self) -> dict[str, Any]:
        """JSON values from which `from_json` makes the same condition; only of a bound one."""
        sides = {"left": _side_to_json(self.left), "right": _side_to_json(self.right)}
        return {**sides, "operator": self.operator, "said": self.said}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Condition:
        """The condition that `to_json` wrote down."""
        left, right = (_side_from_json(told[side]) for side in ("left", "right"))
        return cls(left, told["operator"], right, told["said"])


def _operand(value: Any) -> str:
    if isinstance(value, Fact | ParamValue | EachValue):
        return str(value)
    if isinstance(value, str) and not _reads_back(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return spelled(value)


def _reads_back(text: str) -> bool:
    """Whether a text needs no quotes to be read as the same text."""
    return re.fullmatch(r"[\w./+-]+", text) is not None and yaml12.load(text, "") == text


def _side_to_json(side: Any) -> dict[str, Any]:
    if isinstance(side, Fact):
        assert isinstance(side.source, StepOutput)
        return {"fact": [side.source.step, side.source.output, side.home, side.path]}
    return {"value": side}


def _side_from_json(told: Mapping[str, Any]) -> Any:
    if "fact" not in told:
        return told["value"]
    step, output, home, path = told["fact"]
    return Fact(StepOutput(step, output), home, path)


def parse_condition(value: Any, reference: Callable[[str], Any]) -> Condition | Problem:
    """The condition that a document states.

    Args:
        value: a text, or true or false.
        reference: gives what stands between `${` and `}`.
    """
    if isinstance(value, bool):
        return Condition(value)
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found[1] and found[3]):
        return Problem(f"{shown(value)} is no condition", remedy=_REMEDY)
    left = reference(found[2][2:-1])
    if found[3] is None:
        return Condition(left, "not" if found[1] else "", said=value.strip())
    right: Any = found[4]
    if re.fullmatch(r"\$\{[^{}]*\}", right):
        return Condition(left, found[3], reference(right[2:-1]), value.strip())
    try:
        right = yaml12.load(right, "condition")
    except yaml12.YamlError as error:
        return Problem(f"{shown(found[4])} in a condition can't be read: {error.what}")
    if isinstance(right, dict | list):
        return Problem(f"a condition compares with one value, not with {shown(found[4])}", remedy=_REMEDY)
    return Condition(left, found[3], right, value.strip())


def shape_problem(condition: Condition) -> Problem | None:
    """What is wrong with a condition whatever the artifacts say."""
    for side in (condition.left, condition.right):
        if isinstance(side, Mapping | list | tuple):
            return Problem(f"{condition.text}: {shown(side)} can't be compared", remedy=_REMEDY)
    if not condition.facts:
        try:
            judge(condition, {})
        except StepError as error:
            return error.problems[0]
    return None


@dataclass(frozen=True)
class Verdict:
    """What became of a condition.

    Attributes:
        when: the condition.
        seen: the value that it looked at.
        met: whether it holds.
    """

    when: str
    seen: Any
    met: bool

    @property
    def reason(self) -> str:
        """Why a step was skipped by it, as a phrase."""
        return f"when {self.when}: it is {shown(self.seen)}"

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {"when": self.when, "seen": self.seen, "met": self.met}


def judge(condition: Condition, outputs: Mapping[StepOutput, Artifact]) -> Verdict:
    """Whether a bound condition holds.

    Args:
        condition: whose sides are facts and values.
        outputs: the artifacts that its facts look at.

    Raises:
        StepError: an artifact has no such entry, or what was found can't be compared.
    """
    left, right = (_value(side, outputs, condition) for side in (condition.left, condition.right))
    if condition.operator in ("", "not"):
        if not isinstance(left, bool):
            raise _wrong(
                condition,
                f"it is {shown(left)}, which is neither true nor false",
                "compare it with a value, for example by == 0",
            )
        return Verdict(condition.text, left, left is (condition.operator == ""))
    if condition.operator in ("==", "!="):
        equal = left == right and isinstance(left, bool) == isinstance(right, bool)
        return Verdict(condition.text, left, equal is (condition.operator == "=="))
    if left is None or right is None:  # a metric that could not be computed is not good enough
        return Verdict(condition.text, left, False)
    if not _ordered(left, right):
        raise _wrong(condition, f"{shown(left)} and {shown(right)} have no order", "compare two numbers")
    return Verdict(condition.text, left, bool(_ORDERS[condition.operator](left, right)))


def _ordered(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    return all(isinstance(side, int | float) for side in (left, right)) or all(
        isinstance(side, str) for side in (left, right)
    )


def _wrong(condition: Condition, what: str, remedy: str = "", **details: Any) -> StepError:
    return StepError(f"{condition.text}: {what}", argument="when", remedy=remedy, **details)


def _value(side: Any, outputs: Mapping[StepOutput, Artifact], condition: Condition) -> Any:
    if not isinstance(side, Fact):
        return side
    assert isinstance(side.source, StepOutput)
    artifact = outputs[side.source]
    home = artifact.summary if side.home == "summary" else artifact.properties
    try:
        return entry(home, side.path)
    except KeyError:
        name = side.source.step
        what = f"the {side.home} of what {name} gave has no entry {side.path!r}"
        raise _wrong(condition, what, given=side.path, available=tuple(entries(home))) from None


def entry(told: Mapping[str, Any], path: str) -> Any:
    """The entry at a dotted path; the longest key wins, since keys may have dots. Raises KeyError."""
    if path in told:
        return told[path]
    for place in sorted((match.start() for match in re.finditer(r"\.", path)), reverse=True):
        inner = told.get(path[:place])
        if isinstance(inner, Mapping):
            return entry(inner, path[place + 1 :])
    raise KeyError(path)


def entries(told: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The paths of every entry that isn't a mapping."""
    found = []
    for key, value in told.items():
        found += entries(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"]
    return found
