from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.schemas import yaml12
from headrace.schemas.yaml12 import YamlError, dump, load, load_with_lines

SCALARS = {
    "1e-3": 0.001, "1E3": 1000.0, ".5": 0.5, "5.": 5.0, "-1.5e+2": -150.0, "12": 12, "+12": 12, "-0": 0,
    "0o17": 15, "0x1F": 31, "010": 10, "1_000": "1_000", "0b1": "0b1", "12:30": "12:30",
    "1:2:3": "1:2:3",
    "no": "no", "yes": "yes", "on": "on", "y": "y", "No": "No", "true": True, "True": True, "TRUE": True,
    "tRUE": "tRUE", "false": False, "null": None, "~": None, "": None, "Null": None, ".inf": math.inf,
    "-.INF": -math.inf, "2024-01-01": "2024-01-01", "=": "=", "'1'": "1", '"true"': "true", "''": "",
    "!!str 1": "1", "!!int 7": 7, "!!float 7": 7.0, "! 5": "5", "inf": "inf", "nan": "nan", "+0x1F": "+0x1F",
    "${steps.a}": "${steps.a}", "a:b": "a:b", "1.2.3": "1.2.3", "e5": "e5",
}  # fmt: skip


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_follow_the_core_schema(text: str) -> None:
    for document, got in (
        (text, load(text)),
        (f"k: {text}", load(f"k: {text}")["k"]),
        ("", load(f"- {text}\n")[0]),
    ):
        assert got == SCALARS[text] and type(got) is type(SCALARS[text]), document
    assert math.isnan(load("[.nan]")[0])


def test_the_python_parser_agrees_with_the_c_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x [1, {b: no}]\nc: *x\nd: !!str 1\ne: ! 1\nf: |\n  text\ng:\n? h\n: 'i'\n"
    with_c = load_with_lines(text)
    monkeypatch.setattr(yaml12, "_LOADER", yaml.SafeLoader)
    assert load_with_lines(text) == with_c


def test_lines() -> None:
    text = "# remark\na: 1\nb:\n  - x\n  - c: 2\n    d: [3,\n      4]\ne: &n {f: 1}\ng: *n\n"
    value, lines = load_with_lines(text)
    assert value == {"a": 1, "b": ["x", {"c": 2, "d": [3, 4]}], "e": {"f": 1}, "g": {"f": 1}}
    assert lines[()] == 2 and lines[("b",)] == 3 and lines[("b", 1)] == 5 and lines[("b", 1, "d", 1)] == 7
    assert lines[("g",)] == 9 and lines[("g", "f")] == 8
    assert value["e"] is not value["g"]


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n", "\ufeff"])
def test_an_empty_document_is_none(text: str) -> None:
    assert load(text) is None


