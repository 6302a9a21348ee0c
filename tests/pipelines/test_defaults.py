"""A default counts like the same value given, and like the one that `resume` reads back."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from headrace.components import COMPONENTS
from headrace.pipelines.alone import bind_call
from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.fingerprint import canonical
from headrace.pipelines.resolve import find_component, load_pipeline
from headrace.pipelines.step_parts import parts_of
from headrace.pipelines.store import Store

WIRED: dict[str, dict[str, Any]] = {
    "wine_csv": {},
    "digits_images": {},
    "csv_examples": {"path": "${steps.wine_csv}"},
    "statistics": {"examples": "${steps.csv_examples}"},
    "infer_schema": {"statistics": "${steps.statistics}"},
    "transform": {"examples": "${steps.csv_examples}", "schema": "${steps.infer_schema}", "label": "target"},
    "train": {"examples": "${steps.transform.examples}", "transform": "${steps.transform.transform}"},
    "evaluate": {"model": "${steps.train}", "examples": "${steps.transform.examples}"},
    "export": {"model": "${steps.train}", "examples": "${steps.csv_examples}"},
    "image_examples": {"path": "${steps.digits_images}"},
    "tfds_examples": {"builder": "headrace.components.tfds.digits_builder:HandwrittenDigits"},
    "to_tfds": {"examples": "${steps.image_examples}", "name": "digits"},
    "parquet_examples": {"path": "${steps.wine_csv}"},
    "tfrecord_examples": {"path": "${steps.wine_csv}"},
    "validate_examples": {"examples": "${steps.csv_examples}", "schema": "${steps.infer_schema}"},
    "accept_examples": {"examples": "${steps.csv_examples}", "anomalies": "${steps.validate_examples}"},
    "data_report": {"statistics": "${steps.statistics}"},
    "apply_transform": {
        "examples": "${steps.image_examples}",
        "transform": "${steps.transform.transform}",
    },
    "predict_examples": {"exported": "${steps.export}", "examples": "${steps.csv_examples}"},
    "cross_validate": {
        "examples": "${steps.transform.examples}",
        "transform": "${steps.transform.transform}",
    },
}


WITHOUT_DEFAULTS = {"import_schema", "import_statistics"}
"""They take a path and nothing else."""


def defaults(name: str) -> dict[str, Any]:
    """The defaults as the signature states them."""
    parameters = find_component(name).__signature__.parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def pipeline(folder: Path, given: bool) -> BoundPipeline:
    steps = {
        name: {"uses": name, "with": {**(defaults(name) if given else {}), **wires}}
        for name, wires in WIRED.items()
    }
    file = folder / "all.yaml"
    file.write_text(json.dumps({"pipeline": "all", "steps": steps}))
    return bind(load_pipeline(str(file)))


def counted(bound: BoundPipeline, store) -> dict[str, bytes]:
    return {name: canonical(parts_of(step, {}, store).parameters) for name, step in bound.steps.items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """One for all, in which the code of every component is read once."""
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory, store) -> dict[str, bytes]:
    """What counts where every default is left out."""
    return counted(pipeline(tmp_path_factory.mktemp("left_out"), given=False), store)


def test_every_component_is_here():
    assert set(WIRED) | WITHOUT_DEFAULTS == set(COMPONENTS)


def test_a_default_counts_like_the_value_given_and_the_one_read_back(tmp_path, store, expected):
    left_out = pipeline(tmp_path, given=False)
    assert counted(pipeline(tmp_path, given=True), store) == expected
    read_back = BoundPipeline.from_json(json.loads(json.dumps(left_out.to_json())))
    assert counted(read_back, store) == expected


@pytest.mark.parametrize("name", WIRED)
def test_a_component_called_alone_counts_its_defaults_alike(name, tmp_path, store, expected):
    arguments = find_component(name).arguments
    needed = {
        key: arguments[key].artifacts[0](tmp_path, "0" * 64) if str(value).startswith("$") else value
        for key, value in WIRED[name].items()
    }
    left_out, _ = bind_call(find_component(name), needed)
    given, _ = bind_call(find_component(name), {**defaults(name), **needed})
    assert canonical(parts_of(left_out, {}, store).parameters) == expected[name]
    assert canonical(parts_of(given, {}, store).parameters) == expected[name]
