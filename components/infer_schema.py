"""The component `infer_schema`: types, presence and domains from statistics, or an edited file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ..pipelines.artifact import Schema, Statistics
from ..pipelines.component import Checked, FilePath, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import DataError, InvalidRequestError, Problem

if TYPE_CHECKING:
    from ..schemas import schema as values
    from ..schemas.schema_problem import SchemaProblem
    from ..schemas.statistics import SplitStatistics


@component
def infer_schema(
    ctx: Context,
    statistics: Statistics,
    *,
    split: str = "train",
    schema_file: FilePath | None = None,
    max_categories: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100,
    ranges: bool = False,
) -> Schema:
    """Infers what each column is expected to be, or takes an edited file and holds it against the data.

    The artifact holds `schema.yaml`, and the same for TFDV as `schema.pbtxt`. Copy the former, edit it, and
    give its path as `schema_file`: then that is the schema, once its columns and types are those of the
    data. Where the split departs from its presence, values or ranges there is a warning.

    Args:
        statistics: of the data.
        split: the split that the schema is inferred from.
        schema_file: an edited schema, used in place of an inferred one.
        max_categories: a string column with more distinct values gets no domain.
        ranges: whether numeric columns get the observed minimum and maximum as their range.

    Returns:
        The schema; its features are in the order of the data's columns.

    Raises:
        InvalidRequestError: `schema_file` can't be read as a schema.
        DataError: there is no such split, it has no rows, or the data contradicts `schema_file`.
    """
    from ..schemas.inference import infer
    from .validation.schema_files import write_schema_files

    observed = _split(statistics, split)
    if schema_file is None:
        schema = infer(observed, max_categories, ranges)
    else:
        schema = _edited(ctx, observed, schema_file)
    draft = ctx.output(Schema)
    write_schema_files(draft.path, schema)
    domains = sum(feature.values is not None for feature in schema)
    return draft.finish(summary={"features": len(schema.features), "domains": domains})


@infer_schema.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    """The split exists; an edited schema reads, and has the columns of the data where they are known."""
    data = known.get("statistics", Known())
    split, path = arguments.get("split"), arguments.get("schema_file")
    problems = []
    if isinstance(split, str) and data.splits is not None and split not in data.splits:
        problems.append(
            Problem(f"there is no split {split!r}", argument="split", given=split, available=data.splits)
        )
    if not isinstance(path, str):
        return problems, {"output": data}

    from ..schemas.inference import column_problems

    try:
        schema, lines = _read(path)
    except InvalidRequestError as error:
        return [*problems, *error.problems], {"output": data}
    if data.columns is not None:
        problems += _problems(column_problems(schema, data.columns, lines), path)
    facts = {**data.facts, "types": {feature.name: feature.type for feature in schema}}
    return problems, {"output": Known(data.columns or schema.names, data.splits, facts)}


def _split(statistics: Statistics, split: str) -> SplitStatistics:
    from .statistics_files import load_statistics

    found = load_statistics(statistics)
    if split not in found.names:
        raise DataError(f"there is no split {split!r}", argument="split", given=split, available=found.names)
    if not found[split].rows:
        raise DataError(
            f"the split {split!r} has no rows to infer a schema from",
            argument="split",
            available=tuple(name for name in found.names if found[name].rows),
            remedy="name another split, or give this one a greater share of the rows",
        )
    return found[split]


def _edited(ctx: Context, observed: SplitStatistics, path: str) -> values.Schema:
    from ..schemas.inference import column_problems, departures, in_order, type_problems

    schema, lines = _read(path)
    columns = [feature.name for feature in observed]
    types = {feature.name: feature.type for feature in observed}
    found = column_problems(schema, columns, lines) + type_problems(schema, types, lines)
    if found:
        raise DataError(_problems(found, path))
    for sentence in departures(schema, observed):
        ctx.warn(f"{observed.name}: {sentence}")
    return in_order(schema, columns)


def _read(path: str) -> tuple[values.Schema, dict[str, int]]:
    """Reads an edited schema; raises InvalidRequestError with all problems and their lines."""
    from ..schemas.schema_file import SchemaError, read_schema_lines

    try:
        return read_schema_lines(Path(path).read_text("utf-8"), path)
    except SchemaError as error:
        raise InvalidRequestError(_problems(error.problems, path)) from None
    except UnicodeDecodeError:
        what, remedy = "the schema is not UTF-8", "save it as UTF-8"
    except OSError as error:
        what, remedy = f"the schema can't be read ({error.strerror})", "give the path of a schema.yaml"
    raise InvalidRequestError(what, argument="schema_file", file=path, remedy=remedy)


def _problems(found: Sequence[SchemaProblem], path: str) -> list[Problem]:
    return [Problem(argument="schema_file", file=path, **asdict(problem)) for problem in found]
