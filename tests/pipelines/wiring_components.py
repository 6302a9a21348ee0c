"""Components and pipelines that are wired and never run, for tests of what can be known before a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from headrace.pipelines import (
    CodePath,
    Context,
    Examples,
    Known,
    Model,
    Problem,
    Schema,
    Source,
    component,
    pipeline,
)


class Split(NamedTuple):
    examples: Examples
    schema: Schema


@component
def read(
    ctx: Context,
    path: Source,
    *,
    rows: Annotated[int, Meta(ge=1)] = 10,
    splits: dict[str, float] | None = None,
    columns: list[str] | None = None,
) -> Examples:
    """Reads rows.

    Args:
        ctx: given by headrace.
        path: what to read.
        rows: how many,
            at most.
    """
    raise NotImplementedError


@read.check
def _columns(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    return [], {"output": Known(columns=tuple(arguments["columns"] or ()))}


@component
def split(ctx: Context, examples: Examples, schema: Schema | None = None, *, by: str = "") -> Split:
    """Splits rows by a column."""
    raise NotImplementedError


@split.check
def _by(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> tuple[list[Problem], dict[str, Known]]:
    columns = known["examples"].columns
    if arguments["by"] and columns and arguments["by"] not in columns:
        what = f"there is no column {arguments['by']!r}"
        return [Problem(what, argument="by", given=arguments["by"], available=columns)], {}
    return [], {"examples": known["examples"]}


@component
def fit(
    ctx: Context,
    examples: Examples,
    *,
    model: CodePath = "mlp",
    optimizer: Literal["adam", "sgd"] = "adam",
    epochs: int = 1,
    rate: float = 0.1,
    note: str = "",
) -> Model:
    """Fits a model."""
    raise NotImplementedError


@pipeline
def learned(examples: Examples, epochs: int = 3) -> Model:
    parts = split(examples)
    return fit(parts.examples, epochs=epochs)


@pipeline
def whole(path: str = "a.csv", epochs: int = 2) -> Model:
    rows, _schema = split(read(path, rows=3))
    fit.named("first")(rows, epochs=epochs)
    return learned(rows, epochs=9)


not_a_component = 3
