"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .linear import ACTIVATIONS


def mlp(
    inputs: int,
    outputs: int,
    task: str,
    *,
    hidden_units: Sequence[int] = (128, 64),
    activation: str = "relu",
    dropout: float = 0.0,
    l2: float = 0.0,
    batch_normalization: bool = False,
) -> keras.Model:
    """Dense layers from `[batch, inputs]` to `[batch, outputs]`.

    Args:
        inputs: the width of the feature matrix.
        outputs: 1, or the number of classes of a multi-class task.
        task: "regression", "binary" or "multiclass".
        hidden_units: the width of each hidden layer.
        activation: of the hidden layers, by its Keras name.
        dropout: the rate after each hidden layer, from 0 to below 1.
        l2: the weight penalty of the hidden layers, at least 0.
        batch_normalization: whether each hidden layer is normalized before its activation.
    """
    layers = [keras.Input((inputs,), name="features")]
    for number, units in enumerate(hidden_units, start=1):
        penalty = keras.regularizers.L2(l2) if l2 else None
        layers.append(keras.layers.Dense(units, kernel_regularizer=penalty, name=f"hidden_{number}"))
        if batch_normalization:
            layers.append(keras.layers.BatchNormalization(name=f"normalization_{number}"))
        layers.append(keras.layers.Activation(activation, name=f"activation_{number}"))
        if dropout:
            layers.append(keras.layers.Dropout(dropout, name=f"dropout_{number}"))
    layers.append(keras.layers.Dense(outputs, activation=ACTIVATIONS[task], name="output"))
    return keras.Sequential(layers, name="mlp")
