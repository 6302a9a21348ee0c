"""The SavedModel: raw named columns in, what a client wants out, the preprocessing inside.

Signatures, each over a batch of n rows:

    serving_default   an input `[n]` for each column: float32 (missing: NaN), int64 (missing: -2**63) or
                      string (missing: ""), under the names of `serving_names`
    serve_examples    `examples`: string `[n]`, serialized tf.Examples under the columns' own names; a feature
                      that an Example leaves out is missing

Outputs of both: `prediction` is the value in the label's own units (float32 `[n]`), or the class name (string
`[n]`), and then there are `probability` of that class `[n]`, `probabilities` (float32 `[n, classes]`) and
`classes` (string `[n, classes]`, their names in the same order).

A row with a value that is missing, and that the Transform doesn't impute, is answered by NaN, and "" for the
class.

The loaded object also has `transform_features`, from the same inputs (one dict) to the list of features,
`network_outputs`, to what the network itself gives, and the asset `columns.json`, the mapping from input
names to columns.
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

from ..preprocessing.fitted import FittedTransform
from ..training.networks import answers, probabilities
from ..training.tasks import Task
from .serving_names import serving_names

MISSING: dict[str, Any] = {"float32": float("nan"), "int64": -(2**63), "string": ""}
"""What stands for a missing value, by dtype."""


@dataclass(frozen=True)
class Input:
    """One input of `serving_default`.

    Attributes:
        name: in the signature.
        column: in the raw examples, and in tf.Examples.
        dtype: "float32", "int64" or "string".
        type: the column's type as ingested: "float", "int", "string" or "bool".
    """

    name: str
    column: str
    dtype: str
    type: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def serving_inputs(fitted: FittedTransform) -> tuple[Input, ...]:
    """The inputs of a model with this preprocessing, in its order."""
    names = serving_names(fitted.columns)
    return tuple(
        Input(names[column], column, dtype, fitted.types[column]) for column, dtype in fitted.columns.items()
    )


class Serving(tf.Module):
    """The module that is saved; see the module's text.

    Args:
        fitted: the preprocessing.
        network: from the feature matrix to the task's outputs.
        task: says what the outputs mean.
        inputs: see `serving_inputs`.
        columns_file: the mapping, to be carried as an asset.
    """

    def __init__(
        self,
        fitted: FittedTransform,
        network: keras.Model,
        task: Task,
        inputs: tuple[Input, ...],
        columns_file: Path,
    ) -> None:
        super().__init__(name="headrace")
        self.network = network
        self.preprocessing = fitted.tensorflow_module()
        self.columns = tf.saved_model.Asset(str(columns_file))
        self._fitted = fitted
        self._task = task
        self._inputs = inputs
        spec = {i.name: tf.TensorSpec([None], tf.as_dtype(i.dtype), name=i.name) for i in inputs}
        text = tf.TensorSpec([None], tf.string, name="examples")
        self.transform_features = tf.function(self._features, input_signature=[spec])
        self.network_outputs = tf.function(self._raw_outputs, input_signature=[spec])
        self.serve_columns = tf.function(self._serve, input_signature=[spec])
        self.serve_examples = tf.function(self._serve_examples, input_signature=[text])

    def _transformed(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        features: dict[str, tf.Tensor] = self.preprocessing({i.column: columns[i.name] for i in self._inputs})
        return features

    def _features(self, columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        features = self._transformed(columns)
        return [features[feature.name] for feature in self._fitted.features]

    def _raw_outputs(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        matrix = tf.cast(self._fitted.matrix(tf, self._transformed(columns)), tf.float32)
        return answers(self.network, matrix)

    def _serve(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = self._raw_outputs(columns)
        if not self._task.classes:
            assert self._fitted.label is not None
            return {"prediction": tf.cast(self._fitted.label.inverse(tf, outputs[:, 0]), tf.float32)}
        shares = probabilities(tf, self._task, outputs)
        names = tf.constant(self._task.classes)
        known = tf.reduce_all(tf.math.is_finite(shares), axis=1)
        return {
            "prediction": tf.where(known, tf.gather(names, tf.argmax(shares, axis=1)), ""),
            "probability": tf.where(known, tf.reduce_max(shares, axis=1), tf.constant(float("nan"))),
            "probabilities": shares,
            "classes": tf.tile(names[tf.newaxis, :], [tf.shape(shares)[0], 1]),
        }

    def _serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {
            i.column: tf.io.FixedLenFeature([], tf.as_dtype(i.dtype), default_value=MISSING[i.dtype])
            for i in self._inputs
        }
        parsed = tf.io.parse_example(examples, spec)
        return self._serve({i.name: parsed[i.column] for i in self._inputs})


def write_saved_model(
    folder: Path,
    fitted: FittedTransform,
    network: keras.Model,
    task: Task,
    inputs: tuple[Input, ...],
    scratch: Path,
) -> None:
    """Writes the SavedModel into `folder`, which must not exist yet; `scratch` takes the first asset."""
    mapping = scratch / "columns.json"
    mapping.write_text(
        json.dumps([i.to_json() for i in inputs], indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    serving = Serving(fitted, network, task, inputs, mapping)
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
