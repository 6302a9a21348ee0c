from __future__ import annotations

from pathlib import Path

import pytest

from headrace.components.models.user import find_problem, load_function
from headrace.pipelines.errors import InvalidRequestError


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
