"""Predictions of an exported model for the rows of a file, as `headrace predict` gives them.

    predict("…/export", "new.csv")                          # CSV to standard output
    predict("…/export", "new.csv", "predictions.parquet")   # or a file, CSV or Parquet by its ending

A CSV file is read as `csv_examples` does, with the types that the model was trained with: columns that the
model doesn't need are passed over, the label among them; delimiter, quote, encoding, what stands for a
missing value and how points in time are written are those of the examples unless stated. Parquet and JSON
Lines are known by their ending, see `headrace.components.exporting.rows`. A row in gives a row out, in the
same order (a blank line is no row, and a row of delimiters alone neither): `prediction`, and for classes
`probability` of that class and one column `probability:<class>` each. A multi-label task has its names joined
by `|` as prediction, and the probabilities of each. With several labels the names go on with the label:
`prediction_price`, `probability_sold`, `probability_sold:yes`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..pipelines.errors import DataError, InvalidRequestError

if TYPE_CHECKING:
    import pyarrow as pa

    from .training.tasks import Task

ENDINGS = (".csv", ".parquet")
OUTPUTS = ("prediction", "probability", "probabilities")
"""Of the signature's outputs, those that predictions are made of."""


@dataclass(frozen=True)
class CsvOptions:
    """How the file is written; None for what the examples were read with.

    `times` is for Parquet files too, whose columns may be texts or numbers.

    Attributes:
        delimiter: one ASCII character, or "auto".
        quote: around cells with delimiters, quotes or newlines; "" for none.
        encoding: any text encoding that Python knows.
        missing_values: what stands for a missing value.
        names: the columns of a file whose first row doesn't name them. A first row that names every column
            which the model needs is a header all the same.
        header: whether a first row stands before the rows, where there are `names`.
        times: by column how points in time are written, as behind `timestamp:` in `types` of `csv_examples`;
            "" for ISO 8601.
    """

    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    missing_values: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    header: bool | None = None
    times: Mapping[str, str] | None = None

    def over(self, other: CsvOptions) -> CsvOptions:
        """These, and those of `other` where nothing is stated; times column by column."""
        stated = {f.name: getattr(self, f.name) for f in fields(self)}
        told = {name: value for name, value in stated.items() if value is not None}
        if self.names is not None:
            told["header"] = bool(self.header)
        return replace(other, **{**told, "times": {**(other.times or {}), **(self.times or {})}})


def predict(
    export_folder: str | Path,
    rows_path: str | Path,
    output: str | Path | None = None,
    *,
    options: CsvOptions | None = None,
    stream: TextIO | None = None,
) -> int:
    """Writes a prediction for each row of a file, and gives the number of rows.

    Args:
        export_folder: an ExportedModel artifact.
        rows_path: the file: CSV, plain or gzip, with a header; `*.parquet`; or `*.jsonl`.
        output: a file to write, `*.csv` or `*.parquet`; None for CSV to `stream`.
        options: how the CSV file is written.
        stream: text stream to write to without `output`; standard output if not given.

    Raises:
        InvalidRequestError: no export or no file there, or an output with another ending.
        DataError: a column is missing, a row or value can't be read (names file, line, column and value), or
            there is no answer to a row, for a value that is missing and that the Transform doesn't impute.
    """
    target = None if output is None else Path(output)
    if target is not None and target.suffix.lower() not in ENDINGS:
        raise InvalidRequestError(
            f"predictions are written as CSV or Parquet, and {target.name!r} is neither", available=ENDINGS
        )
    if not Path(rows_path).is_file():
        raise InvalidRequestError("there is no such file", file=str(rows_path))
    from .exporting.rows import read_rows

    exported = load_export(Path(export_folder))
    asked = (options or CsvOptions()).over(exported.written)
    _check_times(exported.types, asked.times or {})
    with tempfile.TemporaryDirectory(prefix="headrace-") as scratch:
        rows = read_rows(exported.types, Path(rows_path), Path(scratch), asked)
        tables = _answers(exported, rows, str(rows_path))
        if target is None:
            return _write_csv(tables, stream or sys.stdout)
        return _write_file(tables, target)


def _check_times(types: Mapping[str, str], times: Mapping[str, str]) -> None:
    """Refuses ways to write times of columns that aren't times, and patterns that are none."""
    from ..pipelines.errors import Problem
    from .ingestion.time_patterns import pattern_problem

    known = tuple(name for name, kind in types.items() if kind == "timestamp")
    problems = []
    for name, pattern in times.items():
        if name not in known:
            what = f"the model has no input {name!r} that is a point in time"
            problems.append(Problem(what, argument="times", given=name, available=known))
        elif pattern and (wrong := pattern_problem(pattern)):
            problems.append(Problem(f"{name}: {wrong}", argument="times"))
    if problems:
        raise InvalidRequestError(problems)


