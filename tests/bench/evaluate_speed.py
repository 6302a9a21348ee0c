"""`evaluate` against `model.evaluate` of Keras over the same shards: CPU time and wall time, and their ratio.

    python tests/bench/evaluate_speed.py [--rows 500000] [--columns 20] [--repeat 3]

Both read the same transformed examples in this process: Keras by `dataset()` in batches of the same size,
with the metrics that it is compiled with for the task (the AUC in its 200 bins). Ours gives more: exact areas
under both curves, each class, calibration, confusion, the naive prediction, and the files of the artifact.
"""

from __future__ import annotations

import argparse
import os
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

from headrace.components import dataset, evaluate, train, transform
from headrace.components.training.tasks import LOSSES
from headrace.pipelines.context import Context

KERAS = {"binary": ["accuracy", "auc"], "multiclass": ["accuracy"], "regression": ["mae"]}
LABELS: dict[str, Any] = {"binary": "sold", "multiclass": "kind", "regression": {"price": "z_score"}}


def main() -> None:
    """Runs the comparison."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=500_000)
    options.add_argument("--columns", type=int, default=20)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--batch", type=int, default=4096)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        raw = _examples(place, given.rows, given.columns)
        for task, label in LABELS.items():
            _compare(place, raw, task, label, given)


def _compare(place: Path, raw: Any, task: str, label: Any, given: argparse.Namespace) -> None:
    import keras

    features = {f"x{i}": "z_score" for i in range(given.columns)}
    examples, fitted = transform.function(_ctx(place), raw, features=features, label=label)
    model = train.function(_ctx(place), examples, fitted, epochs=1)
    network = keras.saving.load_model(model.path / "model.keras")
    network.compile(loss=LOSSES[task], metrics=KERAS[task])

    def by_keras() -> None:
        network.evaluate(dataset(examples, "test", batch_size=given.batch, matrix=True), verbose=0)

    def by_us() -> None:
        evaluate.function(_ctx(place), model, examples, batch_size=given.batch)

    ratios = []
    for number in range(given.repeat + 1):
        theirs, ours = _seconds(by_keras), _seconds(by_us)
        if number:  # the first time is for what TensorFlow builds once
            ratios.append((ours[0] / theirs[0], ours[1] / theirs[1]))
            print(f"{task}: keras {theirs[0]:.2f} s CPU, {theirs[1]:.2f} s; ", end="")
            print(f"evaluate {ours[0]:.2f} s CPU, {ours[1]:.2f} s")
    cpu, wall = np.median(np.asarray(ratios), axis=0)
    print(f"{task}, {given.rows:,} rows: {cpu:.2f} x the CPU time of model.evaluate, {wall:.2f} x its time")


def _seconds(run: Callable[[], None]) -> tuple[float, float]:
    before, start = sum(os.times()[:2]), time.perf_counter()
    run()
    return sum(os.times()[:2]) - before, time.perf_counter() - start


def _examples(place: Path, rows: int, columns: int) -> Any:
    """A split `test` of so many rows, and a small one to train on."""
    rng = np.random.default_rng(0)
    tables = {}
    for name, count in (("train", 20_000), ("test", rows)):
        x = rng.normal(size=(count, columns))
        score = x[:, :3].sum(axis=1) + rng.normal(size=count)
        kinds = np.array(list("abcde"))[np.digitize(score, [-2, -1, 0, 1])]
        tables[name] = pa.table(
            {f"x{i}": x[:, i] for i in range(columns)}
            | {"sold": pa.array(np.where(score > 0, "yes", "no"), pa.string())}
            | {"kind": pa.array(kinds, pa.string()), "price": score * 1000 + 5000}
        )
    return make_raw_examples(_ctx(place), tables)


def _ctx(place: Path) -> Context:
    return Context("step", Path(tempfile.mkdtemp(dir=place)), listener=lambda event: None)


if __name__ == "__main__":
    main()
