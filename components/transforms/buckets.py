"""Numbers to buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from .base import Analyzer, Constants, Kind, Results, Transform

BucketCount = Annotated[int, msgspec.Meta(ge=2, le=10_000)]
Boundaries = Annotated[list[float], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Bucketize(Transform):
    """The number of boundaries that are at most `x`, as `tft.apply_buckets`; a one-hot for the model.

    Attributes:
        buckets: how many quantile buckets of the train split (fewer if boundaries coincide), with the
            boundaries of `tft.quantiles` where that is exact; or the boundaries themselves, ascending.
        output: `one_hot`, or `ids` for a model that embeds them.

    A missing number has no bucket: impute first.
    """

    buckets: BucketCount | Boundaries
    output: Literal["one_hot", "ids"] = "one_hot"
    name: ClassVar[str] = "bucketize"
    first: ClassVar[tuple[str, ...]] = ("buckets",)

    def problem(self, kind: Kind | None) -> str:
        """Boundaries have to ascend."""
        if isinstance(self.buckets, int):
            return ""
        pairs = zip(self.buckets, self.buckets[1:], strict=False)
        wrong = [f"{b:g} after {a:g}" for a, b in pairs if not a < b]
        return f"boundaries have to ascend: {', '.join(wrong)}" if wrong else ""

    def gives(self, kind: Kind) -> Kind:
        """Ids, either way."""
        return self.output

    def size(self, constants: Constants, size: int) -> int:
        """One more than there are boundaries."""
        return len(constants["boundaries"]) + 1

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of values for quantiles, nothing for given boundaries."""
        return ("values",) if isinstance(self.buckets, int) else ()

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The boundaries."""
        if isinstance(self.buckets, int):
            return {"boundaries": sorted(set(results.cuts(self.buckets)))}
        return {"boundaries": [float(b) for b in self.buckets]}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return xp.bucket(column, constants["boundaries"])