def test_a_byte_order_mark_is_skipped() -> None:
    assert load("\ufeffa: 1") == {"a": 1}


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
REFUSED = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", 3, "the first is in line 1"),
    "duplicate key, quoted": ('a: 1\n"a": 3\n', 2, "second time"),
    "number as key": ("a: 1\n2: x\n", 2, "not text but int"),
    "null as key": ("a: 1\n~: x\n", 2, "not text"),
    "list as key": ("? [a]\n: 1\n", 1, "can't be a key"),
    "number by alias as key": ("a: &k 1\n*k : 2\n", 2, "not text"),
    "merge key": ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys"),
    "object": ("a: !!python/object/apply:os.system [x]\n", 1, "unknown"),
    "unknown tag": ("a: !mine x\n", 1, "!mine"),
    "date tag": ("!!timestamp 2024-01-01", 1, "!!timestamp"),
    "tag that doesn't fit": ("a: !!int x\n", 1, "!!int"),
    "map tag on list": ("!!map [a]", 1, "!!map"),
    "bomb": (BOMB, 4, "aliases"),
    "recursion": ("a: &a [*a]\n", 1, "its own anchor"),
    "unknown alias": ("a: *b\n", 1, "no anchor"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "second document"),
    "deep": ("[" * 5000 + "]" * 5000, 1, "nested deeper"),
    "deep without end": ("a: " + "[" * 100_000, 1, "nested deeper"),
    "deep block": ("".join(" " * i + "-\n" for i in range(200)), 102, "nested deeper"),
    "tab": ("a:\n\tb: 1\n", 2, "tabs"),
    "unclosed": ("a: [1,\nb: 2\n", 3, "begun in line 1"),
    "no mapping": ("a: 1\nb\nc: 2\n", 3, "expect|could not"),
    "control character": ("a: \x01\n", 0, "character"),
    "surrogate": ("a: \ud800\n", 0, "surrogate"),
    "digits": ("a: " + "1" * 5000, 1, "too many digits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_line_and_reason(case: str) -> None:
    text, line, part = REFUSED[case]
    with pytest.raises(YamlError, match=part) as caught:
        load(text, "some.yaml")
    assert caught.value.line == line and caught.value.name == "some.yaml" and caught.value.what
    assert str(caught.value).startswith(f"some.yaml:{line}: " if line else "some.yaml: ")


def test_a_text_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml12, "MAX_CHARACTERS", 10)
    with pytest.raises(YamlError, match="12 characters"):
        load("a: 123456789")


def test_aliases_within_the_limit_are_expanded() -> None:
    assert load("a: &a {x: [1]}\nb: [*a, *a]\n")["b"] == [{"x": [1]}, {"x": [1]}]
    assert load("? &k key\n: *k\n") == {"key": "key"}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
tricky = st.sampled_from(
    [*SCALARS, "a: b", "a #b", "- a", "a,", "a:", "${x}", "[a", "<<", "Ünï", "a\n b", "\u2028", " "]
)
strings = texts | tricky
scalars: Any = strings | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(strings, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(values, st.integers(1, 110))
@example({"k" * 2000: 1, "l": {"m" * 1500: 2}, "n": {"o" * 600: [1]}}, 10_000)
@example([[], {}, [[]], [{"a": [{}]}], [[1, 2], [3]]], 80)
def test_what_is_dumped_is_loaded(value: Any, width: int) -> None:
    assert load(dump(value, width=width)) == value


@settings(max_examples=300, deadline=None)
@given(strings)
def test_yaml_1_1_reads_our_strings_too(text: str) -> None:
    assert yaml.safe_load(dump({"k": [text]})) == {"k": [text]}
    assert yaml.safe_load(dump({text: text}, width=0)) == {text: text}


def test_dump_is_readable() -> None:
    value = {
        "features": {
            "a": {"type": "float", "presence": 0.5},
            "größe": {"values": ["no", "12:30", "1e-3", "007", "x y"]},
        },
        "steps": [{"uses": "module:name", "with": {"x": "${steps.a}", "y": []}}],
        "rate": 1e-05,
    }
    assert dump(value, comments={("rate",): "small", ("steps",): "one\nonly"}) == (
        "features:\n"
        "  a: {type: float, presence: 0.5}\n"
        '  größe: {values: ["no", "12:30", "1e-3", "007", x y]}\n'
        "steps:  # one only\n"
        "  - uses: module:name\n"
        '    with: {x: "${steps.a}", "y": []}\n'
        "rate: 1.0e-05  # small\n"
    )


def test_dump_refuses_what_yaml_can_not_hold() -> None:
    with pytest.raises(TypeError, match="key"):
        dump({1: 2})
    with pytest.raises(TypeError, match="object"):
        dump([object()])
    with pytest.raises(ValueError, match="surrogate"):
        dump("\ud800")


def test_a_text_of_megabytes() -> None:
    text = "Some words, and more. " * 200_000
    assert load(dump({"a": text, "b": [text]})) == {"a": text, "b": [text]}
