"""Points in time: texts and numbers to microseconds since 1970-01-01 UTC.

ISO 8601 is read as `2024-01-31`, with `T12:30`, seconds, a fraction (cut to microseconds) and a zone (`Z`,
`+01:00`); a text without a zone is UTC. Other texts need a pattern of `strptime` (Python's directives).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .time_patterns import UNITS

TIMESTAMP = pa.timestamp("us", "UTC")
"""The type of a timestamp column at rest."""
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?(Z|[+-][0-9]{2}(:?[0-9]{2})?))?$"
_ISO = rf"{_DATE}({_TIME[:-1]})?$"
_ZONED = r":[0-9.:]+(Z|[+-][0-9:]+)$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT = (1 << 63) - 1


def parse_times(text: pa.Array, pattern: str = "") -> pa.Array:
    """Texts as timestamps, null where they are none or name a day that doesn't exist.

    Args:
        text: strings, null where missing.
        pattern: "" for ISO 8601; `s`, `ms` or `us` for numbers since 1970; or a strptime pattern.

    Returns:
        timestamp[us, UTC] [n].
    """
    if pattern in UNITS:
        return _epochs(text, UNITS[pattern])
    if pattern:
        return _by_dictionary(text, lambda cell: datetime.strptime(cell, pattern))
    bare = pc.utf8_trim_whitespace(text)
    bare = pc.if_else(pc.match_substring_regex(bare, _ISO), bare, None)
    bare = pc.replace_substring(bare, ",", ".")
    bare = pc.replace_substring_regex(bare, r"(\.[0-9]{6})[0-9]+", r"\1")
    bare = pc.replace_substring_regex(bare, r" ([Z+-])", r"\1")
    try:
        return _iso(bare)
    except pa.ArrowInvalid:  # 2024-02-30 or 25:61
        return _by_dictionary(bare, datetime.fromisoformat)


def _iso(text: pa.Array) -> pa.Array:
    zoned = pc.fill_null(pc.match_substring_regex(text, _ZONED), False)
    if not pc.any(zoned).as_py():
        return _utc(pc.cast(text, pa.timestamp("us")))
    with_zone = pc.cast(pc.if_else(zoned, text, None), TIMESTAMP)
    if pc.all(pc.or_(zoned, pc.is_null(text))).as_py():
        return with_zone
    return pc.coalesce(with_zone, _utc(pc.cast(pc.if_else(zoned, None, text), pa.timestamp("us"))))


def _utc(values: pa.Array) -> pa.Array:
    return values.cast(pa.int64()).cast(TIMESTAMP)


def _by_dictionary(text: pa.Array, read: Any) -> pa.Array:
    """Reads each distinct text once."""
    encoded = text.dictionary_encode()
    found: list[int | None] = []
    for cell in encoded.dictionary.to_pylist():
        try:
            moment = read(cell)
        except (ValueError, OverflowError):
            found.append(None)
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found.append((moment - _EPOCH) // timedelta(microseconds=1))
    return pa.array(found, pa.int64()).cast(TIMESTAMP).take(encoded.indices)


def _epochs(text: pa.Array, factor: int) -> pa.Array:
    whole = pc.match_substring_regex(text, r"^\s*[-+]?[0-9]{1,18}\s*$")
    bare = pc.replace_substring(pc.utf8_trim_whitespace(pc.if_else(whole, text, None)), "+", "")
    return scaled(pc.cast(bare, pa.int64()), factor)


def scaled(values: pa.Array, factor: int) -> pa.Array:
    """int64 times `factor` as timestamps; null where that leaves int64."""
    fits = pc.less_equal(pc.abs_checked(values), _LIMIT // factor)
    return pc.multiply(pc.if_else(fits, values, None), factor).cast(TIMESTAMP)


def sort_keys(column: pa.Array) -> tuple[Any, Any]:
    """Keys uint64 [n] in the order of time, and bool [n] where there is none.

    Args:
        column: timestamps, numbers, or ISO 8601 texts.
    """
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = parse_times(column)
    lost = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        values = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
        bits = values.view(np.uint64)
        sign = np.uint64(1 << 63)
        return np.where(bits & sign, ~bits, bits | sign), lost | np.isnan(values)
    if not pa.types.is_boolean(column.type):
        whole = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        return whole.view(np.uint64) ^ np.uint64(1 << 63), lost
    return np.zeros(len(column), np.uint64), np.ones(len(column), bool)
