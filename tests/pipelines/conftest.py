"""Small pipelines, bound by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.bound import BoundPipeline, BoundStep
from headrace.pipelines.pipeline import StepOutput
from headrace.pipelines.resolve import find_component
from headrace.pipelines.store import Store

SMALL = Path(__file__).with_name("small_components.py")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def bound() -> Callable[..., BoundPipeline]:
    """Makes a pipeline: `bound(a=("number", {"value": 2}), b=("parity", {"files": "a"}))`.

    An input is written as the name of a step, or `step.output`.
    """

    def make(name: str = "small", file: Path = SMALL, **steps: tuple[str, dict[str, Any]]) -> BoundPipeline:
        made = {}
        for step, (uses, given) in steps.items():
            component = find_component(f"{file}:{uses}")
            inputs, parameters = {}, {}
            for key, argument in component.arguments.items():
                value = given.get(key, argument.default)
                if argument.artifacts and key in given and not str(value).startswith("/"):
                    source, _, output = str(value).partition(".")
                    inputs[key] = StepOutput(source, output or "output")
                else:
                    parameters[key] = value
            made[step] = BoundStep(step, f"{file}:{uses}", component, parameters, inputs)
        return BoundPipeline(name, {}, made)

    return make
