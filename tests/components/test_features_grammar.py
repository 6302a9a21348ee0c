from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from headrace.components.preprocessing.features_checks import check_specs
from headrace.components.preprocessing.features_grammar import LabelSpec, parse_features, parse_labels
from headrace.components.transform import check_transform
from headrace.components.transforms import Bucketize, Clip, Impute, Log1p, MinMax, OneHot, Vocabulary, ZScore
from headrace.pipelines.component import Known


@pytest.mark.parametrize(
    ("told", "columns", "chain"),
    [
        ("z_score", ("f",), (ZScore(),)),
        ({"z_score": None}, ("f",), (ZScore(),)),
        ({"bucketize": 10}, ("f",), (Bucketize(10),)),
        ({"bucketize": [0, 5]}, ("f",), (Bucketize([0.0, 5.0]),)),
        ({"clip": [0, 10]}, ("f",), (Clip(0.0, 10.0),)),
        ({"min_max": {"low": -1}}, ("f",), (MinMax(-1.0, 1.0),)),
        ({"vocabulary": {"top_k": 5, "oov_buckets": 2}}, ("f",), (Vocabulary(5, 1, 2),)),
        ([{"impute": "median"}, "log1p", "z_score"], ("f",), (Impute("median"), Log1p(), ZScore())),
        ({"from": "g", "apply": "one_hot"}, ("g",), (OneHot(),)),
        ({"from": ["g", "h"], "apply": [{"impute": 0}, "z_score"]}, ("g", "h"), (Impute(0), ZScore())),
        ({"apply": "one_hot"}, ("f",), (OneHot(),)),
    ],
    ids=str,
)
def test_what_can_be_written(told: Any, columns: tuple[str, ...], chain: tuple[Any, ...]) -> None:
    (spec,), problems = parse_features({"f": told})
    assert not problems
    assert (spec.name, spec.columns, spec.chains) == ("f", columns, (chain,) * len(columns))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "zscore",
            ["there is no transform 'zscore'", "did you mean 'z_score'", "available: z_score, min_max"],
        ),
        (7, ["there is no transform 7"]),
        ({"bucketize": 1}, ["bucketize.buckets is 1", ">= 2"]),
        ({"bucketize": "ten"}, ["bucketize.buckets is 'ten'", "Expected `int | array`"]),
        ({"bucketize": [3, 1]}, ["have to ascend: 1 after 3"]),
        (
            {"bucketize": {"bucket": 3}},
            ["no argument 'bucket'", "did you mean 'buckets'", "needs the argument"],
        ),
        ({"bucketize": {"buckets": 3, "output": "id"}}, ["bucketize.output is 'id'"]),
        ("clip", ["needs the argument 'low'", "needs the argument 'high'", "write {clip: [low, high]}"]),
        ({"clip": 5}, ["clip takes [low, high], not 5"]),
        ({"clip": [3, 1]}, ["low (3) has to be below high (1)"]),
        ({"z_score": 3}, ["z_score takes no argument"]),
        ({"hash": 10.5}, ["hash.buckets is 10.5", "Expected `int`"]),
        ({"impute": "mode"}, ["there is no strategy 'mode'", "did you mean", "{constant: mode}"]),
        ({"rescale": 0}, ["factor must not be 0"]),
        ({"impute": "median", "log1p": None}, ["here are 2: impute, log1p", "for a chain write a list"]),
        ({"from": "a", "aply": "z_score"}, ["no 'aply'", "did you mean 'apply'"]),
        ({"from": "a"}, ["apply is missing"]),
        ({"from": [], "apply": "z_score"}, ["from has to be a column, a list"]),
        ({"from": ["a", "a"], "apply": "z_score"}, ["names a twice"]),
        ([], ["the chain is empty"]),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(told: Any, said: list[str]) -> None:
    specs, problems = parse_features({"f": told, "good": "z_score"})
    text = "\n".join(map(str, problems))
    assert [spec.name for spec in specs] == ["good"]
    assert {problem.argument for problem in problems} == {"features.f"}
    for words in said:
        assert words in text


def test_all_problems_are_told_at_once() -> None:
    _, problems = parse_features({"a": "zscore", "b": {"clip": [2, 1]}, "c": "one_hot"})
    assert [problem.argument for problem in problems] == ["features.a", "features.b"]
    assert "no features" in str(parse_features({})[1][0])


@pytest.mark.parametrize(
    ("told", "specs"),
    [
        ("y", (LabelSpec("y"),)),
        ({"y": "z_score"}, (LabelSpec("y", (ZScore(),)),)),
        (["y"], (LabelSpec("y"),)),
        ({"a": "z_score", "b": "vocabulary"}, (LabelSpec("a", (ZScore(),)), LabelSpec("b", (Vocabulary(),)))),
        (["b", {"a": "z_score"}], (LabelSpec("b"), LabelSpec("a", (ZScore(),)))),
    ],
    ids=str,
)
def test_labels(told: Any, specs: tuple[LabelSpec, ...]) -> None:
    assert parse_labels(told) == (specs, [])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"y": "one_hot"}, "one_hot can't make a label"),
        ({"y": {"bucketize": 3}}, "bucketize can't make a label"),
        ({"y": "z_scor"}, "did you mean 'z_score'"),
        ({"y": ["vocabulary", "z_score"]}, "has to stand alone"),
        ({}, "has to be a column, or {column: transform}"),
        ([], "has to be a column, or {column: transform}"),
        (["a", 3], "has to be a column, or {column: transform}"),
        ({"a": None}, "name one, or write the label in a list: [a, …]"),
        (["a", "b", "a"], "the label 'a' is listed twice"),
        (["a", {"b": "z_score", "a": "z_score"}], "the label 'a' is listed twice"),
        ({"a": "one_hot", "b": "z_scor"}, "did you mean 'z_score'"),
        (3, "has to be a column"),
        (None, "has to be a column"),
    ],
    ids=str,
)
def test_wrong_labels(told: Any, said: str) -> None:
    specs, problems = parse_labels(told)
    assert not specs
    assert said in "\n".join(map(str, problems))


