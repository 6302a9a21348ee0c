"""The engine: components, pipelines, the store, fingerprints, plans and runs."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact import (
        Anomalies,
        Artifact,
        Evaluation,
        Examples,
        ExportedModel,
        Files,
        Model,
        Predictions,
        Schema,
        Statistics,
        Transform,
        Trials,
    )
    from .component import CodePath, Component, FilePath, FilePaths, Known, Source, component
    from .context import Context, RunnerSettings
    from .errors import (
        DataError,
        DocumentError,
        GateError,
        HeadraceError,
        InvalidRequestError,
        PipelineError,
        Problem,
        StepError,
        StoreError,
    )
    from .linking import use
    from .pipeline import Pipeline
    from .tracing import PipelineFunction, each, pipeline, when
    from .tuning.tune import Tuned, tune

_PLACES = {
    "artifact": (
        "Anomalies", "Artifact", "Evaluation", "Examples", "ExportedModel", "Files", "Model", "Predictions",
        "Schema", "Statistics", "Transform", "Trials",
    ),
    "component": ("CodePath", "Component", "FilePath", "FilePaths", "Known", "Source", "component"),
    "context": ("Context", "RunnerSettings"),
    "linking": ("use",),
    "pipeline": ("Pipeline",),
    "tracing": ("PipelineFunction", "each", "pipeline", "when"),
    "tuning.tune": ("Tuned", "tune"),
    "errors": (
        "DataError", "DocumentError", "GateError", "HeadraceError", "InvalidRequestError", "PipelineError",
        "Problem", "StepError", "StoreError",
    ),
}  # fmt: skip
_MODULES = {name: module for module, names in _PLACES.items() for name in names}
# Spelt out, since type checkers don't compute it.
__all__ = [
    "Anomalies",
    "Artifact",
    "CodePath",
    "Component",
    "Context",
    "DataError",
    "DocumentError",
    "Evaluation",
    "Examples",
    "ExportedModel",
    "FilePath",
    "FilePaths",
    "Files",
    "GateError",
    "HeadraceError",
    "InvalidRequestError",
    "Known",
    "Model",
    "Pipeline",
    "PipelineError",
    "PipelineFunction",
    "Predictions",
    "Problem",
    "RunnerSettings",
    "Schema",
    "Source",
    "Statistics",
    "StepError",
    "StoreError",
    "Transform",
    "Trials",
    "Tuned",
    "component",
    "each",
    "pipeline",
    "tune",
    "use",
    "when",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps `component` and `pipeline` the decorators: importing a submodule binds it to its name here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return __all__
