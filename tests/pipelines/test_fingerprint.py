"""Canonical encoding, golden fingerprints, and the phrases that explain a change."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.pipelines.fingerprint import Parts, canonical, differences, fingerprint

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def decode(data: bytes, at: int = 0):
    """The inverse of `canonical`: that there is one shows that the encoding is injective."""
    tag, at = data[at : at + 1], at + 1
    if tag in b"ntf":
        return {b"n": None, b"t": True, b"f": False}[tag], at
    if tag == b"d":
        return struct.unpack(">d", data[at : at + 8])[0], at + 8
    (size,) = struct.unpack(">Q", data[at : at + 8])
    at += 8
    if tag in b"isb":
        raw = data[at : at + size]
        return {b"i": lambda: int(raw), b"s": raw.decode, b"b": lambda: raw}[tag](), at + size
    items = []
    for _ in range(size * (2 if tag == b"m" else 1)):
        item, at = decode(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if tag == b"m" else items), at


@given(VALUES)
def test_the_encoding_can_be_undone(value):
    data = canonical(value)
    assert decode(data) == (value, len(data))


def test_values_that_look_alike_differ():
    alike = [
        1,
        1.0,
        True,
        "1",
        b"1",
        None,
        "",
        [],
        {},
        [1],
        [[1]],
        ["1"],
        [1, 1],
        {"a": 1},
        ["a", 1],
        "a",
        -0.0,
        0.0,
    ]
    assert len({canonical(value) for value in alike}) == len(alike)
    assert canonical({"b": 1, "a": 2}) != canonical({"a": 2, "b": 1})
    with pytest.raises(TypeError, match="no canonical form"):
        canonical({1, 2})


PARTS = Parts(
    "statistics:statistics",
    {"m:f": "aa"},
    {"numpy": "2.1"},
    {"buckets": 10, "path": {"content": ["cc"]}, "model": {"name": "m.py:f", "code": {"m:f": "dd"}}},
    {"examples": "ee"},
)


def test_golden_fingerprints():
    # A change here makes every user's cache miss: do it knowingly, with a line in the changelog.
    assert fingerprint(Parts("c")) == "491177f2496b3af3434286314159f596b2a53e9f02bf3972481ad847d2f44089"
    assert fingerprint(PARTS) == "84bce16ed5fd3e6e9513583e517ef149e5f21c56426af60894106163394bfb64"


def test_the_order_within_a_parameter_counts_and_no_other():
    def split(**shares):
        return Parts("csv_examples:csv_examples", parameters={"splits": shares, "seed": 0})

    one, other = split(train=8, test=2), split(test=2, train=8)
    assert fingerprint(one) != fingerprint(other)
    assert differences(one, other, "s") == ["s.splits: order train, test → test, train"]
    turned = Parts(
        PARTS.component,
        *(dict(reversed([*part.items(), ("z", "1")])) for part in (PARTS.code, PARTS.libraries)),
        dict(reversed(PARTS.parameters.items())),
    )
    straight = Parts(
        PARTS.component, {**PARTS.code, "z": "1"}, {**PARTS.libraries, "z": "1"}, PARTS.parameters
    )
    assert fingerprint(turned) == fingerprint(straight)


def changed(**parts):
    return differences(PARTS, Parts(**{**PARTS.to_json(), **parts}), "s")


def test_differences_name_the_smallest_part():
    assert changed() == []
    assert changed(parameters={**PARTS.parameters, "buckets": 20}) == ["s.buckets 10 → 20"]
    assert changed(parameters={**PARTS.parameters, "path": {"content": ["x"]}}) == [
        "s.path: the content of the file changed"
    ]
    folders = [
        Parts("c", parameters={"path": {"content": [["a/1.jpg", one], ["a/2.jpg", "22"], last]}})
        for one, last in (("11", ["b/3.jpg", "33"]), ("12", ["b/4.jpg", "44"]))
    ]
    assert differences(*folders, "s") == [
        "s.path: 1 file changed: a/1.jpg; 1 file new: b/4.jpg; 1 file gone: b/3.jpg"
    ]
    fewer = Parts("c", parameters={"path": {"content": [["a/1.jpg", "12"]]}})
    assert differences(folders[1], fewer, "s") == ["s.path: 2 files gone: a/2.jpg, …"]
    assert differences(Parts("c", parameters={"path": None}), fewer, "s") == [
        "s.path not given → content a/1.jpg 12"
    ]
    assert changed(parameters={**PARTS.parameters, "model": {"name": "m.py:f", "code": {"m:f": "x"}}}) == [
        "s.model: code changed: m:f"
    ]
    assert changed(parameters={**PARTS.parameters, "extra": "a"}) == ["s.extra is new: 'a'"]
    assert changed(parameters={**PARTS.parameters, "model": "mlp"}) == ["s.model 'm.py:f' → 'mlp'"]
    assert changed(inputs={"examples": "ff"}) == ["input examples ee → ff"]
    assert changed(code={"m:f": "bb", "m:g": "cc"}) == ["code changed: m:f, m:g"]
    assert changed(libraries={"numpy": "2.2"}) == ["library numpy 2.1 → 2.2"]
    assert changed(component="t:t") == ["component statistics:statistics → t:t"]
    nested = Parts("c", parameters={"features": {"age": {"a": [1, 2]}, "b": 1}})
    now = Parts("c", parameters={"features": {"age": {"a": [1, 3]}, "b": 1}})
    assert differences(nested, now, "s") == ["s.features.age.a [1, 2] → [1, 3]"]
