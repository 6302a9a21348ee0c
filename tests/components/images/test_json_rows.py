"""The reader of JSON manifests gives what `json` gives, however the text falls into pieces."""

from __future__ import annotations

import json
import tempfile
from functools import reduce
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.components.images import json_rows
from headrace.components.images.json_manifest import Kind, kind_of
from headrace.components.images.json_rows import read_objects

SOME = settings(max_examples=60, deadline=None)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)


def read(text, piece):
    """The lines and objects of a text that is read in pieces."""
    usual, json_rows._PIECE = json_rows._PIECE, piece
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.json"
            path.write_text(text, "utf-8", newline="")
            return [(row.line, row.value) for row in read_objects(path)]
    finally:
        json_rows._PIECE = usual


@SOME
@given(ROWS, st.sampled_from([None, 0, 1]), st.sampled_from(["", "\n \t", "\ufeff\r\n"]), st.integers(1, 40))
def test_an_array(rows, indent, space, piece):
    text = space + json.dumps(rows, indent=indent, ensure_ascii=False) + space
    found = read(text, piece)
    assert [value for _, value in found] == rows
    # An object is the first thing on its line, or they all are on one.
    lines = text.split("\n")
    assert all("{" in lines[line - 1] for line, _ in found)
    assert [line for line, _ in found] == sorted(line for line, _ in found)


@SOME
@given(ROWS.filter(bool), st.sampled_from(["\n", "\r\n", "\n\n"]), st.integers(1, 40))
def test_objects_by_line(rows, end, piece):
    text = end.join(json.dumps(row, ensure_ascii=True) for row in rows)
    step = end.count("\n")
    assert read(text, piece) == [(1 + place * step, row) for place, row in enumerate(rows)]


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@SOME
@given(st.lists(SIMPLE | st.lists(SIMPLE, max_size=3), min_size=1, max_size=6), st.randoms())
def test_the_kind_of_a_column_does_not_depend_on_the_order_of_its_rows(values, random):
    def over(ordered):
        kind = reduce(Kind.__or__, map(kind_of, ordered), Kind())
        return kind.element, kind.several, kind.name

    shuffled = random.sample(values, len(values))
    assert over(values) == over(shuffled) == over([*values, *values])
    if not any(isinstance(value, list) for value in values):
        assert over(values)[1] is False
