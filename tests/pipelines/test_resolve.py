"""Finding components and pipelines by name, those of other packages too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.pipelines.component import Component
from headrace.pipelines.errors import InvalidRequestError, PipelineError
from headrace.pipelines.pipeline import Pipeline
from headrace.pipelines.resolve import (
    builtin_names,
    find,
    find_component,
    load_pipeline,
    name_of,
    ready_pipelines,
)
from headrace.pipelines.tracing import PipelineFunction

WIRING = Path(__file__).with_name("wiring_components.py")


def test_every_builtin_component_is_found_by_its_name():
    for name in builtin_names():
        found = find(name)
        assert isinstance(found, Component)
        assert found.name == name
        assert found.outputs
        assert set(found.arguments) == set(found.__signature__.parameters)
        assert name_of(found) == name


def test_a_component_stays_itself_after_its_module_is_imported():
    code = (
        "import headrace.components.statistics; from headrace.components import statistics; print(statistics)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<component")


def test_files_and_modules(tmp_path: Path):
    (tmp_path / "beside_headrace_test.py").write_text("from wiring_copy import read\n")
    (tmp_path / "wiring_copy.py").write_text(WIRING.read_text())
    by_module = find_component("beside_headrace_test:read", str(tmp_path))
    assert name_of(by_module) == "wiring_copy:read"
    by_file = find_component("wiring_copy.py:read", str(tmp_path))
    assert name_of(by_file, str(tmp_path)) == "wiring_copy.py:read"
    assert name_of(by_file, "/other") == f"{tmp_path}/wiring_copy.py:read"
    assert find_component("wiring_copy.py:read", str(tmp_path)) is by_file


def test_a_module_that_fails_says_where(tmp_path: Path):
    (tmp_path / "broken.py").write_text("x = 1\ny = (\n")
    with pytest.raises(PipelineError, match="SyntaxError") as caught:
        find("broken.py:x", str(tmp_path))
    assert (caught.value.problems[0].file, caught.value.problems[0].line) == (f"{tmp_path}/broken.py", 2)
    (tmp_path / "broken.py").write_text("import no_such_thing_at_all\n")
    with pytest.raises(PipelineError, match="No module named 'no_such_thing_at_all'"):
        find("broken.py:x", str(tmp_path))
    with pytest.raises(PipelineError, match=r"did you mean 'broken.py'"):
        find("brokn.py:x", str(tmp_path))


def test_what_can_be_run():
    assert isinstance(load_pipeline(f"{WIRING}:whole"), PipelineFunction)
    for name in ready_pipelines():
        assert isinstance(load_pipeline(name), Pipeline)
    with pytest.raises(InvalidRequestError, match="not a pipeline"):
        load_pipeline(f"{WIRING}:read")
    with pytest.raises(InvalidRequestError, match="say which function") as caught:
        load_pipeline(str(WIRING))
    assert caught.value.problems[0].available == ("learned", "whole")
    with pytest.raises(InvalidRequestError, match="no pipeline 'housingg'"):
        load_pipeline("housingg")
