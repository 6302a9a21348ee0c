"""Keras layers for features that are ids. They are in the registry of Keras, package `headrace`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("headrace")
class IdWeights(keras.layers.Layer):
    """The sum of a weight vector for each id: a dense layer on their one-hots, without the one-hots.

    int64 `[batch, len(sizes)]` → float32 `[batch, units]`. An id outside of its column's range adds
    nothing, as a row of zeros would.

    Args:
        sizes: the number of ids of each column.
        units: the number of outputs.
        initializer: of the weights, by its Keras name.
        regularizer: of the weights, or None.
        bias: whether a bias is added, zero at first.
        constraint: of the weights, or None.
        dropout: the share of ids that is left out in training, as dropout of the one-hots would do.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        units: int,
        initializer: str = "zeros",
        regularizer: Any = None,
        bias: bool = False,
        constraint: Any = None,
        dropout: float = 0.0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.constraint = keras.constraints.get(constraint)
        self.dropout = dropout
        if dropout:
            self.seed_generator = keras.random.SeedGenerator()
        self.sizes = tuple(sizes)
        self.units = units
        self.initializer = initializer
        self.regularizer = keras.regularizers.get(regularizer)
        self.bias = bias

    def build(self, input_shape: Any) -> None:
        """Creates the table `[sum(sizes), units]`."""
        self.table = self.add_weight(
            shape=(sum(self.sizes), self.units),
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
            name="table",
        )
        self.offset = (
            self.add_weight(shape=(self.units,), initializer="zeros", name="bias") if self.bias else 0.0
        )
        self.built = True

    def call(self, ids: Any, training: bool = False) -> Any:
        """See the class."""
        vectors = _look_up(self.table, ids, self.sizes)
        if training and self.dropout:
            each = ops.ones((*ops.shape(ids), 1), vectors.dtype)
            vectors = vectors * keras.random.dropout(each, self.dropout, seed=self.seed_generator)
        return ops.sum(vectors, axis=1) + self.offset

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """`[batch, units]`."""
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "sizes": list(self.sizes),
            "units": self.units,
            "initializer": self.initializer,
            "regularizer": keras.regularizers.serialize(self.regularizer) if self.regularizer else None,
            "bias": self.bias,
            "constraint": keras.constraints.serialize(self.constraint) if self.constraint else None,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable("headrace")
class IdEmbedding(keras.layers.Layer):
    """A learned vector for each id, side by side.

    int64 `[batch, len(sizes)]` → float32 `[batch, len(sizes) · dimension]`. An id outside of its column's
    range gives zeros.

    Args:
        sizes: the number of ids of each column; each has a table of its own.
        dimension: of the vectors.
    """

    def __init__(self, sizes: Sequence[int], dimension: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.sizes = tuple(sizes)
        self.dimension = dimension

    def build(self, input_shape: Any) -> None:
        """Creates the tables as one, `[sum(sizes), dimension]`."""
        shape = (sum(self.sizes), self.dimension)
        self.table = self.add_weight(shape=shape, initializer="uniform", name="table")
        self.built = True

    def call(self, ids: Any) -> Any:
        """See the class."""
        return ops.reshape(_look_up(self.table, ids, self.sizes), (-1, len(self.sizes) * self.dimension))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """`[batch, len(sizes) · dimension]`."""
        return (input_shape[0], len(self.sizes) * self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "sizes": list(self.sizes), "dimension": self.dimension}


@keras.saving.register_keras_serializable("headrace")
class SequenceEmbedding(keras.layers.Layer):
    """The mean of the learned vectors of a sequence's ids, padding (id 0) left out.

    int64 `[batch, length]` → float32 `[batch, dimension]`; zeros for a sequence of padding alone.

    Args:
        size: the number of ids, padding included.
        dimension: of the vectors.
    """

    def __init__(self, size: int, dimension: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.size = size
        self.dimension = dimension

    def build(self, input_shape: Any) -> None:
        """Creates the table `[size, dimension]`."""
        self.table = self.add_weight(shape=(self.size, self.dimension), initializer="uniform", name="table")
        self.built = True

    def call(self, ids: Any) -> Any:
        """See the class."""
        there = ops.logical_and(ids > 0, ids < self.size)
        vectors = ops.take(self.table, ops.where(there, ids, ops.zeros_like(ids)), axis=0)
        shares = ops.cast(there, vectors.dtype)
        counts = ops.maximum(ops.sum(shares, axis=1, keepdims=True), 1.0)
        return ops.sum(vectors * shares[..., None], axis=1) / counts

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """`[batch, dimension]`."""
        return (input_shape[0], self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "size": self.size, "dimension": self.dimension}


@keras.saving.register_keras_serializable("headrace")
class Columns(keras.layers.Layer):
    """Some columns of a matrix, `[batch, width]` → `[batch, sum of lengths]`, its dtype kept.

    Args:
        spans: the first column and the number of columns of each part.
    """

    def __init__(self, spans: Sequence[Sequence[int]], **rest: Any) -> None:
        super().__init__(**{**rest, "autocast": False})
        self.spans = tuple((int(start), int(length)) for start, length in spans)

    def call(self, values: Any) -> Any:
        """See the class."""
        parts = [values[:, start : start + length] for start, length in self.spans]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1)

    def compute_output_spec(self, values: Any) -> Any:
        """`[batch, sum of lengths]`."""
        width = sum(length for _, length in self.spans)
        return keras.KerasTensor((values.shape[0], width), dtype=values.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        kept = {key: value for key, value in super().get_config().items() if key != "autocast"}
        return {**kept, "spans": [list(span) for span in self.spans]}


LAYERS = {layer.__name__: layer for layer in (IdWeights, IdEmbedding, SequenceEmbedding, Columns)}


def custom_objects() -> dict[str, Any]:
    """These layers as Keras looks them up when it loads a model, whatever the registry holds by then."""
    return {f"headrace>{name}": layer for name, layer in LAYERS.items()}


def _look_up(table: Any, ids: Any, sizes: Sequence[int]) -> Any:
    """`[batch, len(sizes), width]` rows of a table that holds one part for each column, zeros outside."""
    starts = list(accumulate(sizes, initial=0))[:-1]
    dtype = keras.backend.standardize_dtype(ids.dtype)  # int32 with JAX, which warns of int64
    limits = ops.convert_to_tensor(list(sizes), dtype=dtype)
    inside = ops.logical_and(ids >= 0, ids < limits)
    places = ops.where(inside, ids + ops.convert_to_tensor(starts, dtype=dtype), ops.zeros_like(ids))
    return ops.take(table, places, axis=0) * ops.cast(inside, table.dtype)[..., None]
