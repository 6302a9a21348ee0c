"""The TPU, as TensorFlow finds it and connects to it.

TensorFlow's packages for TPUs end at 2.20, so that this path is for machines that have such a build; the way
to a TPU with a current TensorFlow is the strategy `jax`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ...pipelines.errors import InvalidRequestError

PATIENCE = 20.0
"""Seconds until an address that doesn't answer is given up; TensorFlow itself waits for it without end."""


def tpu_resolver(told: Mapping[str, Any]) -> tf.distribute.cluster_resolver.TPUClusterResolver:
    """TensorFlow's resolver, with what `strategy_args` tell of a TPU.

    Args:
        told: `tpu` (a name, `local`, or an address `grpc://…`), `zone`, `project`, `job_name` and so on.

    Raises:
        InvalidRequestError: it finds none.
    """
    try:
        return tf.distribute.cluster_resolver.TPUClusterResolver(**told)
    except Exception as error:  # by the way it takes: googleapiclient's, urllib's, ValueError …
        raise _not_reached(told, error) from error


def tpu_strategy(told: Mapping[str, Any]) -> tf.distribute.Strategy:
    """A strategy over all cores of a TPU, connected and initialized.

    Raises:
        InvalidRequestError: it can't be found, reached or initialized.
    """
    resolver = tpu_resolver(told)
    try:
        if resolver.master() not in ("", "local"):
            _require_answer(resolver.master())
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, OSError, RuntimeError, ValueError) as error:
        raise _not_reached(told, error) from error


def _require_answer(address: str) -> None:
    """Raises OSError where nothing listens at an address, `grpc://host:port`."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE):
        pass


def _not_reached(told: Mapping[str, Any], error: Exception) -> InvalidRequestError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InvalidRequestError(
        f"the TPU {told.get('tpu') or 'of the environment'} can't be used: {first}",
        argument="strategy_args",
        remedy="look at its name, zone and project, and that this TensorFlow is built for TPUs "
        "(tensorflow-tpu, up to 2.20); strategy: jax is the way to a TPU with a current TensorFlow",
    )
