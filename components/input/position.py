"""Where a training is in its examples. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Position:
    """A place in the endless stream of the examples of all epochs, between two of them.

    It counts examples, and neither batches nor bytes, so that it means the same for any batch size, any
    number of replicas and hosts, and any cache.

    Attributes:
        epoch: counted from 0.
        examples: how many of its examples were consumed.
    """

    epoch: int = 0
    examples: int = 0

    def after(self, examples: int, rows: int) -> Position:
        """The place behind that many more examples, where an epoch has `rows` of them.

        An epoch is over with its last example: behind it, the place is the beginning of the next one.
        """
        epochs, rest = divmod(self.examples + examples, rows)
        return Position(self.epoch + epochs, rest)


BEGIN = Position()
"""Before the first example of the first epoch."""
