"""`tfds_examples`: a TensorFlow Dataset, its features as our columns, its splits, as Parquet parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Examples
from ..pipelines.component import Checked, CodePath, FilePath, Known, Marker, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError, InvalidRequestError, Problem
from ..pipelines.import_path import find_problem
from .tfds.naming import default_data_dir, find_prepared, parse_name
from .tfds.prepared import read_prepared

__all__ = ["tfds_examples"]

Place = Annotated[str, Marker("file"), Marker("operational")]
"""A folder whose path doesn't count; what is read in it does."""


@component
def tfds_examples(
    ctx: Context,
    *,
    name: str | None = None,
    path: FilePath | None = None,
    builder: CodePath | None = None,
    builder_args: dict[str, Any] = {},  # noqa: B006 - never changed
    data_dir: Place | None = None,
    download: Annotated[bool, Marker("operational")] = False,
    manual_dir: Place | None = None,
    splits: dict[str, str] | None = None,
    columns: list[str] | None = None,
    max_rejects: Annotated[int, Meta(ge=0)] = 0,
    block_rows: Annotated[int, Meta(ge=1, le=1 << 20)] = 1 << 16,
    sample: Annotated[int, Meta(ge=1)] | None = None,
) -> Examples:
    """Reads a TensorFlow Dataset into rows of our types.

    One of `name`, `path` and `builder` says which. A set that is prepared is read as it lies, without
    importing TensorFlow; nothing is ever looked for on the network unless `download` allows it.

    An image becomes a column of image files, byte for byte if it is a JPEG or PNG of 8 bits, else as a PNG; a
    class label a column of class names, where -1 is missing; text, scalars, tensors and sequences columns of
    string, int, float, bool, strings, ints or floats; features within features are called `outer/inner`. A
    tensor of several dimensions and a bounding box become lists of their numbers, row by row; what is missing
    in a list is left out of it. Videos, audio,
    sequences of images and sequences of sequences have to be left out with `columns`. Property `label` names
    the set's own label (its supervised keys), property `classes` the classes in the set's order.

    Args:
        name: `name`, `name/config`, `name:1.0.0` or `name/config:1.*.*`, as for `tfds.load`. Of several
            prepared versions the newest that fits is read.
        path: the folder of a prepared version, as for `tfds.builder_from_directory`.
        builder: the builder class, `module:Class` or `file.py:Class`. It is prepared in `data_dir` unless it
            is there already; without `data_dir` in the step's own temporary folder, anew whenever its code
            changes.
        builder_args: keyword arguments of that class, such as `{config: small}`.
        data_dir: where sets are prepared; without it TFDS's own folder, `TFDS_DATA_DIR` or
            `~/tensorflow_datasets`.
        download: whether a set that isn't prepared may be downloaded and prepared. That is TFDS's work, and
            a set that needs Beam goes through the runner of this run.
        manual_dir: the folder of files that the set's publisher wants everyone to fetch themselves.
        splits: the rows of each split by TFDS's names, slices and sums: `{train: "train[:80%]", test:
            "train[80%:]+test"}`. Without it the set's own splits.
        columns: the features to read, in this order; all if not given.
        max_rejects: how many bad records to put into `rejects.jsonl` before it is an error. Their `line` is
            the number of the record in its shard, from 1.
        block_rows: the greatest number of rows in a part; it has fewer where they have more than 16 MB.
        sample: read only so many rows of each split, from its beginning.

    Returns:
        Examples: Parquet parts, rows in the order of the shards.

    Raises:
        DataError: the prepared set is damaged; names the file and the record.
        InvalidRequestError: an argument doesn't fit, or the set isn't prepared.
        StepError: it can't be downloaded or prepared.
    """
    from .tfds.ingest import Wanted, ingest

    problems = _asked_problems({"name": name, "path": path, "builder": builder}, builder_args)
    if problems:
        raise InvalidRequestError(problems)
    wanted = Wanted(splits, columns, max_rejects, block_rows, sample)
    folder = _folder(name, path, data_dir)
    if isinstance(folder, Path):
        return ingest(ctx, read_prepared(folder), wanted)
    from .tfds.prepare import Recipe, prepare

    recipe = Recipe(name, builder, builder_args, data_dir, manual_dir)
    if folder is not None and not download:
        raise InvalidRequestError(_unprepared(folder))
    return ingest(ctx, read_prepared(prepare(ctx, recipe)), wanted)


