"""Slices name the rows that TFDS reads by them."""

from __future__ import annotations

import pytest

from headrace.components.tfds.slices import RowRange, in_shards, overlaps, ranges_of, resolve
from headrace.pipelines.errors import Problem

LENGTHS = {"train": (7, 10, 4), "test": (5,), "empty": ()}


@pytest.mark.parametrize(
    "spec",
    [
        "train", "train[:80%]", "train[80%:]", "train[33%:67%]", "train[-10%:]", "train[:-25%]",
        "train[12.5%:]", "train[3:9]", "train[-4:]", "train[:-4]", "train[9:3]",
        "train[:1shard]", "train[1shard:]", "train[1shard]", "train[-1shard]",
        "train[-2shard:-1shard]", "train+test", "train[:2]+test[2:]", "all",
    ],
)  # fmt: skip
def test_they_are_those_of_tfds(spec: str) -> None:
    from tensorflow_datasets.core import splits

    infos = {
        name: splits.SplitInfo(name=name, shard_lengths=list(rows), num_bytes=0, filename_template=None)
        for name, rows in LENGTHS.items()
    }
    theirs = [
        (one.splitname, one.from_ or 0, sum(LENGTHS[one.splitname]) if one.to is None else one.to)
        for one in splits.AbstractSplit.from_spec(spec).to_absolute(infos)
    ]
    ours = resolve(spec, LENGTHS)
    assert not isinstance(ours, Problem)
    assert [(one.split, one.start, one.end) for one in ours if one.end > one.start] == [
        one for one in theirs if one[2] > one[1]
    ]


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("trian", "no split 'trian'; did you mean 'train'?"),
        ("train[:90]", "there are 21"),
        ("train[:4shard]", "there are 3"),
        ("train[:101%]", "between -100 and 100"),
        ("train[5]", "for shards only"),
        ("train[1.5:]", "only percentages"),
        ("train[10%:5]", "both ends"),
        ("train[a:b]", "no slice"),
        ("train[1:2:3]", "no slice"),
        ("train[:%]", "no slice"),
        ("train]", "names no rows"),
        ("", "names no rows"),
    ],
)
def test_what_is_no_slice(spec: str, what: str) -> None:
    found = resolve(spec, LENGTHS)
    assert isinstance(found, Problem)
    assert what in str(found)


def test_rows_by_shard() -> None:
    pieces = list(in_shards(RowRange("train", 5, 18), LENGTHS["train"]))
    assert [(piece.shard, piece.first, piece.end) for piece in pieces] == [(0, 5, 7), (1, 0, 10), (2, 0, 1)]


def test_own_splits_and_empty_ones() -> None:
    found, problems = ranges_of(LENGTHS, None)
    assert (list(found), problems) == (["train", "test"], [])
    _, problems = ranges_of(LENGTHS, {"few": "test[:1%]", "none": "empty"})
    assert [problem.argument for problem in problems] == ["splits.few", "splits.none"]


def test_overlaps_are_counted() -> None:
    found, _ = ranges_of(LENGTHS, {"a": "train[:10]", "b": "train[8:]+test", "c": "test[:2]"})
    assert overlaps(found) == [("a", "b", 2), ("b", "c", 2)]
