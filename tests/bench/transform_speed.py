"""How fast `transform` and `dataset()` are: `python tests/bench/transform_speed.py [rows]`.

Prints rows a second with one and with two threads, whether the bytes are equal, and examples a second out
of `dataset()` beside what TensorFlow reads without parsing. Compare numbers of one run only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))
from raw_examples import make_raw_examples

from headrace.components.dataset import dataset
from headrace.components.transform import transform
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context, RunnerSettings

THREADS = {"direct_num_workers": "2", "direct_running_mode": "multi_threading"}


def table(rows: int) -> pa.Table:
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {f"f{i}": draw.normal(size=rows) * (i + 1) for i in range(8)}
    columns |= {f"l{i}": draw.lognormal(size=rows) for i in range(3)}
    columns["gap"] = pa.array(draw.lognormal(size=rows), mask=draw.random(rows) < 0.05)
    columns |= {f"i{i}": draw.integers(0, 1000, rows) for i in range(2)}
    columns["color"] = draw.choice(["red", "green", "blue", "black"], rows)
    return pa.table(columns | {"y": draw.normal(size=rows)})


def features() -> dict[str, Any]:
    plain: dict[str, Any] = {f"f{i}": "z_score" for i in range(8)}
    plain |= {f"l{i}": ["log1p", "z_score"] for i in range(3)}
    plain["gap"] = [{"impute": "median"}, "log1p", "z_score"]
    return plain | {"i0": "min_max", "i1": "z_score", "color": "one_hot"}


def run(folder: Path, raw: Examples, rows: int, name: str, options: dict[str, str]) -> Examples:
    (folder / name).mkdir()
    ctx = Context("transform", folder / name, RunnerSettings("direct", options), lambda event: None)
    start = time.perf_counter()
    made = transform.function(ctx, raw, label="y", features=features())
    seconds = time.perf_counter() - start
    print(f"transform, {name}: {rows / seconds:,.0f} rows/s ({made.examples.digest[:12]})")
    return made.examples


def read(name: str, batches: Any, rows: int) -> None:
    start = time.perf_counter()
    batches.reduce(np.int64(0), lambda count, *_: count + 1)
    print(f"{name}: {rows / (time.perf_counter() - start):,.0f} examples/s")


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        raw = make_raw_examples(folder / "raw", {"train": table(rows)}, rows_per_part=-(-rows // 20))
        examples = run(folder, raw, rows, "one worker", {})
        run(folder, raw, rows, "two threads", THREADS)
        import tensorflow as tf

        files = [str(path) for path in examples.parts("train")]
        for _ in range(2):
            read("TensorFlow, no parsing", tf.data.TFRecordDataset(files).batch(8192).prefetch(2), rows)
            for size in (64, 1024):
                for shuffle in (False, True):
                    for matrix in (False, True):
                        made = dataset(examples, batch_size=size, shuffle=shuffle, matrix=matrix)
                        read(f"dataset(batch_size={size}, {shuffle=}, {matrix=})", made, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
