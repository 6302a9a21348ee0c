"""The component `validate_examples`: where raw examples depart from their schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from ..pipelines.artifact import Anomalies, Examples, Schema
from ..pipelines.component import Checked, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import Problem
from .split_checks import ALREADY_TRANSFORMED, RAW_REMEDY, are_transformed

Action = Literal["fail", "warn", "drop"]
Bound = Annotated[float, msgspec.Meta(ge=0, le=1)]


SUMMARY = ("ok", "errors", "warnings", "dropped_rows")
PROPERTIES = ("ok", "examples", "reasons")
"""What the artifact says of itself, for conditions of other steps."""


@component
def validate_examples(
    ctx: Context,
    examples: Examples,
    schema: Schema,
    baseline: Examples | None = None,
    *,
    environment: str | None = None,
    splits: list[str] | None = None,
    reference: str = "train",
    drift: Bound | None = None,
    skew: Bound | None = None,
    policy: dict[str, Action | dict[str, Action]] | None = None,
) -> Anomalies:
    """Holds raw examples against a schema, in one pass; `accept_examples` is the gate that acts on it.

    Looked for are columns that are missing or new, changed types, values outside the domain (beyond what
    `min_domain_mass` tolerates) or the range, numbers of values in a row, too many missing values (in any
    split), drift from the span before, and skew between splits. Distances are defined in
    `headrace.schemas.drift`: L-infinity over shares of values, and Jensen-Shannon divergence to the base 2.

    The artifact holds `anomalies.json` (see `headrace.schemas.anomalies`): each anomaly with severity,
    message, count, share of rows, and up to ten offending values with file and line (for examples that
    weren't read from CSV files, the Parquet part and the row).

    Args:
        examples: raw rows.
        schema: what they should be.
        baseline: the span before; its split of the same name, or else all its splits' first, is compared.
        environment: for example SERVING, where the schema may not expect the label; all columns if not given.
        splits: the splits to look at; all if not given.
        reference: the split that the others are compared with for skew; the first if there is none such.
        drift, skew: a bound for columns to which the schema gives none: of the L-infinity distance where
            there is a domain, of the Jensen-Shannon divergence for numbers.
        policy: what is done, by kind of anomaly or by column, or by column and kind: `fail` (which it is
            if nothing is said), `warn`, or `drop` to leave the offending rows out. For example
            `{new_column: warn, city: drop, age: {out_of_range: drop}}`.

    Raises:
        InvalidRequestError: no such split or environment.
        DataError: the examples are not raw rows, or a part can't be read.
    """
    from .validation.run import validate

    return validate(
        ctx,
        examples,
        schema,
        baseline,
        environment,
        splits,
        reference,
        {"drift": drift, "skew": skew},
        policy or {},
    )


@validate_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    table, expected = known.get("examples", Known()), known.get("schema", Known())
    problems = policy_problems(arguments.get("policy"), table, expected)
    splits = arguments.get("splits")
    for split in splits if isinstance(splits, list) and table.splits is not None else []:
        if split not in (table.splits or ()):
            what = f"the examples have no split {split!r}"
            problems.append(Problem(what, argument="splits", given=split, available=table.splits or ()))
    if are_transformed(table):
        problems.append(Problem(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY))
    facts = {"summary": SUMMARY, "properties": PROPERTIES}
    return problems, {"output": Known(facts=facts)}


def policy_problems(policy: Any, table: Known, expected: Known) -> list[Problem]:
    """What is wrong with a policy, as far as it is known."""
    from ..schemas.anomalies import ROW_KINDS, Kind

    kinds = get_args(Kind)
    problems = []
    columns = None
    if table.columns is not None:
        columns = tuple(dict.fromkeys([*table.columns, *(expected.columns or ())]))
    for key, value in policy.items() if isinstance(policy, Mapping) else ():
        if key not in kinds and columns is not None and key not in columns:
            what = f"{key!r} is neither a kind of anomaly nor a column"
            problems.append(Problem(what, argument="policy", given=key, available=(*kinds, *columns)))
        if key in kinds and value == "drop" and key not in ROW_KINDS:
            what = f"{key} is not about single rows, which could be dropped"
            problems.append(Problem(what, argument="policy", remedy=f"{key}: warn, or fail"))
        for kind, action in value.items() if isinstance(value, Mapping) else ():
            if kind not in kinds:
                what = f"{kind!r} is no kind of anomaly"
                problems.append(Problem(what, argument="policy", given=kind, available=kinds))
            elif action == "drop" and kind not in ROW_KINDS:
                what = f"{kind} of {key} is not about single rows, which could be dropped"
                problems.append(Problem(what, argument="policy", remedy=f"{kind}: warn, or fail"))
    return problems
