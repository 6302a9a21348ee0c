"""`image_examples`: images that a manifest names or holds."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.components.image_examples import image_examples
from headrace.components.images.json_rows import read_objects
from headrace.components.images.manifest_files import named_files
from headrace.components.images.options import ImageOptions
from headrace.components.ingestion.split_options import SplitOptions
from headrace.pipelines.alone import run_alone
from headrace.pipelines.artifact import Files
from headrace.pipelines.errors import DataError, InvalidRequestError
from headrace.pipelines.store import Store

from .digit_files import (
    base64_rows,
    class_folders,
    digits,
    path_rows,
    pixel_rows,
    pixels_and_labels,
    png,
    rejects_of,
    rows_of,
    warnings_of,
    write,
    write_csv,
    write_json,
)

ALL = {"splits": {"all": 1}}


def test_columns_are_carried_along_and_typed(new_ctx, tmp_path):
    rows = path_rows(tmp_path, 12)
    for number, row in enumerate(rows):
        row |= {"day": f"2024-01-{number + 1:02}", "tags": "a|b" if number % 2 else "", "height": 5}
    arguments = {"types": {"label": "string", "day": "timestamp"}, "separators": {"tags": "|"}, **ALL}
    ctx = new_ctx()
    made = image_examples.function(ctx, path=str(write_csv(tmp_path / "rows.csv", rows)), **arguments)
    assert made.properties["columns"] == {
        "image": "image", "label": "string", "weight": "float", "day": "timestamp", "tags": "strings",
        "path": "string", "height": "int", "width": "int",
    }  # fmt: skip
    third = rows_of(made)[3]
    assert (third["path"], third["weight"], third["tags"], third["height"]) == (
        "photos/3/0003.png",
        0.75,
        ["a", "b"],
        8,
    )
    assert third["day"].isoformat() == "2024-01-04T00:00:00+00:00"
    assert rows_of(made)[0]["tags"] is None
    assert "column height of the manifest left out, as the images themselves tell it" in warnings_of(ctx)
    by_time = image_examples.function(
        new_ctx(), path=str(tmp_path / "rows.csv"), types={"day": "timestamp"}, split_by_time="day",
        splits={"train": {"before": "2024-01-09"}, "test": {"from": "2024-01-09"}}, columns=["day"],
    )  # fmt: skip
    assert {split: by_time.rows(split) for split in by_time.splits} == {"train": 8, "test": 4}
    assert set(by_time.properties["columns"]) == {"image", "day", "path", "height", "width"}


def test_other_images_under_the_same_names_are_other_data(tmp_path):
    rows = path_rows(tmp_path, 6)
    arguments = {"splits": {"all": 1.0}, "types": {"label": "string"}}
    for name, write_rows in (("rows.csv", write_csv), ("rows.json", write_json)):
        store = Store(tmp_path / f"store of {name}")
        arguments["path"] = str(write_rows(tmp_path / name, rows))
        write(tmp_path / rows[0]["file"], png(digits(1)[0][0]))
        first = run_alone(image_examples, arguments, store)
        again = run_alone(image_examples, arguments, store)
        write(tmp_path / rows[0]["file"], png(digits(2)[1][0]))
        other = run_alone(image_examples, arguments, store)
        assert first.path == again.path and first.digest != other.digest
        assert len(list((store.folder / "runs").iterdir())) == 2


@pytest.mark.parametrize(("delimiter", "sign"), [("auto", ";"), ("|", "|"), (None, ",")])
def test_the_images_of_a_manifest_are_known_whatever_its_delimiter(tmp_path, delimiter, sign):
    write(tmp_path / "1.png", png(digits(1)[0][0]))
    path = tmp_path / "rows.csv"
    path.write_text(f"label{sign}image\na{sign}1.png\n")
    options = ImageOptions(SplitOptions({"all": 1.0}), delimiter=delimiter)
    assert named_files([str(path)], options) == [str(tmp_path / "1.png")]


def test_json_values_keep_their_types(new_ctx, tmp_path):
    rows = path_rows(tmp_path, 4)
    extra = [
        {"tags": ["a", "b"], "count": 1, "score": 1, "good": True, "box": [1, 2.5]},
        {"tags": "c", "count": None, "score": 2.5, "good": None, "box": []},
        {"tags": [], "score": None, "good": False},
        {"tags": None, "count": 4},
    ]
    rows = [{**row, **more} for row, more in zip(rows, extra, strict=True)]
    made = [
        image_examples.function(new_ctx(), path=str(write_json(tmp_path / name, rows)), **ALL)
        for name in ("rows.json", "rows.jsonl")
    ]
    assert made[0].properties["columns"] == {
        "image": "image", "label": "string", "weight": "float", "tags": "strings", "count": "int",
        "score": "float", "good": "bool", "box": "floats", "path": "string", "height": "int", "width": "int",
    }  # fmt: skip
    found = rows_of(made[0])
    assert [row["tags"] for row in found] == [["a", "b"], ["c"], None, None]
    assert [row["count"] for row in found] == [1, None, None, 4]
    assert [row["good"] for row in found] == [True, None, False, None]
    assert [row["box"] for row in found] == [[1.0, 2.5], None, None, None]
    assert made[0].digest == made[1].digest


def test_an_artifact_of_files_with_a_manifest(new_ctx):
    draft = new_ctx().output(Files)
    rows = path_rows(draft.path, 6)
    write_csv(draft.path / "rows.csv", [{**row, "photo": row.pop("file")} for row in rows])
    files = draft.finish()
    named = image_examples.function(new_ctx(), path=files, image="photo", types={"label": "string"}, **ALL)
    assert [row["weight"] for row in rows_of(named)] == [0, 0.25, 0.5, 0.75, 1, 1.25]
    folders = image_examples.function(new_ctx(), path=files, labels=["folder", "label"], **ALL)
    assert pixels_and_labels(folders) == pixels_and_labels(named)
    only = new_ctx().output(Files)
    write_csv(only.path / "pixels.csv", pixel_rows(3))
    held = image_examples.function(new_ctx(), path=only.finish(), image_as="pixels", shape=[8, 8], **ALL)
    assert held.rows("all") == 3


def test_columns_that_only_late_rows_have(new_ctx, tmp_path):
    rows = path_rows(tmp_path, 3) * 60
    rows[-1] = {**rows[-1], "late": 7}
    path = write_json(tmp_path / "rows.jsonl", rows)
    made = image_examples.function(new_ctx(), path=str(path), types={"late": "float"}, **ALL)
    assert rows_of(made)[-1]["late"] == 7.0 and rows_of(made)[0]["late"] is None
    other = write_json(tmp_path / "other.json", path_rows(tmp_path, 2))
    both = image_examples.function(new_ctx(), path=[str(other), str(path)], **ALL)
    assert both.properties["columns"]["late"] == "int"


@pytest.mark.parametrize(
    ("values", "stated", "expected"),
    [
        ([1, "b"], "string", ["1", "b"]),
        ([1, 2], "float", [1.0, 2.0]),
        (["1", "2"], "int", [1, 2]),
        ([1, [2, 3]], "ints", [[1], [2, 3]]),
        (["2024-01-31", None], "timestamp", ["2024-01-31 00:00:00+00:00", None]),
        ([[1, "a"], ["b"]], "strings", [["1", "a"], ["b"]]),
        ([1 << 70, 2], "float", [float(1 << 70), 2.0]),
    ],
)
def test_types_that_are_stated_for_json(ctx, tmp_path, values, stated, expected):
    rows = [{**row, "value": value} for row, value in zip(path_rows(tmp_path, 2), values, strict=True)]
    path = write_json(tmp_path / "rows.json", rows)
    made = image_examples.function(ctx, path=str(path), types={"value": stated}, **ALL)
    found = [row["value"] for row in rows_of(made)]
    assert [str(value) if stated == "timestamp" and value else value for value in found] == expected


def test_a_path_is_put_together(ctx, tmp_path):
    class_folders(tmp_path / "photos", 5)
    rows = [{"id": f"{number:04d}", "label": digit} for number, (_, digit) in enumerate(digits(5))]
    path = write_csv(tmp_path / "rows.csv", rows)
    made = image_examples.function(ctx, path=str(path), image="photos/{label}/{id}.png", **ALL)
    assert [row["path"] for row in rows_of(made)] == [f"photos/{d}/000{d}.png" for d in range(5)]
    assert [row["id"] for row in rows_of(made)] == ["0000", "0001", "0002", "0003", "0004"]


def test_paths_are_confined_to_the_manifests_folder(new_ctx, tmp_path):
    image = png(digits(1)[0][0])
    write(tmp_path / "in" / "a b" / "é\n.png", image)
    other = write(tmp_path / "out" / "1.png", image)
    write(tmp_path / "in" / "own.png", image)
    (tmp_path / "in" / "link.png").symlink_to(other)
    (tmp_path / "in" / "door").symlink_to(other.parent)
    names = [
        "a b/é\n.png", "a b\\é\n.png", str(tmp_path / "in" / "own.png"), "./a b/../own.png",
        "../out/1.png", str(other), "link.png", "door/1.png", "ftp://me:secret@host/1.png", "nowhere.png",
    ]  # fmt: skip
    path = write_csv(tmp_path / "in" / "rows.csv", [{"path": name} for name in names])
    made = image_examples.function(new_ctx(), path=str(path), max_rejects=6, **ALL)
    assert [row["path"] for row in rows_of(made)] == names[:4]
    reasons = [(reject["line"], reject["reason"].partition(": ")[2]) for reject in rejects_of(made)]
    assert sorted(reasons) == [
        (8, "the path leads out of the manifest's folder"),
        (9, "the path leads out of the manifest's folder"),
        (10, "the path leads out of the manifest's folder"),
        (11, "the path leads out of the manifest's folder"),
        (12, "addresses that begin with ftp:// are not read"),
        (13, "there is no such file"),
    ]
    assert {reject["file"] for reject in rejects_of(made)} == {"rows.csv"}
    assert "secret" not in json.dumps(rejects_of(made))
    free = image_examples.function(new_ctx(), path=str(path), max_rejects=2, allow_outside=True, **ALL)
    assert [row["path"] for row in rows_of(free)] == names[:8]


def test_images_in_cells(new_ctx, tmp_path):
    pixels = digits(3)
    rows = [{"pixels": " ".join(map(str, p.ravel())), "label": d} for p, d in pixels]
    rows[1]["pixels"] = rows[1]["pixels"].replace(" ", ",")
    path = write_csv(tmp_path / "pixels.csv", rows)
    made = image_examples.function(new_ctx(), path=str(path), image_as="pixels", shape=[8, 8], **ALL)
    assert pixels_and_labels(made) == sorted((p.tobytes(), str(d)) for p, d in pixels)
    assert [row["path"] for row in rows_of(made)] == ["pixels.csv:2", "pixels.csv:3", "pixels.csv:4"]
    color = write_json(tmp_path / "color.json", [{"image": [[[255, 0, 0], [0, 0, 255]]]}])
    made = image_examples.function(new_ctx(), path=str(color), image_as="pixels", shape=[1, 2, 3], **ALL)
    from PIL import Image

    (row,) = rows_of(made)
    (tmp_path / "color.png").write_bytes(row["image"])
    with Image.open(tmp_path / "color.png") as image:
        assert (image.mode, image.size, image.getpixel((1, 0))) == ("RGB", (2, 1), (0, 0, 255))


def test_a_column_for_each_pixel(new_ctx, tmp_path):
    pixels = digits(5)
    names = [f"pixel{place}" for place in range(64)]
    rows = [{"label": d, **dict(zip(names, p.ravel().tolist(), strict=True))} for p, d in pixels]
    rows[4]["pixel7"] = ""
    arguments = {"image": "pixel*", "image_as": "pixels", "shape": [8, 8], "max_rejects": 1, **ALL}
    for path in (
        write_csv(tmp_path / "wide.csv", rows),
        write_json(tmp_path / "wide.jsonl", [*rows[:4], {"label": 4}]),
    ):
        made = image_examples.function(new_ctx(), path=str(path), **arguments)
        assert pixels_and_labels(made) == sorted((p.tobytes(), str(d)) for p, d in pixels[:4])
        assert set(made.properties["columns"]) == {"image", "label", "path", "height", "width"}
        assert [reject["reason"] for reject in rejects_of(made)] == ["the row tells of no image"]
    with pytest.raises(DataError, match=r"no column is called px\*"):
        image_examples.function(new_ctx(), path=str(path), **{**arguments, "image": "px*"})


def test_cells_that_hold_no_image(new_ctx, tmp_path):
    good = base64_rows(2)
    url = {"image": "data:image/png;base64," + good[0]["image"], "label": "0"}
    rows = [
        *good,
        url,
        {"image": "%%%", "label": "1"},
        {"image": "", "label": "1"},
        {"image": "QUJD", "label": "1"},
    ]
    path = write_csv(tmp_path / "rows.csv", rows)
    made = image_examples.function(new_ctx(), path=str(path), image_as="base64", max_rejects=3, **ALL)
    assert made.rows("all") == 3
    reasons = {reject["line"]: reject["reason"] for reject in rejects_of(made)}
    assert reasons[6] == "the row tells of no image"
    assert "the cell is no base64" in reasons[5] and "it is text" in reasons[7]
    with pytest.raises(
        DataError, match=r"it is no path, but an image as base64(?s:.)*image_as: base64 reads it"
    ):
        image_examples.function(new_ctx(), path=str(path), **ALL)
    with pytest.raises(DataError, match=r"the only image can't be used: .*no path, but an image as base64"):
        image_examples.function(
            new_ctx(), path=str(write_csv(tmp_path / "one.csv", good[:1])), max_rejects=3, **ALL
        )
    bad = [{"pixels": text} for text in ("1 2 3", "1 2 x 4", "1 2 3 256", "1 2 3 0.5", "1 2 3 4")]
    path = write_csv(tmp_path / "bad.csv", bad)
    made = image_examples.function(
        new_ctx(), path=str(path), image_as="pixels", shape=[2, 2], max_rejects=4, **ALL
    )
    reasons = [reject["reason"].partition(": ")[2] for reject in rejects_of(made)]
    assert reasons[0] == "the cell holds 3 numbers, and the shape 2 by 2 asks for another count"
    assert reasons[1].startswith("the cell holds no numbers")
    assert reasons[2:] == ["256 is no whole number from 0 to 255", "0.5 is no whole number from 0 to 255"]


def test_several_manifests_gzip_and_other_delimiters(new_ctx, tmp_path):
    rows = path_rows(tmp_path, 8)
    write_csv(tmp_path / "a.csv", rows[:4])
    write_csv(tmp_path / "b.csv", rows[4:])
    both = image_examples.function(new_ctx(), path=str(tmp_path / "*.csv"), **ALL)
    named = {"train": str(tmp_path / "a.csv"), "test": [str(tmp_path / "b.csv")]}
    split = image_examples.function(new_ctx(), path=named)
    assert (both.rows("all"), split.rows("train"), split.rows("test")) == (8, 4, 4)
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "tabs.tsv").write_text(text.replace(",", "\t"))
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows[:4])).encode()))
    (tmp_path / "semicolons.csv").write_text(text.replace(",", ";"))
    whole = rows_of(
        image_examples.function(new_ctx(), path=str(tmp_path / "a.csv"), types={"label": "string"}, **ALL)
    )
    for name, more in (
        ("tabs.tsv", {}),
        ("packed.csv.gz", {}),
        ("packed.jsonl.gz", {}),
        ("semicolons.csv", {"delimiter": ";"}),
    ):
        path = str(tmp_path / name)
        made = image_examples.function(new_ctx(), path=path, types={"label": "string"}, **more, **ALL)
        assert rows_of(made) == whole


def test_addresses_on_the_network(new_ctx, tmp_path):
    rows = path_rows(tmp_path, 6)

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        remote = [{**row, "url": f"{base}/{row['file']}?token=secret"} for row in rows]
        remote += [{**rows[0], "url": f"{base}/gone.png?token=secret"}]
        remote += [{**rows[0], "label": "other", "url": f"{base}/{rows[0]['file']}?token=secret"}]
        path = write_json(tmp_path / "remote.json", remote)
        arguments = {"image": "url", "max_rejects": 1, **ALL}
        ctx = new_ctx()
        made = image_examples.function(ctx, path=str(path), remote={"allow_private": True}, **arguments)
        with pytest.raises(DataError, match="8 images can't be used") as error:
            image_examples.function(new_ctx(), path=str(path), **arguments)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "secret" not in str(error.value) + str(warnings_of(ctx)) and "different labels" in str(
        warnings_of(ctx)
    )
    rows.append({**rows[0], "label": "other"})
    local = image_examples.function(new_ctx(), path=str(write_json(tmp_path / "local.json", rows)), **ALL)
    assert pixels_and_labels(made) == pixels_and_labels(local)
    (reject,) = rejects_of(made)
    assert (reject["line"], "404" in reject["reason"], "secret" in json.dumps(reject)) == (
        remote_line(path),
        True,
        False,
    )


def remote_line(path):
    """The line on which the last object but one begins."""
    return [row.line for row in read_objects(path)][-2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"image": "a.png"', "the line is no JSON"),
        ('{\n "image": "a.png"\n}', "one object over several lines is no JSONL"),
        ('[{"image": "a.png"}, {"image"', "the array is no JSON, or cut short"),
        ('[{"image": "a.png"} {"image": "b.png"}]', "have a comma between them"),
        ('["a.png"]', "something that is no object"),
        ('[{"image": "a.png"},]', "something that is no object"),
        ('[{"image": "a.png"}', "the array is cut short"),
        ('[{"image": "a.png"}]\n[{"image": "b.png"}]', "rows.json:2: something stands behind the array"),
        ('"a.png"', "begins with"),
        (
            '[{"image": "a.png", "x": 1},\n {"image": "b.png", "x": "b"}]',
            "rows.json:2: column 'x' is string here, and int on line 1",
        ),
        ('[{"image": "a.png", "x": {"y": 1}}]', "column 'x' holds an object"),
        ("[]", "the manifest holds no rows"),
        ('[{"file": "a.png", "path": "b.png"}]', "file, path may all be the images"),
        ('[{"a": 1}]', "no column is called as one of images is"),
    ],
)
def test_json_that_is_none_of_rows(ctx, tmp_path, text, message):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises((DataError, InvalidRequestError), match=message):
        image_examples.function(ctx, path=str(tmp_path / "rows.json"), **ALL)


def test_large_json_is_read_piece_by_piece(tmp_path):
    rows = [{"image": "x" * 700_000, "n": number} for number in range(5)]
    path = write_json(tmp_path / "rows.json", rows)
    assert [(row.line, row.value) for row in read_objects(path)] == [
        (2 + 4 * n, row) for n, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": "fil"}, "there is no column 'fil'; did you mean 'file'"),
        ({"image": "{file}/{x}"}, "there is no column 'x'"),
        ({"columns": ["weihgt"]}, "did you mean 'weight'"),
        ({"types": {"x": "int"}}, "there is no column 'x'"),
        ({"labels": ["label", "lable"]}, "labels: there is no column 'lable'"),
        ({"join": "/"}, "join is for folders, and a manifest is given"),
        ({"split_folders": True}, "split_folders is for folders"),
        ({"split_by": "file"}, "there is no column 'file'"),
        ({"image_as": "base64", "image": "{file}"}, "put together as a path"),
    ],
)
def test_requests_that_do_not_fit(ctx, tmp_path, arguments, message):
    path = write_csv(tmp_path / "rows.csv", path_rows(tmp_path, 3))
    with pytest.raises((DataError, InvalidRequestError), match=message):
        image_examples.function(ctx, path=str(path), **arguments)


def test_bad_rows_of_the_manifest_and_bad_images_count_together(new_ctx, tmp_path):
    rows = path_rows(tmp_path, 6)
    write(tmp_path / "photos" / "2" / "0002.png", b"no image")
    path = write_csv(tmp_path / "rows.csv", rows)
    with path.open("a") as stream:
        stream.write("one,field,too,many\n")
    arguments = {"path": str(path), **ALL}
    made = image_examples.function(new_ctx(), max_rejects=2, **arguments)
    assert sorted(reject["line"] for reject in rejects_of(made)) == [4, 8]
    assert made.rows("all") == 5
    with pytest.raises(DataError, match=r"2 images can't be used, more than max_rejects: 1 allows"):
        image_examples.function(new_ctx(), max_rejects=1, **arguments)


def test_pixel_rows_of_json_equal_those_of_csv(new_ctx, tmp_path):
    arguments = {"image_as": "pixels", "shape": [8, 8], "types": {"label": "string"}, **ALL}
    one = image_examples.function(
        new_ctx(), path=str(write_csv(tmp_path / "a.csv", pixel_rows(9))), **arguments
    )
    other = image_examples.function(
        new_ctx(), path=str(write_json(tmp_path / "a.jsonl", pixel_rows(9))), **arguments
    )
    assert [row["image"] for row in rows_of(one)] == [row["image"] for row in rows_of(other)]
