"""Write a model for serving, with the preprocessing inside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Evaluation, Examples, ExportedModel, Model
from ..pipelines.component import Known, component
from ..pipelines.context import Context
from ..pipelines.errors import GateError, InvalidRequestError, Problem
from .csv.options import MISSING
from .split_checks import EXPORT_NEEDS_RAW, RAW_REMEDY, are_transformed, split_problems

if TYPE_CHECKING:
    from .exporting.parity import Parity
    from .exporting.saved_model import Input
    from .training.tasks import Task

VERSION = "1"
"""The version folder, as TensorFlow Serving wants one."""
CSV_DEFAULTS = {"delimiter": ",", "quote": '"', "encoding": "utf-8"}
"""How files are written unless the examples' properties say otherwise; `predict` reads rows likewise."""


@component(process="tensorflow")
def export(
    ctx: Context,
    model: Model,
    examples: Examples,
    evaluation: Evaluation | None = None,
    *,
    split: str = "test",
    parity_rows: Annotated[int, Meta(ge=1)] = 2000,
    tolerance_ulps: Annotated[float, Meta(ge=0)] = 64,
    force: bool = False,
) -> ExportedModel:
    """Writes a SavedModel that takes raw rows, and publishes it only if it does what training did.

    `1/` holds the SavedModel with the signatures `serving_default` (a tensor `[n]` for each raw column) and
    `serve_examples` (serialized tf.Examples), see `headrace.components.exporting.saved_model`; an image goes
    in as the bytes of an upright JPEG, PNG or still GIF file. `export.json` holds the inputs' names and
    columns, the outputs, what the parity gate found.
    `tf.saved_model.load` alone loads it.

    Args:
        model: the trained model, which carries its Transform.
        examples: the raw examples, for the rows of the parity gate.
        evaluation: of this very model; one that is not blessed stops the export.
        split: the held-out rows for the parity gate.
        parity_rows: how many of them at most.
        tolerance_ulps: how far float features may be apart, see `headrace.components.exporting.parity`.
        force: export although the evaluation is not blessed.

    Raises:
        GateError: the model isn't blessed, or the exported graph departs from training.
        InvalidRequestError: transformed examples, an unknown split, an evaluation of another model.
        DataError: the split has no rows.
    """
    from .exporting.saved_model import graph_digest, image_formats, serving_inputs, write_saved_model
    from .training.networks import feed_of, forward, load_network
    from .training.tasks import tasks_from_json

    _require_blessing(ctx, model, evaluation, force)
    _require_raw(examples)
    from .evaluation.predictions import require_split
    from .preprocessing.fitted_file import load_fitted

    require_split(examples, split)
    tasks = tasks_from_json(model.read_json("model.json"))
    fitted, network = load_fitted(model.path / "transform"), load_network(model)
    feed = feed_of(model, fitted)
    inputs = serving_inputs(fitted)
    draft = ctx.output(ExportedModel)
    write_saved_model(draft.path / VERSION, fitted, network, feed, tasks, inputs, ctx.scratch("export"))
    from .exporting.parity import ParityGate

    call = forward(network, feed)
    gate = ParityGate(draft.path / VERSION, fitted, call, feed, tasks, inputs, tolerance_ulps)
    _pass_rows(ctx, gate, examples, split, parity_rows)
    told = _about(tasks, inputs, gate.parity, split, examples, image_formats(fitted))
    (draft.path / "export.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return draft.finish(
        properties={
            "weights": model.properties["weights"],
            "transform": _transform_digest(model),
            "graph": graph_digest(draft.path / VERSION),
            **{name: model.properties[name] for name in ("task", "tasks") if name in model.properties},
        },
        summary={"parity": gate.parity.to_json(), "inputs": len(inputs)},
        # Names of functions differ between equal exports, and fingerprint.pb is random; what the SavedModel
        # is made of is stated above: weights, constants and operations.
        volatile=[f"{VERSION}/*.pb", f"{VERSION}/variables/*"],
    )


def _require_blessing(ctx: Context, model: Model, evaluation: Evaluation | None, force: bool) -> None:
    if evaluation is None:
        return
    if evaluation.properties["weights"] != model.properties["weights"]:
        raise InvalidRequestError(
            "the evaluation is of another model",
            argument="evaluation",
            remedy="evaluate the model that you export",
        )
    if evaluation.properties["blessed"]:
        return
    reasons = "; ".join(evaluation.properties["reasons"])
    if not force:
        raise GateError(
            f"the model is not blessed: {reasons}",
            argument="evaluation",
            remedy="train a better model, change the thresholds of evaluate, or set force: true",
        )
    ctx.warn(f"exported although the model is not blessed: {reasons}")


def _require_raw(examples: Examples) -> None:
    if examples.properties.get("format") != "parquet":
        raise InvalidRequestError(EXPORT_NEEDS_RAW, argument="examples", remedy=RAW_REMEDY)


def _pass_rows(ctx: Context, gate: Any, examples: Examples, split: str, rows: int) -> None:
    from .evaluation.predictions import raw_batches

    for raw in raw_batches(examples, split, gate.batch_rows):
        gate.check(raw.slice(0, rows - gate.parity.rows))
        ctx.progress(rows=gate.parity.rows, total=min(rows, examples.rows(split)), done=gate.parity.rows)
        if gate.parity.rows >= rows:
            break
    gate.close()


def _about(
    tasks: tuple[Task, ...],
    inputs: tuple[Input, ...],
    parity: Parity,
    split: str,
    examples: Examples,
    formats: Sequence[str],
) -> dict[str, Any]:
    from .exporting.outputs import describe
    from .training.tasks import tasks_to_json

    times: Mapping[str, str] = examples.properties.get("times", {})

    return {
        "format": 1,
        "version": VERSION,
        **tasks_to_json(tasks),
        "inputs": [i.to_json() for i in inputs],
        "missing": {"float32": "NaN", "int64": -(2**63), "string": ""},
        **({"image_formats": formats} if formats else {}),
        "missing_values": list(examples.properties.get("missing_values", MISSING)),
        "csv": {
            **{name: examples.properties.get(name, default) for name, default in CSV_DEFAULTS.items()},
            **{
                name: examples.properties[name] for name in ("names", "header") if name in examples.properties
            },
        },
        "times": {name: pattern for name, pattern in times.items() if name in {i.column for i in inputs}},
        "outputs": describe(tasks),
        "parity": {"split": split, **parity.to_json()},
    }


def _transform_digest(model: Model) -> str:
    import hashlib

    files = [[f.path, f.sha256] for f in model.files if f.path.startswith("transform/")]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


@export.check
def _check(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    examples = known.get("examples", Known())
    problems = split_problems(arguments.get("split"), examples)
    if are_transformed(examples):
        problems.append(Problem(EXPORT_NEEDS_RAW, argument="examples", remedy=RAW_REMEDY))
    inputs = known.get("model", Known()).facts.get("inputs")
    return problems, {"output": Known(facts={"inputs": inputs} if inputs else {})}
