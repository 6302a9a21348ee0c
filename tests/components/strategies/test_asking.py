"""What is refused before a run, with the remedy; what process a strategy needs; sizes of batches."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from typing import Any

import pytest

from headrace.components import train
from headrace.components.strategies import asking
from headrace.components.strategies.asking import (
    TPU_ARGS,
    TPU_VARIABLES,
    execution_problems,
    process_of,
    replicas_asked_for,
)
from headrace.components.strategies.batches import default_batch_size, global_batch_size, rate_factor
from headrace.pipelines.errors import InvalidRequestError


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch):
    """One without a TPU's name; and without a GPU, whatever it has."""
    for name in TPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no GPU": ({"strategy": "mirrored"}, "there is no GPU", "virtual_devices: 2"),
    "no TPU": ({"strategy": "tpu"}, "there is no TPU", "TPU_NAME"),
    "indivisible": (
        {"strategy": "mirrored", "virtual_devices": 4, "batch_size": 50},
        "a batch of 50 examples can't be cut evenly for 4 replicas",
        "batch_size: 48 or 52",
    ),
    "smaller than the replicas": (
        {"strategy": "jax", "virtual_devices": 8, "batch_size": 5},
        "can't be cut evenly for 8 replicas",
        "batch_size: 8,",
    ),
    "two sizes": (
        {"strategy": "one", "batch_size": 8, "replica_batch_size": 8},
        "both say how many examples",
        "leave one out",
    ),
    "unknown device": (
        {"strategy": "mirrored", "virtual_devices": 2, "strategy_args": {"devices": ["CPU:0", "CPU:2"]}},
        "there is no device CPU:2",
        "",
    ),
    "no device's name": (
        {"strategy": "mirrored", "strategy_args": {"devices": [0, 1]}},
        "a list of names like GPU:0",
        '["GPU:0", "GPU:1"]',
    ),
    "twice": (
        {"strategy": "mirrored", "strategy_args": {"devices": ["GPU:0", "GPU:0"]}},
        "named twice",
        "",
    ),
    "unknown argument": (
        {"strategy": "tpu", "strategy_args": {"tpu": "local", "zones": "a"}},
        "the strategy tpu has no argument 'zones'",
        "",
    ),
    "virtual and one": ({"strategy": "one", "virtual_devices": 2}, "doesn't use the 2 virtual", "mirrored"),
    "XLA": (
        {"strategy": "mirrored", "virtual_devices": 2, "xla": True},
        "not compiled by XLA",
        "strategy: jax",
    ),
    "overwritten average": (
        {"strategy": "auto", "virtual_devices": 2, "optimizer": {"adam": {"ema_overwrite_frequency": 5}}},
        "ema_overwrite_frequency",
        "strategy: one",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_had_is_refused_with_the_remedy(case):
    arguments, what, remedy = REFUSED[case]
    problems = execution_problems(arguments)
    assert len(problems) == 1
    assert what in problems[0].what
    assert remedy in problems[0].remedy


def test_jax_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(asking, "find_spec", lambda name: None)
    (problem,) = execution_problems({"strategy": "jax"})
    assert "not installed" in problem.what
    assert "headrace[jax]" in problem.remedy


@pytest.mark.parametrize(
    "arguments",
    [
        {"strategy": "auto"},
        {"strategy": "one", "batch_size": 7, "xla": True},
        {"strategy": "mirrored", "virtual_devices": 2, "batch_size": 50},
        {"strategy": "mirrored", "virtual_devices": 2, "strategy_args": {"devices": ["CPU:1", "CPU:0"]}},
        {"strategy": "tpu", "strategy_args": {"tpu": "local", "zone": "us-central1-a"}},
        {"strategy": "${params.strategy}"},
    ],
)
def test_what_can_be_had_is_not(arguments):
    assert execution_problems(arguments) == []


def test_the_environment_may_name_the_tpu(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "mine")
    assert execution_problems({"strategy": "tpu"}) == []


def test_each_strategy_has_its_process():
    assert process_of({"strategy": "auto"}) == "tensorflow"
    assert process_of({"strategy": "mirrored", "virtual_devices": 2}) == "tensorflow:2"
    assert process_of({"strategy": "auto", "virtual_devices": 1}) == "tensorflow"
    assert process_of({"strategy": "jax"}) == "jax"
    assert process_of({"strategy": "jax", "virtual_devices": 8}) == "jax:8"
    assert train.process_for({"strategy": "jax", "virtual_devices": 8}) == "jax:8"


def test_replicas_are_known_before_a_run_where_the_arguments_tell():
    assert replicas_asked_for({"strategy": "one"}) == 1
    assert replicas_asked_for({"strategy": "auto"}) is None
    assert replicas_asked_for({"strategy": "auto", "virtual_devices": 3}) == 3
    assert replicas_asked_for({"strategy": "mirrored", "strategy_args": {"devices": ["GPU:0", "GPU:3"]}}) == 2


def test_the_default_batch_is_divided_by_any_number_of_replicas():
    for replicas in range(1, 9):
        for rows in (8, 100, 1000, 10_000):
            size = default_batch_size(rows, replicas)
            assert size % replicas == 0
            assert size <= max(64, replicas)


def test_a_batch_is_told_for_all_replicas_or_for_each():
    assert global_batch_size(48, None, 1000, 4) == 48
    assert global_batch_size(None, 12, 1000, 4) == 48
    with pytest.raises(InvalidRequestError, match="can't be cut evenly"):
        global_batch_size(50, None, 1000, 4)


def test_rates_are_scaled_by_the_replicas_if_asked():
    assert [rate_factor(rule, 4) for rule in ("none", "linear", "sqrt")] == [1.0, 4.0, 2.0]


def test_the_resolvers_arguments_are_those_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    signature = inspect.signature(tf.distribute.cluster_resolver.TPUClusterResolver.__init__)
    objects = {"self", "credentials", "service"}
    assert set(signature.parameters) - objects == set(TPU_ARGS)


def test_an_address_where_no_tpu_listens_is_told_and_not_waited_for():
    tpu = pytest.importorskip("headrace.components.strategies.tpu")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # free again when the server is closed
    with pytest.raises(InvalidRequestError, match=f"127.0.0.1:{port} can't be used: .*refused"):
        tpu.tpu_strategy({"tpu": f"grpc://127.0.0.1:{port}"})


def test_the_check_imports_nothing_heavy():
    code = (
        "import sys\nfrom headrace.components.strategies.asking import execution_problems\n"
        "execution_problems({'strategy': 'auto'})\n"
        "assert not {'tensorflow', 'keras', 'jax', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
