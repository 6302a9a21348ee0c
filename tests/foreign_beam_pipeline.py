"""A Beam pipeline that isn't headrace's, with headrace's transforms in it: from CSV to shards to predictions.

    python tests/foreign_beam_pipeline.py shards houses.csv /shared/work /shared/out
    headrace step train --arg examples=/shared/out/examples --arg transform=/shared/out/transform …
    headrace step export --arg model=train --arg examples=…
    python tests/foreign_beam_pipeline.py predictions new_houses.csv EXPORTED_MODEL /shared/out/answers.jsonl

Nothing of headrace runs it: reading, splitting, cleaning and writing predictions are ParDos of its own, and
between them RecordBatches go in and out of the public PTransforms.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from headrace.components import AnalyzeColumns, ComputeStatistics, Predict, ReadCsv, ReadImages, WriteExamples

TYPES = {"size": "float", "rooms": "int", "city": "string", "price": "float"}
FEATURES = {"size": [{"impute": "median"}, "log1p", "z_score"], "rooms": "z_score", "city": "one_hot"}


class DropOutliers(beam.DoFn):
    """Somebody's own cleaning: houses without a price, or of an impossible one, are left out."""

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        price = batch.column("price")
        yield batch.filter(pc.fill_null(pc.and_(pc.greater(price, 0), pc.less(price, 10_000_000)), False))


class SplitByCity(beam.DoFn):
    """Somebody's own split: all houses of a city are in one, `test` for a quarter of the cities."""

    def process(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        held = pa.array(
            [zlib.crc32((city or "").encode()) % 4 == 2 for city in batch.column("city").to_pylist()]
        )
        yield "train", batch.filter(pc.invert(held))
        yield "test", batch.filter(held)


def write_shards(pipeline: beam.Pipeline, csv: str, work: Path, out: Path) -> None:
    """CSV → statistics, a fitted transform and shards."""
    houses = pipeline | ReadCsv(csv, types=TYPES) | "Clean" >> beam.ParDo(DropOutliers())
    _ = (
        houses
        | ComputeStatistics(TYPES, work)
        | "Tell" >> beam.Map(lambda split: json.dumps({f.name: f.missing for f in split.features}))
        | "WriteStatistics" >> beam.io.WriteToText(str(out / "missing"), shard_name_template="")
    )
    split = houses | "Split" >> beam.ParDo(SplitByCity())
    fitted = split | AnalyzeColumns(
        TYPES, work, features=FEATURES, label={"price": "z_score"}, output=out / "transform"
    )
    _ = split | WriteExamples(fitted, out / "examples", work)


def write_predictions(pipeline: beam.Pipeline, csv: str, exported: str, output: Path) -> None:
    """CSV → a line of JSON for each house, with its answer."""
    types = {name: kind for name, kind in TYPES.items() if name != "price"}
    answers = pipeline | ReadCsv(csv, types=types) | Predict(exported, keep=["city", "size"], tell=True)
    _ = (
        answers
        | "Rows" >> beam.FlatMap(lambda batch: batch.to_pylist())
        | "Json" >> beam.Map(json.dumps, ensure_ascii=False)
        | "Write" >> beam.io.WriteToText(str(output), shard_name_template="")
    )


def label_photos(pipeline: beam.Pipeline, photos: str, exported: str, output: Path) -> None:
    """Folders of images → a line for each that the model takes for another class than its folder says."""
    _ = (
        pipeline
        | ReadImages(photos, skip_bad=True)
        | Predict(exported, keep=["path", "label"], tell=True)
        | "Doubtful"
        >> beam.FlatMap(lambda batch: [r for r in batch.to_pylist() if r["label"] != r["prediction"]])
        | "Line" >> beam.Map(lambda row: f"{row['path']}: {row['prediction']}")
        | "Write" >> beam.io.WriteToText(str(output), shard_name_template="")
    )


def main(arguments: list[str], **options: Any) -> None:
    """`shards CSV WORK OUT`, `predictions CSV EXPORT OUTPUT` or `photos FOLDER EXPORT OUTPUT`."""
    what, first, second, last = arguments
    run = {"shards": write_shards, "predictions": write_predictions, "photos": label_photos}[what]
    # By its class: a bare DirectRunner asks the network for another one.
    with beam.Pipeline("apache_beam.runners.portability.fn_api_runner.FnApiRunner", **options) as pipeline:
        run(pipeline, first, Path(second) if what == "shards" else second, Path(last))


if __name__ == "__main__":
    main(sys.argv[1:])
