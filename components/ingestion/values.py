"""From Arrow columns as a file holds them to values of our types, and which of them don't fit.

NaN is missing, and so are an empty text and an empty list. Missing values in a list are left out. An infinite
number, a whole number beyond int64 or the least int64 (it stands for a missing one at serving), bytes that
aren't UTF-8, NUL, and a point in time beyond int64 microseconds are bad values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from ..csv.conversion import RESERVED, convert, nan_to_null
from .kinds import ARROW, ELEMENTS, is_list, is_text, kind_of
from .times import parse_times, scaled

_LARGEST = (1 << 63) - 1
_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1}
_DAY = 86_400_000_000
_LONG_TEXT = 10_000


class Bad(NamedTuple):
    """Values that don't fit: which ones, bool [n], and what is wrong with them."""

    mask: Any
    what: str


class Values(NamedTuple):
    """A column's values, null where missing or bad, and the bad ones."""

    array: pa.Array
    bad: list[Bad]


def read_values(column: pa.Array, stated: str) -> Values:
    """The values of a column.

    Args:
        column: of any Arrow type that `kind_of` knows; or, for images, of structs that hold bytes.
        stated: the type to give them, perhaps with a second part (`timestamp:ms`).
    """
    column = _plain(column)
    kind, _, pattern = stated.partition(":")
    if kind == "image" and not at.is_null(column.type):
        from .image_values import read_images  # what decodes images is not for every worker

        return read_images(column)
    own = kind_of(column.type)
    if own == "null":
        return Values(pa.nulls(len(column), ARROW[kind]), [])
    if is_list(column.type):
        return _lists(column, ELEMENTS[kind])
    found = _NATURAL[own](column)
    if own == kind:
        return found
    made = _coerced(found.array, own, kind, pattern)
    return Values(made.array, [*found.bad, *made.bad])


def _plain(column: pa.Array) -> pa.Array:
    """Without extension types and dictionaries."""
    while isinstance(column.type, pa.BaseExtensionType) or at.is_dictionary(column.type):
        column = column.dictionary_decode() if at.is_dictionary(column.type) else column.storage
    return column


def _mask(values: pa.Array) -> Any:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


def _without(values: pa.Array, mask: Any, what: str) -> Values:
    """Puts null in the place of the values in the mask."""
    if not mask.any():
        return Values(values, [])
    return Values(pc.if_else(pa.array(mask), None, values), [Bad(mask, what)])


def _int(column: pa.Array) -> Values:
    if at.is_uint64(column.type):
        mask = _mask(pc.greater(column, pa.scalar(_LARGEST, pa.uint64())))
        return _without(pc.cast(column, pa.int64(), safe=False), mask, "is beyond 64 bits with a sign")
    values = pc.cast(column, pa.int64())
    if not at.is_int64(column.type):
        return Values(values, [])
    mask = _mask(pc.equal(values, RESERVED))
    return _without(values, mask, "stands for a missing number at serving")


def _float(column: pa.Array) -> Values:
    values = nan_to_null(pc.cast(column, pa.float64(), safe=False))
    return _without(values, _mask(pc.is_inf(values)), "is infinite")


def _bool(column: pa.Array) -> Values:
    return Values(column, [])


def _text(column: pa.Array) -> Values:
    kind = (
        pa.large_binary()
        if at.is_large_string(column.type) or at.is_large_binary(column.type)
        else pa.binary()
    )
    content = pc.cast(column, kind)
    bad: list[Bad] = []
    try:
        text = pc.cast(content, pa.string())
    except pa.ArrowInvalid:
        mask = np.fromiter(map(_is_no_text, content.to_pylist()), bool, len(content))
        content, bad = _without(content, mask, "is not UTF-8")
        text = pc.cast(content, pa.string())
    if _holds_nul(text):
        mask = _mask(pc.match_substring(text, "\0"))
        text, more = _without(text, mask, "holds a NUL character")
        bad += more
    empty = pc.equal(text, "")
    return Values(pc.if_else(empty, None, text) if pc.any(empty).as_py() else text, bad)


def _holds_nul(text: pa.Array) -> bool:
    content = text.buffers()[2]
    return content is not None and bool((np.frombuffer(content, np.uint8) == 0).any())


def _is_no_text(content: bytes | None) -> bool:
    try:
        return content is not None and not (content.decode() or True)
    except UnicodeDecodeError:
        return True


