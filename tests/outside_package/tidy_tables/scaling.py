"""A transform: written once, applied by NumPy in Beam and by TensorFlow in the exported model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from headrace.components.transforms import Transform


@dataclass(frozen=True)
class SignedLog(Transform):
    """The logarithm of the distance to the mean, with its sign; `unit` deviations are its unit."""

    unit: float = 1.0
    name: ClassVar[str] = "signed_log"
    first: ClassVar[tuple[str, ...]] = ("unit",)
    takes: ClassVar[tuple[str, ...]] = ("float",)

    def problem(self, kind: Any) -> str:
        """`unit` has to be above 0."""
        return "" if self.unit > 0 else f"unit ({self.unit:g}) has to be above 0"

    def analyzers(self, kind: Any) -> Any:
        """Moments."""
        return ("moments",)

    def fit(self, results: Any, kind: Any) -> Any:
        """The mean, and what distances are multiplied with."""
        spread = results.std * self.unit
        return {"mean": results.mean, "scale": 1 / spread if spread else 0.0}

    def apply(self, xp: Any, column: Any, constants: Any) -> Any:
        """See the class."""
        far = (column - constants["mean"]) * constants["scale"]
        size = xp.log1p(xp.where(far < 0, -far, far))
        return xp.where(far < 0, -size, size)
