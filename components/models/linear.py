"""The linear model: linear, logistic or softmax regression, by the task."""

from __future__ import annotations

import keras

ACTIVATIONS = {"regression": "linear", "binary": "sigmoid", "multiclass": "softmax"}
"""The last layer's activation by task."""


def linear(inputs: int, outputs: int, task: str, *, l1: float = 0.0, l2: float = 0.0) -> keras.Model:
    """One dense layer from `[batch, inputs]` to `[batch, outputs]`.

    Args:
        inputs: the width of the feature matrix.
        outputs: 1, or the number of classes of a multi-class task.
        task: "regression", "binary" or "multiclass".
        l1, l2: weight penalties, at least 0.
    """
    return keras.Sequential(
        [
            keras.Input((inputs,), name="features"),
            keras.layers.Dense(
                outputs,
                activation=ACTIVATIONS[task],
                kernel_regularizer=keras.regularizers.L1L2(l1, l2) if l1 or l2 else None,
                name="output",
            ),
        ],
        name="linear",
    )
