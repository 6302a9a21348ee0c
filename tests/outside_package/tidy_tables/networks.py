"""A model: linear, with a penalty on the weights."""

from __future__ import annotations

import keras

LAST = {"regression": None, "binary": "sigmoid", "multiclass": "softmax", "multilabel": "sigmoid"}


def softmax_ridge(inputs: int, outputs: int, task: str, penalty: float = 1e-4) -> keras.Model:
    """Multinomial regression; `penalty` multiplies the sum of the squared weights."""
    rows = keras.Input((inputs,))
    bounded = keras.regularizers.L2(penalty)
    return keras.Model(rows, keras.layers.Dense(outputs, LAST[task], kernel_regularizer=bounded)(rows))
