"""Predictions of an exported model for the rows of a CSV file, as `headrace predict` gives them.

    predict("…/export", "new.csv")                          # CSV to standard output
    predict("…/export", "new.csv", "predictions.parquet")   # or a file, CSV or Parquet by its ending

Reads as `csv_examples` does, with the types that the model was trained with: columns that the model doesn't
need are passed over, the label among them; delimiter, quote, encoding and what stands for a missing value
are those of the examples unless stated. A row in gives a row out, in the same order (a blank line is no
row, and a row of delimiters alone neither): `prediction`, and for classes `probability` of that class and
one column `probability:<class>` each.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..pipelines.errors import DataError, InvalidRequestError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

    from .csv.reading import Unit
    from .csv.sources import Dialect

BLOCK_BYTES = 4 << 20
ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True)
class CsvOptions:
    """How the file is written; None for what the examples were read with.

    Attributes:
        delimiter: one ASCII character, or "auto".
        quote: around cells with delimiters, quotes or newlines; "" for none.
        encoding: any text encoding that Python knows.
        missing_values: what stands for a missing value.
    """

    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    missing_values: tuple[str, ...] | None = None

    def over(self, other: CsvOptions) -> CsvOptions:
        """These, and those of `other` where nothing is stated."""
        stated = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(other, **{name: value for name, value in stated.items() if value is not None})


def predict(
    export_folder: str | Path,
    csv_path: str | Path,
    output: str | Path | None = None,
    *,
    options: CsvOptions | None = None,
    stream: TextIO | None = None,
) -> int:
    """Writes a prediction for each row of a CSV file, and gives the number of rows.

    Args:
        export_folder: an ExportedModel artifact.
        csv_path: the file, plain or gzip, with a header.
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
    if not Path(csv_path).is_file():
        raise InvalidRequestError("there is no such file", file=str(csv_path))
    exported = load_export(Path(export_folder))
    with tempfile.TemporaryDirectory(prefix="headrace-") as scratch:
        rows = read_rows(exported, Path(csv_path), Path(scratch), options)
        tables = _answers(exported, rows, str(csv_path))
        if target is None:
            return _write_csv(tables, stream or sys.stdout)
        return _write_file(tables, target)


