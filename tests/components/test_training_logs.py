"""What people see of a training: event files, CSV file, curves, and what is told while it runs."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from headrace.components.report.line_chart import BLUE, ORANGE, Line, Panel, line_charts
from headrace.components.report.scales import count_scale, scale_of
from headrace.components.training.epoch_steps import EpochSteps
from headrace.components.training.logs.csv_log import history_csv
from headrace.components.training.logs.curves import learning_curves
from headrace.components.training.logs.event_files import FILE, EventFiles
from headrace.components.training.logs.log import TrainingLog
from headrace.components.training.logs.pace import Input, Pace, pace_text
from headrace.components.training.logs.record import EpochTime, Point, Record, metric_names, steps_between

from .model_path import ODD_FEATURES, Paths, Prepared, odd_splits

HISTORY = [
    {"epoch": 1, "loss": 0.5, "accuracy": 0.25, "learning_rate": 0.1, "val_loss": 0.75, "val_accuracy": 0.5},
    {"epoch": 2, "loss": 0.25, "accuracy": 0.5, "learning_rate": 0.05, "val_loss": 0.5, "val_accuracy": 1.0},
]
RECORD = Record(
    1000.0,
    [Point(10, 0.5, 0.625, 0.1, 4000.0, 1001.5), Point(30, 1.5, 0.375, 0.075, 5000.0, 1003.5)],
    [EpochTime(20, 4500.0, 1002.0), EpochTime(40, 5500.0, 1004.0)],
)


def scalars(path: Path) -> list[tuple[int, float, dict[str, float]]]:
    """Step, time and values of every event in a file, read by TensorFlow; the first tells the version."""
    events = [tf.compat.v1.Event.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(path))]
    assert events[0].file_version == "brain.Event:2"
    return [(e.step, e.wall_time, {v.tag: v.simple_value for v in e.summary.value}) for e in events[1:]]


def test_tensorflow_reads_the_event_files(tmp_path: Path) -> None:
    EventFiles(tmp_path, RECORD, HISTORY)
    train, validation = (scalars(tmp_path / name / FILE) for name in ("train", "validation"))
    assert [(step, time) for step, time, _ in train] == [(10, 1001.5), (1, 1002.0), (30, 1003.5), (2, 1004.0)]
    within = {
        "batch_loss": 0.625,
        "batch_learning_rate": np.float32(0.1),
        "batch_examples_per_second": 4000.0,
    }
    assert train[0][2] == within
    assert train[1][2] == {
        "epoch_loss": 0.5, "epoch_accuracy": 0.25, "epoch_learning_rate": np.float32(0.1),
        "epoch_examples_per_second": 4500.0,
    }  # fmt: skip
    assert validation == [
        (1, 1002.0, {"epoch_loss": 0.75, "epoch_accuracy": 0.5}),
        (2, 1004.0, {"epoch_loss": 0.5, "epoch_accuracy": 1.0}),
    ]


def test_event_files_that_are_written_bit_by_bit_are_the_same(tmp_path: Path) -> None:
    EventFiles(tmp_path / "at once", RECORD, HISTORY)
    begun = Record(RECORD.started, RECORD.points[:1], [])
    files = EventFiles(tmp_path / "by and by", begun, [])
    files.add_epoch(HISTORY[0], RECORD.epochs[0])
    files.add_point(RECORD.points[1])
    files.add_epoch(HISTORY[1], RECORD.epochs[1])
    for name in ("train", "validation"):
        once, more = ((tmp_path / how / name / FILE).read_bytes() for how in ("at once", "by and by"))
        assert once == more


def test_a_record_is_written_and_read() -> None:
    odd = Record(1.0, [*RECORD.points, Point(40, 2.0, math.nan, None, 0.0, 5.0)], RECORD.epochs)
    again = Record.from_json(odd.to_json())
    assert repr(again) == repr(odd)


@pytest.mark.parametrize(
    ("epoch", "epochs", "between"), [(10, 20, 16), (1000, 5, 50), (1000, 1000, 1000), (10**6, 1, 50_000)]
)
def test_points_are_bounded(epoch: int, epochs: int, between: int) -> None:
    assert steps_between(epoch, epochs * epoch) == between


def test_the_csv_file_has_every_column_and_loses_nothing() -> None:
    history = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17, "gap": 3.0}]
    rows = list(csv.DictReader(io.StringIO(history_csv(history))))
    assert rows[0] == {"epoch": "1", "loss": repr(0.1 + 0.2), "gap": ""}
    assert float(rows[1]["loss"]) == 1e-17
    assert "\r" not in history_csv(history)


def test_the_metrics_of_a_history() -> None:
    history = [
        {"epoch": 1, "stage": 1, "loss": 1.0, "b": 1.0, "learning_rate": 1.0, "val_loss": 1.0, "val_c": 1}
    ]
    assert metric_names(history) == ["loss", "b", "c"]


def test_scales() -> None:
    assert scale_of([0.0, 1.0]).ticks == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1))
    assert (scale_of([0.0, 1.0]).low, scale_of([0.0, 1.0]).high) == (0.0, 1.0)
    wide = scale_of([0.001, 500.0])
    assert wide.log and wide.texts == ["0.001", "0.01", "0.1", "1", "10", "100", "1,000"]
    assert wide.place(wide.low) == 0 and wide.place(wide.high) == 1
    assert wide.place(1.0) == pytest.approx((wide.place(0.1) + wide.place(10.0)) / 2)
    assert not scale_of([-1.0, 500.0]).log and not scale_of([0.001, 500.0], log=False).log
    assert scale_of([3.0, 3.0, math.nan]).low < 3 < scale_of([3.0]).high
    assert scale_of([math.nan, math.inf]).ticks
    assert count_scale(1, 24, 10).texts == ["5", "10", "15", "20"]
    assert count_scale(0, 1, 10).ticks == (0, 1)
    assert scale_of([1e-5, 2e-5]).texts == ["1e-5", "1.5e-5", "2e-5"]


def pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))


def places(image: Any, color: tuple[int, int, int]) -> Any:
    """Rows and columns of the pixels in a color."""
    return np.argwhere((image == np.array(color, np.uint8)).all(axis=2))


def test_a_line_is_where_its_values_are() -> None:
    falling = Line("", [0, 1], [1.0, 0.0], BLUE)
    steady = Line("s", [0, 0.5, 1], [0.5, math.nan, 0.5], ORANGE)
    image = pixels(line_charts("t", [[Panel("p", [falling, steady], count_scale(0, 1, 2))]], [200]))
    level = places(image, ORANGE)
    dots = np.unique(level[:, 1])
    # A value that is none makes a gap: there are the two ends, and no line between them.
    assert len(dots) < 40 and dots.max() - dots.min() > 900


def test_curves_of_every_kind_are_drawn() -> None:
    rows = [
        {"epoch": i, "stage": 1 + i // 4, "loss": 10.0 / i**3, "auc": 1 - 1 / i, "val_loss": 10.0 / i**2}
        for i in range(1, 8)
    ]
    several = pixels(learning_curves(rows, 7, RECORD.points))
    assert several.shape[1] == 1240 and len(places(several, BLUE)) > 100 < len(places(several, ORANGE))
    alone = pixels(learning_curves([{"epoch": 1, "loss": 2.0}], 1))
    assert len(places(alone, BLUE)) > 20 and not len(places(alone, ORANGE))
    assert several.shape[0] > alone.shape[0]
    odd = [
        {"epoch": 1, "loss": -2.0, **{f"m{i}": float(i) for i in range(20)}},
        {"epoch": 2, "loss": math.nan},
    ]
    assert pixels(learning_curves(odd, 1)).shape[1] == 1240


def test_the_pace_is_told_and_what_to_change() -> None:
    given = Input("", False, False, True, 64, 2)
    assert pace_text(Pace(), given) == ""
    assert pace_text(Pace(1000, 2.0, 0.02), given) == "500 examples/s, 1.0% of the time waiting for them"
    assert "to wait less" not in pace_text(Pace(1000, 2.0, 0.5), given)
    told = pace_text(Pace(1000, 20.0, 5.0), given)
    assert told.endswith(
        "25.0% of the time waiting for them; to wait less: a greater batch_size (it is 64), "
        "more cores (there are 2)"
    )
    images = pace_text(Pace(1000, 20.0, 5.0), Input("jpeg", True, True, False, 64, 2))
    for change in ("cache: memory", "store: uint8", "no compression", "less augmentation", "more cores"):
        assert change in images


class Fixed:
    """A stepper as far as a log asks it: its running loss and its learning rate."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def metrics(self) -> dict[str, float]:
        return {"loss": float(np.mean(self.losses))}

    def learning_rate(self) -> float:
        return 0.5


