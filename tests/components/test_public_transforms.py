"""The PTransforms in Beam pipelines that aren't ours: what they make is what the components make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that
from PIL import Image

from headrace.components import (
    AnalyzeColumns,
    ApplyTransform,
    ReadImages,
    WriteExamples,
    dataset,
    load_fitted,
)
from headrace.pipelines.artifact import Examples, load_artifact
from headrace.pipelines.errors import DataError, InvalidRequestError

from .images.picture_files import exif, save
from .model_path import ODD_FEATURES, Paths, odd_splits

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
LABEL = {"Preis €": "z_score"}
FEATURES = {
    **ODD_FEATURES,
    "by letter": {"from": "größe", "apply": {"z_score": {"by": "a"}}},
    "mean": {"from": "self", "apply": [{"target_mean": {"smoothing": 5}}, "z_score"]},
}


def pipeline(*flags: str) -> beam.Pipeline:
    return beam.Pipeline(RUNNER, options=PipelineOptions(list(flags)))


def parts_of(raw: Examples) -> list[tuple[tuple[str, int], pa.RecordBatch]]:
    return [
        ((split, number), pq.read_table(path).combine_chunks().to_batches()[0])
        for split in raw.splits
        for number, path in enumerate(raw.parts(split))
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Paths(tmp_path_factory.mktemp("foreign")).prepare(odd_splits(), FEATURES, LABEL)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_analysis_and_shards_are_those_of_transform(prepared, tmp_path, workers):
    types = dict(prepared.raw.properties["columns"])
    flags = [f"--direct_num_workers={workers}", "--direct_running_mode=multi_threading"]
    with pipeline(*(flags if workers == "2" else [])) as p:
        rows = p | beam.Create(parts_of(prepared.raw))
        fitted = rows | AnalyzeColumns(
            types, tmp_path, features=FEATURES, label=LABEL, output=tmp_path / "transform"
        )
        rows | WriteExamples(fitted, tmp_path / "examples", tmp_path)
    assert load_artifact(tmp_path / "transform").digest == prepared.transform.digest
    made = load_artifact(tmp_path / "examples")
    assert made.digest == prepared.examples.digest
    assert isinstance(made, Examples)
    (features, label), *_ = dataset(made, "test", batch_size=40, matrix=True)
    assert features.shape[0] == label.shape[0] == 40
    assert not list(tmp_path.glob("*.partly"))


def test_batches_without_numbers_give_the_same_in_any_order(prepared, tmp_path):
    batches = [
        (split, piece)
        for (split, _), batch in parts_of(prepared.raw)
        for piece in (batch.slice(0, 7), batch.slice(7))
    ]
    digests = set()
    for number, order in enumerate((batches, batches[::-1])):
        with pipeline() as p:
            rows = p | beam.Create(order)
            rows | WriteExamples(prepared.transform, tmp_path / f"out-{number}", tmp_path, shards=3, seed=5)
        made = load_artifact(tmp_path / f"out-{number}")
        digests.add(made.digest)
        assert made.rows("train") == 160 and len(made.parts("train")) == 3
    assert len(digests) == 1


def test_other_rows_are_applied_what_was_fitted_elsewhere(prepared, tmp_path):
    later = odd_splits()["test"].combine_chunks().to_batches()[0]
    with pipeline() as p:
        rows = p | beam.Create([((0), later)]) | beam.Map(lambda pair: ("later", pair[1]))
        rows | WriteExamples(
            prepared.transform.path, tmp_path / "later", tmp_path, fitted_on=None, layout="columns"
        )
    made = load_artifact(tmp_path / "later")
    assert made.properties["transform"] == prepared.transform.digest and made.rows("later") == 40


def test_apply_transform_takes_what_analyze_columns_gives(prepared, tmp_path):
    types = dict(prepared.raw.properties["columns"])
    batch = parts_of(prepared.raw)[0][1]
    wanted = load_fitted(prepared.transform.path).apply_numpy(batch)
    simple = {"größe": "z_score", "a": "one_hot"}

    def check(found: list[dict[str, Any]]) -> None:
        (features,) = found
        for name in simple:
            np.testing.assert_array_equal(features[name], wanted[name])

    with pipeline() as p:
        rows = p | beam.Create([batch])
        fitted = rows | AnalyzeColumns(types, tmp_path, features=simple, label=LABEL)
        assert_that(rows | ApplyTransform(fitted), check)


def test_what_does_not_fit_is_told(prepared, tmp_path):
    types = dict(prepared.raw.properties["columns"])
    with pytest.raises(InvalidRequestError, match="no column 'grösse'"):
        AnalyzeColumns(types, tmp_path, features={"grösse": "z_score"}, label=LABEL)
    with pytest.raises(InvalidRequestError, match="z_scor"):
        AnalyzeColumns(types, tmp_path, features={"größe": "z_scor"}, label=LABEL)
    with pytest.raises(InvalidRequestError, match="there already"):
        WriteExamples(prepared.transform, tmp_path, tmp_path)
    with pytest.raises(Exception, match="no rows to analyse"), pipeline() as p:
        p | beam.Create([]) | AnalyzeColumns(types, tmp_path, features={"A": "z_score"}, label=LABEL)
    table = odd_splits()["test"]
    holed = table.set_column(table.column_names.index("2nd"), "2nd", [[None] * 40]).cast(table.schema)
    with (
        pytest.raises(Exception, match="'2nd' is missing in 40 of 40 rows of a batch of train"),
        pipeline() as p,
    ):
        rows = p | beam.Create([holed.combine_chunks().to_batches()[0]])
        rows | WriteExamples(prepared.transform, tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, color in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (folder / name).mkdir(parents=True)
        for kind in ("PNG", "JPEG", "TIFF"):
            (folder / name / f"{kind}.{kind.lower()}").write_bytes(
                save(Image.new("RGB", (6, 4), color), kind)
            )
    (folder / "red" / "turned.jpg").write_bytes(save(Image.new("RGB", (6, 4)), "JPEG", exif=exif(6)))
    return folder


def rows_of(found: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    return sorted((row for batch in found for row in batch.to_pylist()), key=lambda row: row["path"])


def test_images_come_upright_with_their_labels(photos):
    def check(found: list[pa.RecordBatch]) -> None:
        rows = rows_of(found)
        assert [row["path"] for row in rows] == [
            *(f"blue/{kind}.{kind.lower()}" for kind in ("JPEG", "PNG", "TIFF")),
            *(f"red/{kind}.{kind.lower()}" for kind in ("JPEG", "PNG", "TIFF")),
            "red/turned.jpg",
        ]
        assert [row["label"] for row in rows] == ["blue"] * 3 + ["red"] * 4
        assert [(row["height"], row["width"]) for row in rows] == [(4, 6)] * 6 + [(6, 4)]
        assert rows[1]["image"] == (photos / "blue" / "PNG.png").read_bytes()
        assert rows[2]["image"].startswith(b"\x89PNG")

    with pipeline() as p:
        assert_that(p | ReadImages(photos), check)


def test_a_broken_image_is_an_error_or_counted(photos):
    (photos / "red" / "cut.png").write_bytes((photos / "red" / "PNG.png").read_bytes()[:40])
    with pytest.raises(Exception, match=r"red/cut\.png"), pipeline() as p:
        p | ReadImages(photos)
    p = pipeline()
    assert_that(p | ReadImages(photos, skip_bad=True, labels=[]), lambda found: len(rows_of(found)) == 7)
    told = p.run()
    counters = told.metrics().query()["counters"]
    assert [c.committed for c in counters if c.key.metric.name == "images_refused"] == [1]
    with pytest.raises(InvalidRequestError, match="reads folders and images"):
        ReadImages("labels.csv")


def test_errors_are_ours(photos):
    with pytest.raises(Exception, match="no image below this folder") as caught, pipeline() as p:
        (photos.parent / "empty").mkdir()
        p | ReadImages(photos.parent / "empty")
    assert DataError.__name__ in str(caught.value) or isinstance(caught.value, DataError)


def test_images_can_be_analysed_and_are_not_written_here(photos, tmp_path):
    types = {"image": "image", "label": "string"}
    features = {"image": ["decode", {"resize": [4, 6]}, {"standardize": "channel"}]}
    with pytest.raises(Exception, match="image: WriteExamples writes no images"), pipeline() as p:
        rows = p | ReadImages(photos)
        fitted = rows | AnalyzeColumns(
            types, tmp_path, features=features, label="label", output=tmp_path / "t"
        )
        rows | WriteExamples(fitted, tmp_path / "out", tmp_path)
    image = load_fitted(tmp_path / "t").features[0]
    assert image.shape == (4, 6, 3) and image.shift[0] == pytest.approx(600 / 7, abs=2)