def _answers(exported: Exported, batches: Iterator[pa.RecordBatch], file: str) -> Iterator[pa.Table]:
    import numpy as np

    rows = 0
    for batch in batches:
        answers = exported.answer(batch)
        number = answers.column("probability" if exported.classes else "prediction").to_numpy()
        lost = np.flatnonzero(~np.isfinite(number))
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
        classes: the class names; empty for regression.
        written: delimiter, quote, encoding and missing_values that the examples were read with.
        signature: the SavedModel's `serving_default`.
        model: the loaded SavedModel, which owns what the signature needs.
    """

    inputs: tuple[dict[str, str], ...]
    classes: tuple[str, ...]
    written: CsvOptions
    signature: Any
    model: Any

    @property
    def types(self) -> dict[str, str]:
        """Column → type (`float`, `int`, `bool`, `string`)."""
        return {i["column"]: i["type"] for i in self.inputs}

    def no_rows(self) -> pa.RecordBatch:
        """The columns without a row."""
        import pyarrow as pa

        from .csv.conversion import ARROW

        arrays = [pa.array([], ARROW[kind]) for kind in self.types.values()]
        return pa.RecordBatch.from_arrays(arrays, names=list(self.types))

    def answer(self, rows: pa.RecordBatch) -> pa.Table:
        """Raw rows → predictions, row by row."""
        import pyarrow as pa

        from .preprocessing.casting import as_numpy, serving_batch

        columns = {name: as_numpy(column) for name, column in serving_batch(rows, self.types).items()}
        answers = {k: v.numpy() for k, v in self.signature(**_tensors(self.inputs, columns)).items()}
        if not self.classes:
            return pa.table({"prediction": pa.array(answers["prediction"])})
        text = [name.decode() for name in answers["prediction"]]
        shares = {f"probability:{c}": answers["probabilities"][:, k] for k, c in enumerate(self.classes)}
        return pa.table({"prediction": text, "probability": answers["probability"], **shares})


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

    about = json.loads((folder / "export.json").read_text("utf-8"))
    model = tf.saved_model.load(str(folder / about["version"]))
    return Exported(
        tuple(about["inputs"]),
        tuple(about["task"]["classes"]),
        CsvOptions(**about.get("csv", {}), missing_values=tuple(about["missing_values"])),
        model.signatures["serving_default"],
        model,
    )


def _tensors(inputs: tuple[dict[str, str], ...], columns: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    return {i["name"]: tf.constant(columns[i["column"]], tf.as_dtype(i["dtype"])) for i in inputs}


def read_rows(
    exported: Exported, path: Path, scratch: Path, options: CsvOptions | None = None
) -> Iterator[pa.RecordBatch]:
    """The columns that the model needs, a few megabytes at a time; see `predict` for the errors."""
    from .csv.cutting import cut_file
    from .csv.prepare import needs_copy, table_file, write_plain
    from .csv.sources import Dialect, read_head

    asked = (options or CsvOptions()).over(exported.written)
    encoding, quote = asked.encoding or "utf-8", '"' if asked.quote is None else asked.quote
    plain = write_plain(path, encoding, scratch) if needs_copy(path, encoding) else path
    sign = read_head(plain, "utf-8", asked.delimiter, quote, str(path)).delimiter
    dialect = Dialect(sign, quote, asked.missing_values or ())
    file, names = table_file(str(path), plain, encoding, dialect, True)
    _require_columns(exported, names, path, sign)
    units = cut_file(file, dialect, BLOCK_BYTES)
    if not units:
        yield exported.no_rows()
    for unit in units:
        yield _typed(unit, names, exported, dialect, encoding)


def _require_columns(exported: Exported, names: tuple[str, ...], path: Path, sign: str) -> None:
    problems = []
    remedy = (
        f"cells are taken to be separated by {sign!r}; if not, state the delimiter" if len(names) == 1 else ""
    )
    for column in exported.types:
        if column not in names:
            what = f"there is no column {column!r}, which the model needs"
            problems.append(
                Problem(what, file=str(path), line=1, given=column, available=names, remedy=remedy)
            )
        elif names.count(column) > 1:
            what = f"the column name {column!r} occurs more than once"
            problems.append(Problem(what, file=str(path), line=1, remedy="rename all but one"))
    if problems:
        raise DataError(problems)


def _typed(
    unit: Unit, names: tuple[str, ...], exported: Exported, dialect: Dialect, encoding: str
) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    from .csv.conversion import convert
    from .csv.reading import read_cells
    from .csv.rejects import bad_value

    # Bad rows are collected and the first one raised here, since there is no rejects file to send them to.
    cells = read_cells(unit, tuple(str(place) for place in range(len(names))), dialect, encoding, sys.maxsize)
    if cells.rejects:
        bad = cells.rejects[0]
        raise DataError(bad.reason, file=bad.file, line=bad.line, remedy=bad.remedy)
    arrays = []
    for column, kind in exported.types.items():
        text = cells.table.column(names.index(column)).combine_chunks()
        text = text.chunk(0) if isinstance(text, pa.ChunkedArray) else text
        values, mask = convert(text, kind, dialect.missing)
        if mask is not None and mask.any():
            row = int(np.flatnonzero(mask)[0])
            reason, _ = bad_value(column, text[row].as_py(), kind)
            place = cells.reject(row, reason, "")
            remedy = "mend the value, or name it as a missing value"
            raise DataError(reason, file=place.file, line=place.line, remedy=remedy)
        arrays.append(values)
    return pa.RecordBatch.from_arrays(arrays, names=list(exported.types))


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