def test_a_point_is_the_mean_since_the_point_before(tmp_path: Path) -> None:
    from headrace.components.training.course import CourseState

    log, stepper, steps = TrainingLog(tmp_path), Fixed(), EpochSteps(640, 10, 2)
    state: Any = CourseState()
    told = np.random.default_rng(0).normal(size=128)
    for step, loss in enumerate(told, start=1):
        stepper.losses.append(float(loss))
        state.step = step
        log.after_steps(state, steps, 2, stepper)  # type: ignore[arg-type]
        if step == 64:
            row = {"epoch": 1, "loss": 1.0}
            state.history.append(row)
            log.after_epoch(row, stepper)  # type: ignore[arg-type]
            state.epoch, stepper.losses = 1, []
        if step == 80:  # as it is after a kill: what was seen since the checkpoint is seen again
            kept = log.state()
            log.after_steps(CourseState(step=96, epoch=1, history=state.history), steps, 2, stepper)
            log = TrainingLog(tmp_path)
            log.begin_stage(None, stepper)  # type: ignore[arg-type]
            log.restore(kept)
    points = log.record.points
    assert [point.step for point in points] == [16, 32, 48, 64, 80, 96, 112, 128]
    assert [point.epoch for point in points] == [point.step / 64 for point in points]
    np.testing.assert_allclose([p.loss for p in points], told.reshape(8, 16).mean(axis=1), rtol=1e-9)
    assert {point.rate for point in points} == {0.5}
    live = scalars(tmp_path / "train" / FILE)
    assert [step for step, _, values in live if "batch_loss" in values] == [p.step for p in points]
    assert [step for step, _, values in live if "epoch_loss" in values] == [1]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def prepared(paths: Paths) -> Prepared:
    return paths.prepare(odd_splits(), {name: ODD_FEATURES[name] for name in ("größe", "A")}, "Klasse")


