"""`image_examples`: images in folders."""

from __future__ import annotations

import errno
import os
import unicodedata
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from headrace.components.digits_images import digits_images
from headrace.components.image_examples import image_examples
from headrace.components.images.looking import look
from headrace.components.images.options import ImageOptions
from headrace.components.images.walking import top_level
from headrace.components.ingestion.split_options import SplitOptions
from headrace.pipelines.alone import run_alone
from headrace.pipelines.errors import DataError, InvalidRequestError
from headrace.pipelines.store import Store

from .digit_files import (
    base64_rows,
    class_folders,
    deep_folders,
    digits,
    flat_folder,
    path_rows,
    pixel_rows,
    pixels_and_labels,
    png,
    rejects_of,
    rows_of,
    split_folders,
    warnings_of,
    write,
    write_csv,
    write_json,
)

ALL = {"splits": {"all": 1}}
PIXELS = {"image_as": "pixels", "shape": [8, 8]}


def test_every_layout_gives_equal_images_and_labels(new_ctx, tmp_path):
    folders = class_folders(tmp_path / "classes")
    split = split_folders(tmp_path / "split")
    rows = path_rows(tmp_path / "manifests")
    ways = [
        {"path": str(folders)},
        {"path": str(folders), "stratify": "label"},
        {"path": str(folders / "*" / "*.png")},
        {"path": [str(folders / str(digit) / "*.png") for digit in range(10)]},
        {"path": {"train": str(split / "train"), "test": str(split / "test")}},
        {"path": str(split), "split_folders": True},
        {"path": str(deep_folders(tmp_path / "deep")), "labels": ["parity", "label"]},
        {"path": str(flat_folder(tmp_path / "flat")), "label_pattern": r"digit-(?P<label>\d)"},
        {"path": str(write_csv(tmp_path / "manifests" / "rows.csv", rows))},
        {"path": str(write_json(tmp_path / "manifests" / "rows.json", rows))},
        {"path": str(write_json(tmp_path / "manifests" / "rows.jsonl", rows))},
        {"path": str(write_csv(tmp_path / "pixels.csv", pixel_rows())), **PIXELS},
        {"path": str(write_json(tmp_path / "pixels.json", pixel_rows())), **PIXELS},
        {"path": str(write_csv(tmp_path / "base64.csv", base64_rows())), "image_as": "base64"},
    ]
    made = [image_examples.function(new_ctx(), **way) for way in ways]
    expected = sorted((pixels.tobytes(), str(digit)) for pixels, digit in digits(60))
    for way, one in zip(ways, made, strict=True):
        assert pixels_and_labels(one) == expected, way
        assert sum(one.rows(split) for split in one.splits) == 60
    # A hash of the content places equal images alike, wherever they lie.
    trains = [
        {row["image"] for row in rows_of(one, "train")}
        for one in (made[0], made[2], made[6], made[7], made[8])
    ]
    assert all(train == trains[0] for train in trains)


def test_columns_and_parts(ctx, tmp_path):
    made = image_examples.function(ctx, path=str(class_folders(tmp_path / "digits", 20)), **ALL)
    assert made.properties["columns"] == {
        "image": "image", "label": "string", "path": "string", "height": "int", "width": "int",
    }  # fmt: skip
    first = rows_of(made)[0]
    assert first == {
        "image": png(digits(1)[0][0]), "label": "0", "path": "0/0000.png", "height": 8, "width": 8,
    }  # fmt: skip
    (part,) = made.parts("all")
    image = pq.ParquetFile(part).metadata.row_group(0).column(0)
    assert image.compression == "UNCOMPRESSED" and "PLAIN_DICTIONARY" not in image.encodings


def test_an_artifact_of_files(new_ctx):
    files = digits_images.function(new_ctx())
    ctx = new_ctx()
    made = image_examples.function(ctx, path=files, stratify="label")
    assert warnings_of(ctx) == []
    assert [made.rows(split) for split in made.splits] == [1438, 180, 179]
    assert made.properties["stratified"] == "exact"
    by_class = {split: [row["label"] for row in rows_of(made, split)].count("7") for split in made.splits}
    assert by_class == {"train": 143, "validation": 18, "test": 18}


