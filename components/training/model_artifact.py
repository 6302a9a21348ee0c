"""Writes what was trained as a Model artifact."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from typing import Any

from ...pipelines.artifact import MANIFEST, Model, Transform
from ...pipelines.context import Context
from .logs.files import PICTURE, VOLATILE, write_logs
from .logs.log import TrainingLog
from .loop import Trained
from .networks import save_network, weights_digest
from .preparing import Prepared
from .settings import Settings
from .tasks import tasks_to_json


def write_model(
    ctx: Context,
    transform: Transform,
    prepared: Prepared,
    settings: Settings,
    trained: Trained,
    log: TrainingLog,
    pictures: Mapping[str, bytes],
) -> Model:
    """Publishes the network with its Transform and everything that is told of its training.

    Args:
        ctx: the step's context.
        transform: what the Model carries a copy of.
        prepared: what was learned.
        settings: the hyperparameters.
        trained: the network.
        log: of its training.
        pictures: PNG files by name, which people are told of at the end of the step.

    Raises:
        StepError: Keras can't read back what it wrote.
    """
    tasks = prepared.tasks
    draft = ctx.output(Model)
    save_network(trained.network, draft.path, settings.model)
    shutil.copytree(transform.path, draft.path / "transform", ignore=shutil.ignore_patterns(MANIFEST))
    several = len(tasks) > 1
    about = {
        **tasks_to_json(tasks),
        "feed": trained.feed.kind,
        "inputs": sum(math.prod(shape) for _, shape in trained.feed.shapes.values()),
        "outputs": {t.label: t.outputs for t in tasks} if several else tasks[0].outputs,
        "history": trained.history,
        "best_epoch": trained.best_epoch,
        "settings": settings.told(),
        "class_weights": _weights_told(prepared),
        "row_weights": prepared.seen.weighted,
        **_label_facts(prepared),
    }
    (draft.path / "model.json").write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "utf-8")
    write_logs(draft.path, trained.history, trained.best_epoch, log.record)
    for name, picture in pictures.items():
        (draft.path / name).write_bytes(picture)
    last = trained.history[trained.best_epoch - 1]
    told: dict[str, Any] = {"tasks": {t.label: t.name for t in tasks}} if several else {"task": tasks[0].name}
    return draft.finish(
        properties={**told, "weights": weights_digest(trained.network)},
        summary={
            **told,
            "epochs": len(trained.history),
            "weights": trained.network.count_params(),
            "best": {key: round(value, 6) for key, value in last.items()},
            "pictures": [PICTURE, *pictures],
        },
        volatile=["model.keras", "code.json", "transform/code.json", *VOLATILE, *pictures],
    )


def _weights_told(prepared: Prepared) -> Mapping[str, Any]:
    """By label and class."""
    weights = prepared.class_weights
    named = [task for task in prepared.tasks if task.label in weights]
    return {task.label: dict(zip(task.classes, weights[task.label], strict=True)) for task in named}


def _label_facts(prepared: Prepared) -> dict[str, Any]:
    """Of the train labels, from which the naive prediction is made; by label where there are several."""
    found = {task.label: prepared.seen.facts(task) for task in prepared.tasks}
    return {"train_labels": found} if len(found) > 1 else {"train_label": next(iter(found.values()))}
