"""L1, L2, dropout and max-norm of the built-in models: whether weights, loss and answers follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from headrace.components.models import BUILT_IN, IMAGE_MODELS, arguments_of, model_function
from headrace.components.models.inputs import FeatureInput, Packed
from headrace.components.models.layers import IdWeights, custom_objects
from headrace.components.training.argument_checks import model_problems
from headrace.components.training.freezing import leaves
from headrace.components.training.networks import save_network
from headrace.components.training.optimizer_making import make_optimizer

SIZE = FeatureInput("size", "size", "numbers", "float32", 4)
WIDE = FeatureInput("wide", "wide", "one_hot", "int64", 2, (90, 70))
IMAGE = FeatureInput("image", "image", "image", "float32", 32 * 32, shape=(32, 32, 1))
PACKED = Packed((SIZE, WIDE), 4, 2)
SMALL: dict[str, dict[str, Any]] = {
    "linear": {}, "mlp": {"hidden_units": [6, 5]}, "wide_deep": {"hidden_units": [6]},
    "cnn": {"width": 0.1, "depth": 0.5, "hidden_units": [6]}, "vgg16": {"width": 0.01},
    "resnet34": {"width": 0.05, "depth": 0.3, "hidden_units": [6]},
    "keras.applications.MobileNet": {"width": 0.1, "depth": 0.2, "hidden_units": [6]},
}  # fmt: skip
"""One of each function."""
LARGE = ("vgg16", "resnet34", "keras.applications.MobileNet")
EACH = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in SMALL]


def made(name: str, sizes: dict[str, Any] | None = None, **told: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    given: dict[str, Any] = {"packed": PACKED} if name in BUILT_IN and name not in IMAGE_MODELS else {
        "features": (IMAGE,)
    }  # fmt: skip
    network: keras.Model = model_function(name)(
        **given, outputs=3, task="multiclass", **(SMALL[name] if sizes is None else sizes), **told
    )
    return network


def rows(name: str, count: int = 8) -> Any:
    draw = np.random.default_rng(1)
    if name in BUILT_IN and name not in IMAGE_MODELS:
        ids = np.stack([draw.integers(0, 90, count), draw.integers(0, 70, count)], 1)
        return {"dense": draw.normal(size=(count, 4)).astype(np.float32), "ids": ids}
    return {"image": draw.uniform(0, 1, (count, 32, 32, 1)).astype(np.float32)}


def kernels(network: keras.Model) -> dict[str, Any]:
    """What a penalty is on: the weights of dense layers, convolutions and tables, but for the head's."""
    found = {}
    for path, layer in leaves(network):
        is_head = path.startswith("output") and not path.endswith("_wide") and "output_ids" not in path
        if isinstance(layer, keras.layers.DepthwiseConv2D) or (is_head and network.name != "linear"):
            continue
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
            found[path] = layer.kernel
        elif isinstance(layer, IdWeights):
            found[path] = layer.table
    return found


@pytest.mark.parametrize("name", EACH)
def test_the_penalties_are_in_the_loss(name: str) -> None:
    network = made(name, l1=0.01, l2=0.1)
    if name == "wide_deep":  # its wide part has penalties of its own
        expected = {path: value for path, value in kernels(network).items() if "wide" not in path}
    else:
        expected = kernels(network)
    by_hand = sum(0.01 * np.abs(w).sum() + 0.1 * np.square(w).sum() for w in map(np.array, expected.values()))
    assert expected and by_hand > 0
    assert float(sum(network.losses)) == pytest.approx(by_hand, rel=1e-4)
    assert not made(name).losses
    targets = np.arange(8) % 3
    losses = []
    for one in (network, made(name)):
        one.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        losses.append(one.evaluate(rows(name), targets, batch_size=8, verbose=0))
    assert losses[0] - losses[1] == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.parametrize("name", EACH)
