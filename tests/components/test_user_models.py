from __future__ import annotations

from pathlib import Path

import pytest

from headrace.components import train
from headrace.components.models.user import call_problem
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.import_path import find_problem, load_function


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside_it.py").write_text("ANSWER = 42\n")
    path = tmp_path / "my_model.py"
    path.write_text("from beside_it import ANSWER\nx = 3\n\ndef build(inputs):\n    return inputs + ANSWER\n")
    return path


def test_a_function_of_a_file_finds_the_helpers_beside_it(file: Path) -> None:
    assert find_problem(f"{file}:build") is None
    assert load_function(f"{file}:build")(1) == 43


def test_a_function_of_a_module() -> None:
    assert find_problem("headrace.components.evaluation.gates:bless") is None
    assert load_function("json:dumps")(1) == "1"


def test_the_check_imports_nothing(tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text("raise SystemExit('imported')\n\ndef build(): ...\n")
    assert find_problem(f"{path}:build") is None


@pytest.mark.parametrize(
    ("place", "what", "suggested"),
    [
        ("{file}:biuld", "no function 'biuld'", "build"),
        ("{file}.missing.py:build", "there is no file", ""),
        ("no_such_module_here:build", "there is no module", ""),
        ("json.no_such:build", "there is no module", ""),
        ("json:no_such_function", "no function", ""),
        ("just_a_name", "no import path", ""),
    ],
)
def test_problems_are_found_without_importing(file: Path, place: str, what: str, suggested: str) -> None:
    path = place.format(file=file)
    problem = find_problem(path)
    assert problem is not None
    assert what in problem.what
    assert problem.closest == suggested
    with pytest.raises(InvalidRequestError, match=what.split("'")[0]):
        load_function(path)


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ndef build(:\n")
    problem = find_problem(f"{path}:build")
    assert problem is not None
    assert problem.line == 2


def test_a_failing_import_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "failing.py"
    path.write_text("import no_such_module_here\n\ndef build(): ...\n")
    with pytest.raises(InvalidRequestError, match=r"importing .* failed: ModuleNotFoundError"):
        load_function(f"{path}:build")


def test_what_is_not_callable_is_refused(file: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"'x' in .* is not a function"):
        load_function(f"{file}:x")


@pytest.mark.parametrize(
    ("source", "args", "what", "closest"),
    [
        ("def build(inputs, outputs, task): ...", [], "", ""),
        ("def build(*, inputs, outputs, task, units=3): ...", ["units"], "", ""),
        ("def build(**anything): ...", ["units"], "", ""),
        ("def build(inputs, outputs, task, units): ...", ["units"], "", ""),
        ("def build(features, outputs, task, units): ...", ["units"], "", ""),
        ("def build(packed, outputs, task): ...", [], "", ""),
        ("class Layer:\n    def build(self, shape): ...\ndef build(inputs, outputs, task): ...", [], "", ""),
        ("def build(inputs): ...\nbuild = print", [], "", ""),
        ("import functools\n@functools.cache\ndef build(*args): ...", [], "", ""),
        ("class build:\n    pass", [], "", ""),
        ("def build(inputs, outputs): ...", [], "takes no keyword 'task'", ""),
        ("def build(n, outputs, task): ...", [], "takes no keyword 'inputs' (nor 'features')", ""),
        ("def build(inputs, features, outputs, task): ...", [], "needs 'features', which nothing gives", ""),
        ("def build(inputs, /, outputs, task): ...", [], "takes no keyword 'inputs'", ""),
        ("def build(*args): ...", [], "takes no keyword 'inputs'", ""),
        ("def build(inputs, outputs, task, units=3): ...", ["unitz"], "takes no keyword 'unitz'", "units"),
        ("def build(inputs, outputs, task, units): ...", [], "needs 'units'", ""),
        ("def build(*, depth, **rest): ...", [], "needs 'depth'", ""),
        ("def build(inputs, /, **rest): ...", [], "needs 'inputs'", ""),
    ],
)
def test_signatures_are_read_without_importing(
    tmp_path: Path, source: str, args: list[str], what: str, closest: str
) -> None:
    path = tmp_path / "my_model.py"
    path.write_text(f"{source}\n\nraise SystemExit('imported')\n")
    problem = call_problem(f"{path}:build", args)
    if not what:
        assert problem is None
        return
    assert problem is not None and what in problem.what
    assert "def build(inputs: int, outputs, task, **model_args)" in problem.remedy
    assert problem.line == source[: source.index("def build")].count("\n") + 1
    assert problem.closest == closest


def test_train_checks_the_signature_before_anything_runs(tmp_path: Path) -> None:
    assert train.checker is not None
    path = tmp_path / "my_model.py"
    path.write_text("def build(inputs, outputs, task, units=3): ...\n")
    arguments = {"model": f"{path}:build", "model_args": {"unitz": 3}}
    (problem,), _ = train.checker(arguments, {})
    assert (problem.argument, problem.given, problem.closest) == ("model_args", "unitz", "units")
    assert train.checker({**arguments, "model_args": {"units": 3}}, {})[0] == []
