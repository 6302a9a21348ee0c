"""What tensorflow-transform makes of tables: run by `compare.py` in an environment of its own.

    python tensorflow_transform_values.py FOLDER

For each `FOLDER/name.parquet` writes `FOLDER/name.json` (constants and vocabularies) and
`FOLDER/name.out.parquet` (the transformed columns by row). `FOLDER/plan.json` says what is asked for.
Imports nothing of headrace.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

TYPES = {"float": pa.float32(), "int": pa.int64(), "string": pa.large_binary()}


RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def kind_of(kind: pa.DataType) -> str:
    return "string" if pa.types.is_string(kind) else "int" if pa.types.is_integer(kind) else "float"


def batches_of(table: pa.Table, rows: int = 700) -> list[pa.RecordBatch]:
    """The table as TFT reads it: a list of no or one value a row.

    Each batch has buffers of its own: a slice would be pickled with the whole table, once a batch.
    """
    return [_batch(table.slice(start, rows)) for start in range(0, table.num_rows, rows)]


def _batch(table: pa.Table) -> pa.RecordBatch:
    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        offsets = np.concatenate([[0], np.cumsum(column.is_valid().to_numpy(zero_copy_only=False))])
        values = column.drop_null().cast(TYPES[kind_of(column.type)], safe=False)
        values = values.take(pa.array(np.arange(len(values))))
        columns[name] = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
    return pa.RecordBatch.from_pydict(columns)


def adapter_of(batch: pa.RecordBatch) -> Any:
    """Each column as a sparse tensor: TFT then leaves missing values out."""
    told = {
        name: text_format.Parse(
            f'varlen_sparse_tensor {{ column_name: "{name}" }}', schema_pb2.TensorRepresentation()
        )
        for name in batch.schema.names
    }
    return tfxio.TensorAdapterConfig(batch.schema, told)


def bits(value: Any) -> Any:
    """float64 as int64, since no output may be float64."""
    if value.dtype != tf.float64:
        return value
    if isinstance(value, tf.SparseTensor):
        return tf.SparseTensor(value.indices, tf.bitcast(value.values, tf.int64), value.dense_shape)
    return tf.bitcast(value, tf.int64)


def numbers(out: dict[str, Any], fill: Callable[[Any], Any], name: str, column: Any) -> None:
    """Moments, range and scaled values, in float32 as is usual and in float64."""
    for suffix, dtype in (("", tf.float32), ("64", tf.float64)):
        x = tf.cast(column, dtype)
        out[f"{name}/mean{suffix}"] = fill(bits(tft.mean(x)))
        out[f"{name}/var{suffix}"] = fill(bits(tft.var(x)))
        out[f"{name}/z_score{suffix}"] = bits(tft.scale_to_z_score(x))
    out[f"{name}/min_max"] = tft.scale_to_0_1(tf.cast(column, tf.float32))
    out[f"{name}/min"], out[f"{name}/max"] = fill(tft.min(column)), fill(tft.max(column))


def buckets(out: dict[str, Any], fill: Callable[[Any], Any], name: str, column: Any, plan: Any) -> None:
    """Quantiles and buckets of a column without missing values."""
    x = tf.cast(column.values, tf.float32)
    for number, epsilon in plan["quantiles"]:
        out[f"{name}/quantiles/{number}/{epsilon}"] = fill(tft.quantiles(x, number, epsilon)[0])
        out[f"{name}/bucketize/{number}"] = tft.bucketize(x, number, plan["quantiles"][0][1])
    bounds = tf.constant([plan["boundaries"][name]], tf.float32)
    out[f"{name}/apply_buckets"] = tft.apply_buckets(x, bounds)


def by_key(out: dict[str, Any], name: str, column: Any, key: Any) -> None:
    """Scaled by the statistics of each key, of columns without missing values."""
    exact = tft.scale_to_z_score_per_key(tf.cast(column.values, tf.float64), key.values)
    out[f"{name}/z_score by key64"] = bits(exact)
    out[f"{name}/min_max by key"] = tft.scale_by_min_max_per_key(
        tf.cast(column.values, tf.float32), key.values, 0.0, 1.0
    )


def strings(out: dict[str, Any], name: str, column: Any, plan: Any) -> None:
    """Vocabularies, ids by them, and hashes."""
    for key, options in plan["vocabularies"].items():
        out[f"{name}/ids/{key}"] = tft.compute_and_apply_vocabulary(
            column,
            top_k=options.get("top_k"),
            frequency_threshold=options.get("min_count"),
            num_oov_buckets=options["oov_buckets"],
            vocab_filename=f"{name}.{key}",
        )
    if column.dtype == tf.string:
        for number in plan["hashes"]:
            out[f"{name}/hash/{number}"] = tft.hash_strings(column, number)


def preprocessing(plan: Any) -> Callable[[Any], dict[str, Any]]:
    """Every analyzer and mapper that is compared; constants come out as columns of equal values."""

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        row = tf.sparse.to_dense(inputs["row"])[:, 0]

        def fill(value: Any) -> Any:
            return tf.tile(value[tf.newaxis], tf.concat([tf.shape(row), tf.ones_like(tf.shape(value))], 0))

        out: dict[str, Any] = {"row": row}
        for name in sorted(inputs.keys() - {"row"}):
            if name in plan["numbers"]:
                numbers(out, fill, name, inputs[name])
            if name in plan["dense"]:
                buckets(out, fill, name, inputs[name], plan)
            if name in plan["dense"] and plan["key"]:
                by_key(out, name, inputs[name], inputs[plan["key"]])
            if name not in plan["numbers"] or name in plan["as_words"]:
                strings(out, name, inputs[name], plan)
        return out

    return preprocessing_fn


def run(folder: Path, name: str, plan: Any) -> None:
    """Analyzes and transforms one table."""
    table = pq.read_table(folder / f"{name}.parquet")
    plan = {**plan, **plan["tables"][name]}
    batches = batches_of(table)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)

        def write(batch: tuple[pa.RecordBatch, Any]) -> None:
            pq.write_table(pa.Table.from_batches([batch[0]]), scratch / f"{uuid.uuid4().hex}.out")

        with beam.Pipeline(runner=RUNNER) as pipeline, tft_beam.Context(temp_dir=str(scratch / "tmp")):
            (made, _), function = (
                pipeline | beam.Create(batches, reshuffle=False),
                adapter_of(batches[0]),
            ) | tft_beam.AnalyzeAndTransformDataset(preprocessing(plan), output_record_batches=True)
            function | tft_beam.WriteTransformFn(str(scratch / "fn"))
            made | beam.Map(write)
        whole = pa.concat_tables([pq.read_table(path) for path in sorted(scratch.glob("*.out"))])
        output = tft.TFTransformOutput(str(scratch / "fn"))
        words = {
            f"{column}/{key}": [w.decode() for w in output.vocabulary_by_name(f"{column}.{key}")]
            for column in table.column_names
            if column != "row" and (column not in plan["numbers"] or column in plan["as_words"])
            for key in plan["vocabularies"]
        }
    rows = whole["row"].combine_chunks().flatten()
    pq.write_table(whole.take(pc.sort_indices(rows)), folder / f"{name}.out.parquet")
    (folder / f"{name}.json").write_text(json.dumps({"vocabularies": words}, ensure_ascii=False), "utf-8")


def main(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text("utf-8"))
    for name in plan["tables"]:
        run(folder, name, plan)
        print(f"tensorflow-transform: {name} done", flush=True)
    (folder / "versions.json").write_text(
        json.dumps({"tensorflow-transform": tft.__version__, "tensorflow": tf.__version__})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
