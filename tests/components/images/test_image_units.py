"""`image_examples`: duplicates, units of work and parts, and that nothing depends on how it is run."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from headrace.components.image_examples import image_examples
from headrace.components.images import units, work
from headrace.components.ingestion import writing
from headrace.pipelines.component import Known

from .digit_files import class_folders, digits, path_rows, png, rows_of, warnings_of, write, write_csv

ALL = {"splits": {"all": 1}}


def units_read(ctx):
    """How many units the images were read in."""
    (told,) = [event["work"] for event in ctx.events if event.get("work", {}).get("stage") == "images"]
    return told["units"]


def groups_of(made):
    return [json.loads(line) for line in (made.path / "duplicates.jsonl").read_text("utf-8").splitlines()]


def test_duplicates_are_told(new_ctx, tmp_path):
    images = [png(pixels) for pixels, _ in digits(4)]
    for name, image in {
        "train/cat/1.png": 0, "train/cat/2.png": 0, "train/dog/3.png": 1, "train/cat/4.png": 1,
        "train/dog/5.png": 2, "test/dog/6.png": 2, "test/cat/7.png": 3,
    }.items():  # fmt: skip
        write(tmp_path / name, images[image])
    ctx = new_ctx()
    made = image_examples.function(ctx, path=str(tmp_path), split_folders=True)
    assert made.properties["duplicates"] == {
        "groups": 3, "images": 3, "across_splits": 1, "different_labels": 1,
    }  # fmt: skip
    told = {frozenset(each["path"] for each in group["images"]): group for group in groups_of(made)}
    same = told[frozenset(("train/cat/1.png", "train/cat/2.png"))]
    assert (same["across_splits"], same["different_labels"], same["count"]) == (False, False, 2)
    assert told[frozenset(("train/dog/3.png", "train/cat/4.png"))]["different_labels"]
    across = told[frozenset(("train/dog/5.png", "test/dog/6.png"))]
    assert across["across_splits"] and not across["different_labels"]
    assert {each["split"] for each in across["images"]} == {"train", "test"}
    (warning,) = [text for text in warnings_of(ctx) if "more than once" in text]
    assert "1 groups are in several splits, such as test/dog/6.png and train/dog/5.png" in warning
    assert "1 have different labels" in warning
    # By the hash of the content equal images share a split.
    hashed = image_examples.function(
        new_ctx(), path=str(tmp_path), labels=["x", "y"], splits={"a": 1, "b": 1}
    )
    assert hashed.properties["duplicates"]["across_splits"] == 0


def test_duplicates_with_exact_shares_and_dropped_rows(new_ctx, tmp_path):
    images = [png(pixels) for pixels, _ in digits(8)]
    for number, image in enumerate(images):
        write(tmp_path / "cat" / f"{number}.png", image)
        write(tmp_path / "dog" / f"{number}.png", image)
    exact = image_examples.function(new_ctx(), path=str(tmp_path), stratify="label", splits={"a": 1, "b": 1})
    splits = {(row["label"], row["image"]): split for split in "ab" for row in rows_of(exact, split)}
    apart = sum(splits["cat", image] != splits["dog", image] for image in images)
    assert exact.properties["duplicates"] == {
        "groups": 8, "images": 8, "across_splits": apart, "different_labels": 8,
    }  # fmt: skip
    dropped = image_examples.function(
        new_ctx(), path=str(tmp_path), split_by_value="label", splits={"a": ["cat"]}, rest="drop"
    )
    assert dropped.properties["duplicates"]["groups"] == 0


@pytest.fixture
def small(monkeypatch):
    """Units, pieces and row groups so small that a few images make many."""
    monkeypatch.setattr(units, "UNIT_BYTES", 1000)
    monkeypatch.setattr(work, "PIECE_BYTES", 400)
    monkeypatch.setattr(writing, "GROUP_BYTES", 300)


@pytest.mark.parametrize(
    "more",
    [{}, {"stratify": "label"}, {"split_by_value": "label", "splits": {"a": ["1", "2"]}, "rest": "drop"}],
)
def test_workers_and_bundles_do_not_matter(new_ctx, tmp_path, small, more):
    root = class_folders(tmp_path / "digits", 90)
    write(root / "3" / "bad.png", b"no image")
    arguments = {"path": str(root), "max_rejects": 1, **more}
    contexts = [new_ctx(direct_num_workers=workers) for workers in ("1", "2")]
    one, two = (image_examples.function(ctx, **arguments) for ctx in contexts)
    assert one.digest == two.digest
    assert units_read(contexts[0]) > 8


def test_parts_and_row_groups_are_bounded(new_ctx, tmp_path, small):
    root = class_folders(tmp_path / "digits", 90)
    made = image_examples.function(new_ctx(), path=str(root), **ALL)
    parts = made.parts("all")
    assert len(parts) > 10
    for part in parts:
        file = pq.ParquetFile(part)
        sizes = [len(image.as_py()) for image in file.read(columns=["image"]).column("image")]
        assert sum(sizes) - sizes[-1] < 400
        groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
        assert sum(groups) == len(sizes) and max(groups) <= 3
    whole = [row["path"] for row in rows_of(made)]
    assert whole == sorted(whole) and len(whole) == 90


def test_units_of_manifests_follow_the_images_and_not_the_rows(new_ctx, tmp_path, small):
    path = write_csv(tmp_path / "rows.csv", path_rows(tmp_path, 60))
    ctx = new_ctx()
    made = image_examples.function(ctx, path=str(path), **ALL)
    assert [row["weight"] for row in rows_of(made)] == [number / 4 for number in range(60)]
    assert units_read(ctx) >= sum(len(row["image"]) for row in rows_of(made)) // 1000


def test_spans_are_bounded_by_bytes_and_number(monkeypatch):
    monkeypatch.setattr(units, "UNIT_BYTES", 10)
    monkeypatch.setattr(units, "UNIT_IMAGES", 3)
    sizes = np.array([4, 4, 4, 30, 1, 1, 1, 1, 0, 10])
    assert list(units.spans(sizes)) == [(0, 2), (2, 3), (3, 4), (4, 7), (7, 9), (9, 10)]
    assert list(units.spans(np.array([], np.int64))) == []


def checked(path, **arguments):
    """What the static check says of a step: its problems, and what is known of its output."""
    defaults = {name: argument.default for name, argument in image_examples.arguments.items()}
    assert image_examples.checker is not None
    problems, known = image_examples.checker({**defaults, "path": path, **arguments}, {})
    return [problem.what for problem in problems], known["output"]


def test_the_check_knows_columns_and_splits(tmp_path):
    root = class_folders(tmp_path / "digits", 10)
    problems, known = checked(str(root))
    assert not problems
    assert known == Known(
        ("image", "label", "path", "height", "width"), ("train", "validation", "test"),
        {"types": {"image": "image", "label": "string", "path": "string", "height": "int", "width": "int"}},
    )  # fmt: skip
    rows = write_csv(tmp_path / "rows.csv", path_rows(tmp_path, 3))
    problems, known = checked(str(rows), types={"label": "string"})
    assert not problems
    assert known.columns == ("image", "label", "weight", "path", "height", "width")
    assert known.facts["types"]["label"] == "string" and "weight" not in known.facts["types"]
    named = {"train": str(root), "test": str(root / "1")}
    assert checked(named, labels=[])[1].splits == ("train", "test")


def test_the_check_and_the_fingerprint_import_nothing_heavy(tmp_path):
    root = class_folders(tmp_path / "digits", 5)
    rows = write_csv(tmp_path / "rows.csv", path_rows(tmp_path, 3))
    script = f"""