def test_splits_by_folder_have_their_usual_names(ctx, tmp_path):
    made = image_examples.function(ctx, path=str(split_folders(tmp_path, test="val")), split_folders=True)
    assert {split: made.rows(split) for split in made.splits} == {"train": 45, "validation": 15}
    assert all(row["path"].startswith("val/") for row in rows_of(made, "validation"))


def test_folders_that_are_called_as_splits_are_splits_where_that_is_left_open(new_ctx, tmp_path):
    by_split = image_examples.function(
        new_ctx(), path=str(split_folders(tmp_path / "a")), split_folders="auto", stratify="label"
    )
    assert {split: by_split.rows(split) for split in by_split.splits} == {"train": 45, "test": 15}
    by_class = image_examples.function(
        new_ctx(), path=str(class_folders(tmp_path / "b")), split_folders="auto", stratify="label"
    )
    assert list(by_class.splits) == ["train", "validation", "test"]
    assert by_class.properties["stratified"] == "exact"


def test_levels_of_folders(new_ctx, tmp_path):
    deep = deep_folders(tmp_path / "deep", 10)
    joined = image_examples.function(new_ctx(), path=str(deep), join="/", **ALL)
    assert {row["label"] for row in rows_of(joined)} == {
        f"{'odd' if d % 2 else 'even'}/{d}" for d in range(10)
    }
    ctx = new_ctx()
    upper = image_examples.function(ctx, path=str(deep), **ALL)
    assert {row["label"] for row in rows_of(upper)} == {"odd", "even"}
    assert "10 of 10 images lie in folders below those of a class" in ctx.events[0]["say"]
    write(deep / "odd" / "lone.png", png(digits(1)[0][0]))
    levels = image_examples.function(new_ctx(), path=str(deep), labels=["parity", "digit"], **ALL)
    assert [row["digit"] for row in rows_of(levels) if row["path"] == "odd/lone.png"] == [None]


def test_labels_by_a_pattern(new_ctx, tmp_path):
    flat = flat_folder(tmp_path / "flat", 10)
    pattern = r"(?P<word>[a-z]+)-(?P<digit>\d)-(?P<even>\d\d[13579][02468])?"
    made = image_examples.function(
        new_ctx(), path=str(flat), label_pattern=pattern, types={"digit": "int"}, **ALL
    )
    assert [(row["word"], row["digit"], row["even"]) for row in rows_of(made)][:2] == [
        ("digit", 0, None),
        ("digit", 1, None),
    ]
    unnamed = image_examples.function(new_ctx(), path=str(flat), label_pattern=r"-(\d)-", **ALL)
    assert [row["label"] for row in rows_of(unnamed)] == [str(digit) for digit in range(10)]
    write(flat / "other.png", png(digits(1)[0][0]))
    with pytest.raises(
        DataError, match=r"1 image can't be used.*\n.*\n.*other.png: label_pattern doesn't match"
    ):
        image_examples.function(new_ctx(), path=str(flat), label_pattern=r"-(\d)-", **ALL)
    kept = image_examples.function(new_ctx(), path=str(flat), label_pattern=r"-(\d)-", max_rejects=1, **ALL)
    assert rejects_of(kept) == [
        {"file": "other.png", "reason": "label_pattern doesn't match its name", "text": ""}
    ]


def test_no_labels_and_several_labels(new_ctx, tmp_path):
    flat = flat_folder(tmp_path / "flat", 5)
    assert set(rows_of(image_examples.function(new_ctx(), path=str(flat), labels=[], **ALL))[0]) == {
        "image", "path", "height", "width",
    }  # fmt: skip
    image = png(digits(1)[0][0])
    write(tmp_path / "multi" / "cat+dog" / "1.png", image)
    write(tmp_path / "multi" / "dog" / "2.png", image)
    multi = image_examples.function(new_ctx(), path=str(tmp_path / "multi"), separators={"label": "+"}, **ALL)
    assert multi.properties["columns"]["label"] == "strings"
    assert [row["label"] for row in rows_of(multi)] == [["cat", "dog"], ["dog"]]


