"""`predict` with a model of images, from raw files to answers."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headrace.components import export
from headrace.components.exporting import image_rows
from headrace.components.exporting.image_rows import rows_of_files, rows_of_table
from headrace.components.exporting.rows import read_rows
from headrace.components.images.admit import Limits
from headrace.components.predict import CsvOptions, predict
from headrace.pipelines.artifact import ExportedModel
from headrace.pipelines.errors import DataError, InvalidRequestError

from .images.picture_files import exif, save
from .model_path import Paths

CLASSES = ("above", "below")
SMALL = {"model": "cnn", "model_args": {"width": 0.25, "dropout": 0.0}}


def half(bright: str, seed: int = 0) -> Image.Image:
    """An image of 12x12 with its upper or lower half bright."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (12, 12, 3)).astype(np.uint8)
    rows = slice(0, 6) if bright == "above" else slice(6, 12)
    pixels[rows] += 180
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    paths = Paths(tmp_path_factory.mktemp("images"))
    labels = [CLASSES[i % 2] for i in range(160)]
    images = [save(half(label, i), "PNG" if i % 3 else "JPEG") for i, label in enumerate(labels)]
    table = pa.table({"image": pa.array(images, pa.binary()), "label": labels})
    splits = {"train": table.slice(0, 120), "validation": table.slice(120, 20), "test": table.slice(140)}
    features = {"image": ["decode", {"resize": [8, 8]}, {"scale": "zero_one"}]}
    path = paths.prepare(splits, features, "label")
    model = paths.train(path, epochs=5, batch_size=10, learning_rate=0.01, **SMALL)
    return export.function(paths.ctx(), model, path.raw)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of all kinds in class folders; each is named after what it shows."""
    photos = tmp_path / "photos"
    for number, name in enumerate(CLASSES):
        (photos / name).mkdir(parents=True)
        for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
            (photos / name / f"{name}.{kind.lower()}").write_bytes(save(half(name, 1000 + number), kind))
    # Held upside down: the file shows the other half.
    (photos / "below" / "held über kopf.jpg").write_bytes(
        save(half("above", 7), "JPEG", exif=exif(3), quality=95)
    )
    (photos / "notes.txt").write_text("of no interest")
    return photos


def answers(exported: ExportedModel, given: object, **more: object) -> list[dict[str, str]]:
    out = io.StringIO()
    rows = predict(exported.path, given, stream=out, **more)  # type: ignore[arg-type]
    read = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(read) == rows
    return read


def test_a_folder_of_all_formats(exported, folder):
    rows = answers(exported, folder)
    assert list(rows[0]) == [
        "path", "prediction", "probability", "probability:above", "probability:below", "error",
    ]  # fmt: skip
    assert len(rows) == 13
    for row in rows:
        assert row["prediction"] == Path(row["path"]).parent.name, row
        assert Path(row["path"]).is_file()
        assert not row["error"]
    lossless = [r for r in rows if r["path"].endswith(("above.png", "above.bmp", "above.tiff"))]
    assert len({r["probability"] for r in lossless}) == 1


def test_files_and_globs_in_their_order(exported, folder):
    first, second = folder / "below" / "below.png", folder / "above" / "above.jpeg"
    rows = answers(exported, [first, second, str(folder / "*" / "*.bmp")])
    assert [Path(r["path"]).name for r in rows] == ["below.png", "above.jpeg", "above.bmp", "below.bmp"]


def test_the_likeliest_classes_as_json(exported, folder, tmp_path):
    out = tmp_path / "answers.jsonl"
    (folder / "empty.png").touch()
    predict(exported.path, folder, out, top=2)
    all_told = {r["path"]: r for r in answers(exported, folder)}
    for row in map(json.loads, out.read_text().splitlines()):
        assert list(row) == ["path", "prediction", "probability", "prediction_2", "probability_2", "error"]
        told = all_told[row["path"]]
        if row["error"]:
            assert row["prediction_2"] is row["probability_2"] is None
            continue
        assert row["prediction"] == told["prediction"] != row["prediction_2"]
        assert row["probability_2"] == pytest.approx(float(told[f"probability:{row['prediction_2']}"]))


def test_images_that_cant_be_used_are_told(exported, folder, tmp_path):
    whole = save(half("above"), "JPEG")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("hello")
    (folder / "lies.png").write_bytes(whole)
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "gone.png").symlink_to("/nowhere/a.png")
    told: dict[str, str] = {}
    out = tmp_path / "answers.parquet"
    limits = Limits(max_pixels=144)
    (folder / "large.png").write_bytes(save(Image.new("L", (13, 12)), "PNG"))
    rows = predict(exported.path, folder, out, limits=limits, unusable=told.__setitem__)
    table = pq.read_table(out).to_pylist()
    assert len(table) == rows == 13 + 7
    errors = {Path(r["path"]).name: r["error"] for r in table if r["error"]}
    assert {Path(path).name: reason for path, reason in told.items()} == errors
    assert "cut off" in errors["cut.jpg"]
    assert errors["empty.png"] == "the file is empty"
    assert "text" in errors["text.jpg"]
    assert errors["lies.png"] == "its name says PNG, but it is JPEG"
    assert "HEIC" in errors["photo.heic"]
    assert "144" in errors["large.png"]
    assert "gone.png" in errors
    assert all((r["prediction"] is None) == bool(r["error"]) for r in table)
    assert all((r["probability:above"] is None) == bool(r["error"]) for r in table)


def test_a_table_of_paths(exported, folder):
    rows = ["above/above.png", "below/held über kopf.jpg", "missing.png", ""]
    table, lines, parquet = folder / "list.csv", folder / "list.jsonl", folder / "list.parquet"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([["note", "file"], *(["x", row] for row in rows)])
    lines.write_text("".join(json.dumps({"file": row or None}) + "\n" for row in rows))
    pq.write_table(pa.table({"image": [row or None for row in rows]}), parquet)
    for file in (table, lines, parquet):
        found = answers(exported, file)
        assert [r["path"] for r in found] == rows
        assert [r["prediction"] for r in found] == ["above", "below", "", ""]
        assert found[2]["error"] == "there is no such file"
        assert found[3]["error"] == "there is no image"


def test_a_tables_paths_stay_in_its_folder(folder):
    table = folder / "above" / "list.csv"
    cells = ["../below/below.png", "http://127.0.0.1/a.png", "above.png", "a\0b"]
    rows = [pa.record_batch({"photo": cells, "n": [1, 2, 3, 4]})]
    (found,) = rows_of_table(iter(rows), ["photo"], table, Limits())
    assert found.reasons == [
        "the path leads out of the manifest's folder",
        "addresses on the network are not read here",
        "",
        "the path holds a NUL character",
    ]
    assert found.names == cells
    assert found.rows["photo"].to_pylist()[2] == (folder / "above" / "above.png").read_bytes()
    (found,) = rows_of_table(iter(rows), ["photo"], table, Limits(), allow_outside=True)
    assert found.reasons[0] == ""


def test_batches_are_bounded_in_number_and_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(image_rows, "BATCH_BYTES", 5000)
    noise = np.random.default_rng(0).integers(0, 256, (45, 45, 3), np.uint8)
    for number in range(70):
        image = Image.new("L", (1, 1)) if number < 66 else Image.fromarray(noise)
        (tmp_path / f"{number:02}.png").write_bytes(save(image, "PNG"))
    sizes = [len(rows.names) for rows in rows_of_files([str(tmp_path)], "image", Limits())]
    assert sizes == [64, 3, 1, 1, 1]
    cells = pa.array([path.name for path in sorted(tmp_path.iterdir())])
    batches = iter([pa.record_batch({"image": cells})])
    read = rows_of_table(batches, ["image"], tmp_path / "t.csv", Limits())
    assert [len(rows.names) for rows in read] == sizes


def test_a_table_of_images_themselves(exported, tmp_path):
    """As the parts of raw Examples are; more than one batch of them."""
    names = [CLASSES[i % 2] for i in range(150)]
    images = [save(half(name, 500 + i), "PNG") for i, name in enumerate(names)]
    images[70] = b"no image"
    table = tmp_path / "part.parquet"
    pq.write_table(pa.table({"image": pa.array(images, pa.binary()), "n": range(150)}), table)
    found = answers(exported, table)
    assert [i for i, r in enumerate(found) if r["error"]] == [70]
    assert sum(r["prediction"] == name for r, name in zip(found, names, strict=True)) == 149


def test_a_table_of_images_as_base64(exported, tmp_path):
    images = [save(half(name, 700 + i), "PNG") for i, name in enumerate(CLASSES)]
    cells = [base64.b64encode(image).decode() for image in [*images, images[0][:100]]]
    table = tmp_path / "cells.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([["image"], *([cell] for cell in cells)])
    found = answers(exported, table)
    assert [r["prediction"] for r in found] == [*CLASSES, ""]
    assert "cut off" in found[2]["error"] and {r["path"] for r in found} == {""}


def test_what_cant_be_asked(exported, folder, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidRequestError, match="there is no image here"):
        answers(exported, tmp_path / "none")
    with pytest.raises(InvalidRequestError, match="no such file"):
        answers(exported, tmp_path / "nowhere.png")
    with pytest.raises(InvalidRequestError, match="from one file"):
        answers(exported, [folder / "a.csv", folder])
    table = tmp_path / "t.csv"
    table.write_text("pixel\n1\n")
    with pytest.raises(DataError, match="there is no column 'image'"):
        list(read_rows({"image": "image"}, table, tmp_path, CsvOptions()))
    pq.write_table(pa.table({"image": [1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="is int here, and images are paths or bytes"):
        list(read_rows({"image": "image"}, tmp_path / "t.parquet", tmp_path, CsvOptions()))


def test_the_command(exported, folder):
    (folder / "text\n.jpg").write_text("hello")
    program = "import sys; from headrace.pipelines.cli import main; sys.exit(main())"
    given = [str(exported.path), str(folder), str(folder / "above" / "above.png")]
    command = [sys.executable, "-c", program, "predict", "--json", "--top", "1", *given]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 15
    assert list(rows[0]) == ["path", "prediction", "probability", "error"]
    assert "text\\n.jpg: it is text" in done.stderr
    assert "14 predictions\n1 image can't be used\n" in done.stderr
