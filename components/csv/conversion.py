"""From cells as text to values of a stated type, and which cells don't fit.

Text is converted as a whole column by Arrow; only a column in which that fails is looked at more closely.
Spaces around a number don't count. `nan` is missing. An infinite value is a number that no later step can
use, so it counts as a bad value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..ingestion.times import TIMESTAMP, parse_times

INTEGER = r"^[-+]?[0-9]+(\.0*)?$"
"""Other software writes 1.0 where a column of whole numbers has missing values."""
NUMBER = r"(?i)^[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|inf(inity)?|nan)$"
_NAN = "(?i)^[-+]?nan$"
_GROUPED = r"[0-9]{1,3}([ ',.\x{00A0}\x{202F}][0-9]{3})+"
DRESSED = rf"^[-+(]?\s*[$€£¥]?\s*[-+]?([0-9]+|{_GROUPED})([.,][0-9]+)?\s*[%$€£¥]?\)?$"
"""Numbers as people write them: 1,5 or 1 234,50 or $ 12 or 7 %. They are read as strings."""
TRUE = ("true", "True", "TRUE")
FALSE = ("false", "False", "FALSE")
RESERVED = -(1 << 63)
"""The least int64 stands for a missing whole number at serving, so that no cell may be it."""
_TRIED = 64
_OF_NUMBERS = np.isin(np.arange(256), np.frombuffer(b"0123456789+-.eEinftyaINFTYA", np.uint8))
"""The bytes that a text may hold which `NUMBER` matches."""
_LENIENT_TRUE = ("true", "t", "yes", "y", "1")
_LENIENT_FALSE = ("false", "f", "no", "n", "0")
ARROW = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp": TIMESTAMP,
}


def convert(text: pa.Array, kind: str, missing: tuple[str, ...]) -> tuple[pa.Array, Any]:
    """Converts a column.

    Args:
        text: strings; missing values are null.
        kind: `int`, `float`, `bool`, `string`, `timestamp`, or `timestamp:` and a pattern, `s`, `ms` or `us`.
        missing: texts that are missing values once spaces around them are gone.

    Returns:
        The values, with null where a cell doesn't fit, and a bool mask [n] of those cells or None.
    """
    if kind == "string":
        return text, None
    kind, _, pattern = kind.partition(":")
    if text.null_count == len(text):
        return pa.nulls(len(text), ARROW[kind]), None
    if kind == "timestamp":
        text = trimmed(text, missing)
        values = parse_times(text, pattern)
        lost = pc.and_(pc.is_valid(text), pc.is_null(values))
        return values, lost.to_numpy(zero_copy_only=False) if pc.any(lost).as_py() else None
    values = {"int": as_int, "float": as_float, "bool": as_bool}[kind](text)
    if values is None:
        text = trimmed(text, missing)
        values = {"int": as_int, "float": as_float, "bool": _as_bool_leniently}[kind](text)
    if values is None:
        values = _convert_fitting(text, kind)
    if kind == "float":
        values = without_infinite(values)
    lost = values.null_count - text.null_count
    if kind == "float" and lost:
        lost -= pc.sum(pc.match_substring_regex(text, _NAN)).as_py() or 0
    if not lost:
        return values, None
    bad = pc.and_(pc.is_valid(text), pc.is_null(values))
    if kind == "float":
        bad = pc.and_(bad, pc.invert(pc.fill_null(pc.match_substring_regex(text, _NAN), False)))
    return values, bad.to_numpy(zero_copy_only=False)


def as_int(text: pa.Array) -> pa.Array | None:
    """int64 values of a column that holds nothing else, or None."""
    if b"." in _content(text):
        return None
    values = _cast(text, pa.int64())
    if values is None or pc.min(values).as_py() == RESERVED:
        return None
    # Arrow also takes 0x10 for a number.
    return None if has_codes(text) and pc.any(pc.match_substring_regex(text, "(?i)x")).as_py() else values


def as_float(text: pa.Array) -> pa.Array | None:
    """float64 values of a column that holds nothing else, `nan` as null and infinity as it is, or None."""
    values = _cast(text, pa.float64())
    if values is None or not pc.any(found := pc.is_nan(values)).as_py():
        return values
    # Arrow also takes nan(x1) for a number.
    if not pc.all(pc.match_substring_regex(text.filter(found), _NAN)).as_py():
        return None
    return pc.if_else(found, None, values)


def _cast(text: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Arrow's cast, or None. The first cells are tried alone, since a failure costs an error text a cell."""
    try:
        pc.cast(text[:_TRIED], kind)
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        return None


def _content(text: pa.Array) -> bytes:
    content, offsets = _bytes(text)
    return content[offsets[0] : offsets[-1]].tobytes() if len(content) else b""


def nan_to_null(values: pa.Array) -> pa.Array:
    """float64 values with null in the place of NaN."""
    found = pc.is_nan(values)
    return pc.if_else(found, None, values) if pc.any(found).as_py() else values


