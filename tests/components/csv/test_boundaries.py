"""Rows are cut exactly where a sequential reader of the same rules would cut them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.components.csv.boundaries import fold_blocks, last_opening, row_ends, scan_block

COMMA, QUOTE = ord(","), ord('"')


def sequential_row_ends(data: bytes, quote: int = QUOTE) -> list[int]:
    """The rule, one byte after the other: positions of the last byte of each row end."""
    ends, state, field_start = [], "out", True
    for place, byte in enumerate(data):
        if state == "in":
            if byte == quote:
                state = "closed"
            continue
        if state == "closed" and byte == quote:
            state = "in"
            continue
        state = "out"
        if byte == quote and field_start:
            state = "in"
        if byte == 10 or (byte == 13 and data[place + 1 : place + 2] != b"\n"):
            ends.append(place)
        field_start = byte in (COMMA, 10, 13)
    return ends


messy = st.text(alphabet='ab,"\n\r', max_size=60).map(str.encode)


@given(messy)
@settings(max_examples=400, deadline=None)
def test_row_ends_equal_a_sequential_readers(data: bytes) -> None:
    found = row_ends(data, COMMA, QUOTE)
    assert found.tolist() == sequential_row_ends(data)


@given(messy, messy, st.sampled_from([b'"a","b"\n', b'"a ""b""",c\n"\n",""\n', b'5" pipe,"a"\n']))
@settings(max_examples=400, deadline=None)
def test_row_ends_around_many_quotes(begin: bytes, end: bytes, row: bytes) -> None:
    data = begin + row * 100 + end
    assert row_ends(data, COMMA, QUOTE).tolist() == sequential_row_ends(data)


@given(
    st.one_of(messy, st.tuples(messy, messy).map(lambda ends: (b'"a","b ""c"""\n' * 90).join(ends))),
    st.one_of(st.integers(1, 17), st.integers(700, 800)),
)
@settings(max_examples=400, deadline=None)
def test_blocks_fold_to_cuts_at_true_row_ends(data: bytes, size: int) -> None:
    scans = []
    for offset in range(0, len(data), size):
        block = data[offset : offset + size]
        before = data[offset - 1] if offset else -1
        after = data[offset + size] if offset + size < len(data) else -1
        scans.append(scan_block(block, offset, COMMA, QUOTE, before, after))
    folded = fold_blocks(scans, line=1)
    ends = sequential_row_ends(data)
    assert sum(folded.rows) == len(ends)
    edges = [0, *(cut.end for cut in folded.cuts)]
    assert edges == [0, *(cut.start for cut in folded.cuts[1:]), len(data)] if data else edges == [0]
    assert {edge - 1 for edge in edges[1:-1]} <= set(ends)
    for cut in folded.cuts:
        before = data[: cut.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert cut.line == 1 + before.count(b"\n")
        lines = data[cut.start : cut.end].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
        assert cut.plain == (lines == len([end for end in ends if cut.start <= end < cut.end]))


def test_many_quotes_in_one_block() -> None:
    row = b'"a ""quoted"" cell","x\ny",5" pipe\n'
    data = row * 5000
    expected = [len(row) * (i + 1) - 1 for i in range(5000)]
    assert row_ends(data, COMMA, QUOTE).tolist() == expected


def test_without_quoting_every_newline_ends_a_row() -> None:
    data = b'a,"b\nc",d\n'
    assert row_ends(data, COMMA, -1).tolist() == [4, 9]


@pytest.mark.parametrize(
    ("data", "place"), [(b'a,b\nc,"d\n', 6), (b'"a ""b"" c\n', 0), (b'"a",b\n', 0), (b"a,b\n", -1)]
)
def test_last_opening_quote(data: bytes, place: int) -> None:
    assert last_opening(data, COMMA, QUOTE, 0, -1) == place
