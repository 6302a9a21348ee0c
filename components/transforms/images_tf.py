"""Images with TensorFlow's ops: one graph for Beam's workers and for the exported model.

The images of a batch are the elements of a `tf.data` pipeline inside of a function: it runs on TensorFlow's
threads, on the CPU also where there is an accelerator, and an image that can't be decoded doesn't end it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from .image_chains import shape_of
from .images import ImageStep, Pixels

PARALLEL = 8
"""Images that are under way at once; TensorFlow's threads decide how many of them are worked on."""


def render(data: tf.Tensor, steps: tuple[ImageStep, ...]) -> Pixels:
    """Decodes, and does what else is to be done image by image.

    Args:
        data: encoded images, string [n].
        steps: a chain that ends with a fixed size.
    """
    # Where an accelerator is, pixels go there once and whole, and not for each of these little ops.
    with tf.device("/CPU:0"):
        return _rendered(data, steps)


def _rendered(data: tf.Tensor, steps: tuple[ImageStep, ...]) -> Pixels:
    shape = shape_of(steps)
    rows = tf.shape(data, out_type=tf.int64)[0]

    def made(row: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for step in steps:
            image = step.image(tf, image)
        return row, image

    images = tf.data.Dataset.from_tensor_slices((tf.range(rows), data))
    images = images.map(made, num_parallel_calls=PARALLEL, deterministic=True).ignore_errors()
    # One more at the end, lest there be none.
    last = tf.data.Dataset.from_tensors((rows, tf.zeros(shape, tf.uint8)))
    there, pixels = images.concatenate(last).batch(rows + 1).get_single_element()
    there, pixels = there[:-1], pixels[:-1]
    whole = tf.equal(tf.shape(there, out_type=tf.int64)[0], rows)
    size = tf.concat([rows[tf.newaxis], tf.constant(shape, tf.int64)], 0)
    valid = tf.scatter_nd(there[:, tf.newaxis], tf.ones_like(there, tf.bool), rows[tf.newaxis])
    values = tf.cond(whole, lambda: pixels, lambda: tf.scatter_nd(there[:, tf.newaxis], pixels, size))
    return Pixels(tf.ensure_shape(values, (None, *shape)), valid)


def render_arrow(column: pa.Array, steps: tuple[ImageStep, ...]) -> Pixels:
    """`render` of an Arrow column of encoded images, as NumPy arrays."""
    data = tf.constant(column.to_numpy(zero_copy_only=False), tf.string, shape=(len(column),))
    made = _renderer(steps)(data)
    return Pixels(np.asarray(made.values), made.valid.numpy())


def sizes_of(column: pa.Array) -> list[tuple[int, int, int]]:
    """Height, width and channels of each encoded image; those that can't be decoded are left out."""
    images = tf.data.Dataset.from_tensor_slices(tf.constant(column.to_pylist(), tf.string))
    shapes = images.map(lambda one: tf.shape(tf.io.decode_jpeg(one)), PARALLEL).ignore_errors()
    return [tuple(shape.tolist()) for shape in shapes.as_numpy_iterator()]


def decode_problem(image: bytes, steps: tuple[ImageStep, ...]) -> str:
    """Why an image can't be decoded, in TensorFlow's words; empty if it can."""
    made: Any = tf.constant(image)
    try:
        for step in steps:
            made = step.image(tf, made)
    except tf.errors.OpError as error:
        return re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", str(error.message)).strip()
    return ""


@lru_cache(maxsize=16)
def _renderer(steps: tuple[ImageStep, ...]) -> Any:
    spec = [tf.TensorSpec([None], tf.string)]
    made = tf.function(lambda data: render(data, steps), input_signature=spec, autograph=False)
    # A graph for each chain is meant; called as a function, TensorFlow would warn of too many of them.
    return made.get_concrete_function()
