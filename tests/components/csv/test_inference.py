"""Types don't depend on how the data was cut, and a column read twice has the same values."""

from __future__ import annotations

import functools
import random

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.components.csv.conversion import convert
from headrace.components.csv.inference import Profile, profile
from headrace.components.csv.options import MISSING
from headrace.components.ingestion.shares import by_hash, exact_counts, thresholds

CELLS: list[str | None] = [
    *[
        "1",
        "-2",
        "3.5",
        "1e3",
        " 4",
        "5 ",
        "+6",
        "true",
        "FALSE",
        " true",
        "x",
        " x",
        "007",
        "0x1f",
        "0",
        "-0",
    ],
    *[
        "0.5",
        "inf",
        "-Infinity",
        "nan",
        "-NAN",
        "nan(1)",
        " nan ",
        "  ",
        "9223372036854775807",
        "9223372036854775808",
        "1.",
        ".5",
        "--1",
    ],
    None,
]
columns = st.lists(st.sampled_from(CELLS), max_size=12) | st.lists(st.sampled_from(CELLS[:8]), max_size=12)


def text(cells: list[str | None]) -> pa.Array:
    return pa.array(cells, pa.string())


def read(cells: list[str | None], missing: tuple[str, ...]) -> pa.Array:
    """The cells as the CSV parser gives them: null where they stand for a missing value."""
    return text([None if cell in missing else cell for cell in cells])


@given(
    columns,
    st.sampled_from([MISSING, ("",), ()]),
    st.integers(0, 12),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
@example(["1", "nan"], ("",), 0, 1, random.Random(0))
@example(["1", "true", "nan"], ("",), 1, 2, random.Random(0))
@settings(max_examples=500, deadline=None)
def test_merged_profiles_say_what_the_whole_says(
    cells: list[str | None], missing: tuple[str, ...], first: int, second: int, order: random.Random
) -> None:
    low, high = sorted((first, second))
    pieces = [
        profile(read(piece, missing), missing)[0] for piece in (cells[:low], cells[low:high], cells[high:])
    ]
    order.shuffle(pieces)
    merged = functools.reduce(Profile.merge, pieces)
    whole = profile(read(cells, missing), missing)[0]
    assert merged.kind == whole.kind
    assert merged == whole


@given(columns)
@settings(max_examples=300, deadline=None)
def test_inferred_values_are_those_of_the_stated_type(cells: list[str | None]) -> None:
    seen, _, values = profile(text(cells), MISSING)
    if values is None or seen.kind == "string" or seen.infinite or not seen.values:
        return
    converted, bad = convert(text(cells), seen.kind, MISSING)
    assert bad is None
    assert converted.equals(values)


@given(columns, st.sampled_from(["int", "float", "bool"]))
@settings(max_examples=300, deadline=None)
def test_a_cell_is_bad_whatever_stands_beside_it(cells: list[str | None], kind: str) -> None:
    values, bad = convert(text(cells), kind, MISSING)
    for place, cell in enumerate(cells):
        alone, bad_alone = convert(text([cell]), kind, MISSING)
        assert alone[0].equals(values[place])
        assert bool(bad is not None and bad[place]) == bool(bad_alone is not None and bad_alone[0])


@pytest.mark.parametrize(
    ("numbers", "words", "kind", "mixed"),
    [(99, 1, "string", False), (100, 1, "int", True), (990, 10, "int", True), (989, 11, "string", False)],
)
def test_when_a_word_is_a_stray(numbers: int, words: int, kind: str, mixed: bool) -> None:
    seen, first, _ = profile(text(["5"] * numbers + ["word"] * words), MISSING)
    assert (seen.kind, seen.mixed, first) == (kind, mixed, numbers)


@given(st.integers(0, 1000), st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_exact_counts(rows: int, shares: list[int]) -> None:
    counts = exact_counts(rows, shares)
    assert sum(counts) == rows
    if rows >= len(shares):
        assert min(counts) > 0
    if all(rows * share >= sum(shares) for share in shares):
        assert all(
            abs(count - rows * share / sum(shares)) < 1 for count, share in zip(counts, shares, strict=True)
        )


def test_thresholds_are_exact() -> None:
    import numpy as np

    ends = thresholds({"train": 2, "test": 2})
    assert ends == (1 << 63,)
    hashes = np.array([0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1], np.uint64)
    assert by_hash(hashes, ends).tolist() == [0, 0, 1, 1]
    assert by_hash(hashes, thresholds({"all": 1})).tolist() == [0, 0, 0, 0]