def as_bool(text: pa.Array) -> pa.Array | None:
    """bool values of a column of `true` and `false`, or None."""
    if not pc.all(pc.is_in(text, pa.array([*TRUE, *FALSE, None]))).as_py():
        return None
    return _mark_missing(pc.is_in(text, pa.array(TRUE)), text)


def _as_bool_leniently(text: pa.Array) -> pa.Array:
    lowered = pc.utf8_lower(text)
    true = pc.is_in(lowered, pa.array(_LENIENT_TRUE))
    known = pc.or_(true, pc.is_in(lowered, pa.array(_LENIENT_FALSE)))
    return pc.if_else(known, true, None)


def _mark_missing(values: pa.Array, text: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_null(text), None, values) if text.null_count else values


def has_codes(text: pa.Array) -> bool:
    """Whether an integer-like cell begins with a zero that a number wouldn't keep: `007`, `-01`, `0x1f`."""
    content, offsets = _bytes(text)
    if not len(content):
        return False
    first, length = offsets[:-1], offsets[1:] - offsets[:-1]
    last = len(content) - 1
    signed = (content[np.minimum(first, last)] == ord("-")) | (content[np.minimum(first, last)] == ord("+"))
    first, length = first + signed, length - signed
    following = content[np.minimum(first + 1, last)]
    digit = (
        ((following >= ord("0")) & (following <= ord("9")))
        | (following == ord("x"))
        | (following == ord("X"))
    )
    found = (length > 1) & (content[np.minimum(first, last)] == ord("0")) & digit
    return bool(found.any())


def _bytes(text: pa.Array) -> tuple[Any, Any]:
    """The UTF-8 bytes uint8 and the offsets int64 [n + 1] of a string column; empty where null."""
    _, offsets, content = text.buffers()
    if content is None or not len(text):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    places = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1].astype(np.int64)
    return np.frombuffer(content, np.uint8), places


def trimmed(text: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """The cells without spaces around them; null where nothing or a mark for a missing value is left."""
    bare = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.is_in(bare, pa.array(["", *missing])), None, bare)


def numbers(text: pa.Array) -> Any:
    """Which cells are numbers, bool [n]; False where missing."""
    maybe = _made_of(text, _OF_NUMBERS)
    found = np.zeros(len(text), bool)
    if maybe.any():
        # Most words are told by a letter, and the expression costs far more.
        found[maybe] = matches(text.filter(pa.array(maybe)), NUMBER)
    return found


def _made_of(text: pa.Array, allowed: Any) -> Any:
    """Which cells hold none but allowed bytes, and one at least; bool [n], `allowed` bool [256]."""
    content, offsets = _bytes(text)
    full = offsets[1:] > offsets[:-1]
    made = np.zeros(len(text), bool)
    if full.any():
        # What is full begins where the one before it that is full ended.
        held = allowed[content[offsets[0] : offsets[-1]]]
        made[full] = np.logical_and.reduceat(held, (offsets[:-1] - offsets[0])[full])
    return made


def matches(text: pa.Array, pattern: str) -> Any:
    """Which cells match, bool [n]; False where missing. Looks at each distinct cell once where that pays."""
    encoded = text.dictionary_encode()
    if len(encoded.dictionary) * 4 < len(text):
        found = pc.match_substring_regex(encoded.dictionary, pattern).to_numpy(zero_copy_only=False)
        found = np.append(found, False)
        return found[pc.fill_null(encoded.indices, len(found) - 1).to_numpy(zero_copy_only=False)].astype(
            bool
        )
    return pc.fill_null(pc.match_substring_regex(text, pattern), False).to_numpy(zero_copy_only=False)


def without_infinite(values: pa.Array) -> pa.Array:
    """float64 values with null in the place of infinity."""
    found = pc.is_inf(values)
    return pc.if_else(found, None, values) if pc.any(found).as_py() else values


def _convert_fitting(text: pa.Array, kind: str) -> pa.Array:
    """Converts the cells that fit; null for the others."""
    fits = matches(text, INTEGER) if kind == "int" else numbers(text)
    kept = pc.if_else(pa.array(fits), text, None)
    if kind == "float":
        values = as_float(kept)
        assert values is not None, "Arrow reads every text that NUMBER matches"
        return values
    kept = pc.replace_substring_regex(kept, r"^\+|\.0*$", "")
    try:
        values = pc.cast(kept, pa.int64())
    except pa.ArrowInvalid:  # an integer beyond 64 bits
        return pa.array([_int64(cell) for cell in kept.to_pylist()], pa.int64())
    return pc.if_else(pc.equal(values, RESERVED), None, values)


def _int64(cell: str | None) -> int | None:
    value = int(cell) if cell is not None and len(cell) < 40 else None
    return value if value is not None and RESERVED < value < 1 << 63 else None
