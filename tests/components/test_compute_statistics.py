from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that

from headrace.components.compute_statistics import ComputeStatistics
from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.runners.beam import beam_pipeline


def batches() -> list[pa.RecordBatch]:
    return [
        pa.record_batch({"a": [i + 0.1, i * 0.7], "b": ["x", str(i)], "unused": [1, 2]}) for i in range(8)
    ]


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_a_pipeline_of_ones_own(tmp_path: Path, numbered: bool, backwards: bool) -> None:
    given: list[Any] = list(enumerate(batches())) if numbered else batches()
    seen: list[Any] = []

    def look(found: list[Any]) -> None:
        seen.extend(found)
        (split,) = found
        assert split.name == "mine" and split.rows == 16 and split["b"].distinct == 9
        assert split["b"].top[0] == ("x", 8) and len(split["b"].top) == 9
        assert [f.name for f in split] == ["a", "b"]
        assert split["a"].numeric.mean == pytest.approx(3.025)

    with beam_pipeline(RunnerSettings()) as pipeline:
        found = (
            pipeline
            | beam.Create(given[::-1] if backwards else given)
            | ComputeStatistics({"a": "float", "b": "string"}, tmp_path, name="mine", top_values=3)
        )
        assert_that(found, look)
        _ = found | beam.Map(str) | beam.io.WriteToText(str(tmp_path / "result"), shard_name_template="")
    text = (tmp_path / "result").read_text()
    assert "mine" in text
    # Equal to the last bit in whatever order the batches come.
    again = tmp_path / "again"
    again.mkdir()
    with beam_pipeline(RunnerSettings()) as pipeline:
        _ = (
            pipeline
            | beam.Create(given)
            | ComputeStatistics({"a": "float", "b": "string"}, again, name="mine", top_values=3)
            | beam.Map(str)
            | beam.io.WriteToText(str(again / "result"), shard_name_template="")
        )
    assert (again / "result").read_text() == text
