"""Several Examples artifacts as one: which of them each example is of is a matter of counting.

A mixture comes in rounds of `ROUND` examples. Each round has as many of each source as its weight says, in an
order that is a hash of (seed, round). So the shares are exact in every round, and how many examples of each
source come before a position needs no memory of what was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError

ROUND = 1000
"""Examples in which the shares are exact; a share is a multiple of 1/ROUND."""


@dataclass(frozen=True)
class Mixture:
    """What `mix` made; `dataset()` and `iterate()` take it for examples.

    Attributes:
        examples: the artifacts.
        counts: how many examples of each are in a round.
        repeat: whether an artifact that is used up begins anew, with the order of its next epoch.
    """

    examples: tuple[Examples, ...]
    counts: tuple[int, ...]
    repeat: bool = True

    def rows(self, split: str) -> int:
        """Examples in an epoch: of all artifacts together; without `repeat`, until one is used up."""
        rows = [examples.rows(split) for examples in self.examples]
        if self.repeat:
            return sum(rows)
        return ROUND * min(own // count for own, count in zip(rows, self.counts, strict=True))


def mix(
    examples: Sequence[Examples], weights: Sequence[float] | None = None, *, repeat: bool = True
) -> Mixture:
    """Several Examples artifacts as one, for `dataset()` and `iterate()`.

    Every 1,000 examples have the shares that the weights ask for, to a thousandth. Each artifact is a stream
    of its own, shuffled as `dataset()` is told. An epoch of the mixture is as many examples as the artifacts
    have together, so that in it a heavy one comes more than once, and a light one not wholly: the next epoch
    goes on where it ended.

    Args:
        examples: transformed examples, of one transform.
        weights: positive numbers, of which only the ratios count; by default the artifacts' train splits, or
            all splits, are weighed by their rows.
        repeat: whether an artifact that is used up begins anew. Without it the mixture ends with the last
            thousand for which every artifact has examples left.

    Raises:
        DataError: there are fewer than two artifacts, their features or labels differ, or a weight isn't a
            positive number.
    """
    told = (
        weights if weights is not None else [sum(s["rows"] for s in one.splits.values()) for one in examples]
    )
    if len(examples) < 2 or len(told) != len(examples):
        raise DataError(
            f"{len(told)} weights are given for {len(examples)} artifacts; it takes two artifacts at least",
            argument="weights",
        )
    if not all(weight > 0 and math.isfinite(weight) for weight in told):
        raise DataError(f"a weight is a number above 0, and these are {list(told)}", argument="weights")
    kinds = [
        {k: v for k, v in one.properties.items() if k not in ("splits", "compression")} for one in examples
    ]
    for place, kind in enumerate(kinds):
        differing = sorted(key for key in {*kind, *kinds[0]} if kind.get(key) != kinds[0].get(key))
        if differing:
            raise DataError(
                f"artifact {place + 1} has other {' and '.join(differing)} than the first",
                argument="examples",
                remedy="mix what one transform made",
            )
    return Mixture(tuple(examples), _counts(told), repeat)


def _counts(weights: Sequence[float]) -> tuple[int, ...]:
    """Examples of each in a round, by largest remainders, and one of each at least."""
    exact = [ROUND * weight / sum(weights) for weight in weights]
    counts = [max(1, math.floor(one)) for one in exact]
    while sum(counts) != ROUND:
        step = 1 if sum(counts) < ROUND else -1
        able = [place for place, count in enumerate(counts) if count + step >= 1]
        counts[max(able, key=lambda place: step * (exact[place] - counts[place]))] += step
    return tuple(counts)
