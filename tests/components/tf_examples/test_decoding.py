"""The batch decoder against the protobuf library, on everything that a tf.Example may look like."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.components.tfrecords.decoding import decode
from headrace.components.tfrecords.example_message import example_class, normal_form
from headrace.components.tfrecords.framing import Records

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
FLOAT32 = st.floats(width=32)
LISTS = {"bytes_list": st.binary(max_size=300), "float_list": FLOAT32, "int64_list": INT64}
OURS = {"bytes_list": "string", "float_list": "float", "int64_list": "int"}


def in_memory(records):
    """Records one after the other, without framing."""
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    starts = ends - [len(record) for record in records]
    return Records(np.frombuffer(b"".join(records), np.uint8), starts, ends)


def decoded(records):
    """By record its features by name and kind, or None where it is bad."""
    found = decode(in_memory(records))
    rows = [{} for _ in records]
    for key, column in found.columns.items():
        assert len(column) == len(records)
        for row, value in zip(rows, column.to_pylist(), strict=True):
            if value is not None:
                row[key] = value
    return [None if place in found.bad else row for place, row in enumerate(rows)]


def by_protobuf(record):
    try:
        message = example_class().FromString(record)
    except Exception:
        return None
    if message.feature_lists:
        return None
    features = message.features.feature
    kinds = {name: features[name].WhichOneof("kind") for name in features}
    return {
        (name, OURS[kind]): list(getattr(features[name], kind).value) for name, kind in kinds.items() if kind
    }


def same(one, other):
    """Equal, with NaN equal to NaN, and floats by their bits."""

    def plain(row):
        if row is None:
            return None
        return {key: [_bits(value) for value in values] for key, values in row.items()}

    return plain(one) == plain(other)


def _bits(value):
    return struct.pack("<f", value) if isinstance(value, float) and not math.isnan(value) else str(value)


@st.composite
def messages(draw):
    """Serialized tf.Examples: sorted or in any order, most of them plain, some odd or broken."""
    message = example_class()()
    for name in draw(st.lists(st.sampled_from(["a", "b", "größe", "x" * 130, ""]), unique=True, max_size=4)):
        feature = message.features.feature[name]
        kind = draw(st.sampled_from([*LISTS, None]))
        if kind:
            values = getattr(feature, kind)
            values.SetInParent()
            values.value.extend(draw(st.lists(LISTS[kind], max_size=3)))
    record = message.SerializeToString(deterministic=draw(st.booleans()))
    return draw(st.sampled_from([lambda r: r] * 4 + [_doubled, _with_unknown, _with_group]))(record)


def _doubled(record):
    return record + record


def _with_unknown(record):
    return b"\x18\x05" + record + b"\x22\x01x"


def _with_group(record):
    return record + b"\x2b\x08\x01\x2c"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages(), min_size=1, max_size=12))
def test_messages_are_read_as_protobuf_reads_them(records):
    for one, other in zip(decoded(records), map(by_protobuf, records), strict=True):
        assert same(one, other)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages(), min_size=1, max_size=4), st.data())
def test_damaged_messages_are_read_as_protobuf_reads_them(records, data):
    for _ in range(data.draw(st.integers(1, 3))):
        which = data.draw(st.integers(0, len(records) - 1))
        broken = bytearray(records[which])
        if broken and data.draw(st.booleans()):
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
        else:
            del broken[data.draw(st.integers(0, len(broken))) :]
        records[which] = bytes(broken)
    for one, other in zip(decoded(records), map(by_protobuf, records), strict=True):
        assert same(one, other)


def test_unpacked_lists_and_values_before_keys():
    ints = b"\x08\x05\x08" + b"\xff" * 9 + b"\x01"  # value: 5, value: -1, each with its own tag
    feature = b"\x1a" + bytes([len(ints)]) + ints
    floats = b"\x0d" + struct.pack("<f", 1.5)
    other = b"\x12" + bytes([len(floats)]) + floats
    entries = [
        b"\x0a\x01i\x12" + bytes([len(feature)]) + feature,
        b"\x12" + bytes([len(other)]) + other + b"\x0a\x01f",
    ]
    features = b"".join(b"\x0a" + bytes([len(entry)]) + entry for entry in entries)
    record = b"\x0a" + bytes([len(features)]) + features
    assert decoded([record, b"", record]) == [{("i", "int"): [5, -1], ("f", "float"): [1.5]}, {},
                                              {("i", "int"): [5, -1], ("f", "float"): [1.5]}]  # fmt: skip


def test_long_lists_and_many_batches():
    cls = example_class()
    long = cls()
    long.features.feature["s"].bytes_list.value.extend(b"%d" % n * (n % 200) for n in range(5000))
    long.features.feature["i"].int64_list.value.extend(range(-3000, 3000))
    records = []
    for n in range(9000):
        message = cls()
        message.features.feature["n"].int64_list.value.append(n)
        if n % 3:
            message.features.feature[f"f{n % 5}"].float_list.value.append(n)
        records.append(message.SerializeToString())
    records[7777] = long.SerializeToString()
    rows = decoded(records)
    assert same(rows[7777], by_protobuf(records[7777]))
    for n in (0, 1, 4095, 4096, 7776, 7778, 8999):
        assert rows[n] == by_protobuf(records[n])
    assert sum(row[("n", "int")][0] for row in rows if ("n", "int") in row) == sum(range(9000)) - 7777


@pytest.mark.parametrize(
    "record, why", [(b"\xff", "no tf.Example"), (b"\x0a\x00\x12\x02\x0a\x00", "SequenceExample")]
)
def test_what_is_no_example(record, why):
    with pytest.raises(ValueError, match=why):
        normal_form(record)
    found = decode(in_memory([b"\x0a\x00", record]))
    assert list(found.bad) == [1]
    assert why in found.bad[1]
