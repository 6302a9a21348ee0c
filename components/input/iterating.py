"""An iterator over batches whose place can be saved and restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import tensorflow as tf

from ...pipelines.errors import DataError
from .position import Position
from .source import Wanted


class Reader(Protocol):
    """Gives batches from any position on: a `Source` or a `MixedSource`.

    Attributes:
        rows: examples in an epoch.
    """

    rows: int

    def batches(self, start: Position, epochs: int | None) -> tf.data.Dataset:
        """Batches from a position on, of so many epochs, or without end."""


class Batches(Iterator[tuple[Any, ...]]):
    """Batches of a split, with a state; see `iterate`.

    Args:
        reader: gives the batches.
        wanted: how they were asked for.
        start: where they begin.
        epochs: how many; None without end.
        of: what the examples and their order are told by; a state fits where this is equal.
    """

    def __init__(
        self, reader: Reader, wanted: Wanted, start: Position, epochs: int | None, of: Mapping[str, Any]
    ) -> None:
        if epochs is None and reader.rows < wanted.batch_size and wanted.remainder in ("drop", "carry"):
            raise DataError(
                f"batch_size is {wanted.batch_size:,}, and an epoch has {reader.rows:,} examples",
                argument="batch_size",
            )
        self._reader, self._wanted, self._of = reader, wanted, dict(of)
        self._end = None if epochs is None else start.epoch + epochs
        self._position = start
        self._batches: Iterator[Any] | None = None

    @property
    def position(self) -> Position:
        """Where the next batch begins."""
        return self._position

    def __next__(self) -> tuple[Any, ...]:
        """The next batch, a tuple as `dataset()` gives it."""
        if self._batches is None:
            if self._end is not None and self._position.epoch >= self._end:
                raise StopIteration
            epochs = None if self._end is None else self._end - self._position.epoch
            self._batches = iter(self._reader.batches(self._position, epochs))
        batch: tuple[Any, ...] = next(self._batches)
        self._position = self._behind()
        return batch

    def state(self) -> dict[str, Any]:
        """Where the next batch begins, and of what, as JSON values; to be saved with the weights."""
        return {"epoch": self._position.epoch, "examples": self._position.examples, **self._of}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes to where a state was told: the next batch begins with the very next example.

        The batch size may be another one, and so may the number of hosts, the cache and what becomes of a
        remainder; it is counted in examples.

        Raises:
            DataError: it is the state of other examples, or of another order, or tells no place in them.
        """
        differing = [key for key, value in self._of.items() if state.get(key) != value]
        if differing:
            told = ", ".join(f"{key} {state.get(key)!r} and not {self._of[key]!r}" for key in differing)
            raise DataError(f"the state is of other batches: {told}", argument="state")
        place = Position(int(state["epoch"]), int(state["examples"]))
        if place.epoch < 0 or not 0 <= place.examples < max(self._reader.rows, 1):
            what = (
                f"there is no example {place.examples} in epoch {place.epoch} of {self._reader.rows:,} each"
            )
            raise DataError(what, argument="state")
        self._position = place
        self._batches = None

    def _behind(self) -> Position:
        """The position behind the batch that begins at the present one."""
        rows, size = self._reader.rows, self._wanted.batch_size
        place = self._position
        if self._wanted.remainder == "drop" and rows - place.examples < size:
            place = Position(place.epoch + 1)  # what was left filled no batch
        if self._wanted.remainder == "carry":
            return place.after(size, rows)
        return place.after(min(size, rows - place.examples), rows)
