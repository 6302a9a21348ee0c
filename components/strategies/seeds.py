"""Random numbers of each replica's own.

Keras draws the seed of a dropout mask from a variable of the layer, which all replicas hold alike, so that
the same mask lies over each of them. Here the replica's number is added to the seed as it is drawn. The
variables stay as they are, and so does what is saved: the number is of the replica that asks, so that a
training is repeatable and goes on from a checkpoint with the very next mask.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

APART = 0x9E3779B1
"""Between the seeds of neighbouring replicas: odd and large, so that no two layers' seeds meet."""
_OURS = "_headrace_own_seeds"


def draw_by_replica(network: keras.Model) -> None:
    """Has every random layer of a network draw other numbers on each replica; the first draws as it did.

    Args:
        network: built.
    """
    for layer in network._flatten_layers():
        for generator in layer._seed_generators:
            if not hasattr(generator, _OURS):
                _fold(generator)


def _fold(generator: keras.random.SeedGenerator) -> None:
    draw = generator.next

    def own(*args: Any, **kwargs: Any) -> Any:
        seed = draw(*args, **kwargs)
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return seed
        number = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + tf.stack([number * tf.constant(APART, seed.dtype), tf.zeros_like(number)])

    generator.next = own
    setattr(generator, _OURS, True)