def _folder(name: str | None, path: str | None, data_dir: str | None) -> Path | Problem | None:
    """Where the prepared set is, or why there is none; None for a builder class."""
    if path is not None:
        return Path(path)
    if name is None:
        return None
    return find_prepared(parse_name(name), Path(data_dir) if data_dir else default_data_dir())


def _unprepared(problem: Problem) -> Problem:
    remedy = "let it be downloaded and prepared with download: true, or say with data_dir where it is"
    return problem.at(remedy=remedy)


def _asked_problems(asked: Mapping[str, str | None], builder_args: Mapping[str, Any]) -> list[Problem]:
    given = [argument for argument, value in asked.items() if value is not None]
    if not given:
        what = "nothing says which dataset to read"
        return [Problem(what, argument="name", remedy="give name, path or builder")]
    if len(given) > 1:
        what = f"{given[0]} and {given[1]} both say which dataset to read"
        return [Problem(what, argument=given[1], remedy="leave one out")]
    if builder_args and given != ["builder"]:
        what = "there is no builder class to take builder_args"
        return [Problem(what, argument="builder_args", remedy="write a config in the name: name/config")]
    return []


@tfds_examples.process_of
def _process(arguments: Mapping[str, Any]) -> str:
    """Only preparing a set imports TensorFlow."""
    try:
        folder = _folder(arguments["name"], arguments["path"], arguments["data_dir"])
    except HeadraceError:
        return ""
    return "" if isinstance(folder, Path) else "tensorflow"


@tfds_examples.sources_of
def _sources(arguments: Mapping[str, Any]) -> list[str]:
    """A set found by name counts by its content, as one given by its path does; else what it is made of."""
    if arguments["path"] is not None:
        return []
    try:
        folder = _folder(arguments["name"], None, arguments["data_dir"])
    except HeadraceError:
        return []
    if isinstance(folder, Path):
        return [str(folder)]
    return [arguments["manual_dir"]] if arguments["manual_dir"] else []


@tfds_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    asked = {argument: arguments[argument] for argument in ("name", "path", "builder")}
    problems = _asked_problems(asked, arguments["builder_args"])
    splits = arguments["splits"]
    output = Known(splits=tuple(splits) if splits is not None else None)
    if problems:
        return problems, {"output": output}
    if arguments["builder"] is not None:
        wrong = find_problem(arguments["builder"])
        return ([wrong.at(argument="builder")] if wrong else []), {"output": output}
    where = "path" if arguments["path"] is not None else "name"
    try:
        folder = _folder(arguments["name"], arguments["path"], arguments["data_dir"])
        if isinstance(folder, Path):
            return _look(folder, arguments)
        if folder is not None and not arguments["download"]:
            problems.append(_unprepared(folder))
    except HeadraceError as error:
        problems += [problem.at(argument=where) for problem in error.problems]
    return problems, {"output": output}


def _look(folder: Path, arguments: Mapping[str, Any]) -> Checked:
    """What a prepared set's notes tell."""
    from .tfds.columns import chosen, columns_of
    from .tfds.slices import ranges_of

    prepared = read_prepared(folder)
    ranges, problems = ranges_of(prepared.lengths, arguments["splits"])
    found = chosen(*columns_of(prepared), arguments["columns"])
    if isinstance(found, list):
        return [*problems, *found], {"output": Known(splits=tuple(ranges))}
    types = {name: column.type for name, column in found.items()}
    return problems, {"output": Known(tuple(found), tuple(ranges), {"types": types})}