def test_groups_and_values_decide_splits(new_ctx, tmp_path):
    flat = flat_folder(tmp_path / "flat", 40)
    pattern = r"-(?P<digit>\d)-(?P<group>\d{3})"
    made = image_examples.function(
        new_ctx(), path=str(flat), label_pattern=pattern, split_by="group", splits={"a": 1, "b": 1}
    )
    groups = [{row["group"] for row in rows_of(made, split)} for split in ("a", "b")]
    assert groups[0] and groups[1] and not groups[0] & groups[1]
    by_digit = {"label_pattern": pattern, "split_by_value": "digit"}
    with pytest.raises(DataError, match=r"digit-1-0001.png: column 'digit': '1' is in no split; 35 rows"):
        image_examples.function(new_ctx(), path=str(flat), **by_digit, splits={"low": [0]})
    listed = image_examples.function(
        new_ctx(), path=str(flat), label_pattern=pattern, split_by_value="digit",
        splits={"low": [0, 1, 2, 3], "high": [4, 5, 6]}, rest="drop",
    )  # fmt: skip
    assert {row["digit"] for row in rows_of(listed, "high")} == {"4", "5", "6"}
    assert listed.properties["dropped"] == sum(digit > 6 for _, digit in digits(40))


def test_what_is_passed_over(new_ctx, tmp_path):
    image = png(digits(1)[0][0])
    root = tmp_path / "photos"
    for name in (
        "cat/1.png",
        "cat/.hidden.png",
        "cat/Thumbs.db",
        "cat/.DS_Store",
        "__MACOSX/cat/1.png",
        ".git/x.png",
    ):
        write(root / name, image)
    write(root / "cat" / "no ending", image)
    write(root / "cat" / "LICENSE", b"all yours")
    write(root / "cat" / "notes.txt", b"a cat")
    (root / "empty").mkdir()
    ctx = new_ctx()
    made = image_examples.function(ctx, path=str(root), **ALL)
    assert [row["path"] for row in rows_of(made)] == ["cat/1.png", "cat/no ending"]
    warnings = warnings_of(ctx)
    assert (
        "2 files are no images and were left out (1 without an ending, 1 .txt), such as cat/LICENSE"
        in warnings
    )
    assert "1 folder holds no image: empty" in warnings
    write(root / "cat" / "2.HEIC", image)
    with pytest.raises(DataError, match=r"2.HEIC: its name says HEIC, which can't be read\n.*convert it"):
        image_examples.function(new_ctx(), path=str(root), **ALL)


def test_the_order_is_that_of_the_names(new_ctx, tmp_path):
    names = ["b/2.png", "a/10.png", "B/1.png", "a/9.png", "ä/1.png", "a b/1.png", "a/sub/1.png"]
    for number, name in enumerate(names):
        write(tmp_path / "one" / name, png(digits(9)[number][0]))
    for number, name in reversed(list(enumerate(names))):
        write(tmp_path / "other" / name, png(digits(9)[number][0]))
    one, other = (
        image_examples.function(new_ctx(), path=str(tmp_path / root), **ALL) for root in ("one", "other")
    )
    assert [row["path"] for row in rows_of(one)] == [
        "B/1.png", "a/10.png", "a/9.png", "a/sub/1.png", "a b/1.png", "b/2.png", "ä/1.png",
    ]  # fmt: skip
    assert one.digest == other.digest


def test_one_class_has_one_spelling(ctx, tmp_path):
    for number, form in enumerate(("NFC", "NFD")):
        write(tmp_path / unicodedata.normalize(form, "café") / f"{number}.png", png(digits(2)[number][0]))
    made = image_examples.function(ctx, path=str(tmp_path), **ALL)
    assert {row["label"] for row in rows_of(made)} == {"café"}
    assert len({row["path"].partition("/")[0] for row in rows_of(made)}) == 2


