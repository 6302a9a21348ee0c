"""How fast augmentation is, and where: `python tests/bench/augmentation_speed.py [seconds]`.

Prints for lists of augmentations images a second in batches and one by one, then examples a second of a small
network's training without augmentation, with it in the `tf.data` pipeline and with it in the training step.
Each as the wall clock has it, and as CPU time has it (divided by the cores), which other work on the machine
disturbs less. Compare numbers of one run only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headrace.components.augmentation.apply import Augmenter
from headrace.components.augmentation.grammar import parse_augmentation
from headrace.components.augmentation.hashing import example_keys
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.augmenting import TrainAugmentation, finish_in_step
from headrace.components.training.loop import make_deterministic

MOVED: list[Any] = ["flip", {"rotate": 15}, {"shift": 0.1}, {"zoom": 0.1}]
TONES: list[Any] = [{"brightness": 0.1}, {"contrast": 0.2}]
LISTS = {
    "flip": ["flip"],
    "random_crop, flip": [{"random_crop": 4}, "flip"],
    "flip, rotate, shift, zoom": MOVED,
    "brightness, contrast": TONES,
    "noise": [{"noise": 0.02}],
    "cutout": [{"cutout": 0.3}],
    "all of these": [*MOVED, *TONES, {"noise": 0.02}, {"cutout": 0.3}],
}
CORES = os.cpu_count() or 1


def pixels(count: int, size: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def rates(images: int, seconds: float, once: Callable[[int], Any]) -> str:
    """Images a second of calls with 0, 1, 2 …, by wall clock and by CPU time."""
    once(0)
    wall, processor, calls = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < seconds:
        calls += 1
        once(calls)
    took = time.perf_counter() - wall, (time.process_time() - processor) / CORES
    return " ".join(f"{calls * images / one:9,.0f}" for one in took)


def alone(size: int, batch: int, seconds: float) -> None:
    for name, told in LISTS.items():
        augmenter = Augmenter(parse_augmentation(told)[0], (size, size, 3))
        told_rates = []
        for count in (batch, 1):
            given = tf.constant(pixels(count, size))

            @tf.function
            def run(
                epoch: Any, given: Any = given, count: int = count, augmenter: Augmenter = augmenter
            ) -> Any:
                keys = example_keys(tf, 0, epoch, tf.range(count))
                return augmenter(tf, tf.cast(given, tf.float32), keys)

            told_rates.append(rates(count, seconds, lambda i, run=run: run(tf.constant(i)).numpy()))
        print(
            f"{size:4} {name:26} batches of {batch} {told_rates[0]}   one by one {told_rates[1]}", flush=True
        )


def training(size: int, count: int, batch: int, filters: tuple[int, ...], seconds: float) -> None:
    image = OutputFeature("image", "float32", size * size * 3, "pixels", shape=(size, size, 3))
    augmentation = TrainAugmentation(parse_augmentation([*MOVED, *TONES])[0], {"image": image}, 0)
    given, classes = tf.constant(pixels(count, size)), tf.constant(np.arange(count) % 10)

    def finish(rows: Any, *about: Any) -> Any:
        tensors = augmentation(rows[0], *about) if about else rows[0]
        return tf.cast(tensors["image"], tf.float32) / 255.0, rows[1]

    def raw(chosen: Any) -> Any:
        return ({"image": tf.gather(given, chosen)}, tf.gather(classes, chosen)), tf.constant(0), chosen

    parallel: dict[str, Any] = {"num_parallel_calls": 2, "deterministic": True}
    for place in ("none", "input", "step"):
        made = tf.data.Dataset.range(count).batch(batch).map(raw, **parallel)
        if place == "none":
            made = made.map(lambda rows, *_: finish(rows), **parallel)
        elif place == "input":
            made = made.map(finish, **parallel)
        made = made.prefetch(2)
        make_deterministic(0)
        layers: list[Any] = [keras.Input((size, size, 3))]
        for width in filters:
            layers += [keras.layers.Conv2D(width, 3, activation="relu"), keras.layers.MaxPooling2D()]
        last = keras.layers.Dense(10, activation="softmax")
        network = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), last])
        network.compile("adam", "sparse_categorical_crossentropy")
        if place == "step":
            finish_in_step(network, finish, made)

        def fit(_: int, network: Any = network, made: Any = made) -> None:
            network.fit(made, verbose=0, shuffle=False)

        print(f"{size:4} training, augmentation {place:6} {rates(count, seconds, fit)}", flush=True)


def main(seconds: float) -> None:
    print(f"images a second by wall clock and by the CPU time of {CORES} cores")
    for size, batch in ((32, 64), (224, 32)):
        alone(size, batch, seconds)
    training(32, 3200, 64, (16, 32), 3 * seconds)
    training(224, 128, 32, (8, 16), 3 * seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
