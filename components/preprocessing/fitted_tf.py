"""The TensorFlow plane of a fitted preprocessing, as a module that a SavedModel can hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from ..transforms.namespace_tf import TensorFlowNamespace
from .casting import MULTIVALUED, SERVING_DTYPES
from .fitted import FittedTransform, Program


class PreprocessingModule(tf.Module):
    """Raw columns → features; holds its look-up tables, so that they are exported with it.

    Make it outside of a `tf.function`, and keep it as an attribute of the module that is exported.
    """

    def __init__(self, fitted: FittedTransform) -> None:
        super().__init__(name="preprocessing")
        xp = TensorFlowNamespace()
        self._program = _Opaque(Program(fitted.fitted, xp))
        self._lists = tuple(name for name, kind in fitted.types.items() if kind in MULTIVALUED)
        self.tables = list(xp.tables)

    def __call__(self, columns: Mapping[str, Any], expand: bool = True) -> dict[str, Any]:
        """Cast columns by raw name → features by name, [n, width]; images [n, height, width, channels].

        Args:
            columns: [n] each, images as encoded files, missing: NaN, -2**63, ""; [n, longest row] for several
                values a row, padded with the same.
            expand: whether one-hots that are stored as ids are expanded, as in `dataset()`.
        """
        return self.outputs_and_valid(columns, expand)[0]

    def outputs_and_valid(
        self, columns: Mapping[str, Any], expand: bool = True
    ) -> tuple[dict[str, Any], list[Any]]:
        """The same, and for each image whether it could be decoded, bool [n]."""
        program = self._program.value
        lists = {name: program.xp.ragged(columns[name]) for name in self._lists}
        return program.outputs_and_valid({**columns, **lists}, expand)


def require_graph(fitted: FittedTransform) -> None:
    """Makes the chains, and the ways back of labels, a TensorFlow graph once, as the exported model has to.

    Raises:
        StepError: a transform of one's own does what only NumPy can.
    """
    columns = {
        name: tf.TensorSpec(
            [None, None] if kind in MULTIVALUED else [None], tf.as_dtype(SERVING_DTYPES[kind])
        )
        for name, kind in fitted.types.items()
    }
    module = PreprocessingModule(fitted)
    values = tf.TensorSpec([None], tf.float32)
    tf.function(lambda told: module(told), autograph=False).get_concrete_function(columns)
    for label in fitted.labels:
        back = partial(label.inverse, TensorFlowNamespace())
        tf.function(back, autograph=False).get_concrete_function(values)


class _Opaque:
    """Keeps a value from being wrapped by TensorFlow's attribute tracking."""

    def __init__(self, value: Program) -> None:
        self.value = value
