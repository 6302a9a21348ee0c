"""The built-in components, each a typed function, each with its Beam part as a public PTransform.

A component lives in the module of its name; nothing is imported before it is asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compute_statistics import ComputeStatistics
    from .csv.read_csv import ReadCsv
    from .csv_examples import csv_examples
    from .dataset import dataset, shard_errors
    from .evaluate import evaluate
    from .export import export
    from .infer_schema import infer_schema
    from .preprocessing.fitted_file import load_fitted
    from .statistics import statistics
    from .tfrecords.encoding import ApplyTransform
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
    "ApplyTransform": ("tfrecords.encoding", "ApplyTransform"),
    "ComputeStatistics": ("compute_statistics", "ComputeStatistics"),
    "ReadCsv": ("csv.read_csv", "ReadCsv"),
    "dataset": ("dataset", "dataset"),
    "load_fitted": ("preprocessing.fitted_file", "load_fitted"),
    "shard_errors": ("dataset", "shard_errors"),
}
# Spelt out, since type checkers don't compute it.
__all__ = [
    "ApplyTransform",
    "ComputeStatistics",
    "ReadCsv",
    "csv_examples",
    "dataset",
    "evaluate",
    "export",
    "infer_schema",
    "load_fitted",
    "shard_errors",
    "statistics",
    "train",
    "transform",
    "wine_csv",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        module, attribute = _PLACES[name]
        return getattr(import_module(f".{module}", __name__), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps each component's name the component: importing its module binds the module to that name here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return __all__
