"""TFDV's `schema.pbtxt`, both ways."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from headrace.schemas.schema import Comparator, Domain, Feature, Schema
from headrace.schemas.schema_file import SchemaError, read_schema, write_schema
from headrace.schemas.schema_pbtxt import read_pbtxt, to_message, write_pbtxt

KNOWN = """
feature {
  name: "city" type: BYTES
  presence { min_fraction: 0.9 min_count: 10 }
  domain: "cities"
  distribution_constraints { min_domain_mass: 0.99 }
  drift_comparator { infinity_norm { threshold: 0.01 } }
  skew_comparator { jensen_shannon_divergence { threshold: 0.2 } }
}
feature { name: "sea" type: BYTES presence { min_fraction: 1 }
  string_domain { name: "sea" value: "a" value: "b" } }
feature { name: "age" type: INT int_domain { min: 0 max: 9007199254740993 } }
feature { name: "rate" type: FLOAT float_domain { min: 0.1 max: 1 } }
feature { name: "tags" type: BYTES value_count { min: 0 max: 5 } }
feature { name: "seen" type: INT time_domain { integer_format: UNIX_MICROSECONDS } }
feature { name: "ok" type: INT bool_domain { } }
feature { name: "old" type: FLOAT lifecycle_stage: DEPRECATED }
feature { name: "price" type: FLOAT presence { min_fraction: 1 } not_in_environment: "SERVING" }
string_domain { name: "cities" value: "Gent" value: "Köln" }
default_environment: "TRAINING"
default_environment: "SERVING"
"""
FOREIGN = """
feature { name: "city" shape { dim { size: 1 } } annotation { tag: "pii" }
  unique_constraints { min: 2 } type: BYTES }
feature { name: "rate" type: FLOAT float_domain { min: 0 disallow_nan: true } }
feature { name: "yes" type: BYTES bool_domain { true_value: "yes" false_value: "no" } }
feature { name: "page" type: BYTES url_domain { } deprecated: true }
feature { name: "inner" type: STRUCT struct_domain { feature { name: "x" type: INT } } }
feature { name: "day" type: BYTES time_domain { string_format: "%Y-%m-%d" } }
weighted_feature { name: "w" feature { step: "city" } }
"""


def parse(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


def test_what_both_know_is_exported_to_an_equal_message_through_yaml_alone() -> None:
    imported = read_pbtxt(KNOWN)
    assert imported.warnings == ()
    schema = read_schema(write_schema(imported.schema))
    assert schema == imported.schema
    assert to_message(schema) == parse(KNOWN)
    assert schema["city"] == Feature(
        "city", "string", 0.9, ("Gent", "Köln"), None, None, 10, "cities", 0.99, None,
        Comparator(infinity_norm=0.01), Comparator(jensen_shannon_divergence=0.2),
    )  # fmt: skip
    assert schema["age"].max == 2**53 + 1 and schema["rate"].min == 0.1
    assert schema["tags"].type == "strings" and schema["tags"].value_count == (0, 5)
    assert [schema[name].type for name in ("seen", "ok")] == ["timestamp", "bool"]
    assert schema.domains == (Domain("cities", ("Gent", "Köln")),)
    assert [f.name for f in schema if not schema.expects(f, "SERVING")] == ["price"]
    assert all(schema.expects(f, "TRAINING") for f in schema)


def test_fields_that_a_schema_does_not_hold_are_named_and_kept() -> None:
    imported = read_pbtxt(FOREIGN)
    assert to_message(imported.schema, imported.message) == parse(FOREIGN)
    told = "\n".join(imported.warnings)
    for part in (
        "'inner' is a STRUCT", "city.annotation", "city.unique_constraints", "rate.float_domain.disallow_nan",
        "page.url_domain", "weighted_feature",
    ):  # fmt: skip
        assert part in told
    assert "shape" not in told
    assert imported.schema["yes"] == Feature("yes", "string", 0.0, ("yes", "no"))
    assert imported.schema["page"].lifecycle == "deprecated"


def test_an_edit_changes_only_what_was_edited() -> None:
    imported = read_pbtxt(FOREIGN)
    before = {f.name: f for f in imported.schema}
    edited = {**before, "rate": Feature("rate", "float", 0.0, min=0, max=2.0)}
    message = to_message(Schema(tuple(edited.values())), imported.message)
    expected = parse(FOREIGN)
    expected.feature[1].ClearField("float_domain")
    expected.feature[1].float_domain.min, expected.feature[1].float_domain.max = 0, 2
    assert sorted(message.feature, key=lambda f: f.name) == sorted(expected.feature, key=lambda f: f.name)
    assert message.weighted_feature == expected.weighted_feature


def test_fields_that_the_proto_does_not_have_are_named_with_their_lines() -> None:
    imported = read_pbtxt('feature {\n  name: "a # b" type: INT\n  shiny: 3\n}\n# new: 1\nmagic { x: 1 }\n')
    assert imported.schema.names == ("a # b",)
    (warning,) = imported.warnings
    assert "shiny (line 3), magic (line 6)" in warning and "new" not in warning


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('feature {\n  name: "a\n}', 2, "can't be parsed"),
        ('feature {\n  name: "a"\n  type: INT\n', 3, "can't be parsed"),
        ("features: {a: {type: int}}", 1, "can't be parsed"),
        ('feature {\n  name: "a"\n  type: INT int_domain { max: 9223372036854775808 } }', 3, "out of range"),
        ('feature { name: "a" type: INT }\nfeature { name: "a" type: INT }', 2, "there twice"),
        ('\nfeature { name: "a" type: INT int_domain { min: 3 max: 2 } }', 2, "above its max"),
        ('feature { name: "a" value_count { min: 3 max: 2 } type: INT }', 1, "above max"),
        ('feature { name: "a"\n type: BYTES domain: "x" }', 2, "'x', which is not there"),
        ('feature { name: "a" type: INT in_environment: "S" not_in_environment: "S" }', 1, "both in and not"),
        ('string_domain { name: "d" }\nstring_domain { name: "d" }\nfeature { name: "a" }', 2, "twice"),
        ("", 0, "no features"),
    ],
)
def test_what_can_not_be_is_refused_with_its_line(text: str, line: int, part: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read_pbtxt(text, "s.pbtxt")
    problem = caught.value.problems[0]
    assert part.lower() in problem.what.lower()
    assert problem.line == line


def test_a_domain_with_a_value_twice_is_read_and_kept() -> None:
    text = 'feature { name: "a" type: BYTES string_domain { value: "x" value: "x" value: "y" } }'
    imported = read_pbtxt(text)
    assert imported.schema["a"].values == ("x", "y") and "twice" in imported.warnings[0]
    assert to_message(imported.schema, imported.message) == parse(text)


def test_five_thousand_columns() -> None:
    text = "".join(f'feature {{ name: "c{i}" type: INT int_domain {{ min: {i} }} }}\n' for i in range(5000))
    imported = read_pbtxt(text)
    assert len(imported.schema.features) == 5000
    assert parse(write_pbtxt(imported.schema)) == parse(text)
    assert read_schema(write_schema(imported.schema)) == imported.schema
