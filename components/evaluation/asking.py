"""A model's answers to the rows of a split, beside the labels, in the labels' own units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.artifact import Examples, Model
from ...pipelines.errors import DataError
from ..input.checks import shard_errors
from ..input.order import Only
from ..models.inputs import DENSE
from ..preprocessing.fitted import FittedTransform
from ..preprocessing.fitted_file import load_fitted
from ..tfrecords.layout import Layout, OutputFeature
from ..training.feed import Feed
from ..training.networks import feed_of, forward, load_network, probabilities
from ..training.packed import packed_batches
from ..training.targets import by_column
from ..training.tasks import Task, output_keys, tasks_from_json
from .predictions import raw_batches, require_same_transform

MISSING = "(missing)"
"""The name of the slice of rows in which the column has no value."""
VALUES_AT_ONCE = 1 << 24
"""Numbers that the images of a batch have at most, as the network gets them: 64 MB, 111 of 224 x 224."""
Weights = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Shown = Callable[[Any], Pixels]
ByLabel = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Answered:
    """Rows with a network's answers, by output ("" for a single one).

    Attributes:
        labels: values `[n]` in their own units, class numbers `[n]`, or 0 and 1 `[n, classes]`.
        outputs: values `[n]` in the label's units, or probabilities `[n, classes]`.
        weights: `[n]`, or None.
        slices: the texts of the slice columns, `[n]`.
        images: uint8 `[n, height, width, channels]`, where rows have images and they were asked for.
    """

    labels: ByLabel
    outputs: ByLabel
    weights: Weights | None
    slices: Mapping[str, pa.Array]
    images: Pixels | None = None

    @property
    def rows(self) -> int:
        """How many they are."""
        return len(next(iter(self.labels.values())))

    @property
    def cells(self) -> int:
        """How many numbers the answers have."""
        return sum(one.size for one in self.outputs.values())


@dataclass(frozen=True)
class Answerer:
    """A trained network with what its answers mean.

    Attributes:
        network: as `networks.forward` gives it.
        feed: how it is fed.
        fitted: the transform that it learned behind.
        tasks: in the order of the labels.
    """

    network: Any
    feed: Feed
    fitted: FittedTransform
    tasks: tuple[Task, ...]

    @classmethod
    def of_model(cls, model: Model) -> Answerer:
        """Of a Model artifact."""
        fitted = load_fitted(model.path / "transform")
        feed = feed_of(model, fitted)
        tasks = tasks_from_json(model.read_json("model.json"))
        return cls(forward(load_network(model), feed), feed, fitted, tasks)

    @property
    def outputs(self) -> dict[str, Task]:
        """The tasks by output: "" for a single one, else the label's column."""
        return by_output(self.tasks)

    @property
    def weight(self) -> str:
        """The column of row weights, or ""."""
        return self.fitted.weight

    def answers(
        self,
        examples: Examples,
        split: str,
        batch_size: int,
        slices: Sequence[str] = (),
        only: Only = None,
        images: bool = False,
    ) -> Iterator[Answered]:
        """The rows in their order, a batch at a time.

        Args:
            examples: transformed ones, or raw ones, which go through the transform.
            split: which of them.
            batch_size: rows at once; fewer where their images would have more than `VALUES_AT_ONCE`.
            slices: columns of raw examples whose texts are wanted.
            only: which rows of transformed examples, see `dataset()`; all by default.
            images: whether the rows' images are wanted, of the first feature that is one.

        Raises:
            InvalidRequestError: transformed examples that another transform made.
            DataError: an answer is not a number, or a label or weight can't be one.
        """
        require_same_transform(examples, self.fitted)
        batch_size = bounded_batch(self.fitted.features, batch_size)
        shown = self._shown() if images else None
        if examples.properties["format"] == "tfrecord":
            yield from self._of_shards(examples, split, batch_size, only, shown)
            return
        for raw in raw_batches(examples, split, batch_size):
            tensors = self.feed.pack(np, self.fitted.complete_numpy(raw))
            weights = self.fitted.weight_numpy(raw)
            found = self._answered(tensors, self.fitted.labels_numpy(raw), weights, _texts(raw, slices))
            yield found if shown is None else replace(found, images=shown(tensors))

    def _of_shards(
        self, examples: Examples, split: str, batch_size: int, only: Only, shown: Shown | None
    ) -> Iterator[Answered]:
        order = {} if only is None else {"only": only}
        weighted = bool(Layout.from_json(examples.properties).weight)
        with shard_errors(examples, split):
            for tensors, labels, *rest in packed_batches(examples, split, self.feed, batch_size, **order):
                told = by_column(labels, self.tasks)
                found = self._answered(tensors, told, rest[0] if weighted else None, {})
                yield found if shown is None else replace(found, images=shown(tensors))

    def _shown(self) -> Shown | None:
        """Gives the images of a batch's tensors; None where there is no feature that is an image."""
        keys = {feature.name: feature.key for feature in self.feed.packed.features}
        image = next((feature for feature in self.fitted.features if feature.is_image), None)
        if image is None or image.name not in keys:
            return None
        return lambda tensors: image.pixels(np.asarray(tensors[keys[image.name]]))

    def _answered(
        self, tensors: Any, labels: Mapping[str, Any], weights: Any, slices: Mapping[str, pa.Array]
    ) -> Answered:
        given = self.network(tensors)
        keys = output_keys(self.tasks)
        told: dict[str, npt.NDArray[Any]] = {}
        answers: dict[str, npt.NDArray[Any]] = {}
        for task, label in zip(self.tasks, self.fitted.labels, strict=True):
            output, several = _output(task, self.tasks), len(self.tasks) > 1
            values = (given[keys[task.label]] if several else given).numpy()
            truth = np.asarray(labels[task.label])
            self._require_numbers(tensors, values)
            if task.classes:
                told[output], answers[output] = truth, probabilities(np, task, values)
            else:
                told[output], answers[output] = label.inverse(np, truth), label.inverse(np, values[:, 0])
                self._require_inverse(label.column, values[:, 0], answers[output])
        return Answered(told, answers, self._weights(weights), slices)

    def _require_numbers(self, tensors: Any, values: npt.NDArray[Any]) -> None:
        """Raises DataError where the network gives no number, for a feature that is none."""
        if np.isfinite(values).all():
            return
        dense = np.asarray(tensors[DENSE]) if DENSE in tensors else np.zeros((1, 0))
        wrong = np.flatnonzero(~np.isfinite(dense).all(axis=0))
        names = ", ".join(dict.fromkeys(self.feed.owners[place] for place in wrong)) or "no feature"
        raise DataError(
            f"the model's answers are not all numbers; missing or infinite in these rows: {names}",
            argument="examples",
            remedy="impute the column in the transform step and train again, or leave these rows out",
        )

    def _require_inverse(self, column: str, values: npt.NDArray[Any], own: npt.NDArray[Any]) -> None:
        """Raises DataError where an answer has no value in the label's own units, as exp(100) in float32."""
        lost = np.flatnonzero(~np.isfinite(own))
        if len(lost):
            raise DataError(
                f"{len(lost)} of {len(own)} answers have no finite {column} in its own units, such as "
                f"{values[lost[0]]:g}, which becomes {own[lost[0]]:g}",
                argument="model",
                remedy="clip or scale the label in the transform step, or train longer",
            )

    def _weights(self, told: Any) -> Weights | None:
        if told is None:
            return None
        weights = np.asarray(told, np.float64)
        wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
        if len(wrong):
            raise DataError(
                f"{len(wrong)} of {len(weights)} rows of a batch have a weight ({self.weight}) that can't be "
                f"one, such as {wrong[0]:g}",
                argument="examples",
                remedy="weights are at least 0 and not missing: mend the column, or impute it",
            )
        return weights


def bounded_batch(features: Sequence[OutputFeature], batch_size: int) -> int:
    """How many rows are taken at once, so that their images' values are bounded."""
    values = sum(feature.width for feature in features if feature.is_image)
    return max(1, min(batch_size, VALUES_AT_ONCE // values)) if values else batch_size


def by_output(tasks: Sequence[Task]) -> dict[str, Task]:
    """Tasks by output: "" for a single one, else the label's column."""
    return {_output(task, tasks): task for task in tasks}


def _output(task: Task, tasks: Sequence[Task]) -> str:
    return "" if len(tasks) == 1 else task.label


def _texts(raw: pa.RecordBatch, slices: Sequence[str]) -> dict[str, pa.Array]:
    return {name: pc.fill_null(pc.cast(raw.column(name), pa.string()), MISSING) for name in slices}
