"""Sizes of batches and learning rates by the number of replicas. Standard library only."""

from __future__ import annotations

import math

from ...pipelines.errors import InvalidRequestError, Problem

STEPS = 16
"""The least steps in an epoch that the default batch size aims at: a small table needs updates too."""


def default_batch_size(rows: int, replicas: int = 1) -> int:
    """64, or for fewer than 1,024 examples the power of two that makes 16 steps an epoch, 8 at the least.

    Never more than there are examples, and what the replicas divide, if there are as many examples as they.
    """
    size = max(1, min(64, rows, 1 << max(3, (rows // STEPS).bit_length() - 1)))
    return max(size // replicas, 1) * replicas


def global_batch_size(
    batch_size: int | None, replica_batch_size: int | None, rows: int, replicas: int
) -> int:
    """Examples a step of all replicas together.

    Args:
        batch_size: of all of them, if told.
        replica_batch_size: of each of them, if told.
        rows: examples of the split.
        replicas: how many there are.

    Raises:
        InvalidRequestError: the replicas don't divide it.
    """
    if replica_batch_size is not None:
        return replica_batch_size * replicas
    problem = indivisible(batch_size, replicas)
    if problem:
        raise InvalidRequestError([problem])
    return batch_size or default_batch_size(rows, replicas)


def indivisible(batch_size: int | None, replicas: int) -> Problem | None:
    """The problem of a batch that can't be cut evenly."""
    if batch_size is None or batch_size % replicas == 0:
        return None
    below, above = batch_size // replicas * replicas, -(-batch_size // replicas) * replicas
    near = f"{below} or {above}" if below else str(above)
    return Problem(
        f"a batch of {batch_size} examples can't be cut evenly for {replicas} replicas",
        argument="batch_size",
        remedy=f"take batch_size: {near}, or replica_batch_size for the examples of each replica",
    )


def rate_factor(rule: str, replicas: int) -> float:
    """What a learning rate is multiplied with.

    Args:
        rule: "none", "linear" (Goyal et al. 2017) or "sqrt" (Krizhevsky 2014), by the number of replicas,
            and so of the batch, if each replica's stays the same.
        replicas: how many there are.
    """
    return {"none": 1.0, "linear": float(replicas), "sqrt": math.sqrt(replicas)}[rule]