def test_a_model_has_its_logs(paths: Paths, prepared: Prepared) -> None:
    arguments: dict[str, Any] = {"epochs": 3, "batch_size": 4, "metrics": ["accuracy"]}
    model = paths.train(prepared, **arguments)
    history = model.read_json("model.json")["history"]
    files = {file.path: file.volatile for file in model.files}
    assert files["learning_curves.png"] and not files["history.csv"]
    assert files["tensorboard/train/" + FILE] and files["tensorboard/validation/" + FILE]
    assert [path.name for path in model.pictures] == ["learning_curves.png"]
    assert pixels(model.file("learning_curves.png").read_bytes()).shape[1] == 1240
    rows = list(csv.DictReader(io.StringIO(model.file("history.csv").read_text())))
    assert [{key: float(value) for key, value in row.items()} for row in rows] == history
    rates = [row["learning_rate"] for row in history]
    assert rates[0] > rates[1] > rates[2] == 0
    told = scalars(model.file("tensorboard/train/" + FILE))
    by_epoch = {step: values for step, _, values in told if "epoch_loss" in values}
    assert {step: values["epoch_accuracy"] for step, values in by_epoch.items()} == {
        int(row["epoch"]): np.float32(row["accuracy"]) for row in history
    }
    # 40 steps an epoch, a point every 16 of all.
    assert [step for step, _, values in told if "batch_loss" in values] == list(range(16, 121, 16))
    live = [event["progress"] for event in paths.events if "progress" in event]
    assert live[-1]["epoch"] == live[-1]["epochs"] == 3
    assert list(live[-1])[5:8] == ["validated", "loss", "val_loss"] and live[-1]["learning_rate"] == 0
    said = [event["say"] for event in paths.events if "say" in event]
    assert any("examples/s, " in text and "of the time waiting for them" in text for text in said)
