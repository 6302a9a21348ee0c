"""How fast the input of training is: `python tests/bench/input_speed.py [rows]`.

Examples a second out of `dataset()` and of `train`'s own stream, in batches, beside three readings of the
same shards by `tf.data` alone: records that nobody parses, records that are parsed a batch at a time, and
records that are parsed one by one, as tutorials do it. Then how long the first batch takes from the beginning
of a split and from its end. Prints ratios; compare numbers of one run only.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))
from raw_examples import make_raw_examples

from headrace.components.dataset import dataset
from headrace.components.input.position import Position
from headrace.components.tfrecords.layout import Layout
from headrace.components.transform import transform
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context

BATCH = 1024
ROUNDS = 3
ONE_BY_ONE = 50_000
"""Records that are parsed one by one, which takes long."""


def table(rows: int) -> pa.Table:
    """Fourteen numbers, a category and a label."""
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {f"f{i}": draw.normal(size=rows) * (i + 1) for i in range(12)}
    columns |= {f"i{i}": draw.integers(0, 1000, rows) for i in range(2)}
    columns["color"] = draw.choice(["red", "green", "blue", "black"], rows)
    return pa.table(columns | {"y": draw.integers(0, 2, rows).astype(str)})


def make(folder: Path, rows: int, **arguments: Any) -> Examples:
    """Transformed examples."""
    folder.mkdir()
    ctx = Context("transform", folder, listener=lambda event: None)
    raw = make_raw_examples(folder / "raw", {"train": table(rows)}, rows_per_part=-(-rows // 8))
    features: dict[str, Any] = {f"f{i}": "z_score" for i in range(12)}
    features |= {"i0": "min_max", "i1": "z_score", "color": "one_hot"}
    return transform.function(ctx, raw, label="y", features=features, **arguments).examples


def speed(make_batches: Callable[[], Any], rows: int) -> float:
    """Examples a second, the best of some rounds; the making of the pipeline is not in it."""
    seconds = []
    for _ in range(ROUNDS):
        batches = make_batches()
        start = time.perf_counter()
        batches.reduce(np.int64(0), lambda count, *_: count + 1)
        seconds.append(time.perf_counter() - start)
    return rows / min(seconds)


def stream(examples: Examples, cache: Any) -> Any:
    """One epoch of what `train` reads."""
    from headrace.components.training.feed import Feed
    from headrace.components.training.stream import Stream

    feed = Feed.of("inputs", Layout.from_json(examples.properties).features)
    made = Stream(examples, "train", feed, BATCH, lambda tensors, y: (tensors, y), 0, cache=cache)
    return made.batches().take(made.rows // BATCH)


def first_batch(examples: Examples, position: Position) -> float:
    """Milliseconds until the first batch is there, the median of some."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        next(iter(dataset(examples, shuffle=True, start=position, batch_size=BATCH)))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def baselines(tf: Any, examples: Examples, rows: int) -> dict[str, float]:
    """Readings of the shards by `tf.data` alone."""
    files = [str(path) for path in examples.parts("train")]
    fields = Layout.from_json(examples.properties).fields
    dtypes = {"float32": tf.float32, "int64": tf.int64}
    spec = {field.key: tf.io.FixedLenFeature([field.width], dtypes[field.dtype]) for field in fields}

    def records() -> Any:
        return tf.data.TFRecordDataset(files, buffer_size=4 << 20)

    def one_by_one() -> Any:
        parsed = records().take(ONE_BY_ONE).map(lambda record: tf.io.parse_single_example(record, spec))
        return parsed.batch(BATCH).prefetch(2)

    def at_once() -> Any:
        made = records().batch(BATCH).map(lambda some: tf.io.parse_example(some, spec), tf.data.AUTOTUNE)
        return made.prefetch(2)

    return {
        "tf.data, records not parsed": speed(lambda: records().batch(BATCH).prefetch(2), rows),
        "tf.data, parsed by the batch": speed(at_once, rows),
        "tf.data, parsed one by one": speed(one_by_one, min(rows, ONE_BY_ONE)),
    }


def main(rows: int) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as temporary:
        packed = make(Path(temporary) / "packed", rows)
        columns = make(Path(temporary) / "columns", rows, layout="columns")
        zipped = make(Path(temporary) / "gzip", rows, compression="gzip")
        found = baselines(tf, packed, rows)
        found["tf.data, a feature a column, one by one"] = baselines(tf, columns, rows).popitem()[1]
        for name, examples in (("packed", packed), ("columns", columns), ("gzip", zipped)):
            for shuffle in (False, True):
                given = {"examples": examples, "batch_size": BATCH, "shuffle": shuffle, "matrix": True}
                found[f"dataset(), {name}, {shuffle=}"] = speed(lambda given=given: dataset(**given), rows)
        for cache in ("memory", "disk"):
            given = {"examples": packed, "batch_size": BATCH, "shuffle": True, "cache": cache, "matrix": True}
            found[f"dataset(), {cache=}"] = speed(lambda given=given: dataset(**given), rows)
        for cache in ("none", "memory", "disk"):
            found[f"train's stream, {cache=}"] = speed(lambda cache=cache: stream(packed, cache), rows)
        bare, tutorial = found["tf.data, records not parsed"], found["tf.data, parsed one by one"]
        print(f"{rows:,} examples, batches of {BATCH}: examples/s, beside not parsing, beside one by one")
        for name, value in found.items():
            print(f"{name:45} {value:12,.0f}  x{value / bare:5.2f}  x{value / tutorial:6.1f}")
        for name, examples in (("packed", packed), ("gzip", zipped)):
            begin, end = (first_batch(examples, Position(0, at)) for at in (0, rows - 2 * BATCH))
            print(f"first batch, {name}: from the beginning {begin:.0f} ms, near the end {end:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
