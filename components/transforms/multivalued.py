"""Cells with several values, and free text: strings → lists of strings → ids, counts and sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec

from .base import Analyzer, Constants, Kind, Results, Transform

_LITERAL = r"\\[pP]\{[^}]*\}|\\[^1-9]|\[\^?\]?(?:\\.|[^\]])*\]"
_NOT_RE2 = r"\(\?(?:<?[=!]|[>(#]|P[=>])|\\[1-9]|[*+?}]\+"
"""What Python's expressions have and RE2's don't; how often a thing may repeat is found when it is used."""
Buckets = Annotated[int, msgspec.Meta(ge=2, le=2**20)]


@dataclass(frozen=True)
class Split(Transform):
    """A cell such as `red|blue` cut at each separator; spaces around a value and empty values are left out.

    Attributes:
        separator: one or more characters, taken literally.
    """

    separator: Annotated[str, msgspec.Meta(min_length=1)] = "|"
    name: ClassVar[str] = "split"
    takes: ClassVar[tuple[Kind, ...]] = ("string",)
    first: ClassVar[tuple[str, ...]] = ("separator",)

    def gives(self, kind: Kind) -> Kind:
        """Lists of strings."""
        return "strings"

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return xp.split(column, self.separator)


@dataclass(frozen=True)
class Tokens(Transform):
    """Free text cut into words, as Keras' `TextVectorization` without its vocabulary.

    Attributes:
        split_by: an RE2 expression of what stands between tokens; RE2 never backtracks, so no expression
            runs for ever. By default everything but letters, digits and `_`.
        lower: whether letters are made small first, as Unicode 13 has them; of letters that came later each
            plane's library knows its own share.
    """

    split_by: Annotated[str, msgspec.Meta(min_length=1)] = r"[^\p{L}\p{N}_]+"
    lower: bool = True
    name: ClassVar[str] = "tokens"
    takes: ClassVar[tuple[Kind, ...]] = ("string",)
    first: ClassVar[tuple[str, ...]] = ("split_by",)

    def problem(self, kind: Kind | None) -> str:
        """The expression has to be one."""
        import re

        outside_python = r"\p" in self.split_by or r"\P" in self.split_by or "[:" in self.split_by
        found = re.search(_NOT_RE2, re.sub(_LITERAL, "", self.split_by))
        if found:
            return (
                f"{self.split_by!r} has {found[0]}; RE2 has no look-around, back-references or possessive +"
            )
        try:
            if not outside_python:
                re.compile(self.split_by)
        except re.error as error:
            return f"{self.split_by!r} is no regular expression: {error}"
        return ""

    def gives(self, kind: Kind) -> Kind:
        """Lists of strings."""
        return "strings"

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return xp.tokens(column, self.split_by, self.lower)


@dataclass(frozen=True)
class MultiHot(Transform):
    """A slot for each value, 1 where the row has it; values the train split doesn't have share a last slot.

    As the output `multi_hot` of Keras' `StringLookup`. Values are ordered by descending count, ties by value
    descending. A row without values is all zeros. A label made so has no slot for unknown values; they are
    an error, unless `top_k` or `min_count` leaves values out: then a row is labelled with those kept.

    Attributes:
        top_k: how many values get a slot of their own at most.
        min_count: how often a value has to occur to get one.
    """

    top_k: Annotated[int, msgspec.Meta(ge=1)] | None = None
    min_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    name: ClassVar[str] = "multi_hot"
    takes: ClassVar[tuple[Kind, ...]] = ("strings", "ints")
    first: ClassVar[tuple[str, ...]] = ("top_k",)
    label: ClassVar[str] = "multi"

    def gives(self, kind: Kind) -> Kind:
        """Numbers, [n, slots]."""
        return "vector"

    def width(self, constants: Constants, width: int) -> int:
        """Values, unknown."""
        return len(constants["keys"]) + 1

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of strings."""
        return ("strings",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The values in the order of their slots."""
        return {"keys": results.vocabulary(self.top_k, self.min_count)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        count = xp.length(constants["keys"])
        found = xp.look_up(xp.to_string(xp.values(column)), constants["keys"])
        ids = xp.like(column, xp.where(found < 0, xp.full_like(found, count), found))
        return xp.minimum(xp.counts(ids, count + 1), 1.0)


@dataclass(frozen=True)
class Bag(Transform):
    """A hashed bag of words: how often a row has values of each bucket, [n, buckets].

    Values are hashed as by `tf.strings.to_hash_bucket_fast`; as scikit-learn's `HashingVectorizer` without
    signs and norm.

    Attributes:
        buckets: how many.
    """

    buckets: Annotated[int, msgspec.Meta(ge=2, le=65_536)]
    name: ClassVar[str] = "bag"
    takes: ClassVar[tuple[Kind, ...]] = ("strings", "ints")
    first: ClassVar[tuple[str, ...]] = ("buckets",)

    def gives(self, kind: Kind) -> Kind:
        """Numbers, [n, buckets]."""
        return "vector"

    def width(self, constants: Constants, width: int) -> int:
        """The buckets."""
        return self.buckets

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        ids = xp.hash_bucket(xp.to_string(xp.values(column)), self.buckets)
        return xp.counts(xp.like(column, ids), self.buckets)


@dataclass(frozen=True)
class Pad(Transform):
    """Ids of several values a row as a sequence of one length: cut behind, or filled up with 0 behind.

    Every id is one higher than before, since 0 is padding.

    Attributes:
        length: ids a row.
    """

    length: Annotated[int, msgspec.Meta(ge=1, le=65_536)]
    name: ClassVar[str] = "pad"
    takes: ClassVar[tuple[Kind, ...]] = ("id_lists",)
    first: ClassVar[tuple[str, ...]] = ("length",)

    def gives(self, kind: Kind) -> Kind:
        """A sequence."""
        return "sequence"

    def size(self, constants: Constants, size: int) -> int:
        """One more than there were ids."""
        return size + 1

    def width(self, constants: Constants, width: int) -> int:
        """The length."""
        return self.length

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return xp.pad(xp.like(column, xp.values(column) + 1), self.length)