@pytest.mark.parametrize(
    ("told", "kind", "said"),
    [
        ("log1p", "string", "log1p takes numbers, but the column is a string"),
        ("one_hot", "float", "one_hot takes strings and whole numbers or ids, but the column is a float"),
        (["one_hot", "z_score"], None, "z_score takes numbers, but one_hot gives one-hots"),
        (["z_score", "one_hot"], None, "but z_score gives a float"),
        ([{"impute": "most_frequent"}, "log1p"], "string", "but impute gives a string"),
        ({"impute": "median"}, "string", "a string column has no median"),
        ({"impute": {"constant": "red"}}, "float", "'red' can't stand in a numeric column"),
        ({"impute": 3}, "string", "3 can't stand in a string column"),
        ("identity", "string", "identity takes numbers, but the column is a string"),
        ({"impute": {"constant": "red"}}, "string", "ends as a string"),
        ("z_score", "int", ""),
        ("one_hot", "int", ""),
        ("one_hot", "bool", ""),
        ("z_score", "bool", ""),
        ([{"impute": "most_frequent"}, "one_hot"], None, ""),
    ],
    ids=str,
)
def test_chains_have_to_fit_their_columns(told: Any, kind: str | None, said: str) -> None:
    specs, problems = parse_features({"f": told})
    assert not problems
    found = check_specs(specs, (), {"f": kind} if kind else None, ["f"])
    if said:
        assert said in "\n".join(map(str, found))
    else:
        assert not found


@pytest.mark.parametrize(
    "form", [r"(a)\1", "a++", "a{2}+", "(?P<n>a)(?P=n)", "(?<!x)", "(a)(?(1)b|c)", "(?>a)", r"(a)\\\1"]
)
def test_expressions_with_what_re2_lacks(form: str) -> None:
    _, problems = parse_features({"f": [{"tokens": form}, "multi_hot"]})
    assert "RE2 has no" in "\n".join(map(str, problems))


@pytest.mark.parametrize(
    "form",
    ["[(?=]", r"\(?=", "[+*]+", "[]+]+x", "(?:a)+?", r"\++", r"[^\p{L}]+", "(?P<n>a)", r"\p{L}+", r"\\1"],
)
def test_expressions_that_look_like_it(form: str) -> None:
    assert not parse_features({"f": [{"tokens": form}, "multi_hot"]})[1]


def test_a_column_that_doesnt_fit_has_a_remedy() -> None:
    specs, _ = parse_features({"f": "z_score", "g": "one_hot", "d": {"date_parts": "month"}})
    found = check_specs(specs, (), {"f": "string", "g": "float", "d": "string"}, ["f", "g", "d"])
    assert "types: {d: timestamp}" in found[2].remedy
    assert "one_hot, vocabulary or hash" in found[0].remedy and "bucketize" in found[1].remedy


def test_columns_and_label_have_to_be_there() -> None:
    specs, _ = parse_features({"size": "z_score", "price": {"from": "sise", "apply": "log1p"}})
    price = (LabelSpec("price"),)
    problems = check_specs(specs, price, None, ["size", "price"])
    assert len(problems) == 2
    assert "there is no column 'sise'; did you mean 'size'?" in str(problems[1])
    assert "'price' has the name of the label" in str(problems[0])
    leak, _ = parse_features({"x": {"from": "price", "apply": "z_score"}})
    assert "made from the label" in str(check_specs(leak, price, None, None)[0])
    both = (LabelSpec("sold"), LabelSpec("price"))
    assert "'x' is made from the label 'price'" in str(check_specs(leak, both, None, None)[0])
    several = (*price, LabelSpec("prise"))
    assert "did you mean 'price'" in str(check_specs([], several, None, ["size", "price"])[0])


def test_the_check_of_the_component() -> None:
    table = Known(
        columns=("a", "y"), splits=("train", "test"), facts={"types": {"a": "string", "y": "float"}}
    )
    arguments = {"label": "y", "features": {"a": "one_hot"}}
    problems, outputs = check_transform(arguments, {"examples": table})
    assert not problems
    assert outputs["examples"].splits == ("train", "test")
    wrong = {"label": "z", "features": {"a": "log1p", "b": "z_scor"}}
    problems, _ = check_transform(wrong, {"examples": table})
    assert [p.argument for p in problems] == ["features.b", "label", "features.a"]
    problems, _ = check_transform({"label": "y", "features": "auto"}, {"examples": table})
    assert [p.argument for p in problems] == ["schema"]
    problems, _ = check_transform(arguments, {"examples": outputs["examples"]})
    assert "transformed already" in str(problems[-1])
    problems, _ = check_transform(arguments, {"examples": Known(splits=("all",))})
    assert [p.argument for p in problems] == ["examples"]


def test_checking_imports_no_array_library() -> None:
    code = (
        "import sys; from headrace.components.transform import check_transform;"
        "check_transform({'label': 'y', 'features': {'a': {'bucketize': 10}}}, {});"
        "heavy = {'numpy', 'pyarrow', 'apache_beam', 'tensorflow', 'keras'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