def _answers(exported: Exported, batches: Iterator[pa.RecordBatch], file: str) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa

    rows = 0
    for batch in batches:
        answers = exported.answer(batch)
        numbers = [column.to_numpy() for column in answers.columns if pa.types.is_floating(column.type)]
        lost = np.flatnonzero(~np.isfinite(np.stack(numbers)).all(axis=0))
        if len(lost):
            values = batch.slice(int(lost[0]), 1).to_pylist()[0]
            missing = [name for name, value in values.items() if value is None]
            why = (
                f"{', '.join(missing)} missing"
                if missing
                else "a value is outside of what the model can take"
            )
            raise DataError(
                f"the model has no answer to row {rows + int(lost[0]) + 1}: {why}",
                file=file,
                remedy="fill it in, or impute the column in the transform step and train again",
            )
        rows += batch.num_rows
        yield answers


@dataclass(frozen=True)
class Exported:
    """An export that has been loaded.

    Attributes:
        inputs: `name`, `column`, `dtype` and `type` of each input.
        tasks: one for each label.
        written: how the files that the examples were read from are written.
        signature: the SavedModel's `serving_default`.
        model: the loaded SavedModel, which owns what the signature needs.
    """

    inputs: tuple[dict[str, str], ...]
    tasks: tuple[Task, ...]
    written: CsvOptions
    signature: Any
    model: Any

    @property
    def types(self) -> dict[str, str]:
        """Column → type; see `headrace.schemas.schema.FeatureType`."""
        return {i["column"]: i["type"] for i in self.inputs}

    def answer(self, rows: pa.RecordBatch) -> pa.Table:
        """Raw rows → predictions, row by row."""
        import pyarrow as pa

        from .exporting.outputs import suffixes
        from .preprocessing.casting import as_numpy, serving_batch

        columns = {name: as_numpy(column) for name, column in serving_batch(rows, self.types).items()}
        answers = {k: v.numpy() for k, v in self.signature(**_tensors(self.inputs, columns)).items()}
        table: dict[str, Any] = {}
        for task, suffix in zip(self.tasks, suffixes(self.tasks), strict=True):
            own = {name: answers[f"{name}{suffix}"] for name in OUTPUTS if f"{name}{suffix}" in answers}
            table |= _columns(task, own, f"_{task.label}" if suffix else "")
        return pa.table(table)


def _columns(task: Task, answers: dict[str, Any], suffix: str) -> dict[str, Any]:
    """A label's answers as columns [n]; see the module's text."""
    if not task.classes:
        return {f"prediction{suffix}": answers["prediction"]}
    found: dict[str, Any] = {f"prediction{suffix}": [name.decode() for name in answers["prediction"]]}
    if "probability" in answers:
        found[f"probability{suffix}"] = answers["probability"]
    shares = answers["probabilities"]
    return found | {f"probability{suffix}:{c}": shares[:, k] for k, c in enumerate(task.classes)}


def load_export(folder: Path) -> Exported:
    """Loads an ExportedModel artifact; `folder` may also be its SavedModel's.

    Raises:
        InvalidRequestError: there is no exported model in the folder.
    """
    import json

    if not (folder / "export.json").is_file() and (folder.resolve().parent / "export.json").is_file():
        folder = folder.resolve().parent
    if not (folder / "export.json").is_file():
        raise InvalidRequestError(
            "this is not an exported model: it holds no export.json",
            file=str(folder),
            remedy="name the folder of an ExportedModel artifact; `headrace artifacts list` shows them",
        )
    import tensorflow as tf

    from .training.tasks import tasks_from_json

    about = json.loads((folder / "export.json").read_text("utf-8"))
    model = tf.saved_model.load(str(folder / about["version"]))
    return Exported(
        tuple(about["inputs"]),
        tasks_from_json(about),
        CsvOptions(
            **about.get("csv", {}),
            missing_values=tuple(about["missing_values"]),
            times=about.get("times", {}),
        ),
        model.signatures["serving_default"],
        model,
    )


def _tensors(inputs: tuple[dict[str, str], ...], columns: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    return {i["name"]: tf.constant(columns[i["column"]], tf.as_dtype(i["dtype"])) for i in inputs}


def _write_csv(tables: Iterator[pa.Table], stream: TextIO) -> int:
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    rows = 0
    for number, table in enumerate(tables):
        if not number:
            writer.writerow(table.column_names)
        # str() of a NumPy float32 is the shortest text that reads back as the same float32.
        columns = [[str(v) for v in c.to_numpy()] for c in table.columns]
        writer.writerows(zip(*columns, strict=True))
        rows += table.num_rows
    return rows


def _write_file(tables: Iterator[pa.Table], target: Path) -> int:
    """Writes beside the target and renames, so that a failure leaves nothing half-written."""
    partly = target.with_name(f".{target.name}.{os.getpid()}.partly")
    try:
        if target.suffix.lower() == ".csv":
            with partly.open("w", encoding="utf-8", newline="") as stream:
                rows = _write_csv(tables, stream)
        else:
            rows = _write_parquet(tables, partly)
        partly.replace(target)
    except OSError as error:
        raise InvalidRequestError(f"the file can't be written: {error.strerror}", file=str(target)) from error
    finally:
        partly.unlink(missing_ok=True)
    return rows


def _write_parquet(tables: Iterator[pa.Table], path: Path) -> int:
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows
