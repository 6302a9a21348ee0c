"""Trainings that go wrong, each for real, and what is said of them."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest

from headrace.components import train
from headrace.components.tfrecords.shard_blocks import ShardBlocks
from headrace.components.training.checkpoints import Checkpoints
from headrace.components.training.keras_names import LOSSES, METRICS
from headrace.components.training.loss_fit import LOSSES as FITTING
from headrace.components.training.loss_fit import METRICS as SHOWN
from headrace.components.training.loss_fit import bare
from headrace.components.training.memory import memory_errors
from headrace.pipelines.component import Known
from headrace.pipelines.context import Context
from headrace.pipelines.errors import DataError, HeadraceError, InvalidRequestError, StepError
from headrace.pipelines.resumable import Resumables
from headrace.pipelines.worker import failure

from ..model_path import Paths, Prepared

OWN = """
import keras
from keras import ops


def network(inputs, outputs, task):
    last = {"regression": None, "binary": "sigmoid", "multiclass": "softmax"}[task]
    rows = keras.Input((inputs,))
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(rows)
    return keras.Model(rows, keras.layers.Dense(outputs, activation=last)(hidden))


def raising(inputs, outputs, task):
    raise KeyError("width")


@keras.saving.register_keras_serializable("headrace_tests")
class Stepping(keras.Model):
    def train_step(self, data):
        raise ValueError("my step is broken")


def stepping(inputs, outputs, task):
    rows = keras.Input((inputs,))
    return Stepping(rows, keras.layers.Dense(outputs)(rows))


@keras.saving.register_keras_serializable("headrace_tests")
class Greedy(keras.Model):
    def train_step(self, data):
        if data[0].shape[0] == 40:
            raise MemoryError
        return super().train_step(data)


def greedy(inputs, outputs, task):
    rows = keras.Input((inputs,))
    return Greedy(rows, keras.layers.Dense(outputs)(rows))


@keras.saving.register_keras_serializable("headrace_tests")
class Logarithm(keras.layers.Layer):
    def call(self, x):
        return ops.log(x)


def logarithm(inputs, outputs, task):
    rows = keras.Input((inputs,))
    return keras.Model(rows, keras.layers.Dense(outputs)(Logarithm(name="logs")(rows)))


def frozen(inputs, outputs, task):
    made = network(inputs, outputs, task)
    made.trainable = False
    return made


def compiled(inputs, outputs, task, kind):
    made = network(inputs, outputs, task)

    def of_zero(y, p):
        return -ops.log(ops.abs(y - p) * 0)

    def steep(y, p):
        return ops.square(y - p) + ops.sqrt(ops.abs(p - p))

    def misshapen(y, p):
        return ops.matmul(ops.transpose(y), ops.ones((7, 3)))

    made.compile("adam", {"of_zero": of_zero, "steep": steep, "misshapen": misshapen}[kind])
    return made
"""


def table(rows: int = 160, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    x, z = draw.normal(size=rows), draw.normal(size=rows)
    kinds = np.array(["a", "b", "c"])[np.digitize(x, [-0.4, 0.4])]
    columns = {"x": x, "z": z, "y": 3 * x + z, "huge": 1e30 * x, "count": np.floor(np.abs(3 * x))}
    return pa.table({**columns, "kind": pa.array(kinds), "sold": x > 0})


LABELS: dict[str, Any] = {
    "y": {"y": "identity"}, "huge": {"huge": "identity"}, "count": {"count": "identity"},
    "kind": "kind", "sold": "sold",
}  # fmt: skip


class Failing(Paths):
    """Trains with a store's folder for checkpoints."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = folder / "store"
        (self.store / "locks").mkdir(parents=True)
        self._made: dict[str, Prepared] = {}
        self._keys = itertools.count()

    def of(self, label: str) -> Prepared:
        if label not in self._made:
            tables = {"train": table(), "validation": table(40, 1)}
            features = {"x": "identity", "z": "identity"}
            self._made[label] = self.prepare(tables, features, LABELS[label])
        return self._made[label]

    def copy(self, label: str) -> Prepared:
        """Its examples in a folder of their own, to be spoilt."""
        made = self.of(label)
        folder = self._folder / f"copy-{next(self._numbers)}"
        shutil.copytree(made.examples.path, folder)
        spoilt = dataclasses.replace(made.examples, path=folder, files=())
        return Prepared(made.raw, spoilt, made.transform)

    def ctx(self) -> Context:
        made = super().ctx()
        made.resumables = Resumables(self.store, made.staging, "run", str(next(self._keys)), {})
        return made

    @property
    def warnings(self) -> list[str]:
        return [event["warn"] for event in self.events if "warn" in event]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Failing:
    return Failing(tmp_path_factory.mktemp("failures"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "own.py"
    path.write_text(OWN)
    return str(path)


@dataclass(frozen=True)
class Case:
    """A training that goes wrong.

    Attributes:
        label: what is learned.
        args: of `train`; `OWN:` is the path of the user's file.
        error: what is raised.
        said: what the message has to say: what, where, remedy.
    """

    label: str
    args: Mapping[str, Any]
    error: type[HeadraceError]
    said: tuple[str, ...]
    more: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "a rate that is too large": Case(
        "y", {"optimizer": "sgd", "learning_rate": 1e3},
        StepError,
        ("learning_rate: loss is nan in epoch 1, at step 20", "the training has diverged",
         "first hidden_1/kernel", "a smaller learning_rate, 0.1 in place of 1000",
         "{sgd: {global_clipnorm: 1}}", "warmup"),
    ),
    "labels beyond float32": Case(
        "huge", {}, StepError,
        ("loss is ", "the labels run from", "e+30", "beyond float32 (3.4e38)", "z_score], log1p or robust"),
    ),
    "the logarithm of 0 in an own loss": Case(
        "y", {"model": "OWN:compiled", "model_args": {"kind": "of_zero"}}, StepError,
        ("already with its first weights the loss of a batch is inf", "network gives numbers from",
         "ops.maximum(x, 1e-7)"),
    ),
    "a slope without end in an own loss": Case(
        "y", {"model": "OWN:compiled", "model_args": {"kind": "steep"}}, StepError,
        ("the gradient of hidden/kernel is NaN or infinite, though the loss is", "sqrt(x + 1e-7)"),
    ),
    "such a slope in the only step of an epoch": Case(
        "y", {"model": "OWN:compiled", "model_args": {"kind": "steep"}, "batch_size": 160}, StepError,
        ("loss: val_loss is nan in epoch 1, at step 1: already with its first weights the gradient of hidden",
         "sqrt(x + 1e-7)"),
    ),
    "the logarithm of less than 0 in an own layer": Case(
        "y", {"model": "OWN:logarithm"}, StepError,
        ("model: loss is nan in epoch 1, at step 1", "the layer 'logs' gives NaN or infinity",
         "look for a logarithm, a root or a division in the layer 'logs'"),
    ),
    "labels that a loss can't take": Case(
        "y", {"loss": "poisson"}, DataError,
        ("of 160 labels 'y' in the split 'train' are below 0, and the loss poisson takes counts, from 0",
         "example", "record", "train/train-00000-of-00001.tfrecord", "{y: identity}"),
    ),
    "a loss for one-hots with two classes": Case(
        "sold", {"loss": "categorical_crossentropy"}, InvalidRequestError,
        ("loss: the loss categorical_crossentropy means nothing for the label 'sold' (binary)",
         "available: binary_crossentropy", "leave loss out"),
    ),
    "a loss of classes for values": Case(
        "y", {"loss": "bce"}, InvalidRequestError,
        ("the loss bce means nothing for the label 'y' (regression)", "available: mean_squared_error"),
    ),
    "a metric for one-hots with class numbers": Case(
        "kind", {"metrics": ["categorical_accuracy"]}, InvalidRequestError,
        ("takes one-hots", "comes as class numbers", "loss: categorical_crossentropy"),
    ),
    "a metric of classes for values": Case(
        "y", {"metrics": ["accuracy"]}, InvalidRequestError,
        ("the metric accuracy means nothing for the label 'y' (regression)", "root_mean_squared_error"),
    ),
    "a batch larger than the split": Case(
        "y", {"batch_size": 161}, DataError, ("batch_size is 161, and the split 'train' has 160 examples",),
    ),
    "nothing that learns": Case(
        "y", {"model": "OWN:frozen"}, InvalidRequestError, ("has no weights that learn", "trainable"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_what_went_wrong_where_and_what_helps(paths: Failing, own: str, name: str) -> None:
    case = CASES[name]
    args = {
        key: value.replace("OWN", own) if isinstance(value, str) else value
        for key, value in case.args.items()
    }
    with pytest.raises(case.error) as caught:
        paths.train(paths.of(case.label), **args)
    assert type(caught.value) is case.error
    for text in case.said:
        assert text in str(caught.value)


def spoil(prepared: Prepared, split: str, row: int, change: Callable[[Any], None]) -> None:
    """Writes one record of the first shard of a split anew, as another writer might."""
    import tensorflow as tf

    path = str(next(iter(prepared.examples.parts(split))))
    records = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    example = tf.train.Example.FromString(records[row])
    change(example.features.feature)
    records[row] = example.SerializeToString(deterministic=True)
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    shard = Path(path)
    blocks = ShardBlocks.load(shard, len(records))
    data = shard.read_bytes()
    sums = tuple(google_crc32c.value(data[a:b]) for a, b in itertools.pairwise(blocks.offsets))
    dataclasses.replace(blocks, crc32c=sums).save(shard)


def _first(features: Any, kind: str) -> Any:
    return next(values for one in features.values() if (values := getattr(one, kind).value))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_features_that_are_no_numbers_are_counted_and_named(paths: Failing, split: str) -> None:
    prepared = paths.copy("kind")
    for row in (7, 11):
        spoil(prepared, split, row, lambda features: _put(_first(features, "float_list"), 1, np.nan))
    with pytest.raises(DataError) as caught:
        paths.train(prepared, model="mlp" if split == "train" else "linear")  # the ReLU of NaN may be 0
    rows = prepared.examples.rows(split)
    told = f"the feature 'z' is NaN or infinite in 2 of {rows} examples of the split {split!r}"
    assert told in str(caught.value)
    assert f"example 7 (record 8 of {split}/{split}-00000-of-00001.tfrecord)" in str(caught.value)


def test_a_label_of_the_validation_split_that_is_beyond_float32_is_no_learning_rate(paths: Failing) -> None:
    prepared = paths.copy("y")
    spoil(prepared, "validation", 5, lambda features: _put(_only(features), -1, 1e30))
    with pytest.raises(StepError) as caught:
        paths.train(prepared)
    assert "loss: val_loss is inf in epoch 1, at step 20: the labels run from" in str(caught.value)
    assert "diverged" not in str(caught.value)


def _only(features: Any) -> Any:
    return min((one.float_list.value for one in features.values() if one.float_list.value), key=len)


def test_classes_that_there_are_not_are_told_before_training(paths: Failing) -> None:
    prepared = paths.copy("kind")
    spoil(prepared, "train", 5, lambda features: _put(_first(features, "int64_list"), 0, 7))
    with pytest.raises(DataError) as caught:
        paths.train(prepared)
    told = "1 of 160 labels 'kind' in the split 'train' are no class, as there are 3, numbered from 0 to 2"
    assert told in str(caught.value)
    assert "the first is 7, example 5 (record 6 of train/train-00000" in str(caught.value)
    assert not any("progress" in event for event in paths.events)


def _put(values: Any, place: int, value: float) -> None:
    values[place] = value


def test_the_last_good_checkpoint_is_kept_and_can_be_begun_with(paths: Failing) -> None:
    stages = [{"epochs": 2, "learning_rate": 0.01}, {"epochs": 2, "learning_rate": 1e4}]
    args: dict[str, Any] = {"optimizer": "sgd", "stages": stages, "checkpoints": {"every_steps": 7}}
    with pytest.raises(StepError, match=r"in epoch 3, at step 20: the training has diverged") as caught:
        paths.train(paths.of("y"), **args)
    (folder,) = {path.parent for path in paths.store.rglob("checkpoint-*.npz")}
    latest = Checkpoints(folder, None).latest()  # type: ignore[arg-type]
    assert latest is not None
    assert all(np.isfinite(v).all() for k, v in latest.variables.items() if k.startswith("model/"))
    last = max(folder.glob("checkpoint-*.npz"))
    with np.load(last, allow_pickle=False) as file:  # so that a file from elsewhere runs no code
        assert any(key.startswith("model/") for key in file.files)
    assert f"weights: {last} begins with those of the last good checkpoint" in str(caught.value)

    begun = paths.train(paths.of("y"), weights=str(last), epochs=1, learning_rate=1e-6)
    afresh = paths.train(paths.of("y"), epochs=1, learning_rate=1e-6)
    losses = [model.read_json("model.json")["history"][0]["loss"] for model in (begun, afresh)]
    assert losses[0] < losses[1] / 2

    with pytest.raises(DataError, match="and not those of this network"):
        paths.train(paths.of("y"), weights=str(last), model="linear")
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"the checkpoint can't be read[\s\S]*the one before"):
        paths.train(paths.of("y"), weights=str(last))
    shutil.rmtree(folder)


def test_a_loss_that_rises_and_stays_finite_is_warned_of(paths: Failing) -> None:
    paths.train(paths.of("kind"), learning_rate=1e6)
    (warning,) = paths.warnings
    assert "the loss was" in warning
    assert "the training diverges; take a smaller learning_rate" in warning


def test_a_loss_of_values_on_classes_is_said(paths: Failing) -> None:
    paths.train(paths.of("kind"), loss="huber", epochs=1)
    (warning,) = paths.warnings
    assert "the loss huber of the label 'kind' is made for values, and the task is multiclass" in warning
    assert "sparse_categorical_crossentropy doesn't" in warning


@pytest.mark.parametrize(
    ("model", "kind", "said", "line"),
    [
        ("raising", None, "KeyError: 'width'", 'raise KeyError("width")'),
        ("stepping", None, "ValueError: my step is broken", 'raise ValueError("my step is broken")'),
        ("compiled", "misshapen", "Dimensions must be equal, but are 8 and 7", "ops.ones((7, 3))"),
    ],
)
def test_what_the_users_own_code_raises_comes_with_its_line(
    paths: Failing, own: str, model: str, kind: str | None, said: str, line: str
) -> None:
    args = {"model_args": {"kind": kind}} if kind else {}
    with pytest.raises(Exception, match=r"[\s\S]") as caught:
        paths.train(paths.of("y"), model=f"{own}:{model}", **args)
    told = failure(caught.value)
    (problem,) = told["failed"]["problems"]
    assert said in problem["what"]
    assert problem["file"] == own
    assert line in OWN.splitlines()[problem["line"] - 1]
    assert (
        told["traceback"].splitlines()[1].strip().startswith(f'File "{own}"') or __file__ in told["traceback"]
    )


def test_losses_and_metrics_that_fit_are_those_of_keras() -> None:
    known = {bare(name) for name in (*LOSSES, *METRICS)}
    assert {name for table in (FITTING, SHOWN) for names in table.values() for name in names} <= known
    assert {bare(name) for name in LOSSES} == {name for names in FITTING.values() for name in names}


@pytest.mark.slow
def test_losses_and_metrics_that_fit_train(paths: Failing) -> None:
    for label, task in (("count", "regression"), ("sold", "binary"), ("kind", "multiclass")):
        paths.train(paths.of(label), metrics=list(SHOWN[task]), epochs=1)
    model = paths.train(
        paths.of("kind"), loss="categorical_crossentropy", metrics=list(SHOWN["one-hot"]), epochs=1
    )
    assert np.isfinite(list(model.read_json("model.json")["history"][0].values())).all()


def test_a_loss_that_means_nothing_is_told_without_the_data() -> None:
    assert train.checker is not None
    known = {"transform": Known(facts={"labels": {"price": "value", "sold": "class"}})}
    told = {"loss": {"price": "kld", "sold": "mape"}, "metrics": {"price": ["auc"], "sold": ["accuracy"]}}
    problems, _ = train.checker(told, known)
    assert [(one.argument, "price" in one.what) for one in problems] == [
        ("loss", True), ("metrics", True), ("loss", False),
    ]  # fmt: skip


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from headrace.components.training.checkpoint_rule import CheckpointRule
from headrace.components.training.checkpoints import Checkpoints

folder = Path(sys.argv[1])
checkpoints = Checkpoints(folder, CheckpointRule(), warn=print)
about = {"stage": 0, "first": 0, "epoch": 0, "best_epoch": 0}
checkpoints.write({**about, "step": 1}, lambda: {"model/00000": np.ones(10)}, None)
checkpoints.close()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # what is written beyond the limit fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
checkpoints.write({**about, "step": 2}, lambda: {"model/00000": np.ones(1_000_000)}, None)
checkpoints.close()
print(sorted(path.name for path in folder.iterdir()))
print(len(checkpoints.latest().variables["model/00000"]), checkpoints.kept())
"""


def test_a_full_disk_is_warned_of_and_the_checkpoint_before_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    warning, names, kept = done.stdout.splitlines()
    assert warning.startswith("no checkpoint could be written: ")
    assert names == "['checkpoint-000-0000000001.npz']"
    assert kept.startswith("10 weights: ") and kept.endswith("the last good checkpoint (epoch 1, step 1)")


JAX = """
import jax.numpy as jnp
from headrace.components.training.memory import memory_errors
from headrace.pipelines.errors import StepError
try:
    with memory_errors(64, "train"):
        jnp.ones((3_000_000, 3_000_000)).block_until_ready()
except StepError as error:
    print(error)
"""


def test_out_of_memory_in_jax() -> None:
    pytest.importorskip("jax")
    done = subprocess.run([sys.executable, "-c", JAX], capture_output=True, text=True, check=True)
    assert "out of memory, with 64 examples a step: there was no room for 32.7 TiB" in done.stdout
    assert "batch_size: 32" in done.stdout


@pytest.mark.slow  # TensorFlow waits ten seconds for memory that it doesn't get
def test_out_of_memory_in_tensorflow(paths: Failing) -> None:
    with pytest.raises(StepError) as caught:
        paths.train(paths.of("y"), model_args={"hidden_units": [3_000_000, 3_000_000]})
    for text in (
        "out of memory, with 8 examples a step", "no room for 32.7 TiB", "3,000,000 x 3,000,000",
        "make the model smaller", "batch_size: 4", "cache: none",
    ):  # fmt: skip
        assert text in str(caught.value)


def test_out_of_memory_in_a_stage_is_told_with_its_batch_size(paths: Failing, own: str) -> None:
    stages = [{"epochs": 1}, {"epochs": 1, "batch_size": 40}]
    with pytest.raises(StepError, match="out of memory, with 40 examples a step"):
        paths.train(paths.of("y"), model=f"{own}:greedy", stages=stages)


def test_out_of_memory_in_numpy() -> None:
    told = r"no room for 32.7 TiB for a tensor of 3,000,000 x 3,000,000"
    with pytest.raises(StepError, match=told), memory_errors(64, "train"):
        np.ones((3_000_000, 3_000_000), np.float32)
