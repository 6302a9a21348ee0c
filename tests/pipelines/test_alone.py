"""Components called outside a pipeline, and code that no file shows."""

from __future__ import annotations

from functools import wraps
from pathlib import Path

import pytest

from headrace.pipelines import Context, Files, InvalidRequestError, component
from headrace.pipelines.alone import default_store
from headrace.pipelines.live_code import live_code
from headrace.pipelines.step_parts import function_code
from headrace.pipelines.store import Store


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


def writer(text):
    @component
    def written(ctx: Context) -> Files:
        draft = ctx.output(Files)
        (draft.path / "text.txt").write_text(str(text))
        return draft.finish()

    return written


def text(files):
    return files.file("text.txt").read_text()


def test_what_a_component_captured_counts():
    assert text(writer("one")()) == "one"
    assert text(writer("two")()) == "two"
    assert writer("one")().path == writer("one")().path
    assert len(default_store().runs()) == 2


def test_a_captured_value_that_cannot_be_compared_is_never_a_hit():
    value = object()
    assert writer(value)().path == writer(value)().path
    assert len(default_store().runs()) == 2


def kept(function):
    @wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@kept
def decorated(ctx):
    return helper()


def helper():
    return 1


def test_a_decorator_does_not_hide_the_code():
    symbols = function_code(decorated, Store(Path("s"))).symbols
    assert {name.rpartition(":")[2] for name in symbols} >= {"decorated", "kept", "helper"}


def typed(code):
    made: dict = {"__name__": "__main__"}
    exec(compile(code, "<prompt>", "exec"), made)
    return live_code(made["f"], lambda value, file: pytest.fail(f"{file} was read")).symbols


def test_a_function_at_a_prompt_counts_with_its_globals():
    code = "SIZE = {'a': [1, 2]}\ndef g(x=1): return SIZE\ndef f(): return [g() for _ in range(2)]"
    assert typed(code) == typed(code)
    for old, new in (
        ("2]}", "3]}"),
        ("x=1", "x=2"),
        ("return SIZE", "return (SIZE, 1)"),
        ("range(2)", "range(3)"),
    ):
        assert typed(code) != typed(code.replace(old, new)), old
    assert typed(code) == typed(code + "\nother = 1")


def test_the_default_store(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_STORE", "")
    assert default_store().folder == tmp_path / ".headrace"
    monkeypatch.setenv("HEADRACE_STORE", "relative")
    assert default_store().folder == tmp_path / "relative"
    monkeypatch.setenv("HEADRACE_STORE", "nowhere://bucket")
    with pytest.raises(InvalidRequestError, match="not supported"):
        default_store()
