"""What the component `predict_examples` does. Runs in the driver."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pipelines.artifact import Examples, ExportedModel, Predictions
from ...pipelines.component import Known
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError, Problem
from ..data_plane.parts import Parts
from ..data_plane.work import run_units
from ..ingestion.files import short_names
from ..predict import CsvOptions
from ..split_checks import ALREADY_TRANSFORMED, RAW_REMEDY, split_problems
from .batch_sources import ALL, FileRows, example_units, file_units, kept_types
from .batch_work import ERROR, MODEL, Format, PredictUnit, Target
from .loading import about_export, written_options

IDENTITY = {"examples": ("split", "part", "row"), "files": ("file", "line")}
"""The columns that name a row."""
FILES_REMEDY = "read them by image_examples, which looks at each image, and wire its examples"

_HELD = {
    "image": ("images", "leave it out; split, part and row name the row"),
    "list": ("several values a row, which a CSV file can't hold", "format: parquet"),
}


@dataclass(frozen=True)
class Asked:
    """What is asked for, see `predict_examples`."""

    splits: Sequence[str]
    format: Format
    keep: Sequence[str]
    top: int
    max_rejects: int


@dataclass(frozen=True)
class Rows:
    """What is predicted for.

    Attributes:
        units: in the order of the rows.
        splits: their names.
        kept: the columns that go along, and their types.
        source: `examples` or `files`.
    """

    units: Sequence[Parts | FileRows]
    splits: Sequence[str]
    kept: Mapping[str, str]
    source: str


def run_predict(
    ctx: Context, exported: ExportedModel, source: Examples | Sequence[Path], asked: Asked
) -> Predictions:
    """See `headrace.components.predict_examples.predict_examples`."""
    about = about_export(exported.path)[1]
    inputs = {one["column"]: one["type"] for one in about["inputs"]}
    options = written_options(about)
    if isinstance(source, Examples):
        rows = _of_examples(source, inputs, asked)
    else:
        rows = _of_files(ctx, source, inputs, options, asked)
    _refuse(name_problems(asked.keep, rows.source, about["outputs"]))
    work = PredictUnit(
        str(exported.path), exported.digest, inputs, rows.kept, asked.format, asked.top,
        asked.max_rejects > 0, options,
    )  # fmt: skip
    return _predicted(ctx, rows, work, asked)


def _predicted(ctx: Context, rows: Rows, work: PredictUnit, asked: Asked) -> Predictions:
    draft = ctx.output(Predictions)
    splits: dict[str, Any] = {}
    names = []
    counts = {split: sum(unit.split == split for unit in rows.units) for split in rows.splits}
    for split in rows.splits:
        (draft.path / split).mkdir(parents=True)
        count = counts[split]
        splits[split] = {"rows": 0, "parts": []}
        names += [f"{split}/predictions-{n:05d}-of-{count:05d}.{asked.format}" for n in range(count)]
    targets = [Target(unit, str(draft.path / name)) for unit, name in zip(rows.units, names, strict=True)]
    told = [json.loads(payload) for payload in run_units(ctx, "predict", targets, work)]
    unanswered = _unanswered(rows, told, asked.max_rejects)
    for unit, name, one in zip(rows.units, names, told, strict=True):
        splits[unit.split]["rows"] += one["rows"]
        splits[unit.split]["parts"].append({"path": name, "rows": one["rows"]})
        if isinstance(unit, Parts) and unit.rows != one["rows"]:
            raise RuntimeError(f"{name}: {unit.rows} rows went in and {one['rows']} came out")
    properties = {
        "format": asked.format,
        "model": work.model,
        "source": rows.source,
        "columns": told[0]["columns"] if told else {},
        "splits": splits,
    }
    summary = {
        "rows": {split: one["rows"] for split, one in splits.items()},
        **({"without_answer": unanswered} if unanswered else {}),
    }
    digests = {name: one["sha256"] for name, one in zip(names, told, strict=True)}
    return draft.finish(properties, summary, digests=digests)


def _unanswered(rows: Rows, told: Sequence[Mapping[str, Any]], allowed: int) -> int:
    """How many rows have no answer.

    Raises:
        DataError: more than are allowed.
    """
    lost = sum(int(one["unanswered"]) for one in told)
    total = sum(one["rows"] for one in told)
    if lost > allowed:
        first = next(one["first"] for one in told if one["first"])
        limit = f", more than {allowed} (max_rejects)" if allowed else ""
        raise DataError(
            f"the model has no answer to {lost} of {total} rows{limit}; the first is {first}",
            argument="examples" if rows.source == "examples" else "",
            remedy="fill it in, or impute the column in the transform step and train again;"
            " max_rejects: N lets up to N rows through, with the reason in the column `error`",
        )
    return lost


def _of_examples(examples: Examples, inputs: Mapping[str, str], asked: Asked) -> Rows:
    if examples.properties.get("format") != "parquet":
        raise InvalidRequestError(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY)
    types: Mapping[str, str] = examples.properties["columns"]
    there = Known(splits=tuple(examples.splits))
    problems = column_problems(inputs, types)
    problems += [problem for split in asked.splits for problem in split_problems(split, there)]
    problems += kept_problems(asked.keep, types, asked.format)
    _refuse(problems)
    splits = list(asked.splits) or list(examples.splits)
    kept = {name: types[name] for name in asked.keep}
    return Rows(example_units(examples, splits), splits, kept, "examples")


def _of_files(
    ctx: Context, files: Sequence[Path], inputs: Mapping[str, str], options: CsvOptions, asked: Asked
) -> Rows:
    problems = []
    if "image" in inputs.values():
        what = "a model of images is given examples here, not files"
        problems.append(Problem(what, argument="examples", remedy=FILES_REMEDY))
    if asked.splits:
        what = "files have no splits"
        problems.append(Problem(what, argument="split", remedy="leave split out, or give examples"))
    _refuse(problems)
    paths = short_names(files)
    kept = kept_types(paths, asked.keep, inputs)
    _refuse(kept_problems(asked.keep, {**inputs, **kept}, asked.format))
    units = file_units(paths, {**inputs, **kept}, options, ctx.scratch("plain"))
    return Rows(units, [ALL], {name: {**inputs, **kept}[name] for name in asked.keep}, "files")


def column_problems(inputs: Mapping[str, str], types: Mapping[str, str]) -> list[Problem]:
    """What keeps a model from taking examples with columns of these types."""
    found = []
    for column, kind in inputs.items():
        if column not in types:
            what = f"there is no column {column!r}, which the model needs"
            found.append(Problem(what, argument="examples", given=column, available=tuple(types)))
        elif types[column] != kind:
            what = f"the column {column!r} is {types[column]}, and the model was trained on {kind}"
            remedy = f"state types: {{{column}: {kind}}} where the examples are read"
            found.append(Problem(what, argument="examples", remedy=remedy))
    return found


def kept_problems(keep: Sequence[str], types: Mapping[str, str], format: str) -> list[Problem]:  # noqa: A002
    """Columns that can't go along."""
    found = []
    for name in keep:
        kind = types.get(name, "")
        if not kind:
            what = f"there is no column {name!r}"
            found.append(Problem(what, argument="keep", given=name, available=tuple(types)))
        elif kind == "image" or (kind.endswith("s") and format == "csv"):
            held, remedy = _HELD["image" if kind == "image" else "list"]
            found.append(Problem(f"column {name!r} holds {held}", argument="keep", remedy=remedy))
    return found


def name_problems(keep: Sequence[str], source: str, outputs: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Columns that go along under a name that the predictions have already."""
    taken = {*IDENTITY[source], MODEL, ERROR, *(one["name"] for one in outputs)}
    remedy = "leave it out, or give it another name where the rows are read"
    return [
        Problem(f"{name!r} is a column of the predictions already", argument="keep", remedy=remedy)
        for name in keep
        if name in taken or name.startswith("probability:")
    ]


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidRequestError(list(problems))
