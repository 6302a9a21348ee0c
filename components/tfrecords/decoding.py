"""tf.Examples, decoded as whole batches with NumPy and Arrow, without TensorFlow.

What every writer produces is read at once for all records: the messages of one level of nesting are followed
in step, the n-th field of each together. A record that is written in any other way that protobuf allows
(unpacked lists, keys behind values, a feature twice, unknown fields, groups) goes through the protobuf
library first, whose own serializer writes it again in the usual way; so does one that is broken, and then the
library says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .example_message import normal_form
from .framing import Records
from .wire import FIRST, SECOND, Parts, UnusualError, delimited, gathered, refuse, repeated

KINDS = ("string", "float", "int")
"""Our types of `bytes_list`, `float_list` and `int64_list`, in the order of their fields' numbers."""
_BATCH_ROWS, _BATCH_BYTES = 4096, 16 << 20
_PAD = np.zeros(16, np.uint8)
_LONGEST_VARINT = 10

Columns = Mapping[tuple[str, str], pa.Array]
"""By a feature's name and kind, its values in each record: lists of int64, float32 or large_binary [n], null
where the record has no such feature of that kind."""


@dataclass(frozen=True)
class Decoded:
    """What a batch of records holds.

    Attributes:
        columns: see `Columns`.
        bad: by the record's index, why it can't be read; it has no features.
    """

    columns: Columns
    bad: Mapping[int, str]


def decode(records: Records) -> Decoded:
    """Decodes serialized tf.Examples."""
    pieces: list[Columns] = []
    rows: list[int] = []
    bad: dict[int, str] = {}
    begin = 0
    while begin < len(records):
        most = int(np.searchsorted(records.ends, records.starts[begin] + _BATCH_BYTES, side="right"))
        end = min(len(records), begin + _BATCH_ROWS, max(most, begin + 1))
        own = _batch(records, begin, end)
        columns, wrong = _decode_batch(own)
        pieces.append(columns)
        rows.append(end - begin)
        bad.update((begin + index, why) for index, why in wrong.items())
        begin = end
    return Decoded(_joined(pieces, rows), bad)


def _batch(records: Records, begin: int, end: int) -> Records:
    first = int(records.starts[begin])
    content = np.concatenate([records.content[first : int(records.ends[end - 1])], _PAD])
    return Records(content, records.starts[begin:end] - first, records.ends[begin:end] - first)


def _joined(pieces: list[Columns], rows: list[int]) -> Columns:
    names = dict.fromkeys(key for columns in pieces for key in columns)
    if len(pieces) == 1:
        return pieces[0]
    joined = {}
    for key in names:
        kind = next(columns[key].type for columns in pieces if key in columns)
        own = [
            columns[key] if key in columns else pa.nulls(count, kind)
            for columns, count in zip(pieces, rows, strict=True)
        ]
        joined[key] = pa.concat_arrays(own)
    return joined


def _decode_batch(records: Records) -> tuple[Columns, dict[int, str]]:
    try:
        return _columns(records), {}
    except UnusualError as unusual:
        # One kind of oddity hides the next, so that all of the batch is written anew where several are found.
        normal, bad = _rewritten(records, unusual.records)
    try:
        return _columns(normal), bad
    except UnusualError:
        normal, bad = _rewritten(records, list(range(len(records))))
        return _columns(normal), bad


