"""Missing values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...pipelines.errors import closest
from .base import Analyzer, Constants, Kind, Results
from .by_key import ByKey

STRATEGIES = ("mean", "median", "most_frequent")


@dataclass(frozen=True)
class Impute(ByKey):
    """Puts a value where one is missing.

    Attributes:
        value: `mean`, `median` or `most_frequent` of the train split, or the number itself.
        constant: the value itself, a number or a string.

    An int column stays int with `most_frequent` and a whole number, and becomes float else.
    """

    value: float | int | str = "median"
    constant: float | int | str | None = None
    name: ClassVar[str] = "impute"
    takes: ClassVar[tuple[Kind, ...]] = ("float", "int", "string")
    first: ClassVar[tuple[str, ...]] = ("value",)

    @property
    def strategy(self) -> str:
        """One of STRATEGIES, or `constant`."""
        given = self.constant is not None or not isinstance(self.value, str)
        return "constant" if given else str(self.value)

    @property
    def filler(self) -> float | int | str:
        """The constant value of the strategy `constant`."""
        return self.value if self.constant is None else self.constant

    def problem(self, kind: Kind | None) -> str:
        """There has to be such a strategy, and it has to suit the column's kind."""
        if self.strategy not in (*STRATEGIES, "constant"):
            near = closest(self.strategy, STRATEGIES)
            meant = f"; did you mean {near}?" if near else ""
            known = f"{', '.join(STRATEGIES)}, a number, or {{impute: {{constant: {self.strategy}}}}}"
            return f"there is no strategy {self.strategy!r}{meant}; there are {known}"
        if self.strategy == "constant":
            if kind == "string" and not (isinstance(self.filler, str) and self.filler):
                return f"{self.filler!r} can't stand in a string column: give a string that is not empty"
            if kind in ("float", "int") and isinstance(self.filler, str):
                known = ", ".join(STRATEGIES)
                return f"{self.filler!r} can't stand in a numeric column: give a number, or one of {known}"
        if self.by and self.strategy == "constant":
            return f"a value of one's own is the same for each {self.by}: leave by out"
        if kind == "string" and self.strategy not in ("constant", "most_frequent"):
            return f"a string column has no {self.strategy}: use most_frequent or a constant"
        return ""

    def gives(self, kind: Kind) -> Kind:
        """Int becomes float unless a whole number is put in."""
        if kind != "int":
            return kind
        given = self.strategy == "constant" and isinstance(self.filler, int)
        return "int" if given or self.strategy == "most_frequent" else "float"

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Moments for the mean, else counts of values."""
        if self.strategy == "constant":
            return ()
        if self.strategy == "mean":
            return ("moments",)
        return ("strings",) if kind == "string" else ("values",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The value to put in."""
        found: dict[str, Any] = {
            "constant": lambda: self.filler,
            "mean": lambda: results.mean,
            "median": lambda: results.quantile(0.5),
            "most_frequent": results.most_frequent,
        }
        value = found[self.strategy]()
        if kind == "string":
            return {"text": value}
        return {"whole": int(value)} if self.gives(kind) == "int" else {"value": float(value)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        if "text" in constants:
            return xp.fill_string(column, constants["text"])
        if "whole" in constants:
            return xp.fill_int(column, constants["whole"])
        return xp.fill_float(xp.to_float(column), constants["value"])
