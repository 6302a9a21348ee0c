"""The transform that does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .base import Constants, Kind, Transform


@dataclass(frozen=True)
class Identity(Transform):
    """Numbers as they are: float32 or int64."""

    name: ClassVar[str] = "identity"
    takes: ClassVar[tuple[Kind, ...]] = ("float", "int")
    label: ClassVar[str] = "value"

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """The column itself."""
        return column

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """The column itself."""
        return column
