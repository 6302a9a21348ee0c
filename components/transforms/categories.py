"""Strings and whole numbers to ids and one-hots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec

from .base import Analyzer, Constants, Kind, Results, Transform

Whole = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True)
class Vocabulary(Transform):
    """Ids by descending count in the train split, ties by value descending, as TFT orders them.

    With k values kept: 0 … k-1 are these values, k … k+oov_buckets-1 the values that are not among them
    (by hash, if there are several such ids), and the last id is a missing value.

    Attributes:
        top_k: how many values are kept at most.
        min_count: how often a value has to occur to be kept.
        oov_buckets: how many ids the other values share.
    """

    top_k: Whole | None = None
    min_count: Whole = 1
    oov_buckets: Whole = 1
    name: ClassVar[str] = "vocabulary"
    takes: ClassVar[tuple[Kind, ...]] = ("string", "strings", "ints")
    first: ClassVar[tuple[str, ...]] = ("top_k",)
    label: ClassVar[str] = "class"

    def gives(self, kind: Kind) -> Kind:
        """Ids."""
        return "ids" if kind == "string" else "id_lists"

    def size(self, constants: Constants, size: int) -> int:
        """Values, unknown, missing."""
        return len(constants["keys"]) + self.oov_buckets + 1

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of strings."""
        return ("strings",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The values in the order of their ids."""
        return {"keys": results.vocabulary(self.top_k, self.min_count)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        if xp.is_ragged(column):
            text = xp.to_string(xp.values(column))
            return xp.like(column, look_up(xp, text, constants["keys"], self.oov_buckets))
        return look_up(xp, column, constants["keys"], self.oov_buckets)


@dataclass(frozen=True)
class OneHot(Transform):
    """A one-hot with a slot for each value, then one for unknown values, then one for missing ones.

    Values are ordered by descending count in the train split, ties by value descending. What is ids
    already (`[{hash: 100}, one_hot]`) gets a slot for each id.

    Attributes:
        top_k: how many values get a slot of their own at most.
        min_count: how often a value has to occur to get one.
    """

    top_k: Whole | None = None
    min_count: Whole = 1
    name: ClassVar[str] = "one_hot"
    takes: ClassVar[tuple[Kind, ...]] = ("string", "ids", "one_hot")
    first: ClassVar[tuple[str, ...]] = ("top_k",)

    def gives(self, kind: Kind) -> Kind:
        """One-hots."""
        return "one_hot"

    def size(self, constants: Constants, size: int) -> int:
        """Values, unknown, missing; or as many as there were ids."""
        return len(constants["keys"]) + 2 if "keys" in constants else size

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of strings, nothing where ids come in."""
        return ("strings",) if kind == "string" else ()

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The values in the order of their slots."""
        return {"keys": results.vocabulary(self.top_k, self.min_count)} if kind == "string" else {}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """The ids; they are expanded where the model's input is made."""
        return look_up(xp, column, constants["keys"], 1) if "keys" in constants else column


@dataclass(frozen=True)
class Hash(Transform):
    """`tf.strings.to_hash_bucket_fast`: FarmHash's 64-bit fingerprint modulo `buckets`.

    A missing value is hashed as the empty string.
    """

    buckets: Annotated[int, msgspec.Meta(ge=2, le=2**31)]
    name: ClassVar[str] = "hash"
    takes: ClassVar[tuple[Kind, ...]] = ("string", "strings", "ints")
    first: ClassVar[tuple[str, ...]] = ("buckets",)

    def gives(self, kind: Kind) -> Kind:
        """Ids."""
        return "ids" if kind == "string" else "id_lists"

    def size(self, constants: Constants, size: int) -> int:
        """The number of buckets."""
        return self.buckets

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        if xp.is_ragged(column):
            return xp.like(column, xp.hash_bucket(xp.to_string(xp.values(column)), self.buckets))
        return xp.hash_bucket(column, self.buckets)


@dataclass(frozen=True)
class Count(Transform):
    """How often a value occurs in the train split; 0 for one that doesn't, and for a missing one.

    Attributes:
        top_k: how many values are counted at most, the most frequent ones; the others have 0.
    """

    top_k: Whole | None = None
    name: ClassVar[str] = "count"
    takes: ClassVar[tuple[Kind, ...]] = ("string",)
    first: ClassVar[tuple[str, ...]] = ("top_k",)

    def gives(self, kind: Kind) -> Kind:
        """A number."""
        return "float"

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of strings."""
        return ("strings",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The values, and the number of each, with a 0 behind."""
        found = results.string_counts(self.top_k)
        return {
            "keys": [key for key, _ in found],
            "numbers": [*(self.number(n, results) for _, n in found), 0.0],
        }

    def number(self, count: int, results: Results) -> float:
        """What stands for a value that occurs `count` times."""
        return float(count)

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        found = xp.look_up(column, constants["keys"])
        last = xp.full_like(found, xp.length(constants["keys"]))
        return xp.take(constants["numbers"], xp.where((found < 0) | xp.is_empty(column), last, found))


@dataclass(frozen=True)
class Frequency(Count):
    """The share of the train split's values that are this one; 0 for one not among them, or missing."""

    name: ClassVar[str] = "frequency"

    def number(self, count: int, results: Results) -> float:
        """The share."""
        return count / results.count


def look_up(xp: Any, column: Any, keys: Any, oov_buckets: int) -> Any:
    """Positions in `keys`; then `oov_buckets` ids for other values, by hash; then one for missing."""
    found = xp.look_up(column, keys)
    count = xp.length(keys)
    unknown = xp.hash_bucket(column, oov_buckets) + count if oov_buckets > 1 else xp.full_like(found, count)
    known = xp.where(found < 0, unknown, found)
    return xp.where(xp.is_empty(column), xp.full_like(found, count + oov_buckets), known)
