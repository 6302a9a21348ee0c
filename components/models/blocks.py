"""What the built-in models are put together from: inputs, sums over one-hots, embeddings, last layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ..transforms.crosses import embedding_size
from .inputs import DENSE, IDS, FeatureInput, Packed
from .layers import Columns, IdEmbedding, IdWeights, SequenceEmbedding
from .regularization import NONE, Regularization

ACTIVATIONS = {
    "regression": "linear",
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multilabel": "sigmoid",
}
"""The last layer's activation by task."""

Outputs = int | Mapping[str, int]
"""The width of the output; or for several labels by key, and then the network gives a dict."""
Tasks = str | Mapping[str, str]
"""The task; or for several labels by key."""


class Sources:
    """The inputs of a network that takes `Packed` features.

    Attributes:
        keras: what `keras.Model` takes as inputs: a matrix where there are no ids.
    """

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self._tensors: dict[str, Any] = {}
        if packed.dense:
            name = DENSE if packed.ids else "features"
            self._tensors["float32"] = keras.Input((packed.dense,), name=name)
        if packed.ids:
            self._tensors["int64"] = keras.Input((packed.ids,), dtype="int64", name=IDS)
        both = {one.name: one for one in self._tensors.values()}
        self.keras: Any = both if packed.ids else self._tensors["float32"]

    def take(self, features: Sequence[FeatureInput], name: str) -> Any:
        """Some features of one dtype side by side; None where there are none."""
        if not features:
            return None
        spans: list[list[int]] = []
        for feature in features:
            if spans and sum(spans[-1]) == feature.start:
                spans[-1][1] += feature.width
            else:
                spans.append([feature.start, feature.width])
        tensor = self._tensors[features[0].dtype]
        return tensor if spans == [[0, tensor.shape[1]]] else Columns(spans, name=name)(tensor)


def embedded(sources: Sources, features: Sequence[FeatureInput], dimension: int) -> list[Any]:
    """A tensor `[batch, width]` for each feature of ids or sequences.

    Args:
        sources: the network's inputs.
        features: of kind "ids" or "sequence".
        dimension: of vectors for which none was asked for; 0 for the rule of `embedding_size`.
    """
    return [
        embedding_layer(feature, dimension)(sources.take([feature], f"{feature.key}_ids"))
        for feature in features
    ]


def embedding_layer(feature: FeatureInput, dimension: int = 0) -> keras.layers.Layer:
    """Ids of a feature, int64 `[batch, width]`, to float32 vectors `[batch, dimensions]`.

    Args:
        feature: of ids: "ids", "sequence" or a wide "one_hot".
        dimension: of the vectors where the feature asks for none; 0 for the rule of `embedding_size`.
    """
    size = feature.embedding or dimension or embedding_size(max(feature.sizes))
    name = f"{feature.key}_embedding"
    if feature.kind == "sequence":
        return SequenceEmbedding(feature.sizes[0], size, name=name)
    return IdEmbedding(feature.sizes, size, name=name)


def affine(
    values: Any,
    sources: Sources,
    ids: Sequence[FeatureInput],
    units: int,
    name: str,
    *,
    bias: bool = True,
    initializer: str = "glorot_uniform",
    regularization: Regularization = NONE,
    dropout: float = 0.0,
) -> Any:
    """A dense layer over values side by side with the one-hots of ids, which are never expanded.

    Args:
        values: `[batch, width]`, or None.
        sources: the network's inputs.
        ids: features of int64 ids; may be none if there are values.
        units: the number of outputs.
        name: of the layer.
        bias: whether a bias is added.
        initializer, regularization: of the weights. A bound holds for those of the values and those of the
            ids by themselves.
        dropout: the share of values and ids that is left out in training.
    """
    parts = []
    if values is not None:
        layer = keras.layers.Dense(
            units, use_bias=bias, kernel_initializer=initializer, **regularization.of_kernel(), name=name
        )
        if dropout:
            values = keras.layers.Dropout(dropout, name=f"{name}_dropout")(values)
        parts.append(layer(values))
    if ids:
        sizes = [size for feature in ids for size in feature.sizes]
        alone = bias and values is None
        lookup = IdWeights(
            sizes, units, initializer, regularization.penalty, alone, regularization.bound((0,)), dropout,
            name=f"{name}_ids",
        )  # fmt: skip
        parts.append(lookup(sources.take(ids, f"{name}_places")))
    return parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_sum")(parts)


def side_by_side(tensors: Sequence[Any], name: str) -> Any:
    """`[batch, total width]`; None where there is nothing."""
    there = [tensor for tensor in tensors if tensor is not None]
    if not there:
        return None
    return there[0] if len(there) == 1 else keras.layers.Concatenate(name=name)(there)


def hidden_layers(
    values: Any,
    hidden_units: Sequence[int],
    *,
    activation: str,
    dropout: float,
    regularization: Regularization = NONE,
    batch_normalization: bool = False,
    first: Any = None,
) -> Any:
    """Dense layers one behind the other.

    Args:
        values: `[batch, width]`.
        hidden_units: the width of each.
        activation: by its Keras name.
        dropout: the rate after each, from 0 to below 1.
        regularization: of the weights.
        batch_normalization: whether each is normalized before its activation.
        first: the first layer, from units to its tensor, in place of a dense one on `values`.
    """
    for number, units in enumerate(hidden_units, start=1):
        if number == 1 and first is not None:
            values = first(units)
        else:
            layer = keras.layers.Dense(units, **regularization.of_kernel(), name=f"hidden_{number}")
            values = layer(values)
        if batch_normalization:
            values = keras.layers.BatchNormalization(name=f"normalization_{number}")(values)
        values = keras.layers.Activation(activation, name=f"activation_{number}")(values)
        if dropout:
            values = keras.layers.Dropout(dropout, name=f"dropout_{number}")(values)
    return values


def heads(logits: Any, outputs: Outputs, task: Tasks) -> Any:
    """The network's output: a tensor, or for several labels a dict of them by key.

    Args:
        logits: from units and a layer's name to `[batch, units]`, before the activation.
        outputs: the width, or the widths by key.
        task: the task, or the tasks by key.
    """
    if not isinstance(outputs, Mapping):
        assert isinstance(task, str)
        return _activated(logits(outputs, "output"), task, "prediction")
    assert isinstance(task, Mapping)
    return {
        key: _activated(logits(units, f"{key}_output"), task[key], f"{key}_prediction")
        for key, units in outputs.items()
    }


def _activated(logits: Any, task: str, name: str) -> Any:
    # In float32 whatever the other layers compute in: 16 bits are too few for a loss.
    return keras.layers.Activation(ACTIVATIONS[task], dtype="float32", name=name)(logits)
