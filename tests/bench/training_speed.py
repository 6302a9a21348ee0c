"""The training loop beside Keras' `fit`, the cost of checkpoints, and the wait for input.

    python tests/bench/training_speed.py [--rows 65536] [--rounds 3]

Ratios of one run: the same model on the same batches by our loop and by `fit`, in turns; the time that
checkpoints of this model take at one a minute, and of one with a hundred times the weights; and the share of
the time that a model whose step takes 20 ms waits for transformed examples.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from headrace.components import transform
from headrace.components.training.checkpoint_rule import CheckpointRule
from headrace.components.training.checkpoints import Checkpoints
from headrace.components.training.course import Course
from headrace.components.training.feed import Feed
from headrace.components.training.loop import make_deterministic
from headrace.components.training.settings import Execution, Settings
from headrace.components.training.steps import TensorFlowStepper
from headrace.components.training.stream import Stream
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context

COLUMNS, BATCH = 17, 64


def examples_of(rows: int, folder: Path) -> tuple[Examples, Feed]:
    """Transformed examples of a made-up table."""
    from headrace.components import csv_examples
    from headrace.components.preprocessing.fitted_file import load_fitted

    draw = np.random.default_rng(0)
    names = [f"c{number}" for number in range(COLUMNS)]
    values = draw.normal(size=(rows, COLUMNS)).round(4)
    table = pa.table({**dict(zip(names, values.T, strict=True)), "y": values.sum(axis=1)})
    from pyarrow import csv

    csv.write_csv(table, folder / "rows.csv")

    def ctx(name: str) -> Context:
        (folder / name).mkdir()
        return Context(name, folder / name, listener=lambda _: None)

    raw = csv_examples.function(ctx("raw"), str(folder / "rows.csv"), splits={"train": 1})
    features = dict.fromkeys(names, "z_score")
    examples, fitted = transform.function(ctx("fitted"), raw, features=features, label={"y": "z_score"})
    return examples, Feed.of("inputs", load_fitted(fitted.path).features)


def network_of(units: int) -> keras.Model:
    make_deterministic(1)
    dense = keras.layers.Dense
    network = keras.Sequential(
        [
            keras.Input((COLUMNS,)),
            dense(units, "relu"),
            keras.layers.Dropout(0.2),
            dense(units, "relu"),
            dense(1),
        ]
    )
    network.compile("adam", "mean_squared_error", metrics=["mae"])
    return network


class Slow(keras.layers.Layer):
    """Holds the step up for so many seconds without using a core, as an accelerator would."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def call(self, x: Any) -> Any:
        def wait(values: Any) -> Any:
            time.sleep(self.seconds)
            return values

        slow = tf.numpy_function(wait, [x], tf.float32, stateful=True)
        slow.set_shape(x.shape)
        return x + tf.stop_gradient(slow) * 0.0


def seconds_of(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def epoch_by_loop(stepper: TensorFlowStepper, stream: Stream, together: int = 1) -> None:
    """An epoch with all that the course does around its steps."""
    settings = Settings(
        "", {}, 1, BATCH, "adam", None, "constant", None, {}, [], None, 1,
        execution=Execution(steps_per_execution=together),
    )  # fmt: skip
    Course(stepper, stream, None, lambda **_: None).run(settings, 0)


def compare_with_fit(stream: Stream, rounds: int) -> None:
    """In turns, after a first that isn't counted; equal weights show that they do the same."""
    steps = stream.rows // BATCH
    own, keras_own = network_of(64), network_of(64)
    one, many = TensorFlowStepper(own), TensorFlowStepper(network_of(64), 16)
    found: dict[str, list[float]] = {"fit": [], "loop": [], "loop, 16 steps at once": []}
    for turn in range(rounds + 1):
        took = {
            "fit": seconds_of(lambda: keras_own.fit(stream.batches(), steps_per_epoch=steps, verbose=0)),
            "loop": seconds_of(lambda: epoch_by_loop(one, stream)),
            "loop, 16 steps at once": seconds_of(lambda: epoch_by_loop(many, stream, 16)),
        }
        for name, seconds in took.items():
            found[name] += [seconds] if turn else []
    rows = steps * BATCH
    fit = min(found["fit"])
    for name, each in found.items():  # the fastest of each: what else the machine does only makes it slower
        print(f"{name:24} {rows / min(each):10,.0f} examples/s   {fit / min(each):5.2f} of fit")
    same = all(np.array_equal(a, b) for a, b in zip(own.get_weights(), keras_own.get_weights(), strict=True))
    print(f"weights of loop and fit are {'equal, bit by bit' if same else 'NOT EQUAL'}")


def cost_of_checkpoints(stream: Stream, folder: Path) -> None:
    for units in (64, 2048):
        network = network_of(units)
        stepper = TensorFlowStepper(network)
        stepper.begin(stream.batches())
        stepper.run(3)
        (folder / str(units)).mkdir()
        kept = Checkpoints(folder / str(units), CheckpointRule())
        about = {"stage": 0, "step": 0, "best_epoch": 1}
        best = stepper.weights()
        held, whole = [], []
        for step in range(6):
            started = time.perf_counter()
            kept.write({**about, "step": step, "best_epoch": step + 1}, stepper.state, best)
            held.append(time.perf_counter() - started)
            kept.close()
            whole.append(time.perf_counter() - started)
        wait, took = statistics.median(held), statistics.median(whole)
        print(
            f"checkpoint of {network.count_params():10,} weights: training waits {1000 * wait:7.1f} ms, "
            f"written after {1000 * took:7.1f} ms: at one a minute {100 * wait / 60:.3f} to "
            f"{100 * took / 60:.3f} % of the time"
        )


def wait_for_input(stream: Stream) -> None:
    network = keras.Sequential([keras.Input((COLUMNS,)), Slow(0.02), keras.layers.Dense(1)])
    network.compile("sgd", "mean_squared_error")
    stepper = TensorFlowStepper(network)
    stepper.begin(stream.batches())
    stepper.run(1)
    before, steps = stepper.waited, 200
    seconds = seconds_of(lambda: stepper.run(steps))
    share = (stepper.waited - before) / seconds
    print(f"input wait of a step of {1000 * seconds / steps:.1f} ms: {100 * share:.2f} %")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=65536)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        examples, feed = examples_of(options.rows, folder)
        stream = Stream(
            examples, "train", feed, BATCH, lambda x, y: (feed.network_input(x), y[:, None]), seed=1
        )
        compare_with_fit(stream, options.rounds)
        cost_of_checkpoints(stream, folder)
        wait_for_input(stream)


if __name__ == "__main__":
    main()
