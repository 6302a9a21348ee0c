"""The component `predict_examples`: batch prediction in Beam, with an exported model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from ..pipelines.artifact import Examples, ExportedModel, Files, Predictions
from ..pipelines.component import Checked, Known, NamedFile, Source, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError, Problem
from .csv.sources import resolve
from .split_checks import ALREADY_TRANSFORMED, RAW_REMEDY, are_transformed, split_problems


@component(process="tensorflow", beam=True)
def predict_examples(
    ctx: Context,
    exported: ExportedModel,
    examples: Examples | Source,
    *,
    split: str | list[str] | None = None,
    format: Literal["parquet", "csv", "tfrecord"] = "parquet",  # noqa: A002 - what else
    keep: list[str] | None = None,
    top: Annotated[int, Meta(ge=0)] = 0,
    max_rejects: Annotated[int, Meta(ge=0)] = 0,
) -> Predictions:
    """Gives each raw row the answer of an exported model, as `headrace predict` does, in Beam.

    The SavedModel is loaded once by each worker process. A row in gives a row out, in the same order: what
    names it (`split`, `part`, `row` from 0 of examples; `file` and `line` of files, the number of the row in
    Parquet and JSON Lines), the columns in `keep`, the answers, and the digest of the model in `model`. The
    answers are `prediction`, and for classes `probability` of that class and `probability:CLASS` of each;
    with several labels `prediction_LABEL` and so on.

    Args:
        exported: of an export step.
        examples: raw examples; or files of rows as `headrace predict` reads them, CSV, `*.parquet` or
            `*.jsonl`, with the columns that the model takes. Of a model of images examples only.
        split: the split, or several; all if not given.
        format: of the predictions' files; a record of `tfrecord` is a tf.Example with a feature a column,
            where missing text is empty and a missing number NaN or -2**63.
        keep: raw columns that go along, such as an id. Of CSV and JSON Lines, what the model doesn't take is
            kept as text.
        top: in place of each class's probability the likeliest classes, so many, with theirs.
        max_rejects: how many rows may be without an answer, for a value that is missing and that the
            Transform doesn't impute, or an image that can't be decoded. If any may, the column `error` has
            the reason, and the answers are null.

    Returns:
        Files of predictions by split, in the order of the rows.

    Raises:
        DataError: more rows are without an answer, or a file's row or value can't be read.
        InvalidRequestError: a column that the model takes isn't there or of another type, or an argument
            doesn't fit.
    """
    from .exporting.batch_predict import Asked, run_predict

    splits = [split] if isinstance(split, str) else split or ()
    asked = Asked(list(dict.fromkeys(splits)), format, list(dict.fromkeys(keep or ())), top, max_rejects)
    if isinstance(examples, Files):
        return run_predict(ctx, exported, [examples.file(entry.path) for entry in examples.files], asked)
    return run_predict(
        ctx, exported, examples if isinstance(examples, Examples) else resolve(examples), asked
    )


@predict_examples.sources_of
def _sources(arguments: Mapping[str, Any]) -> list[NamedFile]:
    """The files under the names that the predictions call them by."""
    given = arguments.get("examples")
    if given is None:
        return []
    from .ingestion.files import short_names

    try:
        return [(str(path), name) for path, name in short_names(resolve(given))]
    except HeadraceError:  # the check tells
        return []


@predict_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    """The columns that the model takes are there, as far as both are known; so are splits and files."""
    data, inputs = known.get("examples", Known()), known.get("exported", Known()).facts.get("inputs")
    problems: list[Problem] = []
    if are_transformed(data):
        return [Problem(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY)], {}
    columns = data.columns
    if arguments.get("examples") is not None:
        try:
            columns = _header(resolve(arguments["examples"])[0], inputs)
        except HeadraceError as error:
            problems += [problem.at(argument="examples") for problem in error.problems]
    splits = arguments["split"]
    for split in [splits] if isinstance(splits, str) else splits or ():
        problems += split_problems(split, data)
    for argument, names, why in (
        ("examples", inputs or (), ", which the model needs"),
        ("keep", arguments["keep"] or (), ""),
    ):
        problems += [
            Problem(f"there is no column {name!r}{why}", argument=argument, given=name, available=columns)
            for name in names
            if columns is not None and name not in columns
        ]
    return problems, {"output": Known(splits=data.splits)}


def _header(path: Path, inputs: Collection[str] | None) -> tuple[str, ...] | None:
    """The columns of a file of rows, where a look at its head tells them.

    How a CSV file is written isn't known before the run, which is as the examples were: one whose first row
    holds none of the model's columns is left to the run.
    """
    if path.suffix.lower() != ".csv" or not inputs:
        return None
    from .csv.sources import read_head

    names = read_head(path, "utf-8", None, '"').names
    return names if set(names) & set(inputs) else None