def test_links(new_ctx, tmp_path):
    image = png(digits(1)[0][0])
    outside = write(tmp_path / "outside" / "secret.png", image)
    inside = write(tmp_path / "photos" / "cat" / "1.png", image)
    (tmp_path / "photos" / "cat" / "2.png").symlink_to(inside)
    (tmp_path / "photos" / "cat" / "3.png").symlink_to(outside)
    (tmp_path / "photos" / "cat" / "4.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "photos" / "dog").symlink_to(outside.parent)
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "self").symlink_to("self")
    assert ("self", False) in top_level(str(tmp_path / "photos"))
    made = image_examples.function(new_ctx(), path=str(tmp_path / "photos"), max_rejects=5, **ALL)
    assert [row["path"] for row in rows_of(made)] == ["cat/1.png", "cat/2.png"]
    assert {reject["file"]: reject["reason"] for reject in rejects_of(made)} == {
        "cat/3.png": "is a link that leads out of the folder",
        "cat/4.png": "is a link that leads out of the folder",
        "dog": "is a link to a folder, and such links are not followed",
        "loop": "is a link to a folder, and such links are not followed",
        "self": f"can't be read: {os.strerror(errno.ELOOP)}",
    }
    (tmp_path / "photos" / "cat" / "4.png").unlink()
    (tmp_path / "photos" / "self").unlink()
    free = image_examples.function(
        new_ctx(), path=str(tmp_path / "photos"), allow_outside=True, max_rejects=1, **ALL
    )
    assert [row["path"] for row in rows_of(free)] == ["cat/1.png", "cat/2.png", "cat/3.png", "dog/secret.png"]
    assert [reject["reason"] for reject in rejects_of(free)] == ["is a link to a folder that it lies in"]


@pytest.mark.parametrize("path", ["photos/*/*.png", ["photos/cat/*.png", "photos/[d-e]*/*.png"], "photos"])
def test_other_names_are_other_data(tmp_path, path):
    for number, name in enumerate(("cat", "dog")):
        write(tmp_path / "all" / name / "1.png", png(digits(2)[number][0]))
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).symlink_to(tmp_path / "all" / name)
    paths = [str(tmp_path / one) for one in ([path] if isinstance(path, str) else path)]
    arguments = {"path": paths, "splits": {"all": 1.0}, "allow_outside": True}
    store = Store(tmp_path / "store")
    first = run_alone(image_examples, arguments, store)
    assert run_alone(image_examples, arguments, store).path == first.path
    (tmp_path / "photos" / "dog").rename(tmp_path / "photos" / "elk")
    made = run_alone(image_examples, arguments, store)
    assert sorted(row["label"] for row in rows_of(made)) == ["cat", "elk"]


def test_a_file_in_two_splits(ctx, tmp_path):
    root = class_folders(tmp_path / "digits", 10)
    with pytest.raises(
        InvalidRequestError, match=r"1/0001.png: path: the file is in split 'train' and in 'test'"
    ):
        image_examples.function(ctx, path={"train": str(root), "test": str(root / "1" / "*.png")})


def test_folders_are_followed_to_a_depth(ctx, tmp_path):
    image = png(digits(1)[0][0])
    write(tmp_path.joinpath("photos", *["x"] * 99, "1.png"), image)
    write(tmp_path.joinpath("photos", *["y"] * 150, "1.png"), image)
    made = image_examples.function(ctx, path=str(tmp_path / "photos"), max_rejects=1, **ALL)
    assert made.rows("all") == 1
    assert [reject["reason"] for reject in rejects_of(made)] == ["lies more than 100 folders deep"]
    (warning,) = [text for text in warnings_of(ctx) if "rejected" in text]
    assert "y/y/y: lies more than 100 folders deep" in warning


