"""How fast tensorflow-transform is at its part: run by `ratio.py` in an environment of its own.

    python tensorflow_transform_speed.py ROWS [WORKERS]

Analyzes, transforms and writes as TFRecords the table of `tests/bench/generated.py`, with the transforms
that `mixed_features` names there. The rows lie in memory as RecordBatches, which favours it: reading CSV,
statistics and the shuffle are not its part. Imports and the generation of rows are not counted; a run on few
rows warms up. Prints one line of JSON. Imports nothing of headrace.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.public import tfxio

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from generated import mixed_piece
from tensorflow_transform_values import RUNNER, batches_of

BATCH = 4_096
"""Rows a RecordBatch."""
FEW = 2_000
Z_SCORES = ("normal", "uniform", "price", "count", "year", "member", "y")


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """The transforms of `generated.mixed_features`; ids where headrace also writes one-hots."""
    out = {name: tft.scale_to_z_score(tf.cast(inputs[name], tf.float32)) for name in Z_SCORES}
    out["lognormal"] = tft.scale_to_z_score(tf.math.log1p(inputs["lognormal"]))
    out["exponential"] = tft.bucketize(inputs["exponential"], 10)
    gap = inputs["gap"]
    median = tft.quantiles(gap.values, 2, 0.01)[0, 0]
    filled = tf.sparse.to_dense(tf.SparseTensor(gap.indices, gap.values - median, [gap.dense_shape[0], 1]))
    out["gap"] = tft.scale_to_z_score(tf.math.log1p(filled[:, 0] + median))
    out |= {name: tft.scale_to_0_1(tf.cast(inputs[name], tf.float32)) for name in ("age", "id")}
    for name in ("c4", "c50", "c1000"):
        out[name] = tft.compute_and_apply_vocabulary(inputs[name], num_oov_buckets=1)
    out["c20000"] = tft.compute_and_apply_vocabulary(inputs["c20000"], top_k=5_000, num_oov_buckets=1)
    out |= {name: tft.hash_strings(inputs[name], 100) for name in ("skewed", "when")}
    return out


def adapter_of(batch: pa.RecordBatch) -> Any:
    """Dense tensors; `gap`, where values are missing, sparse."""
    dense = 'dense_tensor {{ column_name: "{0}" shape {{}} }}'
    sparse = 'varlen_sparse_tensor {{ column_name: "{0}" }}'
    told = {
        name: text_format.Parse(
            (sparse if name == "gap" else dense).format(name), schema_pb2.TensorRepresentation()
        )
        for name in batch.schema.names
    }
    return tfxio.TensorAdapterConfig(batch.schema, told)


def run(rows: int, workers: int) -> float:
    """Seconds from RecordBatches to TFRecords."""
    pieces = [mixed_piece(0, rows)]
    table = pa.concat_tables(pieces)
    table = table.set_column(table.column_names.index("member"), "member", table["member"].cast(pa.int64()))
    batches = batches_of(table, BATCH)
    options = PipelineOptions(
        [], direct_num_workers=workers, direct_running_mode="multi_threading" if workers > 1 else "in_memory"
    )
    with tempfile.TemporaryDirectory() as temporary:
        start = time.perf_counter()
        with (
            beam.Pipeline(runner=RUNNER, options=options) as pipeline,
            tft_beam.Context(temp_dir=f"{temporary}/tmp"),
        ):
            (made, metadata), function = (
                pipeline | beam.Create(batches),
                adapter_of(batches[0]),
            ) | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn, output_record_batches=True)
            function | tft_beam.WriteTransformFn(f"{temporary}/fn")
            encoder = RecordBatchToExamplesEncoder(metadata.schema)
            (
                made
                | beam.FlatMap(lambda pair, encoder: encoder.encode(pair[0]), encoder)
                | beam.io.WriteToTFRecord(f"{temporary}/out", coder=beam.coders.BytesCoder())
            )
        seconds = time.perf_counter() - start
        assert sum(path.stat().st_size for path in Path(temporary).glob("out*")) > rows * 100
    return seconds


def main(rows: int, workers: int) -> None:
    """Also gives the rate beyond the cost that any number of rows has: the tracing of graphs."""
    logging.disable(logging.WARNING)
    run(FEW, workers)
    few, seconds = run(FEW, workers), run(rows, workers)
    told = {"rows": rows, "workers": workers, "seconds": round(seconds, 2), "seconds_of_few": round(few, 2)}
    rates = {"rows_per_s": round(rows / seconds), "beyond_fixed_cost": round((rows - FEW) / (seconds - few))}
    print(json.dumps({"version": tft.__version__, **told, **rates}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
