"""Images in columns of Parquet files and TFRecords."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headrace.components import parquet_examples, tfrecord_examples
from headrace.components.ingestion.image_values import read_images
from headrace.components.ingestion.values import shown
from headrace.pipelines.artifact import Examples
from headrace.pipelines.errors import DataError, InvalidRequestError

from ..tf_examples.record_files import write_rows


def encoded(kind: str, seed: int, side: int = 9) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


PNG, JPEG, BMP = encoded("PNG", 0), encoded("JPEG", 1), encoded("BMP", 2)
PIXELS = np.asarray(Image.open(io.BytesIO(BMP)))


def rows_of(examples: Examples) -> list[dict[str, Any]]:
    parts = [pq.read_table(part) for split in examples.splits for part in examples.parts(split)]
    found: list[dict[str, Any]] = pa.concat_tables(parts).to_pylist()
    return found


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), "struct", "view"])
def test_bytes_are_kept_turned_or_refused(kind: Any) -> None:
    values = [PNG, None, JPEG, BMP, b"", b"no image", PNG[:40]]
    if kind == "struct":
        column = pa.array([None if v is None else {"bytes": v, "path": "x.png"} for v in values])
    else:
        column = pa.array(values, pa.binary_view() if kind == "view" else kind)
    found = read_images(column)
    assert found.array.type == pa.binary()
    made = found.array.to_pylist()
    assert made[:3] == [PNG, None, JPEG] and made[4:] == [None] * 3
    with Image.open(io.BytesIO(made[3])) as turned:
        assert turned.format == "PNG" and (np.asarray(turned) == PIXELS).all()
    assert [np.flatnonzero(bad.mask).tolist() for bad in found.bad] == [[5], [6]]
    assert "not an image" in found.bad[0].what


def test_a_message_shows_no_bytes_of_an_image() -> None:
    large = bytes(2_000_000)
    assert shown(pa.array([large]), 0) == "<2,000,000 bytes>"
    assert (
        shown(pa.array([{"bytes": large, "path": "a"}]), 0) == "{'bytes': '<2,000,000 bytes>', 'path': 'a'}"
    )


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_columns_become_images(new_ctx: Any, tmp_path: Path, nested: bool) -> None:
    images = [PNG, JPEG, BMP, None, b"oops"]
    held = [{"bytes": image, "path": None} for image in images] if nested else images
    pq.write_table(pa.table({"img": held, "n": range(5)}), tmp_path / "a.parquet")
    path, splits = str(tmp_path / "a.parquet"), {"all": 1.0}
    with pytest.raises(DataError, match=r"types: \{img: image\}"):
        parquet_examples.function(new_ctx(), path, splits=splits)
    types = {"img": "image"}
    with pytest.raises(DataError, match=r"row 5: column 'img': .* can't be used as an image: it is text"):
        parquet_examples.function(new_ctx(), path, splits=splits, types=types)
    made = parquet_examples.function(new_ctx(), path, splits=splits, types=types, max_rejects=1)
    assert made.properties["columns"] == {"img": "image", "n": "int"}
    found = rows_of(made)
    assert [row["n"] for row in found] == [0, 1, 2, 3]
    assert [row["img"] for row in found][:2] == [PNG, JPEG] and found[3]["img"] is None
    assert Image.open(io.BytesIO(found[2]["img"])).format == "PNG"
    (line,) = made.file("rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["line"] == 5
    with pytest.raises(InvalidRequestError, match="images, and no split is made by them"):
        parquet_examples.function(new_ctx(), path, splits=splits, types=types, stratify="img")


def test_parts_with_images_are_small(new_ctx: Any, tmp_path: Path) -> None:
    big = [encoded("PNG", seed, 1000) for seed in range(12)]
    pq.write_table(pa.table({"img": big}), tmp_path / "a.parquet")
    made = parquet_examples.function(
        new_ctx(), str(tmp_path / "a.parquet"), splits={"all": 1.0}, types={"img": "image"}
    )
    sizes = [part.stat().st_size for part in made.parts("all")]
    assert len(sizes) == 3 and max(sizes) <= 17_000_000
    assert [row["img"] for row in rows_of(made)] == big


def test_tfrecords_become_images(new_ctx: Any, tmp_path: Path) -> None:
    rows = [{"image/encoded": PNG, "label": "a"}, {"label": "b"}, {"image/encoded": BMP, "label": "c"}]
    several = [*rows, {"image/encoded": [PNG, JPEG], "label": "d"}]
    types, splits = {"image/encoded": "image"}, {"all": 1.0}
    path = write_rows(tmp_path / "a.tfrecord", several)
    with pytest.raises(DataError, match="several values"):
        tfrecord_examples.function(new_ctx(), str(path), splits=splits, types=types)
    made = tfrecord_examples.function(new_ctx(), str(path), splits=splits, types=types, max_rejects=1)
    assert made.properties["columns"] == {"image/encoded": "image", "label": "string"}
    found = rows_of(made)
    assert [row["label"] for row in found] == ["a", "b", "c"]
    assert found[0]["image/encoded"] == PNG and found[1]["image/encoded"] is None
    assert (np.asarray(Image.open(io.BytesIO(found[2]["image/encoded"]))) == PIXELS).all()
