"""The built-in components, each a typed function, each with its Beam part as a public PTransform.

A component lives in the module of its name; nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .csv_examples import csv_examples
    from .evaluate import evaluate
    from .export import export
    from .infer_schema import infer_schema
    from .statistics import statistics
    from .train import train
    from .transform import transform
    from .wine_csv import wine_csv

COMPONENTS = (
    "csv_examples",
    "evaluate",
    "export",
    "infer_schema",
    "statistics",
    "train",
    "transform",
    "wine_csv",
)
"""The names that a pipeline's `uses` knows without a package."""

_PLACES = {
    **{name: (name, name) for name in COMPONENTS},
}
__all__ = sorted(_PLACES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        module, attribute = _PLACES[name]
        value = getattr(import_module(f".{module}", __name__), attribute)
        globals()[name] = value  # the import has just bound the submodule to this very name
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
