"""A fitted transform in files: `transform.json` (plan, numbers, vocabularies), `constants.npz` (arrays).

Transforms of one's own stand in the plan by a short name and the digest of their code; `code.json` says where
that code lay, which is no part of an artifact's content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...pipelines.errors import HeadraceError, InvalidRequestError, StoreError
from ...pipelines.import_path import find_problem, short_names
from ..tfrecords.layout import JPEG_QUALITY
from ..transforms import TRANSFORMS
from ..transforms.own import digest_of, path_of, reach, rebuild_class, root_of
from .fitted import FittedTransform
from .fitted_features import Branch, FittedFeature, Stage
from .fitted_labels import Label

FORMAT = 2
"""1 had one label, under `label`; it is still read."""
PLAN, ARRAYS, CODE = "transform.json", "constants.npz", "code.json"


def save_fitted(fitted: FittedTransform, folder: Path) -> None:
    """Writes `transform.json` and `constants.npz`, and `code.json` for transforms of one's own."""
    arrays: dict[str, Any] = {}
    own = short_names(own_paths(fitted))
    plan = {
        "format": FORMAT,
        "features": [
            {
                "name": f.name,
                "branches": [
                    {
                        "column": b.column,
                        "type": b.type,
                        **({"beside": dict(b.beside)} if b.beside else {}),
                        "chain": _chain_json(b.stages, f"{i}.{j}", arrays, own),
                    }
                    for j, b in enumerate(f.branches)
                ],
                **({"joined": _chain_json(f.joined, f"{i}.joined", arrays, own)} if f.joined else {}),
                **({"stored": f.stored} if f.output.is_image else {}),
            }
            for i, f in enumerate(fitted.fitted)
        ],
        "labels": [
            {
                "column": label.column,
                "type": label.type,
                "kind": label.kind,
                "classes": list(label.classes),
                "chain": _chain_json(label.stages, f"label.{i}", arrays, own),
                **({"partial": True} if label.partial else {}),
            }
            for i, label in enumerate(fitted.labels)
        ],
        **({"weight": fitted.weight} if fitted.weight else {}),
        **({"jpeg_quality": fitted.jpeg_quality} if fitted.stores_jpeg else {}),
        **({"code": {short: digest_of(path) for path, short in own.items()}} if own else {}),
    }
    if own:
        places = {short: {"path": path, "root": root_of(path)} for path, short in own.items()}
        (folder / CODE).write_text(json.dumps(places, indent=1, ensure_ascii=False) + "\n", "utf-8")
    # The standard library indents in Python, which takes seconds for thousands of columns.
    text = msgspec.json.format(json.dumps(plan, ensure_ascii=False, allow_nan=False), indent=1)
    (folder / PLAN).write_text(text + "\n", "utf-8")
    np.savez(folder / ARRAYS, **arrays)


def load_fitted(folder: str | Path) -> FittedTransform:
    """Reads what `save_fitted` wrote, for example the folder of a Transform artifact.

    Raises:
        StoreError: it isn't there, can't be read, or was written by a newer version; a transform of one's own
            can't be imported, or its code isn't what it was.
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
        own = _own_code(folder, plan.get("code", {}))
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            features = tuple(
                FittedFeature(
                    f["name"],
                    tuple(
                        Branch(
                            b["column"],
                            b["type"],
                            _chain(b["chain"], f"{i}.{j}", arrays, own),
                            tuple(b.get("beside", {}).items()),
                        )
                        for j, b in enumerate(f["branches"])
                    ),
                    _chain(f.get("joined", ()), f"{i}.joined", arrays, own),
                    f.get("stored", "pixels"),
                )
                for i, f in enumerate(plan["features"])
            )
            first = plan["format"] == 1
            labels = tuple(
                Label(
                    told["column"], told["type"], told["kind"], tuple(told["classes"]),
                    _chain(told["chain"], "label" if first else f"label.{i}", arrays, own),
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
    quality = plan.get("jpeg_quality", JPEG_QUALITY)
    return FittedTransform(features, labels, plan.get("weight", ""), quality)


def own_paths(fitted: FittedTransform) -> list[str]:
    """The import paths of the transforms of one's own, in the order of the plan."""
    chains = [b.stages for f in fitted.fitted for b in f.branches] + [f.joined for f in fitted.fitted]
    chains += [label.stages for label in fitted.labels]
    stages = [stage for chain in chains for stage in chain]
    return [path for path in (path_of(type(stage.transform)) for stage in stages) if path]


def _own_code(folder: Path, digests: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """By short name the import path, and the folder that its module is below.

    Raises:
        StoreError: it can't be imported, or isn't what it was.
    """
    if not digests:
        return {}
    file = folder / CODE
    places = json.loads(file.read_text("utf-8")) if file.exists() else {}
    found = {}
    for short, digest in digests.items():
        told = places.get(short, {"path": short, "root": ""})
        try:
            reach(told["path"], told["root"])
            problem = find_problem(told["path"])
            if problem is not None:
                raise InvalidRequestError(problem)
            # Before it is imported: no code is run but that which the transform was fitted with.
            now = digest_of(told["path"])
            if now == digest:
                rebuild_class(told["path"], told["root"])
        except HeadraceError as error:
            raise StoreError(
                f"the fitted transform uses {short}, which can't be imported: {error.problems[0].what}",
                file=str(folder / PLAN),
                remedy=f"put the code back ({told['path']}), install it, or run the transform step again",
            ) from error
        if now != digest:
            raise StoreError(
                f"the code of {short} is not what the transform was fitted with",
                file=told["path"].rpartition(":")[0],
                remedy="run the transform step, and what stands below it, again; or bring the code back",
            )
        found[short] = (told["path"], told["root"])
    return found


def _chain_json(
    stages: Sequence[Stage], key: str, arrays: dict[str, Any], own: Mapping[str, str]
) -> list[dict[str, Any]]:
    chain = []
    for k, stage in enumerate(stages):
        plain = {}
        for name, value in stage.constants.items():
            if isinstance(value, np.ndarray):
                arrays[f"{key}.{k}.{name}"] = value
            else:
                plain[name] = value
        kind = type(stage.transform)
        name = own.get(path_of(kind), kind.name)
        chain.append({"name": name, "arguments": stage.transform.arguments(), "constants": plain})
    return chain


def _chain(
    told: Sequence[Mapping[str, Any]],
    key: str,
    arrays: Mapping[str, Any],
    own: Mapping[str, tuple[str, str]],
) -> tuple[Stage, ...]:
    stages = []
    for k, stage in enumerate(told):
        prefix = f"{key}.{k}."
        mine = {name[len(prefix) :]: arrays[name] for name in arrays if name.startswith(prefix)}
        name = stage["name"]
        kind = rebuild_class(*own[name]) if name in own else TRANSFORMS[name]
        transform = kind.of_arguments(stage["arguments"])
        stages.append(Stage(transform, {**stage["constants"], **mine}))
    return tuple(stages)
