"""Names of a signature's inputs: what TensorFlow takes, unique ignoring case, like the columns' own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

RESERVED = ("self", "args", "kwargs")
"""Names that TensorFlow's own functions take, so that an input can't have them."""
MOST = 60
"""Characters of a name at most, before the number that makes it unique."""


def serving_names(columns: Iterable[str]) -> dict[str, str]:
    """An input name for each column, in order.

    Letters lose their accents, what is no ASCII letter, digit or underscore becomes one underscore, a name
    that doesn't begin with a letter or is reserved gets `c_` before it, and one that is taken, ignoring
    case, gets a number behind it: `Median Income ($)` → `Median_Income`, `größe` → `gro_e`, `2nd` → `c_2nd`,
    `a` beside `A` → `a_2`.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns:
        plain = _plain(column)
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        names[column] = name
    return names


def _plain(column: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", column) if not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9_]+", "_", bare).strip("_")[:MOST]
    return name if name[:1].isalpha() and name not in RESERVED else f"c_{name}" if name else "c"
