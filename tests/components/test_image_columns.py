"""Columns of images through statistics, schema, validation and report."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headrace.components.accept_examples import accept_examples
from headrace.components.data_plane.image_parts import image_presence
from headrace.components.data_report import data_report
from headrace.components.evaluate import evaluate
from headrace.components.import_schema import import_schema
from headrace.components.infer_schema import infer_schema
from headrace.components.report.thumbnails import thumbnails
from headrace.components.statistics import statistics
from headrace.components.statistics_files import load_statistics
from headrace.components.validate_examples import validate_examples
from headrace.pipelines.component import Known
from headrace.schemas.anomalies import from_json
from headrace.schemas.image_counts import ImageCounts
from headrace.schemas.schema_file import read_schema
from headrace.schemas.schema_pbtxt import read_pbtxt, write_pbtxt

from .raw_examples import make_raw_examples


def encoded(kind: str, side: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def table(rows: int, missing: int = 3) -> pa.Table:
    """Images of two formats and several sizes; every `missing`-th row has none (0: all have one)."""
    images = [
        None if missing and not i % missing else encoded("JPEG" if i % 2 else "PNG", 8 + i % 5, i)
        for i in range(rows)
    ]
    labels = [["cat", "dog"][i % 2] for i in range(rows)]
    return pa.table({"image": pa.array(images, pa.binary()), "label": labels, "width": range(rows)})


def test_statistics_tell_number_sizes_and_formats(new_ctx: Any) -> None:
    data = table(50)
    examples = make_raw_examples(new_ctx(), {"train": data, "test": table(4, missing=1)}, rows_per_part=7)
    made = [
        statistics.function(new_ctx(direct_num_workers=workers), examples, label="label", slices=["label"])
        for workers in ("1", "2")
    ]
    assert made[0].digest == made[1].digest
    train, test = load_statistics(made[0])
    sizes = [len(image) for image in data["image"].to_pylist() if image]
    found = train["image"]
    assert (found.type, found.rows, found.missing, found.distinct) == ("image", 50, 17, 0)
    images = found.images
    assert images is not None and images.histogram is not None
    assert (images.min_bytes, images.max_bytes, images.bytes) == (min(sizes), max(sizes), sum(sizes))
    assert images.mean_bytes == pytest.approx(np.mean(sizes))
    assert images.formats == (("jpeg", 17), ("png", 16)) and sum(images.histogram.counts) == 33
    assert found.correlation is None
    assert test["image"].count == 0 and test["image"].images == ImageCounts(0, 4).compute()
    assert [part["image"].count for part in train.slices] == [17, 16]
    text = made[0].file("statistics.txt").read_text()
    assert "jpeg 51.5%, png 48.5%" in text and "17 (34.0%)" in text


def test_a_schema_has_an_image_domain_and_is_read_back(new_ctx: Any, tmp_path: Any) -> None:
    examples = make_raw_examples(new_ctx(), {"train": table(20)})
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), examples))
    found = read_schema(schema.file("schema.yaml").read_text())
    assert (found["image"].type, found["image"].presence, found["image"].values) == ("image", 0.3, None)
    text = schema.file("schema.pbtxt").read_text()
    assert "image_domain" in text and read_pbtxt(text).schema == found
    drift = "drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }\n  image_domain {"
    more = text.replace("image_domain {", f"{drift}\n    max_image_byte_size: 9000")
    given = read_pbtxt(more)
    assert any("images aren't compared" in told for told in given.warnings)
    assert any("image_domain.max_image_byte_size" in told for told in given.warnings)
    assert "9000" in write_pbtxt(read_pbtxt(more.replace("0.3", "0.5")).schema, given.message)
    (tmp_path / "edited.pbtxt").write_text(more)
    again = import_schema.function(new_ctx(), path=str(tmp_path / "edited.pbtxt"))
    assert read_schema(again.file("schema.yaml").read_text()) == found


def test_validation_counts_missing_images_and_reads_none_where_the_footer_tells(new_ctx: Any) -> None:
    whole = make_raw_examples(new_ctx(), {"train": table(40, missing=0), "test": table(8, missing=0)})
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), whole))
    fine = validate_examples.function(new_ctx(), whole, schema, skew=0.5, baseline=whole, drift=0.5)
    assert not [one for one in from_json(fine.file("anomalies.json").read_text()) if one.feature == "image"]
    broken = make_raw_examples(new_ctx(), {"train": table(40, missing=4)}, rows_per_part=9)
    found = validate_examples.function(new_ctx(), broken, schema, policy={"image": "drop"})
    (one,) = from_json(found.file("anomalies.json").read_text())
    assert (one.feature, one.kind, one.count, one.dropped) == ("image", "too_many_missing", 10, True)
    kept = accept_examples.function(new_ctx(), broken, found)
    assert kept.rows("train") == 30 and kept.properties["columns"]["image"] == "image"
    images = pa.concat_tables([pq.read_table(part) for part in kept.parts("train")])["image"]
    assert images.to_pylist() == [image for image in table(40, missing=4)["image"].to_pylist() if image]


def test_what_images_can_not_be_is_told_before_anything_runs() -> None:
    known = Known(("image", "label"), ("train", "test"), {"types": {"image": "image", "label": "string"}})
    for argument, value in (("label", "image"), ("slices", ["label", "image"])):
        problems, _ = statistics.checker({argument: value}, {"examples": known})
        assert [(one.argument, one.given) for one in problems] == [(argument, "image")]
    problems, _ = evaluate.checker({"slices": ["image", "label"]}, {"examples": known, "model": Known()})
    assert [(one.argument, one.given) for one in problems] == [("slices", "image")]


def test_presence_comes_from_the_footer_alone(new_ctx: Any) -> None:
    examples = make_raw_examples(new_ctx(), {"train": table(30, missing=0)})
    (part,) = examples.parts("train")
    content = bytearray(part.read_bytes())
    column = pq.ParquetFile(part).metadata.row_group(0).column(0)
    start = column.data_page_offset
    content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    part.write_bytes(content)
    assert image_presence(str(part), "image").to_pylist() == [True] * 30


def test_a_dropped_row_is_told_without_its_image(new_ctx: Any, tmp_path: Any) -> None:
    examples = make_raw_examples(new_ctx(), {"train": table(10, missing=0)})
    path = tmp_path / "schema.yaml"
    path.write_text("features: {image: {type: image}, label: {type: string}, width: {type: int, max: 8}}")
    schema = import_schema.function(new_ctx(), path=str(path))
    found = validate_examples.function(new_ctx(), examples, schema, policy={"width": "drop"})
    kept = accept_examples.function(new_ctx(), examples, found)
    (line,) = kept.file("rejects.jsonl").read_text().splitlines()
    size = len(table(10, missing=0)["image"][9].as_py())
    assert json.loads(line)["values"] == {"image": f"<image of {size} bytes>", "label": "dog", "width": 9}


@pytest.mark.parametrize(("given", "expected"), [("string", "image"), ("image", "string")])
def test_another_type_is_told_without_bytes(new_ctx: Any, tmp_path: Any, given: str, expected: str) -> None:
    values = table(6, missing=0)["image"] if given == "image" else pa.array(["a.png"] * 6)
    examples = make_raw_examples(new_ctx(), {"train": pa.table({"image": values})})
    (tmp_path / "schema.yaml").write_text(f"features: {{image: {{type: {expected}}}}}")
    schema = import_schema.function(new_ctx(), path=str(tmp_path / "schema.yaml"))
    found = validate_examples.function(new_ctx(), examples, schema)
    (one,) = from_json(found.file("anomalies.json").read_text())
    assert (
        one.kind == "type_changed" and f"is {given} in the data and {expected} in the schema" in one.message
    )
    assert bool(one.examples) == (given == "string")


def test_the_report_shows_some_images_within_the_page(new_ctx: Any) -> None:
    examples = make_raw_examples(new_ctx(), {"train": table(30), "test": table(5)}, rows_per_part=7)
    found = statistics.function(new_ctx(), examples)
    made = [data_report.function(new_ctx(), found, examples=examples, images=n) for n in (4, 4, 0)]
    assert made[0].digest == made[1].digest
    text, bare = (one.file("report.html").read_text() for one in (made[0], made[2]))
    assert 1 < text.count('<img src="data:image/jpeg;base64,') <= 8 and "img-src data:" in text
    assert "<img" not in bare and "img-src" not in bare
    assert "formats" in bare and "jpeg 50%" in bare


def test_the_report_leaves_out_what_it_can_not_show(new_ctx: Any) -> None:
    good = encoded("PNG", 8, 0)
    held = [good[:60], b"\xff\xd8\xff no", b"", None, good, good[:-20] + bytes(20)]
    examples = make_raw_examples(new_ctx(), {"train": pa.table({"image": pa.array(held, pa.binary())})})
    (shown,) = thumbnails(examples, 6).values()
    assert len(shown) == 1 and shown[0].startswith("data:image/jpeg;base64,")
