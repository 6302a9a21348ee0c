"""Predictions of an exported model for the rows of a file, as `headrace predict` gives them.

    predict("…/export", "new.csv")                          # CSV to standard output
    predict("…/export", "new.csv", "predictions.parquet")   # or a file: *.csv, *.parquet, *.jsonl

A CSV file is read as `csv_examples` does, with the types that the model was trained with: columns that the
model doesn't need are passed over, the label among them; delimiter, quote, encoding, what stands for a
missing value and how points in time are written are those of the examples unless stated. Parquet and JSON
Lines are known by their ending, see `headrace.components.exporting.rows`. A row in gives a row out, in the
same order (a blank line is no row, and a row of delimiters alone neither): `prediction`, and for classes
`probability` of that class and one column `probability:<class>` each. A multi-label task has its names joined
by `|` as prediction, and the probabilities of each. With several labels the names go on with the label:
`prediction_price`, `probability_sold`, `probability_sold:yes`.

    predict("…/export", "photos")                           # a model of images: folders, files, globs

A model that takes an image gets image files, each looked at and turned upright as `image_examples` does it;
or a table whose column of images holds paths relative to it, base64, or in Parquet bytes. `path` stands
before the answers then and `error` behind them: an image that can't be used has the reason there, and no
answer.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..pipelines.errors import InvalidRequestError

if TYPE_CHECKING:
    import pyarrow as pa

    from .exporting.image_rows import ImageRows
    from .exporting.loading import Exported
    from .images.admit import Limits

ENDINGS = (".csv", ".parquet", ".jsonl")
TABLES = (".csv", ".csv.gz", ".jsonl", ".ndjson", ".parquet")
"""What tells a table from an image, where a model of images could be given either."""


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
    rows_path: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    options: CsvOptions | None = None,
    stream: TextIO | None = None,
    top: int = 0,
    json: bool = False,
    limits: Limits | None = None,
    allow_outside: bool = False,
    unusable: Callable[[str, str], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Writes a prediction for each row of a file, or for each image, and gives their number.

    Args:
        export_folder: an ExportedModel artifact.
        rows_path: the file: CSV, plain or gzip, with a header; `*.parquet`; or `*.jsonl`. For a model of
            images also image files, folders or globs, one or several.
        output: a file to write, `*.csv`, `*.parquet` or `*.jsonl`; None for `stream`.
        options: how the CSV file is written.
        stream: text stream to write to without `output`; standard output if not given.
        top: in place of each class's probability the likeliest classes, so many, with theirs.
        json: JSON Lines to the stream, not CSV.
        limits: on each image's file.
        allow_outside: whether a table's paths and a folder's links may lead out of their folder.
        unusable: is told the path of each image that can't be used, and why.
        progress: is told the number of rows that have their answer, from time to time.

    Raises:
        InvalidRequestError: no export or no file there, or an output with another ending.
        DataError: a column is missing, a row or value can't be read (names file, line, column and value), or
            there is no answer to a row, for a value that is missing and that the Transform doesn't impute.
    """
    target = None if output is None else Path(output)
    if target is not None and target.suffix.lower() not in ENDINGS:
        raise InvalidRequestError(
            f"predictions can't be written as {target.suffix or target.name!r}", available=ENDINGS
        )
    paths = [str(path) for path in ([rows_path] if isinstance(rows_path, str | Path) else rows_path)]
    from .exporting.loading import image_inputs, load_export

    images = image_inputs(Path(export_folder))
    if not images or _is_table(paths):
        _require_one_file(paths, bool(images))
    from .exporting.answer_files import write_csv, write_file, write_json
    from .exporting.answering import image_answers, row_answers
    from .exporting.rows import read_rows

    exported = replace(load_export(Path(export_folder)), top=top)
    asked = (options or CsvOptions()).over(exported.written)
    _check_times(exported.types, asked.times or {})
    with tempfile.TemporaryDirectory(prefix="headrace-") as scratch:
        if images:
            rows = _image_rows(exported, paths, images, Path(scratch), asked, limits, allow_outside)
            tables = image_answers(exported, rows, unusable)
        else:
            batches = read_rows(exported.types, Path(paths[0]), Path(scratch), asked)
            tables = row_answers(exported, batches, paths[0])
        tables = tables if progress is None else _counted(tables, progress)
        if target is None:
            return (write_json if json else write_csv)(tables, stream or sys.stdout)
        return write_file(tables, target)


def _counted(tables: Iterator[pa.Table], progress: Callable[[int], None]) -> Iterator[pa.Table]:
    rows = 0
    for table in tables:
        rows += table.num_rows
        progress(rows)
        yield table


def _is_table(paths: Sequence[str]) -> bool:
    return any(path.lower().endswith(TABLES) for path in paths)


def _require_one_file(paths: Sequence[str], of_images: bool) -> None:
    if len(paths) != 1:
        what = "rows are read from one file" if of_images else "this model takes rows from one file"
        raise InvalidRequestError(f"{what}, and {len(paths)} are given", remedy="run it for each")
    if not Path(paths[0]).is_file():
        raise InvalidRequestError("there is no such file", file=paths[0])


def _image_rows(
    exported: Exported,
    paths: Sequence[str],
    images: Sequence[str],
    scratch: Path,
    asked: CsvOptions,
    limits: Limits | None,
    allow_outside: bool,
) -> Iterator[ImageRows]:
    from .exporting.image_rows import rows_of_files, rows_of_table
    from .exporting.rows import read_rows
    from .images.admit import Limits

    bounds = limits or Limits()
    if _is_table(paths):
        table = Path(paths[0])
        rows = read_rows(exported.types, table, scratch, asked)
        return rows_of_table(rows, images, table, bounds, allow_outside)
    if others := [name for name in exported.types if name not in images]:
        raise InvalidRequestError(
            f"the model takes {', '.join(map(repr, others))} beside the image",
            remedy="give a CSV, JSON Lines or Parquet file with these columns and one of the images' paths",
        )
    if len(images) > 1:
        what = f"the model takes {len(images)} images a row: {', '.join(images)}"
        raise InvalidRequestError(what, remedy="give a CSV file with a column of paths for each")
    return rows_of_files(paths, images[0], bounds, allow_outside)


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
