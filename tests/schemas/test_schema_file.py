from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.schema import Comparator, Domain, Feature, Schema
from headrace.schemas.schema_file import SchemaError, read_schema, read_schema_lines, write_schema
from headrace.schemas.schema_pbtxt import read_pbtxt, shortest, write_pbtxt

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
domains: Any = {
    "string": st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, unique=True
    ),
    "int": st.lists(st.integers(-(2**63), 2**63 - 1).map(str), min_size=1, unique=True),
    "bool": st.permutations(["true", "false"]),
}


@st.composite
def features(draw: Any) -> Feature:
    kind = draw(st.sampled_from(["int", "float", "string", "bool"]))
    values = draw(st.none() | domains[kind].map(tuple)) if kind in domains else None
    low = high = None
    if kind in ("int", "float"):
        numbers = st.integers(-(2**60), 2**60) if kind == "int" else st.floats(allow_nan=False)
        low, high = sorted([draw(numbers), draw(numbers)])
    return Feature(draw(names), kind, draw(st.floats(0, 1)), values, draw(st.sampled_from([None, low])), high)


comparators = st.none() | st.builds(
    Comparator, infinity_norm=st.none() | st.floats(0, 1), jensen_shannon_divergence=st.floats(0, 1)
)


@st.composite
def rich_schemas(draw: Any) -> Schema:
    """Schemas with domains, environments, presence, comparators and lists, of what pbtxt knows too."""
    environments, numbers = ("TRAINING", "SERVING"), st.integers(-(2**63), 2**63 - 1)
    words = st.lists(names, min_size=1, max_size=4, unique=True).map(tuple)
    domains = draw(st.lists(st.builds(Domain, names, words), max_size=2, unique_by=lambda d: d.name))
    found = []
    for name in draw(st.lists(names, min_size=1, max_size=5, unique=True)):
        kind = draw(
            st.sampled_from(["int", "float", "string", "bool", "timestamp", "strings", "ints", "floats"])
        )
        domain = draw(st.sampled_from([None, *domains])) if kind in ("string", "strings") else None
        values = domain.values if domain else ("true", "false") if kind == "bool" else None
        if kind in ("string", "strings") and domain is None:
            values = draw(st.none() | words)
        low = high = None
        if kind in ("int", "ints"):
            low, high = sorted([draw(numbers), draw(numbers)])
        elif kind in ("float", "floats"):
            low = draw(st.none() | st.floats(-(2.0**100), 2.0**100, width=32).map(float).map(shortest))
        several = kind in ("strings", "ints", "floats")
        drift = draw(comparators) if kind in ("string", "bool", "int") else None
        inside, outside = draw(st.sampled_from([((), ()), ((), ("SERVING",)), (("OTHER",), ("TRAINING",))]))
        found.append(
            Feature(
                name, kind, draw(st.floats(0, 1)), values, low, high, draw(st.integers(0, 2**40)),
                domain.name if domain else "", draw(st.floats(0, 1)),
                (draw(st.integers(0, 3)), draw(st.none() | st.integers(3, 9))) if several else None,
                drift, drift, inside, outside,
                draw(st.sampled_from(["", "deprecated", "beta"])),
            )
        )  # fmt: skip
    return Schema(tuple(found), tuple(domains), environments)


@settings(deadline=None, max_examples=100)
@given(rich_schemas())
def test_all_that_a_schema_says_is_written_and_read(schema: Schema) -> None:
    assert read_schema(write_schema(schema)) == schema


@settings(deadline=None, max_examples=100)
@given(rich_schemas())
def test_what_goes_through_pbtxt_comes_back(schema: Schema) -> None:
    written = write_pbtxt(schema)
    back = read_pbtxt(written)
    assert (back.schema, back.warnings) == (schema, ())
    assert write_pbtxt(back.schema) == written == write_pbtxt(back.schema, back.message)


@settings(deadline=None, max_examples=150)
@given(st.lists(features(), min_size=1, max_size=6, unique_by=lambda f: f.name))
def test_what_is_written_is_read(written: list[Feature]) -> None:
    assert read_schema(write_schema(Schema(tuple(written)))) == Schema(tuple(written))