import sys
from headrace.components import image_examples
defaults = {{name: argument.default for name, argument in image_examples.arguments.items()}}
for path in ({str(root)!r}, {str(rows)!r}):
    assert image_examples.checker({{**defaults, "path": path}}, {{}})[0] == []
assert len(image_examples.source_finder({{**defaults, "path": {str(rows)!r}}})) == 3
assert image_examples.source_finder({{**defaults, "path": {str(root)!r}}}) == []
heavy = {{"numpy", "pyarrow", "PIL", "apache_beam", "tensorflow", "farmhash", "urllib3"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_check_says_what_is_wrong_before_anything_runs(tmp_path):
    (tmp_path / "none").mkdir()
    flat = tmp_path / "flat"
    write(flat / "1.png", png(digits(1)[0][0]))
    split = tmp_path / "split"
    for name in ("train", "val"):
        write(split / name / "cat" / "1.png", png(digits(1)[0][0]))
    only = write(tmp_path / "only" / "labels.csv", b"file,label\n1.png,2\n").parent
    told = {
        "nowhere": checked(str(tmp_path / "nowhere"))[0],
        "empty": checked("")[0],
        "none": checked(str(tmp_path / "none"))[0],
        "flat": checked(str(flat))[0],
        "split": checked(str(split))[0],
        "only": checked(str(only))[0],
        "column": checked(str(only / "labels.csv"), stratify="klass")[0],
        "mixed": checked([str(only / "labels.csv"), str(flat)])[0],
    }
    assert told == {
        "nowhere": ["there is no such file"],
        "empty": ["the path is empty"],
        "none": ["the folder is empty"],
        "flat": ["there is no folder that tells a class, and there are 1 images, such as 1.png"],
        "split": ["the folders train, val are called as splits are, and would be the classes"],
        "only": ["there is no image in this folder"],
        "column": ["there is no column 'klass'"],
        "mixed": ["manifests and images are mixed"],
    }
    wrong = {"retrys": 3, "retries": 30, "schemes": [], "allow_private": 1, "backoff": -1.0}
    assert checked(str(split), split_folders=True, remote=wrong)[0] == [
        "there is no 'retrys'",
        "[retries]: 30 has to be a whole number from 0 to 20",
        "[schemes]: [] has to be a list of https and http",
        "[allow_private]: 1 has to be true or false",
        "[backoff]: -1.0 has to be a number of seconds",
    ]
    assert checked(str(split), split_folders=True)[1].splits == ("train", "validation")
    assert not checked(str(flat), labels=[])[0]
