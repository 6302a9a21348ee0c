"""The SavedModel: raw named columns in, what a client wants out, the preprocessing inside.

Signatures, each over a batch of n rows:

    serving_default   an input `[n]` for each column: float32 (missing: NaN), int64 (missing: -2**63) or
                      string (missing: ""), under the names of `serving_names`; times are int64 microseconds
                      since 1970-01-01 UTC; a column with several values a row is `[n, any width]`, padded
                      with what stands for a missing value; an image is the bytes of a file (string), see
                      `image_formats`
    serve_examples    `examples`: string `[n]`, serialized tf.Examples under the columns' own names; a feature
                      that an Example leaves out is missing

Outputs of both, which are those of `headrace.components.exporting.outputs`.

A row with a value that is missing, and that the Transform doesn't impute, is answered by NaN, and "" for the
class; so is one with an image that can't be decoded, which doesn't fail the others.

The loaded object also has `transform_features`, from the same inputs (one dict) to the list of features
(images as their pixels, uint8 `[n, height, width, channels]`, unless they are stored as floats),
`network_outputs`, to the list of what the network itself gives for each label, and the asset `columns.json`,
the mapping from input names to columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..preprocessing.casting import MULTIVALUED
from ..preprocessing.fitted import FittedTransform
from ..training.feed import Feed
from ..training.networks import answers
from ..training.tasks import Task, output_keys
from ..transforms.namespace import namespace_of
from .outputs import served
from .serving_names import serving_names

MISSING: dict[str, Any] = {"float32": float("nan"), "int64": -(2**63), "string": ""}
"""What stands for a missing value, by dtype."""


def image_formats(fitted: FittedTransform) -> list[str]:
    """What an input of images takes: files of any size, 8 bits a channel, gray or RGB, upright.

    The orientation that a camera writes into EXIF isn't looked at. A GIF may not be animated, and TensorFlow
    reads it in colour alone. `headrace predict` turns images and converts other formats, as `image_examples`
    does.
    """
    color = all(image.shape[-1] == 3 for image in fitted.images)
    return ["JPEG", "PNG", *(["GIF"] if color else [])] if fitted.images else []


@dataclass(frozen=True)
class Input:
    """One input of `serving_default`.

    Attributes:
        name: in the signature.
        column: in the raw examples, and in tf.Examples.
        dtype: "float32", "int64" or "string".
        type: the column's type as ingested; see `headrace.schemas.schema.FeatureType`.
    """

    name: str
    column: str
    dtype: str
    type: str

    @property
    def multivalued(self) -> bool:
        """Whether it is `[n, any width]`, not `[n]`."""
        return self.type in MULTIVALUED

    @property
    def spec(self) -> tf.TensorSpec:
        """The tensor that is taken."""
        shape = [None, None] if self.multivalued else [None]
        return tf.TensorSpec(shape, tf.as_dtype(self.dtype), name=self.name)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def serving_inputs(fitted: FittedTransform) -> tuple[Input, ...]:
    """The inputs of a model with this preprocessing, in its order."""
    names = serving_names(fitted.columns)
    return tuple(
        Input(names[column], column, dtype, fitted.types[column]) for column, dtype in fitted.columns.items()
    )


@dataclass(frozen=True)
class _Plan:
    """What isn't TensorFlow's, in an object of its own, lest a module wraps the tuples."""

    fitted: FittedTransform
    feed: Feed
    tasks: tuple[Task, ...]
    inputs: tuple[Input, ...]


class Serving(tf.Module):
    """The module that is saved; see the module's text.

    Args:
        fitted: the preprocessing.
        network: the trained network.
        feed: how it is fed.
        tasks: say what its outputs mean.
        inputs: see `serving_inputs`.
        columns_file: the mapping, to be carried as an asset.
    """

    def __init__(
        self,
        fitted: FittedTransform,
        network: keras.Model,
        feed: Feed,
        tasks: tuple[Task, ...],
        inputs: tuple[Input, ...],
        columns_file: Path,
    ) -> None:
        super().__init__(name="headrace")
        self.network = network
        self.preprocessing = fitted.tensorflow_module()
        self.columns = tf.saved_model.Asset(str(columns_file))
        self._plan = _Plan(fitted, feed, tasks, inputs)
        spec = {i.name: i.spec for i in inputs}
        text = tf.TensorSpec([None], tf.string, name="examples")
        self.transform_features = tf.function(self._features, input_signature=[spec])
        self.network_outputs = tf.function(self._answers, input_signature=[spec])
        self.serve_columns = tf.function(self._serve, input_signature=[spec])
        self.serve_examples = tf.function(self._serve_examples, input_signature=[text])

    def _stored(self, columns: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Features as they are stored in shards, one-hots as ids; and which rows have each image."""
        inputs = self._plan.inputs
        told: tuple[dict[str, tf.Tensor], list[tf.Tensor]] = self.preprocessing.outputs_and_valid(
            {i.column: columns[i.name] for i in inputs}, expand=False
        )
        return told

    def _features(self, columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        space, (stored, _) = namespace_of(tf), self._stored(columns)
        return [
            stored[f.name] if f.is_image else f.expand(space, stored[f.name])
            for f in self._plan.fitted.features
        ]

    def _answers(self, columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        feed, tasks = self._plan.feed, self._plan.tasks
        stored, valid = self._stored(columns)
        given = answers(self.network, feed, feed.pack(tf, stored))
        keys = output_keys(tasks)
        found = [given] if len(tasks) == 1 else [given[keys[task.label]] for task in tasks]
        if not valid:
            return found
        there = tf.reduce_all(tf.stack(valid), axis=0)[:, tf.newaxis]
        return [tf.where(there, one, tf.constant(float("nan"), one.dtype)) for one in found]

    def _serve(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return served(self._plan.fitted.labels, self._plan.tasks, self._answers(columns))

    def _serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = self._plan.inputs
        parsed = tf.io.parse_example(examples, {i.column: _example_feature(i) for i in inputs})
        return self._serve({i.name: _padded(i, parsed[i.column]) for i in inputs})


def _example_feature(one: Input) -> Any:
    dtype = tf.as_dtype(one.dtype)
    if one.multivalued:
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
    return tf.io.FixedLenFeature([], dtype, default_value=MISSING[one.dtype])


def _padded(one: Input, values: Any) -> tf.Tensor:
    return values.to_tensor(default_value=MISSING[one.dtype]) if one.multivalued else values


def write_saved_model(
    folder: Path,
    fitted: FittedTransform,
    network: keras.Model,
    feed: Feed,
    tasks: tuple[Task, ...],
    inputs: tuple[Input, ...],
    scratch: Path,
) -> None:
    """Writes the SavedModel into `folder`, which must not exist yet; `scratch` takes the first asset."""
    mapping = scratch / "columns.json"
    mapping.write_text(
        json.dumps([i.to_json() for i in inputs], indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    serving = Serving(fitted, network, feed, tasks, inputs, mapping)
    tf.saved_model.save(
        serving,
        str(folder),
        signatures={"serving_default": serving.serve_columns, "serve_examples": serving.serve_examples},
    )


def graph_digest(folder: Path) -> str:
    """SHA-256 in hex over what a SavedModel computes, however TensorFlow named and ordered it this time.

    Functions get numbers behind their names from a counter of the process, so equal graphs differ in bytes.
    Taken are the operations with their constants and types, as a sorted list, and the signatures.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    nodes = [node for function in graph.graph_def.library.function for node in function.node_def]
    operations = sorted(hashlib.sha256(_operation(node)).hexdigest() for node in nodes)
    signatures = sorted(
        (name, sorted((key, info.dtype) for key, info in [*told.inputs.items(), *told.outputs.items()]))
        for name, told in graph.signature_def.items()
    )
    return hashlib.sha256(json.dumps([operations, signatures]).encode()).hexdigest()


def _operation(node: Any) -> bytes:
    kept = {key: value for key, value in node.attr.items() if value.WhichOneof("value") in ("tensor", "type")}
    attributes = (key.encode() + kept[key].SerializeToString(deterministic=True) for key in sorted(kept))
    return b"\0".join([node.op.encode(), *attributes])