def test_the_bound_holds_after_each_step_and_is_read_back(name: str, tmp_path: Path) -> None:
    told: dict[str, Any] = {"max_norm": 0.5, "dropout": 0.4, "l1": 1e-4, "l2": 1e-4}
    network = made(name, **told)
    free = made(name)
    for one in (network, free):
        one.compile(
            make_optimizer("sgd", 2.0, "constant", 1.0, 3),
            "sparse_categorical_crossentropy",
            run_eagerly=True,
        )
        one.train_on_batch(rows(name), np.arange(8) % 3)

    def longest(one: keras.Model) -> float:
        lengths = [
            np.sqrt(np.square(np.array(w)).sum(axis=tuple(range(len(w.shape) - 1)))).max()
            for path, w in kernels(one).items()
            if not (name == "wide_deep" and "wide" in path)
        ]
        return float(max(lengths))

    assert longest(network) <= 0.5 * (1 + 1e-5) < longest(free)
    save_network(network, tmp_path, name)  # compares the weights
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects(), compile=False)
    assert float(sum(again.losses)) == pytest.approx(float(sum(network.losses)), rel=1e-6)
    bounded = [layer for _, layer in leaves(again) if getattr(layer, "kernel_constraint", None) is not None]
    assert all(layer.kernel_constraint.max_value == 0.5 for layer in bounded)


@pytest.mark.parametrize("name", EACH)
def test_dropout_is_for_training_alone(name: str) -> None:
    network = made(name, dropout=0.5)
    given = rows(name)
    first, second = (np.array(network(given, training=False)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    masked, other = (np.array(network(given, training=True)) for _ in range(2))
    assert np.abs(masked - other).max() > 0


def test_dropout_of_ids_is_that_of_their_one_hots() -> None:
    """Each id is left out by itself, the others grow by as much, and the mean stays."""
    keras.utils.set_random_seed(0)
    layer = IdWeights([4, 3], 2, "ones", dropout=0.25)
    ids = np.tile([[1, 2]], (20_000, 1))
    sums = np.array(layer(ids, training=True))[:, 0]
    values, counts = np.unique(sums.round(4), return_counts=True)
    np.testing.assert_allclose(values, [0, 4 / 3, 8 / 3], atol=1e-3)
    np.testing.assert_allclose(counts / len(ids), [1 / 16, 6 / 16, 9 / 16], atol=0.02)
    np.testing.assert_array_equal(np.array(layer(ids))[:, 0], 2.0)
    assert IdWeights.from_config(layer.get_config()).dropout == 0.25


def test_without_hidden_layers_it_is_the_last_one_that_is_meant() -> None:
    for name in ("mlp", "wide_deep"):
        network = made(name, {"hidden_units": []}, l2=0.1, max_norm=1.0, dropout=0.2)
        assert network.get_layer("output").kernel_regularizer is not None
        assert network.get_layer("output").kernel_constraint.max_value == 1.0
        assert network.get_layer("output_dropout").rate == 0.2


def test_every_built_in_model_has_all_of_them() -> None:
    for name in (*BUILT_IN, "keras.applications.MobileNet"):
        accepted = arguments_of(name)
        assert accepted is not None and {"l1", "l2", "dropout", "max_norm"} <= set(accepted)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"dropout": 1}, "dropout has to be a number from 0 to below 1, not 1"),
        ({"l1": -0.1}, "l1 has to be a number from 0 on, not -0.1"),
        ({"l2": "much"}, "l2 has to be a number from 0 on, not 'much'"),
        ({"max_norm": float("inf")}, "max_norm has to be a number from 0 on"),
        ({"max_norn": 3}, "has no argument 'max_norn'; did you mean 'max_norm'?"),
    ],
)
def test_what_cant_be_is_told_before_a_run(told: dict[str, Any], said: str) -> None:
    for name in ("linear", "mlp", "resnet50", "keras.applications.MobileNet"):
        (problem,) = model_problems({"model": name, "model_args": told})
        assert problem.argument == "model_args" and said in str(problem)
    assert model_problems({"model": "mlp", "model_args": {"dropout": "${params.dropout}"}}) == []
