"""What type a column has, over the whole data.

Each unit of work tells what it saw in a `Profile`: counts and flags of single cells, so that how the data was
cut can't show in it. Profiles are merged in any order and decided once:

    no value at all             float
    whole numbers               int      (within 64 bits, else float)
    numbers, `nan` among them   float
    true and false              bool
    anything else, or a number with a leading zero such as 007, which is a code      string

One rule guards against silence: a column of at least 100 values of which at least 99 % are numbers is meant
as numbers, and the words in it are errors, not a reason to make the column text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .conversion import (
    DRESSED,
    FALSE,
    INTEGER,
    NUMBER,
    RESERVED,
    TRUE,
    as_bool,
    as_float,
    as_int,
    has_codes,
    matches,
    numbers,
    trimmed,
)

STRAY_LEAST = 100
STRAY_SHARE = 0.99
_RANK = {"none": 0, "int": 1, "float": 2}


@dataclass(frozen=True)
class Stray:
    """The first cell of a unit that is not a number.

    Attributes:
        unit, row: where; the row counts from 0 within the unit, bad rows included.
        text: the cell.
    """

    unit: int
    row: int
    text: str


@dataclass(frozen=True)
class Profile:
    """What is known of a column's cells.

    Attributes:
        values: cells that are neither missing nor `nan`.
        numbers: cells that are numbers, infinity included.
        words: cells that are `true` or `false`.
        nans: cells that are `nan`: missing among numbers, a text among texts.
        number_kind: the narrowest of `none`, `int`, `float` that holds the numbers and `nan`.
        codes: whether a number has a leading zero.
        infinite: how many numbers are infinite.
        beyond: how many are whole and don't fit into 64 bits, so that as floats they lose digits.
        stray: the first cell that isn't a number.
    """

    values: int = 0
    numbers: int = 0
    words: int = 0
    nans: int = 0
    number_kind: str = "none"
    codes: bool = False
    infinite: int = 0
    stray: Stray | None = None
    beyond: int = 0

    def merge(self, other: Profile) -> Profile:
        """What both know together."""
        strays = [profile.stray for profile in (self, other) if profile.stray]
        return Profile(
            self.values + other.values,
            self.numbers + other.numbers,
            self.words + other.words,
            self.nans + other.nans,
            max(self.number_kind, other.number_kind, key=_RANK.__getitem__),
            self.codes or other.codes,
            self.infinite + other.infinite,
            min(strays, key=lambda stray: (stray.unit, stray.row)) if strays else None,
            self.beyond + other.beyond,
        )

    @property
    def mixed(self) -> bool:
        """Whether the column is meant as numbers and holds something else too."""
        numeric = self.numbers >= max(STRAY_LEAST, STRAY_SHARE * self.values)
        return numeric and self.numbers < self.values and not self.codes

    @property
    def kind(self) -> str:
        """The column's type: `int`, `float`, `bool` or `string`."""
        if self.codes:
            return "string"
        if self.numbers == self.values or self.mixed:
            return "float" if self.number_kind == "none" else self.number_kind
        return "bool" if self.words == self.values and not self.nans else "string"

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON values."""
        # Not by `asdict`, which copies deeply, and takes longer than to look at a small column.
        told = dict(vars(self))
        return {**told, "stray": vars(self.stray) if self.stray else None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Profile:
        """The other way of `to_json`."""
        stray = values["stray"]
        return cls(**{**values, "stray": Stray(**stray) if stray else None})


def profile(text: pa.Array, missing: Sequence[str]) -> tuple[Profile, int, pa.Array | None]:
    """Looks at one column of a unit.

    Args:
        text: strings; missing values are null.
        missing: texts that stand for missing values.

    Returns:
        The profile without its stray's place; the row of the first stray or -1; and, where the whole column
        is numbers or words, its values, so that nothing is converted twice.
    """
    present = len(text) - text.null_count
    if present == 0:
        return Profile(), -1, None
    bare = text
    found = _numbers(text, present)
    if found is None and _has_spaces(text):
        bare = trimmed(text, tuple(missing))
        found = _numbers(bare, len(bare) - bare.null_count)
    if found is not None:
        return found[0], -1, found[1]
    words = as_bool(bare)
    if words is not None:
        count = len(bare) - bare.null_count
        return Profile(count, words=count), _first(bare.is_valid()), words
    return _mixture(bare)


def _numbers(text: pa.Array, present: int) -> tuple[Profile, pa.Array] | None:
    values = as_int(text)
    kind = "int"
    if values is None:
        values, kind = as_float(text), "float"
    if values is None:
        return None
    infinite = pc.sum(pc.is_inf(values)).as_py() or 0 if kind == "float" else 0
    beyond = _beyond(text, values) if kind == "float" else 0
    held = len(values) - values.null_count
    number_kind = kind if present else "none"
    codes = has_codes(text)
    return Profile(held, held, 0, present - held, number_kind, codes, infinite, None, beyond), values


def _beyond(text: pa.Array, values: pa.Array) -> int:
    """How many cells are whole numbers beyond 64 bits; `values` are the cells as float64."""
    large = pc.fill_null(pc.greater_equal(pc.abs(values), float(1 << 63)), False)
    if not pc.any(large).as_py():
        return 0
    cells = text.filter(large)
    cells = cells.filter(pa.array(matches(cells, INTEGER)))
    # The greatest int64 is 2^63 as a float, too.
    return sum(not RESERVED < int(cell.partition(".")[0]) < 1 << 63 for cell in cells.to_pylist())


def _mixture(text: pa.Array) -> tuple[Profile, int, None]:
    mask = numbers(text)
    count = int(np.count_nonzero(mask))
    seen = Profile()
    if count:
        found = _numbers(text.filter(pa.array(mask)), count)
        assert found is not None, "Arrow reads every text that NUMBER matches"
        seen = found[0]
    others = len(text) - text.null_count - count
    words = pc.sum(pc.is_in(text, pa.array([*TRUE, *FALSE]))).as_py()
    first = _first(pc.and_(text.is_valid(), pc.invert(pa.array(mask))))
    return replace(seen, values=seen.values + others, words=words), first, None


def dressed_number(text: pa.Array) -> str:
    """A cell of a string column that is all numbers in a dress, such as `1,5` or `$ 12`; "" if it isn't."""
    present = pc.drop_null(text)
    if not len(present) or not matches(present, DRESSED).all():
        return ""
    first = ~matches(present, NUMBER)
    return str(present[int(np.argmax(first))]) if first.any() else ""


def _first(mask: pa.Array) -> int:
    return int(np.argmax(mask.to_numpy(zero_copy_only=False)))


def _has_spaces(text: pa.Array) -> bool:
    """Whether any cell begins or ends with white space."""
    return bool(
        pc.any(pc.not_equal(pc.binary_length(text), pc.binary_length(pc.utf8_trim_whitespace(text)))).as_py()
    )
