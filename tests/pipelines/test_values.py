"""Parameter values: what fits an annotation, and how it is said what doesn't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from headrace.pipelines.component import CodePath, FilePath, FilePaths
from headrace.pipelines.errors import PipelineError
from headrace.pipelines.values import Text, convert, convert_given, describe, plain, resolve_paths


@dataclass
class Early:
    patience: int
    best: bool = True


FITS = [
    (5, float, 5.0),
    ({"a": 8}, dict[str, Annotated[float, Meta(gt=0)]], {"a": 8.0}),
    (["x"], list[str] | dict[str, str] | None, ["x"]),
    ({"x": "y"}, dict[str, str] | dict[str, list[str]], {"x": "y"}),
    ({"x": ["y"]}, dict[str, str] | dict[str, list[str]], {"x": ["y"]}),
    ((1, 2), list[int], [1, 2]),
    ({"patience": 3}, Early | bool, Early(3)),
    ("anything", Any, "anything"),
    (None, Literal["a"] | None, None),
    ("x.csv", FilePaths, "x.csv"),
]


@pytest.mark.parametrize(("value", "annotation", "expected"), FITS)
def test_what_fits(value, annotation, expected):
    converted = convert(value, annotation)
    assert converted == expected
    assert type(converted) is type(expected)


WRONG = [
    (True, int, "has to be a whole number, not true"),
    ("1e-3x", float, "has to be a number, not '1e-3x'"),
    (None, str, "has to be a text, not null"),
    (0, Annotated[int, Meta(ge=1, le=9)], "has to be a whole number, 1 or more and 9 or less, not 0"),
    ({"a": {"b": [1, "c"]}}, dict[str, dict[str, list[int]]], "[a][b][1]: has to be a whole number, not 'c'"),
    (3, list[str] | str | None, "has to be a list, each item a text or a text, not 3"),
    ([1, 2.5], list[int] | None, "[1]: has to be a whole number, not 2.5"),
    (["x", 3], FilePaths, "[1]: has to be a text, not 3"),
    (
        3,
        dict[str, str] | dict[str, list[str]],
        "has to be a mapping, each value a text or a mapping, each value a list",
    ),
    ("mpl", Literal["mlp", "linear"], "'mpl' is not a choice"),
    ("x" * 200, int, "xxx…"),
]


@pytest.mark.parametrize(("value", "annotation", "says"), WRONG)
def test_what_does_not_fit(value, annotation, says):
    with pytest.raises(PipelineError) as caught:
        convert(value, annotation)
    assert says in caught.value.problems[0].what


def test_choices_are_listed():
    _, problem = convert_given("mpl", Literal["mlp", "linear"] | None)
    assert problem is not None
    assert problem.available == ("mlp", "linear")
    assert problem.closest == "mlp"


TYPED = [
    ("12", str, "12"),
    ("12", int, 12),
    ("12", str | int, 12),
    ("no", str | bool, "no"),
    ("true", bool, True),
    ("1e-3", float, 1e-3),
    ("[a, b]", str | list[str], ["a", "b"]),
    ("[a, b", str | list[str], "[a, b"),
    ("null", int | None, None),
    ("{a: {b: 1}}", Mapping[str, Any], {"a": {"b": 1}}),
    ("2024-01-01", FilePath, "2024-01-01"),
]


@pytest.mark.parametrize(("text", "annotation", "expected"), TYPED)
def test_what_is_typed_on_the_command_line(text, annotation, expected):
    converted, problem = convert_given(Text(text, "/here", command=True), annotation)
    assert problem is None
    assert plain(converted) == expected


def test_paths():
    given = [Text("a.csv", "/given"), "b/*.csv", "/c", "gs://bucket/x", "~/d", ""]
    paths = plain(resolve_paths(given, {"file"}, "/doc"))
    assert paths[:4] == ["/given/a.csv", "/doc/b/*.csv", "/c", "gs://bucket/x"]
    assert paths[4].startswith("/")
    assert not paths[4].startswith("/doc")
    assert paths[5] == ""
    words = frozenset({"imagenet"})
    given = [Text("imagenet", "/given"), "imagenet/a"]
    assert plain(resolve_paths(given, {"file"}, "/doc", words=words)) == ["imagenet", "/doc/imagenet/a"]
    code = resolve_paths(["m.py:f", "pack.age:f", "mlp"], {"code"}, "/doc")
    assert plain(code) == ["/doc/m.py:f", "pack.age:f", "mlp"]
    assert resolve_paths(["m.py:f"], frozenset(), "/doc") == ["m.py:f"]
    assert (Text("a", "/given") + "/b").folder == "/given"


def test_annotations_in_words():
    assert describe(Annotated[float, Meta(gt=0, lt=1)] | None) == "a number, more than 0 and less than 1"
    assert describe(CodePath) == "a text"
    assert describe(dict[str, Literal["a", 1]]) == "a mapping, each value one of a, 1"
    assert describe(Early) == "Early"
