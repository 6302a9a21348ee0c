"""What Keras' optimizers need to do on several replicas what they do on one device.

Each replica has the gradients of its own rows, and Keras adds them up as the last thing before the update.
But a norm is clipped, an overflow in float16 noticed and a gradient accumulated before that, on each
replica's own share: with two `clipnorm` lets through twice the norm, one replica's overflow makes infinite
weights, and accumulation crashes in a branch where replicas can't meet. Here gradients are added up first, so
that all of these see the gradient of the global batch, and an accumulation branches where the replicas are
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Gradients = Sequence[Any]
_OURS = "_headrace_sums_first"


def add_up_first(optimizer: Any) -> None:
    """Changes an optimizer of several replicas, and nothing of what is saved of it.

    Args:
        optimizer: Keras', compiled into a network under a strategy; in `LossScaleOptimizer` or not.
    """
    if getattr(optimizer, _OURS, False):
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    apply = optimizer.apply

    def apply_sum(grads: Gradients, trainable_variables: Any = None) -> Any:
        there = [grad for grad in grads if grad is not None]
        replica = tf.distribute.get_replica_context()
        summed = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, there) if there else ())
        return apply([None if grad is None else next(summed) for grad in grads], trainable_variables)

    optimizer.apply = apply_sum
    inner._all_reduce_sum_gradients = list
    if inner.gradient_accumulation_steps:
        _accumulate_together(inner)
    setattr(optimizer, _OURS, True)


def _accumulate_together(optimizer: Any) -> None:
    """Accumulates gradients that are equal on all replicas, with the branch where the replicas are one.

    It does what `BaseOptimizer._backend_apply_gradients` of Keras does where it accumulates, but for the
    moving average of weights, which is left to it.
    """
    steps = optimizer.gradient_accumulation_steps

    def accumulated(variables: Sequence[Any]) -> list[Any]:
        return [optimizer._accumulated_gradients[optimizer._get_variable_index(v)] for v in variables]

    def apply(grads: Gradients, variables: Sequence[Any]) -> None:
        def update(grads: Gradients) -> None:
            means = [(grad + kept) / steps for grad, kept in zip(grads, accumulated(variables), strict=True)]
            means = optimizer._clip_gradients(means)
            optimizer._apply_weight_decay(variables)
            optimizer._backend_update_step(means, variables, optimizer.learning_rate)
            optimizer._backend_reset_gradient_accumulators()

        def keep(grads: Gradients) -> None:
            optimizer._backend_increment_gradient_accumulators(grads, accumulated(variables))

        def together(strategy: Any, grads: Gradients) -> None:
            def on_each(function: Any) -> Any:
                strategy.extended.call_for_each_replica(function, args=(grads,))
                return tf.no_op()

            full = tf.equal((optimizer._iterations.value + 1) % steps, 0)
            tf.cond(full, lambda: on_each(update), lambda: on_each(keep))

        tf.distribute.get_replica_context().merge_call(together, args=(list(grads),))
        if optimizer.use_ema:
            optimizer._update_model_variables_moving_average(optimizer._trainable_variables)

    optimizer._backend_apply_gradients = apply
