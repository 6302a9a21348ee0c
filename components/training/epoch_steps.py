"""Epochs, steps and positions of a stage, whose epochs are one stream of examples cut into full batches.

What fills no batch at an epoch's end opens the first batch of the next. So an epoch ends with the step in
which its last example was consumed, and epochs may differ by a step. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..input.position import Position


@dataclass(frozen=True)
class EpochSteps:
    """How a stage's epochs are cut into steps.

    Attributes:
        rows: examples an epoch.
        batch_size: examples a step, at most `rows`.
        epochs: of the stage, at most.
        first: the number of the stage's first epoch, from 0.
    """

    rows: int
    batch_size: int
    epochs: int
    first: int = 0

    @property
    def total(self) -> int:
        """Steps of the whole stage. What fills no batch at its end, less than one batch, is left out."""
        return self.epochs * self.rows // self.batch_size

    @property
    def each(self) -> int:
        """Steps of an epoch, rounded up."""
        return -(-self.rows // self.batch_size)

    def end(self, epoch: int) -> int:
        """The steps of the stage when an epoch ends.

        Args:
            epoch: counted from 0 within the stage.
        """
        return min(-(-(epoch + 1) * self.rows // self.batch_size), self.total)

    def position(self, steps: int) -> Position:
        """Where the stream is after so many steps of the stage."""
        epoch, examples = divmod(steps * self.batch_size, self.rows)
        return Position(self.first + epoch, examples)
