"""An exported model, loaded, and its answers to raw rows as columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipelines.errors import InvalidRequestError
from ..predict import CsvOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from ..training.tasks import Task

OUTPUTS = ("prediction", "probability", "probabilities")
"""Of the signature's outputs, those that predictions are made of."""


@dataclass(frozen=True)
class Exported:
    """An export that has been loaded.

    Attributes:
        inputs: `name`, `column`, `dtype` and `type` of each input.
        tasks: one for each label.
        written: how the files that the examples were read from are written.
        signature: the SavedModel's `serving_default`.
        model: the loaded SavedModel, which owns what the signature needs.
        top: how many of the likeliest classes are told; 0 for all classes in their own order.
    """

    inputs: tuple[dict[str, str], ...]
    tasks: tuple[Task, ...]
    written: CsvOptions
    signature: Any
    model: Any
    top: int = 0

    @property
    def types(self) -> dict[str, str]:
        """Column → type; see `headrace.schemas.schema.FeatureType`."""
        return {i["column"]: i["type"] for i in self.inputs}

    def answer(self, rows: pa.RecordBatch) -> pa.Table:
        """Raw rows → predictions, row by row."""
        import pyarrow as pa

        from ..preprocessing.casting import as_numpy, serving_batch
        from .outputs import suffixes

        columns = {name: as_numpy(column) for name, column in serving_batch(rows, self.types).items()}
        answers = {k: v.numpy() for k, v in self.signature(**_tensors(self.inputs, columns)).items()}
        table: dict[str, Any] = {}
        for task, suffix in zip(self.tasks, suffixes(self.tasks), strict=True):
            own = {name: answers[f"{name}{suffix}"] for name in OUTPUTS if f"{name}{suffix}" in answers}
            table |= _columns(task, own, f"_{task.label}" if suffix else "", self.top)
        return pa.table(table)


def _columns(task: Task, answers: dict[str, Any], suffix: str, top: int) -> dict[str, Any]:
    """A label's answers as columns [n]; see the module's text."""
    if not task.classes:
        return {f"prediction{suffix}": answers["prediction"]}
    found: dict[str, Any] = {f"prediction{suffix}": [name.decode() for name in answers["prediction"]]}
    if "probability" in answers:
        found[f"probability{suffix}"] = answers["probability"]
    shares = answers["probabilities"]
    if top and "probability" in answers:
        return found | _likeliest(task, shares, suffix, top)
    return found | {f"probability{suffix}:{c}": shares[:, k] for k, c in enumerate(task.classes)}


def _likeliest(task: Task, shares: Any, suffix: str, top: int) -> dict[str, Any]:
    """Those behind the prediction, which is the first: `prediction_2`, `probability_2`, …."""
    import numpy as np

    found: dict[str, Any] = {}
    order = np.argsort(-shares, axis=1, kind="stable")[:, :top]
    for place in range(1, order.shape[1]):
        ranked = order[:, place]
        found[f"prediction{suffix}_{place + 1}"] = [task.classes[k] for k in ranked]
        found[f"probability{suffix}_{place + 1}"] = np.take_along_axis(shares, ranked[:, None], axis=1)[:, 0]
    return found


def load_export(folder: Path) -> Exported:
    """Loads an ExportedModel artifact; `folder` may also be its SavedModel's.

    Raises:
        InvalidRequestError: there is no exported model in the folder.
    """
    import tensorflow as tf

    from ..training.tasks import tasks_from_json

    folder, about = about_export(folder)
    model = tf.saved_model.load(str(folder / about["version"]))
    return Exported(
        tuple(about["inputs"]),
        tasks_from_json(about),
        written_options(about),
        model.signatures["serving_default"],
        model,
    )


def written_options(about: dict[str, Any]) -> CsvOptions:
    """How the files that the examples were read from are written, by what `export.json` says."""
    return CsvOptions(
        **about.get("csv", {}), missing_values=tuple(about["missing_values"]), times=about.get("times", {})
    )


def about_export(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The artifact's folder, which may be given as that of its SavedModel, and what `export.json` says."""
    if not (folder / "export.json").is_file() and (folder.resolve().parent / "export.json").is_file():
        folder = folder.resolve().parent
    if not (folder / "export.json").is_file():
        raise InvalidRequestError(
            "this is not an exported model: it holds no export.json",
            file=str(folder),
            remedy="name the folder of an ExportedModel artifact; `headrace artifacts list` shows them",
        )
    return folder, json.loads((folder / "export.json").read_text("utf-8"))


def _tensors(inputs: tuple[dict[str, str], ...], columns: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    return {i["name"]: tf.constant(columns[i["column"]], tf.as_dtype(i["dtype"])) for i in inputs}


def image_inputs(export_folder: Path) -> list[str]:
    """The columns of images that an exported model takes; nothing is loaded.

    Raises:
        InvalidRequestError: there is no exported model in the folder.
    """
    return [i["column"] for i in about_export(export_folder)[1]["inputs"] if i["type"] == "image"]
