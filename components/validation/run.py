"""What the component `validate_examples` does: one pass, one judgement, one artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...pipelines.artifact import Anomalies, Examples, Schema
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ...schemas.anomalies import ROW_KINDS, Anomaly, Policy, action, to_json
from ...schemas.schema_file import read_schema
from ..split_checks import ALREADY_TRANSFORMED, RAW_REMEDY
from .examine import Examine, Examined, examine
from .judge import Judge, Sides, compared

_WARNED = 5


def validate(
    ctx: Context,
    examples: Examples,
    schema: Schema,
    baseline: Examples | None,
    environment: str | None,
    splits: Sequence[str] | None,
    reference: str,
    defaults: Mapping[str, float | None],
    policy: Policy,
) -> Anomalies:
    """See `headrace.components.validate_examples`."""
    expected = read_schema(schema.file("schema.yaml").read_text("utf-8"))
    chosen = _splits(examples, splits)
    if environment is not None and environment not in expected.environments:
        raise InvalidRequestError(
            f"the schema knows no environment {environment!r}",
            argument="environment",
            given=environment,
            available=expected.environments,
            remedy=f"add it to the schema: default_environments: [{environment}]",
        )
    types: Mapping[str, str] = examples.properties["columns"]
    judge = Judge(expected, environment, policy, types)
    features = judge.checked()
    used = {"skew": defaults["skew"]} if baseline is None else dict(defaults)
    if len(chosen) == 1:
        used.pop("skew")
    texts, numbers = compared(features, types, used)
    pairs = [(f.name, kind) for f in features for kind in ROW_KINDS]
    drops = tuple(p for p in pairs if action(policy, p[0], p[1]) == "drop")  # type: ignore[arg-type]
    work = Examine(tuple(features), dict(types), texts, numbers, drops, str(ctx.scratch("drops")))
    found = examine(ctx, "validate", examples, chosen, work)
    anomalies = [*judge.columns(), *judge.rows(found)]
    if "skew" in used:
        base = reference if reference in chosen else chosen[0]
        for split in chosen:
            if split != base:
                sides = Sides(found, found, (f"the split {base!r}", base), (f"the split {split!r}", split))
                anomalies += judge.distances("skew", used["skew"], sides)
    if baseline is not None:
        anomalies += _drift(ctx, judge, found, baseline, used["drift"])
    return _publish(ctx, examples, anomalies, found, drops)


def _splits(examples: Examples, splits: Sequence[str] | None) -> list[str]:
    if examples.properties.get("format") != "parquet":
        raise DataError(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY)
    for split in splits or ():
        if split not in examples.splits:
            raise InvalidRequestError(
                f"the examples have no split {split!r}",
                argument="splits",
                given=split,
                available=tuple(examples.splits),
            )
    return list(splits or examples.splits)


def _drift(
    ctx: Context, judge: Judge, found: Examined, baseline: Examples, default: float | None
) -> list[Anomaly]:
    """Each split against that of the same name of the span before, or its first one."""
    before_types: Mapping[str, str] = baseline.properties["columns"]
    there = [f for f in judge.checked() if before_types.get(f.name) == judge.types[f.name]]
    texts, numbers = compared(there, before_types, {"drift": default})
    own = {split: split if split in baseline.splits else next(iter(baseline.splits)) for split in found.rows}
    wanted = list(dict.fromkeys(own.values()))
    work = Examine((), dict(before_types), texts, numbers, (), "")
    if not texts and not numbers:
        return []
    before = examine(ctx, "baseline", baseline, _splits(baseline, wanted), work)
    anomalies: list[Anomaly] = []
    for split, other in own.items():
        sides = Sides(before, found, (f"the span before ({other})", other), (f"this one ({split})", split))
        anomalies += judge.distances("drift", default, sides)
    return anomalies


def _publish(
    ctx: Context,
    examples: Examples,
    anomalies: list[Anomaly],
    found: Examined,
    drops: Sequence[tuple[str, str]],
) -> Anomalies:
    errors = [one for one in anomalies if one.severity == "error"]
    draft = ctx.output(Anomalies)
    (draft.path / "anomalies.json").write_text(to_json(anomalies), "utf-8")
    dropped = _write_drops(draft.path, anomalies, found, drops)
    for one in anomalies[:_WARNED]:
        ctx.warn(("" if one.severity == "error" else "warning only: ") + one.message)
    if len(anomalies) > _WARNED:
        ctx.warn(f"and {len(anomalies) - _WARNED} anomalies more, in anomalies.json")
    facts = {"errors": len(errors), "warnings": len(anomalies) - len(errors), "dropped_rows": dropped}
    return draft.finish(
        properties={
            "ok": not errors,
            "examples": examples.digest,
            "reasons": [f"{name}: {kind}" for name, kind in drops],
        },
        summary={"ok": not errors, **facts},
    )


def _write_drops(
    folder: Path, anomalies: Sequence[Anomaly], found: Examined, drops: Sequence[tuple[str, str]]
) -> int:
    """Writes for each part the rows that go, int64 [n, 2] of row and reason; gives how many there are."""
    wanted = {
        (split, drops.index((one.feature, one.kind)))
        for one in anomalies
        for split in ([one.split] if one.split else found.rows)
        if one.dropped
    }
    total = 0
    for part, path in found.drops.items():
        pairs = np.load(path)
        own = [index for split, index in wanted if split == part.split]
        pairs = pairs[np.isin(pairs[:, 1], own)]
        rows, first = np.unique(pairs[:, 0], return_index=True)
        if not len(rows):
            continue
        target = folder / "drop" / f"{part.name}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, pairs[first])
        total += len(rows)
    return total
