"""The built-in components, each a typed function, each with its Beam part as a public PTransform.

A component lives in the module of its name; nothing is imported before it is asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .accept_examples import accept_examples
    from .apply_transform import apply_transform
    from .compute_statistics import ComputeStatistics
    from .cross_validate import cross_validate
    from .csv.read_csv import ReadCsv
    from .csv_examples import csv_examples
    from .data_report import data_report
    from .dataset import Position, dataset, iterate, mix, shard_errors
    from .digits_images import digits_images
    from .evaluate import evaluate
    from .export import export
    from .exporting.predict_batches import Predict
    from .image_examples import image_examples
    from .images.read_images import ReadImages
    from .import_schema import import_schema
    from .import_statistics import import_statistics
    from .infer_schema import infer_schema
    from .parquet_examples import parquet_examples
    from .predict_examples import predict_examples
    from .preprocessing.analyze_columns import AnalyzeColumns
    from .preprocessing.fitted_file import load_fitted
    from .statistics import statistics
    from .tfds_examples import tfds_examples
    from .tfrecord_examples import tfrecord_examples
    from .tfrecords.encoding import ApplyTransform
    from .tfrecords.write_examples import WriteExamples
    from .to_tfds import to_tfds
    from .train import train
    from .transform import transform
    from .validate_examples import validate_examples
    from .wine_csv import wine_csv

COMPONENTS = (
    "cross_validate",
    "validate_examples",
    "import_schema",
    "accept_examples",
    "apply_transform",
    "csv_examples",
    "data_report",
    "digits_images",
    "evaluate",
    "export",
    "image_examples",
    "import_statistics",
    "infer_schema",
    "parquet_examples",
    "predict_examples",
    "statistics",
    "tfds_examples",
    "tfrecord_examples",
    "to_tfds",
    "train",
    "transform",
    "wine_csv",
)
"""The names that a pipeline's `uses` knows without a package."""

_PLACES = {
    **{name: (name, name) for name in COMPONENTS},
    "AnalyzeColumns": ("preprocessing.analyze_columns", "AnalyzeColumns"),
    "ApplyTransform": ("tfrecords.encoding", "ApplyTransform"),
    "ComputeStatistics": ("compute_statistics", "ComputeStatistics"),
    "Predict": ("exporting.predict_batches", "Predict"),
    "ReadCsv": ("csv.read_csv", "ReadCsv"),
    "ReadImages": ("images.read_images", "ReadImages"),
    "WriteExamples": ("tfrecords.write_examples", "WriteExamples"),
    "Position": ("dataset", "Position"),
    "dataset": ("dataset", "dataset"),
    "iterate": ("dataset", "iterate"),
    "load_fitted": ("preprocessing.fitted_file", "load_fitted"),
    "mix": ("dataset", "mix"),
    "shard_errors": ("dataset", "shard_errors"),
}
# Spelt out, since type checkers don't compute it.
__all__ = [
    "AnalyzeColumns",
    "ApplyTransform",
    "ComputeStatistics",
    "Position",
    "Predict",
    "ReadCsv",
    "ReadImages",
    "WriteExamples",
    "accept_examples",
    "apply_transform",
    "cross_validate",
    "csv_examples",
    "data_report",
    "dataset",
    "digits_images",
    "evaluate",
    "export",
    "image_examples",
    "import_schema",
    "import_statistics",
    "infer_schema",
    "iterate",
    "load_fitted",
    "mix",
    "parquet_examples",
    "predict_examples",
    "shard_errors",
    "statistics",
    "tfds_examples",
    "tfrecord_examples",
    "to_tfds",
    "train",
    "transform",
    "validate_examples",
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
