"""Augmentation between the reading of a batch and the network.

It is done to whole batches, in one of two places with the same result: on a CPU in the `tf.data` pipeline,
where it goes on while the network learns from the batch before; on an accelerator inside the training step,
so that images travel there as uint8, and the device does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import keras
import tensorflow as tf

from ...pipelines.errors import InvalidRequestError
from ..augmentation.apply import Augmenter
from ..augmentation.base import Augmentation
from ..augmentation.grammar import parse_augmentation
from ..augmentation.hashing import example_keys
from ..tfrecords.layout import OutputFeature
from .feed import Tensors

Place = Literal["input", "step"]
"""Where augmentation is done: in the `tf.data` pipeline, or in the training step."""


@dataclass(frozen=True)
class TrainAugmentation:
    """A list of augmentations for the images among an example's tensors.

    Several images of one example are changed alike, as far as their shapes are equal.

    Attributes:
        chain: what is done, in this order.
        images: by key.
        seed: of the training.
    """

    chain: tuple[Augmentation, ...]
    images: Mapping[str, OutputFeature]
    seed: int

    @cached_property
    def _augmenters(self) -> Mapping[str, Augmenter]:
        return {key: Augmenter(self.chain, image.shape) for key, image in self.images.items()}

    def __call__(self, tensors: Tensors, epoch: Any, numbers: Any) -> dict[str, Any]:
        """The tensors with their images augmented: float32 instead of uint8, before normalization.

        Images that are stored as normalized floats are augmented in units of pixels and normalized again.

        Args:
            tensors: of a batch.
            epoch: counted from 0, a number or int64, one for all examples or [n].
            numbers: int64 [n], the examples' places in their split.
        """
        keys = example_keys(tf, self.seed, epoch, numbers)
        return {
            name: self._augmented(name, values, keys) if name in self.images else values
            for name, values in tensors.items()
        }

    def pixels(self, key: str, values: Any) -> Any:
        """Images as they are stored, or as a call gives them, as float32 from 0 to 255."""
        image = self.images[key]
        if image.stored != "dense":
            return tf.cast(values, tf.float32)
        return values * tf.constant(image.divisor, tf.float32) + tf.constant(image.shift, tf.float32)

    def _augmented(self, key: str, stored: Any, keys: Any) -> Any:
        made = self._augmenters[key](tf, self.pixels(key, stored), keys)
        image = self.images[key]
        if image.stored != "dense":
            return made
        return (made - tf.constant(image.shift, tf.float32)) / tf.constant(image.divisor, tf.float32)


def train_augmentation(
    told: Sequence[Any] | None, images: Mapping[str, OutputFeature], seed: int
) -> TrainAugmentation | None:
    """The augmentation that a training is told of, or None.

    Args:
        told: the argument `augment`.
        images: the network's, by key.
        seed: of the training.

    Raises:
        InvalidRequestError: an augmentation is unknown, or doesn't fit the images; or there is no image.
    """
    if not told:
        return None
    shapes: set[tuple[int, ...] | None] = {image.shape for image in images.values()}
    parsed = [parse_augmentation(told, shape) for shape in shapes or {None}]
    problems = [problem for _, found in parsed for problem in found]
    if problems:
        raise InvalidRequestError(problems)
    if not images:
        raise InvalidRequestError(
            "augmentation is for images, and no feature is one",
            argument="augment",
            remedy="leave augment out, or transform a column of images: image: [decode, {resize: 64}]",
        )
    return TrainAugmentation(parsed[0][0], images, seed)


def best_place() -> Place:
    """Where augmentation is done on this machine."""
    return (
        "step" if tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU") else "input"
    )


def finish_in_step(network: keras.Model, finish: Callable[..., Any], batches: Any) -> None:
    """Has a network's training step finish the batches that it gets; to be called after each `compile`.

    Args:
        network: compiled.
        finish: from what the pipeline gives, a tuple, to what Keras' own step takes; see `Stream`.
        batches: what the pipeline gives.
    """
    # Keras builds metrics from the first batch as the pipeline gives it, unless it has built them before.
    finished = tf.function(finish).get_concrete_function(*batches.element_spec).structured_outputs
    network._symbolic_build(data_batch=finished)
    own = type(network).train_step
    network.train_step = lambda data: own(network, finish(*data))
