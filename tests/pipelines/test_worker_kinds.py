"""The kinds of workers: what each is set up with, and that steps get the one that they need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.pipelines.alone import run_alone
from headrace.pipelines.executor import run_pipeline
from headrace.pipelines.processes import worker_environment
from headrace.pipelines.resolve import find_component
from headrace.pipelines.worker_kinds import VIRTUAL_DEVICES, WorkerKind

SMALL = Path(__file__).with_name("small_components.py")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", WorkerKind("")),
        ("tensorflow", WorkerKind("tensorflow")),
        ("tensorflow:8", WorkerKind("tensorflow", 8)),
        ("jax", WorkerKind("jax")),
        ("jax:2", WorkerKind("jax", 2)),
    ],
)
def test_a_kind_is_read_from_its_text(text, kind):
    assert WorkerKind.of(text) == kind


@pytest.mark.parametrize("text", ["torch", "tensorflow:", "tensorflow:two", "jax:-1"])
def test_what_is_no_kind_is_refused(text):
    with pytest.raises(ValueError, match=r"int\(\)|is no kind of process"):
        WorkerKind.of(text)


def test_each_kind_sets_what_a_worker_inside_a_worker_would_inherit(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv(VIRTUAL_DEVICES, "8")
    found = worker_environment("tensorflow")
    assert (found["KERAS_BACKEND"], found[VIRTUAL_DEVICES]) == ("tensorflow", "")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8 --xla_other=1")
    found = worker_environment("jax:2")
    assert (found["KERAS_BACKEND"], found[VIRTUAL_DEVICES]) == ("jax", "2")
    first, second, patience = found["XLA_FLAGS"].split()
    assert (first, second) == ("--xla_other=1", "--xla_force_host_platform_device_count=2")
    assert patience.startswith("--xla_cpu_collective_call_terminate_timeout_seconds=")


def test_a_process_is_no_other_one_than_it_is(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert WorkerKind.of("").is_here
    assert WorkerKind.of("tensorflow").is_here
    assert not WorkerKind.of("tensorflow:2").is_here, "its devices can no longer be cut"
    assert not WorkerKind.of("jax").is_here, "Keras has its backend"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert WorkerKind.of("").is_here
    assert not WorkerKind.of("tensorflow").is_here, "Keras has its backend, or is about to"


def test_a_step_has_as_many_devices_as_it_asks_for_alone_and_in_a_run(store, bound):
    alone = run_alone(find_component(f"{SMALL}:devices"), {"count": 3}, store)
    assert json.loads(alone.file("text.txt").read_text()) == ["tensorflow", 3]
    result = run_pipeline(bound(a=("devices", {"count": 2})), store, listen=lambda event: None)
    found = result.artifacts["a"]["output"].file("text.txt").read_text()
    assert json.loads(found) == ["tensorflow", 2]