def test_it_is_readable() -> None:
    schema = Schema(
        (
            Feature("longitude", "float"),
            Feature("ocean proximity", "string", 0.98, ("<1H OCEAN", "INLAND", "no")),
            Feature("rooms", "int", min=0, max=10),
            Feature("ok", "bool", values=("true", "false")),
        )
    )
    body = [line for line in write_schema(schema).splitlines() if not line.startswith("#")]
    assert body == [
        "features:",
        "  longitude: {type: float, presence: 1.0}",
        '  ocean proximity: {type: string, presence: 0.98, values: ["<1H OCEAN", INLAND, "no"]}',
        "  rooms: {type: int, presence: 1.0, min: 0, max: 10}",
        "  ok: {type: bool, presence: 1.0, values: [true, false]}",
    ]


def test_defaults_and_lines() -> None:
    schema, lines = read_schema_lines(
        "features:\n  a: {type: int}\n  b:\n    type: string\n    values: [no, 12:30]\n"
    )
    assert schema["a"] == Feature("a", "int") and schema["b"].values == ("no", "12:30")
    assert lines == {"a": 2, "b": 3}


WRONG = {
    "": (0, "no features"),
    "features: {}": (1, "no features"),
    "[a]": (1, "no features"),
    "features:\n  a: {type: int}\n  a: {type: int}": (3, "second time"),
    "features:\n  a: {type: integer}": (2, "use one of int, float, string, bool"),
    "features:\n  a: {presence: 1}": (2, "no type"),
    "features:\n  a: int": (2, "mapping"),
    "features:\n  a: {type: int, presense: 1}": (2, "did you mean 'presence'"),
    "featured: 1\nfeatures:\n  a: {type: int}": (1, "did you mean 'features'"),
    "features:\n  a: {type: int, presence: 98}": (2, "from 0 to 1"),
    "features:\n  a: {type: int, presence: all}": (2, "number"),
    "features:\n  a: {type: int, min: 2, max: 1}": (2, "above its max"),
    "features:\n  a: {type: string, min: 2}": (2, "has no min"),
    "features:\n  a: {type: float, values: [1]}": (2, "use min and max"),
    "features:\n  a: {type: string, values: [x, 1]}": (2, 'quote it: "1"'),
    "features:\n  a:\n    type: string\n    values:\n      - x\n      - x": (6, "twice"),
    "features:\n  a: {type: bool, values: [maybe]}": (2, "not of type bool"),
    "features:\n  a: {type: int, values: x}": (2, "list"),
    "features:\n  '': {type: int}": (2, "no name"),
    "features:\n  a: {type: int, max: 9223372036854775808}": (2, "no int64"),
    "features:\n  a: {type: int, min: 0.5}": (2, "no int64"),
    "features:\n  a: {type: int, value_count: {min: 2}}": (2, "one value a row"),
    "features:\n  a: {type: ints, value_count: {min: 2, max: 1}}": (2, "above its max"),
    "features:\n  a: {type: float, drift: {infinity_norm: 0.1}}": (2, "use jensen_shannon_divergence"),
    "features:\n  a: {type: int, drift: {infinite_norm: 0.1}}": (2, "did you mean 'infinity_norm'"),
    "features:\n  a: {type: int, skew: {infinity_norm: 7}}": (2, "not from 0 to 1"),
    "domains: {seas: [x]}\nfeatures:\n  a: {type: string, domain: sea}": (3, "did you mean 'seas'"),
    "domains: {seas: [x, x]}\nfeatures:\n  a: {type: string}": (1, "twice"),
    "features:\n  a: {type: int, not_in_environment: [B]}": (2, "none of the default"),
    "default_environments: [A]\nfeatures:\n  a: {type: int, not_in_environment: [A], in_environment: [A]}": (
        3,
        "both in and not in",
    ),
    "features:\n  a: {type: int, lifecycle: old}": (2, "unknown lifecycle"),
}


@pytest.mark.parametrize("text", WRONG)
def test_problems_have_lines_and_remedies(text: str) -> None:
    line, part = WRONG[text]
    with pytest.raises(SchemaError) as caught:
        read_schema(text, "s.yaml")
    problem = caught.value.problems[0]
    assert part in str(caught.value) and str(caught.value).startswith("s.yaml: ")
    assert problem.line == line or (line == 0 and problem.line == 1)


def test_all_problems_are_reported_at_once() -> None:
    text = "features:\n  a: {type: integer}\n  b: {type: float, presence: 3}\n  c: {type: int, mni: 3}\n"
    with pytest.raises(SchemaError) as caught:
        read_schema(text)
    assert [p.line for p in caught.value.problems] == [2, 3, 4]
