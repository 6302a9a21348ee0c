"""The component `accept_examples`: the gate behind `validate_examples`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..pipelines.artifact import Anomalies, Examples
from ..pipelines.component import Checked, Known, component
from ..pipelines.context import Context


@component
def accept_examples(ctx: Context, examples: Examples, anomalies: Anomalies) -> Examples:
    """Lets raw examples through if they have no anomaly that is an error, without the rows to be dropped.

    Wire what is below to the output of this step: it isn't reached where the gate refuses. Dropped rows go
    to `rejects.jsonl`, a JSON object a row with file, line, reason and values; rows in are rows out and
    rows dropped, which is checked. Where no row is dropped, the output is the input itself.

    Args:
        examples: raw rows.
        anomalies: what `validate_examples` found in these very examples.

    Raises:
        GateError: with every error, as `anomalies.json` has it.
        InvalidRequestError: the anomalies are those of other examples.
        DataError: a split would have no row left.
    """
    from .validation.accept import accept

    return accept(ctx, examples, anomalies)


@accept_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    return [], {"output": known.get("examples", Known())}
