"""TensorBoard's event files, written without TensorFlow: TFRecords of `tensorflow.Event` with scalars.

The fields are those of `tensorflow/core/util/event.proto` and `framework/summary.proto`. Tags and folders are
those of Keras' `TensorBoard` callback: `train` and `validation` with `epoch_loss` in both, by epoch, so that
they stand in one chart; `batch_loss` within epochs, by step.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...tfrecords.tf_example import varint
from ...tfrecords.tfrecord import framed
from .record import NO_METRICS, RATE, EpochTime, Point, Record

FOLDER = "tensorboard"
FILE = "events.out.tfevents.0000000000.headrace"
"""TensorBoard takes the files with `tfevents` in their names, in the order of their names."""
SPEED = "examples_per_second"
Scalars = Mapping[str, float]


class EventFiles:
    """The event files of a training, which TensorBoard may read while they are written.

    Args:
        folder: where `train` and `validation` come to stand; files that are there are written anew.
        record: what was seen so far.
        history: the epochs that are done, see `Trained`.
    """

    def __init__(self, folder: Path, record: Record, history: Sequence[Scalars]) -> None:
        self._folder = folder
        self._begun: set[str] = set()
        self._started = record.started
        points = list(record.points)
        for row, time in zip(history, record.epochs, strict=True):
            while points and points[0].step <= time.step:
                self.add_point(points.pop(0))
            self.add_epoch(row, time)
        for point in points:
            self.add_point(point)

    def add_point(self, point: Point) -> None:
        """What was seen within an epoch."""
        rate = {} if point.rate is None else {f"batch_{RATE}": point.rate}
        told = {"batch_loss": point.loss, **rate, f"batch_{SPEED}": point.examples_per_second}
        self._add("train", point.step, point.time, told)

    def add_epoch(self, row: Scalars, time: EpochTime) -> None:
        """An epoch that is done: its metrics, and those of its validation, each under its own folder."""
        epoch = int(row["epoch"])
        own = {key: value for key, value in row.items() if key not in NO_METRICS and not _is_validation(key)}
        own |= {key: row[key] for key in (RATE,) if key in row} | {SPEED: time.examples_per_second}
        checked = {key.removeprefix("val_"): value for key, value in row.items() if _is_validation(key)}
        for name, told in (("train", own), ("validation", checked)):
            if told:
                self._add(name, epoch, time.time, {f"epoch_{key}": value for key, value in told.items()})

    def _add(self, name: str, step: int, time: float, scalars: Scalars) -> None:
        path = self._folder / name / FILE
        if name not in self._begun:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(framed(_first(self._started))))
            self._begun.add(name)
        with path.open("ab") as file:
            file.write(b"".join(framed(event(step, time, scalars))))


def event(step: int, time: float, scalars: Scalars) -> bytes:
    """A `tensorflow.Event` with a summary of scalars.

    Args:
        step: what TensorBoard has them stand at.
        time: seconds since 1970.
        scalars: by tag; kept as float32.
    """
    values = b"".join(
        _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in scalars.items()
    )
    return b"\x09" + struct.pack("<d", time) + b"\x10" + varint(step) + _field(5, values)


def _first(time: float) -> bytes:
    """What every event file begins with: the version of its format."""
    return b"\x09" + struct.pack("<d", time) + _field(3, b"brain.Event:2")


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def _is_validation(key: str) -> bool:
    return key.startswith("val_")