def _rewritten(records: Records, which: list[int]) -> tuple[Records, dict[int, str]]:
    """The records, some of them in protobuf's own form; those that have none are empty."""
    own = [records.record(index) for index in range(len(records))]
    bad: dict[int, str] = {}
    for index in which:
        try:
            own[index] = normal_form(own[index])
        except ValueError as error:
            own[index], bad[index] = b"", str(error)
    ends = np.cumsum([len(record) for record in own], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    content = np.concatenate([np.frombuffer(b"".join(own), np.uint8), _PAD])
    return Records(content, starts, ends), bad


def _columns(records: Records) -> Columns:
    """Raises UnusualError where records aren't written as usual."""
    data, count = records.content, len(records)
    examples = Parts(np.arange(count), records.starts, records.ends)
    features = repeated(data, examples.where(records.starts < records.ends))
    if len(features.owner) > 1 and (features.owner[1:] == features.owner[:-1]).any():
        raise UnusualError(features.owner[1:][features.owner[1:] == features.owner[:-1]])
    entries = repeated(data, features.where(features.start < features.end))
    key, behind = delimited(data, entries, entries.start, FIRST)
    value, end = delimited(data, entries, behind, SECOND)
    refuse(entries.owner, end != entries.end)
    names, codes = _names(data, key)
    order = np.argsort(codes, kind="stable")  # by name, and each name's in the order of the records
    twice = (codes[order][1:] == codes[order][:-1]) & (entries.owner[order][1:] == entries.owner[order][:-1])
    refuse(entries.owner[order][1:], twice)
    return _by_name(data, value, names, codes, count)


def _by_name(data: Any, value: Parts, names: list[str], codes: Any, count: int) -> Columns:
    """The features' values by name and kind; each value is a message Feature."""
    filled = value.start < value.end
    tags = np.where(filled, data[value.start], 0)
    refuse(value.owner, filled & ~np.isin(tags, (0x0A, 0x12, 0x1A)))
    columns: dict[tuple[str, str], pa.Array] = {}
    for number, kind in enumerate(KINDS, 1):
        chosen = np.flatnonzero(tags == number << 3 | 2)
        if not len(chosen):
            continue
        own = value.where(chosen)
        lists, end = delimited(data, own, own.start, number << 3 | 2)
        refuse(own.owner, end != own.end)
        arrays = _LISTS[kind](data, lists)
        columns.update(_spread(arrays, own.owner, codes[chosen], names, kind, count))
    return columns


def _spread(
    arrays: pa.Array, owner: Any, codes: Any, names: list[str], kind: str, count: int
) -> dict[tuple[str, str], pa.Array]:
    """Lists of many features as a column for each."""
    order = np.argsort(codes, kind="stable")
    if len(names) > 1:
        arrays = arrays.take(pa.array(order))
    owner, codes = owner[order], codes[order]
    bounds = np.searchsorted(codes, np.arange(len(names) + 1, dtype=codes.dtype)).tolist()
    columns = {}
    for code, name in enumerate(names):
        begin, end = bounds[code], bounds[code + 1]
        if end - begin == count:
            columns[name, kind] = arrays.slice(begin, count)
        elif end > begin:
            places, absent = np.zeros(count, np.int64), np.ones(count, bool)
            places[owner[begin:end]] = np.arange(begin, end)
            absent[owner[begin:end]] = False
            columns[name, kind] = arrays.take(pa.array(places, mask=absent))
    return columns


def _names(data: Any, keys: Parts) -> tuple[list[str], Any]:
    """The distinct keys, sorted, and the number of each key, uint16 or int64 [m]."""
    encoded = gathered(data, keys).dictionary_encode()
    numbers = encoded.indices.to_numpy(zero_copy_only=False)
    names = []
    for place, key in enumerate(encoded.dictionary.to_pylist()):
        try:
            names.append(key.decode())
        except UnicodeDecodeError:
            raise UnusualError(keys.owner[numbers == place]) from None
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.uint16 if len(names) < 1 << 16 else np.int64)  # uint16 is sorted by radix
    rank[order] = np.arange(len(names))
    return [names[place] for place in order], rank[numbers]


def _payload(data: Any, lists: Parts) -> tuple[Any, Any, Any]:
    """The packed bytes of lists, uint8, the bounds of those that have some, and which these are."""
    filled = np.flatnonzero(lists.start < lists.end)
    own = lists.where(filled)
    packed, end = delimited(data, own, own.start, FIRST)
    refuse(own.owner, end != own.end)
    both = gathered(data, packed)
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(packed.end - packed.start)])
    content = both.buffers()[2] if len(both) else None
    flat = np.frombuffer(content, np.uint8)[: bounds[-1]] if content else np.empty(0, np.uint8)
    return flat, bounds, filled


def _as_lists(values: Any, counts: Any, filled: Any, total: int) -> pa.Array:
    """Values as lists [total], of which `filled` hold `counts` each and the others nothing."""
    sizes = np.zeros(total, np.int64)
    sizes[filled] = counts
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def _floats(data: Any, lists: Parts) -> pa.Array:
    flat, bounds, filled = _payload(data, lists)
    sizes = np.diff(bounds)
    refuse(lists.owner[filled], sizes % 4 != 0)
    return _as_lists(pa.array(flat.view("<f4")), sizes // 4, filled, len(lists.owner))


def _ints(data: Any, lists: Parts) -> pa.Array:
    flat, bounds, filled = _payload(data, lists)
    ending = flat < 128
    sizes = np.diff(bounds)
    if len(flat):
        refuse(lists.owner[filled], (sizes > 0) & ~ending[np.maximum(bounds[1:] - 1, 0)])
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(ending)])
    ends = np.flatnonzero(ending)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > _LONGEST_VARINT:
        long = starts[lengths > _LONGEST_VARINT]
        raise UnusualError(lists.owner[filled[np.searchsorted(bounds, long, side="right") - 1]])
    values = _varints(flat, starts, lengths)
    counts = before[bounds[1:]] - before[bounds[:-1]]
    return _as_lists(pa.array(values), counts, filled, len(lists.owner))


def _varints(flat: Any, starts: Any, lengths: Any) -> Any:
    """Varints as int64 [n]."""
    values = (flat[starts] & np.uint8(127)).astype(np.uint64)
    longer = np.flatnonzero(lengths > 1)
    for place in range(1, int(lengths.max(initial=0))):
        byte = (flat[starts[longer] + place] & np.uint8(127)).astype(np.uint64)
        values[longer] |= byte << np.uint64(7 * place)
        longer = longer[lengths[longer] > place + 1]
    return values.view(np.int64)


def _strings(data: Any, lists: Parts) -> pa.Array:
    total = len(lists.owner)
    numbered = Parts(np.arange(total), lists.start, lists.end)
    filled = numbered.where(lists.start < lists.end)
    try:
        values = repeated(data, filled)
    except UnusualError as unusual:
        raise UnusualError(lists.owner[unusual.records]) from None
    counts = np.bincount(values.owner, minlength=total)
    return _as_lists(gathered(data, values), counts, np.arange(total), total)


_LISTS = {"string": _strings, "float": _floats, "int": _ints}