def test_a_sample_is_taken_from_everywhere(ctx, tmp_path):
    made = image_examples.function(ctx, path=str(class_folders(tmp_path, 100)), sample=20, **ALL)
    labels = [row["label"] for row in rows_of(made)]
    assert len(labels) == 20 and set(labels) == set("0123456789")


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (
            flat_folder,
            {},
            "60 images lie in no folder that tells a class.*\n.*labels: .. for images without labels",
        ),
        (split_folders, {}, "the folders test, train are called as splits are.*\n.*split_folders: true"),
        (class_folders, {"split_by": "klass"}, "there is no column 'klass'.*\n.*label, path, height, width"),
        (
            class_folders,
            {"types": {"label": "float", "lable": "int"}},
            "there is no column 'lable'; did you mean",
        ),
        (class_folders, {"image": "file"}, "image is for manifests, and path names images"),
        (class_folders, {"label_pattern": "("}, "no regular expression"),
        (class_folders, {"label_pattern": "x"}, "the pattern has no group"),
        (class_folders, {"labels": ["path"]}, "no label can be called 'path'"),
        (class_folders, {"labels": ["a", "b"], "join": "/"}, "join puts all levels into one column"),
        (class_folders, {"image_as": "pixels"}, "the shape of the pixels isn't stated"),
        (
            class_folders,
            {"split_folders": True, "stratify": "label"},
            "split_folders takes the splits from folders.*\n.*leave one out, stratify: null",
        ),
        (class_folders, {"path": " "}, "the path is empty"),
        (
            lambda root: flat_folder(root, 3),
            {"label_pattern": "(.*)", "stratify": "label"},
            "no row falls into split 'validation', 'test'.*\n.*leave stratify out",
        ),
    ],
)
def test_requests_that_do_not_fit(ctx, tmp_path, make, arguments, message):
    with pytest.raises((DataError, InvalidRequestError), match=message):
        image_examples.function(ctx, **{"path": str(make(tmp_path)), **arguments})


def test_folders_without_images(new_ctx, tmp_path):
    write(tmp_path / "notes" / "a.txt", b"no image")
    with pytest.raises(DataError, match=r"there is no image below this folder.*1 .txt.*a.txt"):
        image_examples.function(new_ctx(), path=str(tmp_path / "notes"))
    with pytest.raises(InvalidRequestError, match="there is no such file"):
        image_examples.function(new_ctx(), path=str(tmp_path / "nowhere"))
    for name in ("1.png", "2.png"):
        write(tmp_path / "bad" / "cat" / name, b"no image")
    with pytest.raises(DataError, match=r"none of 2 images can be used.*it is text"):
        image_examples.function(new_ctx(), path=str(tmp_path / "bad"), max_rejects=5)


def test_a_folder_without_permission_is_told_before_anything_runs(tmp_path):
    (tmp_path / "photos").mkdir(mode=0)
    options = ImageOptions(SplitOptions({"all": 1.0}))
    with as_nobody(), pytest.raises(InvalidRequestError, match="photos: it can't be read: Permission denied"):
        look(str(tmp_path / "photos"), options)


def test_names_that_would_run_over_a_terminal_are_shown_as_escapes(tmp_path):
    options = ImageOptions(SplitOptions({"all": 1.0}))
    image = write(tmp_path / "\x1b[31m\udcff\n.png", png(digits(1)[0][0]))
    (problem,) = look(str(tmp_path), options).problems
    assert "such as \\x1b[31m\\xff\\n.png" in str(problem)
    image.rename(tmp_path / "\x1b[31m.txt")
    (problem,) = look(str(tmp_path), options).problems
    assert problem.available == ("\\x1b[31m.txt",)


@contextmanager
def as_nobody():
    """As somebody who may not read everything, if this is root."""
    own = os.geteuid()
    if not own:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(ctx, tmp_path):
    write(tmp_path / "cat" / "1.png", png(digits(1)[0][0])).chmod(0)
    with pytest.raises(DataError, match="can't be read: Permission denied"):
        image_examples.function(ctx, path=str(tmp_path))


def test_one_of_something_is_told_as_one(ctx, tmp_path):
    root = class_folders(tmp_path, 40)
    write(root / "0" / "bad.png", b"no image")
    write(root / "rare" / "1.png", png(digits(1)[0][0]))
    image_examples.function(ctx, path=str(root), stratify="label", max_rejects=1)
    told = [event["warn"] for event in ctx.events if "warn" in event]
    assert any(text.startswith("1 row was rejected: 0/bad.png: it is text") for text in told), told
    assert any("'rare'" in text and "fewer rows than there are splits" in text for text in told), told
