"""A fitted transform in files: `transform.json` (plan, numbers, vocabularies), `constants.npz` (arrays)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...pipelines.errors import StoreError
from ..transforms import TRANSFORMS
from .fitted import Branch, FittedFeature, FittedTransform, Label, Stage

FORMAT = 2
"""1 had one label, under `label`; it is still read."""
PLAN, ARRAYS = "transform.json", "constants.npz"


def save_fitted(fitted: FittedTransform, folder: Path) -> None:
    """Writes `transform.json` and `constants.npz`."""
    arrays: dict[str, Any] = {}
    plan = {
        "format": FORMAT,
        "features": [
            {
                "name": f.name,
                "branches": [
                    {
                        "column": b.column,
                        "type": b.type,
                        "chain": _chain_json(b.stages, f"{i}.{j}", arrays),
                    }
                    for j, b in enumerate(f.branches)
                ],
                **({"joined": _chain_json(f.joined, f"{i}.joined", arrays)} if f.joined else {}),
            }
            for i, f in enumerate(fitted.fitted)
        ],
        "labels": [
            {
                "column": label.column,
                "type": label.type,
                "kind": label.kind,
                "classes": list(label.classes),
                "chain": _chain_json(label.stages, f"label.{i}", arrays),
                **({"partial": True} if label.partial else {}),
            }
            for i, label in enumerate(fitted.labels)
        ],
        **({"weight": fitted.weight} if fitted.weight else {}),
    }
    text = json.dumps(plan, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / PLAN).write_text(text + "\n", "utf-8")
    np.savez(folder / ARRAYS, **arrays)


def load_fitted(folder: str | Path) -> FittedTransform:
    """Reads what `save_fitted` wrote, for example the folder of a Transform artifact.

    Raises:
        StoreError: it isn't there, can't be read, or was written by a newer version.
    """
    folder = Path(folder)
    try:
        plan = json.loads((folder / PLAN).read_text("utf-8"))
        if plan["format"] > FORMAT:
            raise StoreError(
                f"the transform has format {plan['format']}, and this headrace reads up to {FORMAT}",
                file=str(folder / PLAN),
                remedy="upgrade headrace, or run the transform step again",
            )
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            features = tuple(
                FittedFeature(
                    f["name"],
                    tuple(
                        Branch(b["column"], b["type"], _chain(b["chain"], f"{i}.{j}", arrays))
                        for j, b in enumerate(f["branches"])
                    ),
                    _chain(f.get("joined", ()), f"{i}.joined", arrays),
                )
                for i, f in enumerate(plan["features"])
            )
            first = plan["format"] == 1
            labels = tuple(
                Label(
                    told["column"], told["type"], told["kind"], tuple(told["classes"]),
                    _chain(told["chain"], "label" if first else f"label.{i}", arrays),
                    told.get("partial", False),
                )
                for i, told in enumerate([plan["label"]] if first else plan["labels"])
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the fitted transform can't be read ({error})",
            file=str(folder / PLAN),
            remedy="run the transform step again",
        ) from error
    return FittedTransform(features, labels, plan.get("weight", ""))


def _chain_json(stages: Sequence[Stage], key: str, arrays: dict[str, Any]) -> list[dict[str, Any]]:
    chain = []
    for k, stage in enumerate(stages):
        plain = {}
        for name, value in stage.constants.items():
            if isinstance(value, np.ndarray):
                arrays[f"{key}.{k}.{name}"] = value
            else:
                plain[name] = value
        chain.append({"name": stage.transform.name, "arguments": asdict(stage.transform), "constants": plain})
    return chain


def _chain(told: Sequence[Mapping[str, Any]], key: str, arrays: Mapping[str, Any]) -> tuple[Stage, ...]:
    stages = []
    for k, stage in enumerate(told):
        prefix = f"{key}.{k}."
        mine = {name[len(prefix) :]: arrays[name] for name in arrays if name.startswith(prefix)}
        transform = TRANSFORMS[stage["name"]](**stage["arguments"])
        stages.append(Stage(transform, {**stage["constants"], **mine}))
    return tuple(stages)
