"""The TensorFlow plane of a fitted preprocessing, as a module that a SavedModel can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ..transforms.namespace_tf import TensorFlowNamespace
from .fitted import FittedTransform, Program


class PreprocessingModule(tf.Module):
    """Raw columns → features; holds its look-up tables, so that they are exported with it.

    Make it outside of a `tf.function`, and keep it as an attribute of the module that is exported.
    """

    def __init__(self, fitted: FittedTransform) -> None:
        super().__init__(name="preprocessing")
        xp = TensorFlowNamespace()
        self._program = _Opaque(Program(fitted.fitted, xp))
        self.tables = list(xp.tables)

    def __call__(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Cast columns [n] by raw name (missing: NaN, -2**63, "") → features by name, [n, width]."""
        return self._program.value.outputs(columns)


class _Opaque:
    """Keeps a value from being wrapped by TensorFlow's attribute tracking."""

    def __init__(self, value: Program) -> None:
        self.value = value
