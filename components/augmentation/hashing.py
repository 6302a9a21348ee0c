"""Random numbers that are a hash of what they are for, in TensorFlow, for whole batches.

The generator is SplitMix64 (Steele, Lea and Flood 2014), which mixes a counter: its numbers need no state, so
that any of them can be had at any place. Only whole-number operations on int64 are used, which give the same
on every device and in every order; what a kernel for uint64 would do is done by masks, since few devices have
those kernels.
"""

from __future__ import annotations

import hashlib
from typing import Any

GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def example_keys(tf: Any, seed: int, epoch: Any, numbers: Any) -> Any:
    """The key of each example in an epoch.

    Args:
        tf: TensorFlow.
        seed: of the training.
        epoch: counted from 0, a number or int64, one for all examples or [n].
        numbers: int64 [n], the examples' places in their split.

    Returns:
        int64 [n].
    """
    start = int.from_bytes(hashlib.sha256(f"augment\0{seed}".encode()).digest()[:8], "little")
    of_epoch = mixed(tf, tf.cast(epoch, tf.int64) * _signed(tf, GOLDEN) + _signed(tf, start))
    return mixed(tf, tf.cast(numbers, tf.int64) * _signed(tf, GOLDEN) + of_epoch)


def bits(tf: Any, keys: Any, numbers: Any) -> Any:
    """Random bits.

    Args:
        tf: TensorFlow.
        keys: int64 [n].
        numbers: int64 [d]; each gives bits of its own.

    Returns:
        int64 [n, d], all 64 bits of each random.
    """
    counters = (tf.cast(numbers, tf.int64) + 1) * _signed(tf, GOLDEN)
    return mixed(tf, keys[:, None] + counters[None, :])


def below(tf: Any, random: Any, count: int) -> Any:
    """A whole number below `count`, under 2³¹, from the upper half of random bits; of their shape."""
    return _logical_shift(tf, _logical_shift(tf, random, 32) * count, 32)


def happens(tf: Any, random: Any, probability: float) -> Any:
    """Whether what has that probability happens, by the lower half of random bits; bool of their shape."""
    low = tf.bitwise.bitwise_and(random, tf.constant(0xFFFFFFFF, tf.int64))
    return low < round(probability * 2**32)


def mixed(tf: Any, x: Any) -> Any:
    """SplitMix64's finalizer, int64 to int64."""
    x = tf.bitwise.bitwise_xor(x, _logical_shift(tf, x, 30)) * _signed(tf, _FIRST)
    x = tf.bitwise.bitwise_xor(x, _logical_shift(tf, x, 27)) * _signed(tf, _SECOND)
    return tf.bitwise.bitwise_xor(x, _logical_shift(tf, x, 31))


def _logical_shift(tf: Any, x: Any, by: int) -> Any:
    """Zeros come in from above, where int64's own shift copies the sign."""
    shifted = tf.bitwise.right_shift(x, tf.constant(by, tf.int64))
    return tf.bitwise.bitwise_and(shifted, tf.constant((1 << (64 - by)) - 1, tf.int64))


def _signed(tf: Any, number: int) -> Any:
    """The int64 of those 64 bits."""
    return tf.constant(number - (1 << 64) if number >> 63 else number, tf.int64)