def _timestamp(column: pa.Array) -> Values:
    kind = column.type
    factor = (
        _DAY if at.is_date32(kind) else _PER_UNIT["ms"] if at.is_date64(kind) else _PER_UNIT.get(kind.unit, 0)
    )
    # Not by a cast to another unit, which fails as a whole where one value leaves int64.
    count = pc.cast(pc.cast(column, pa.int32()) if at.is_date32(kind) else column, pa.int64())
    if not factor:
        whole = np.floor_divide(pc.fill_null(count, 0).to_numpy(zero_copy_only=False), 1000)
        values = pa.array(whole, pa.int64(), mask=_mask(count.is_null()))
        return Values(values.cast(ARROW["timestamp"]), [])
    outside = pc.or_(pc.greater(count, _LARGEST // factor), pc.less(count, -(_LARGEST // factor)))
    fitting, bad = _without(count, _mask(outside), "is beyond int64 microseconds")
    return Values(pc.multiply(fitting, factor).cast(ARROW["timestamp"]), bad)


_NATURAL = {"int": _int, "float": _float, "bool": _bool, "string": _text, "timestamp": _timestamp}


def _coerced(values: pa.Array, own: str, kind: str, pattern: str) -> Values:
    """Values of one of our types as another one; see `options.CONVERTIBLE`."""
    if own == "string" and kind != "timestamp":
        made, mask = convert(values, kind, ("",))
        article = {"int": "a whole number", "float": "a finite number", "bool": "true or false"}[kind]
        return Values(made, [] if mask is None else [Bad(mask, f"is not {article}")])
    if kind == "timestamp":
        made = scaled(values, _PER_UNIT[pattern]) if own == "int" else parse_times(values, pattern)
        return _lost(values, made, f"is no point in time ({pattern})" if pattern else "is no ISO 8601 date")
    if own == "float" and kind == "int":
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), float(1 << 63)))
        return _lost(values, pc.cast(pc.if_else(whole, values, None), pa.int64()), "is not a whole number")
    if own == "int" and kind == "bool":
        known = pc.is_in(values, pa.array([0, 1]))
        made = pc.if_else(known, pc.equal(values, 1), None)
        return _lost(values, made, "is neither 0 nor 1")
    if own == "timestamp" and kind == "string":
        return Values(pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ"), [])
    return Values(pc.cast(values, ARROW[kind], safe=False), [])


def _lost(before: pa.Array, after: pa.Array, what: str) -> Values:
    if after.null_count == before.null_count:
        return Values(after, [])
    return Values(after, [Bad(_mask(pc.and_(before.is_valid(), after.is_null())), what)])


def _lists(column: pa.Array, element: str) -> Values:
    """Lists of values, null where no value is left."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    elements, bad = read_values(pc.list_flatten(column), element)
    owner = np.repeat(np.arange(len(column)), lengths)
    bad_rows = [Bad(np.bincount(owner[mask], minlength=len(column)) > 0, what) for mask, what in bad]
    kept = elements.is_valid().to_numpy(zero_copy_only=False)
    counts = np.bincount(owner[kept], minlength=len(column))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    array = pa.ListArray.from_arrays(
        pa.array(offsets), elements if kept.all() else elements.drop_null(), mask=pa.array(counts == 0)
    )
    return Values(array, [Bad(mask, f"holds a value that {what}") for mask, what in bad_rows])


def shown(column: pa.Array, row: int, most: int = 80) -> str:
    """A value as a message shows it, whatever it is."""
    value = column[row]
    try:
        told = value.as_py()
    except (UnicodeDecodeError, OverflowError, ValueError):
        told = _raw(column.slice(row, 1))
    if isinstance(told, dict):
        told = {name: _brief(value) for name, value in told.items()}
    told = _brief(told)
    if isinstance(told, bytes):
        told = told.decode("utf-8", "backslashreplace")
    text = told if isinstance(told, str) else str(told)
    return text if len(text) <= most else text[:most] + "…"


def _brief(value: Any) -> Any:
    """Bytes that are too long to be text as their number."""
    long = isinstance(value, bytes) and len(value) > _LONG_TEXT
    return f"<{len(value):,} bytes>" if long else value


def _raw(column: pa.Array) -> Any:
    column = _plain(column)
    if is_list(column.type):
        inside = pc.list_flatten(column)
        return [shown(inside, place) for place in range(len(inside))]
    plain = pa.binary() if is_text(column.type) else pa.int32() if at.is_date32(column.type) else pa.int64()
    return pc.cast(column, plain)[0].as_py()
