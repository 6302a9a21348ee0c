"""`ReadCsv` in a plain Beam pipeline, and the coder that carries its batches."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that

from headrace.components.csv.read_csv import ReadCsv
from headrace.components.data_plane.record_batch_coder import RecordBatchCoder
from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.runners.beam import beam_pipeline

TEXT = 'a,b,c\n1,x,1\n2,"y\nz",2.5\n3,,\n'
ROWS = [{"a": 1, "b": "x", "c": 1.0}, {"a": 2, "b": "y\nz", "c": 2.5}, {"a": 3, "b": None, "c": None}]


def equal_rows(expected: list[dict[str, Any]]) -> Any:
    def matches(batches: list[pa.RecordBatch]) -> None:
        assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
        assert all(batch.schema == batches[0].schema for batch in batches)
        found = [row for batch in batches for row in batch.to_pylist()]
        assert sorted(found, key=lambda row: row["a"]) == expected, found

    return matches


@pytest.mark.parametrize("block_bytes", [4, 1 << 20])
@pytest.mark.parametrize("types", [None, {"c": "float"}, {"a": "int", "b": "string", "c": "float"}])
def test_reads_batches_with_types_of_the_whole_data(
    tmp_path: Path, block_bytes: int, types: dict[str, str] | None
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TEXT)
    with beam_pipeline(RunnerSettings()) as pipeline:
        batches = pipeline | ReadCsv(str(path), types=types, block_bytes=block_bytes) | beam.Reshuffle()
        assert_that(batches, equal_rows(ROWS))


def test_gzip_needs_a_scratch_folder(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(TEXT.replace(",", ";").encode("utf-16")))
    options: dict[str, Any] = {"delimiter": ";", "encoding": "utf-16"}
    with pytest.raises(InvalidRequestError, match="scratch"), beam_pipeline(RunnerSettings()) as pipeline:
        pipeline | ReadCsv(str(path), **options)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with beam_pipeline(RunnerSettings()) as pipeline:
        assert_that(pipeline | ReadCsv([str(path)], scratch=scratch, **options), equal_rows(ROWS))


def test_a_stray_word_ends_the_pipeline_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{n}\n" if n != 150 else "oops\n" for n in range(300)))
    with (
        pytest.raises(Exception, match=r"t\.csv:152: column 'a': 'oops'"),
        beam_pipeline(RunnerSettings()) as p,
    ):
        _ = p | ReadCsv(str(path), block_bytes=100)


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="no such file"):
        ReadCsv(str(tmp_path / "no.csv"))
    (tmp_path / "t.csv").write_text(TEXT)
    with pytest.raises(InvalidRequestError, match="one ASCII character"):
        ReadCsv(str(tmp_path / "t.csv"), delimiter="||")
    with (
        pytest.raises(InvalidRequestError, match="did you mean 'a'"),
        beam_pipeline(RunnerSettings()) as pipeline,
    ):
        pipeline | ReadCsv(str(tmp_path / "t.csv"), types={"A": "int"})


def test_the_coder_is_registered_and_keeps_batches() -> None:
    coder = beam.coders.registry.get_coder(pa.RecordBatch)
    assert isinstance(coder, RecordBatchCoder) and coder.is_deterministic()
    batch = pa.record_batch({"i": pa.array([1, None]), "s": pa.array(["ä", ""])})
    assert coder.decode(coder.encode(batch)).equals(batch)
    sliced = pa.record_batch({"i": pa.array([0, 1, None]), "s": pa.array(["x", "ä", ""])}).slice(1)
    assert coder.encode(sliced) == coder.encode(batch)
