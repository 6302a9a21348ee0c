"""A schema as YAML that a person reads and edits.

It looks like this, with one line a column:

    features:
      longitude: {type: float, presence: 1.0}
      ocean_proximity: {type: string, presence: 0.98, values: [INLAND, NEAR OCEAN, "no"]}
      rooms: {type: int, presence: 1.0, min: 0}
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from .schema import Feature, FeatureType, Schema
from .yaml12 import Path, YamlError, dump, load_with_lines

TYPES: tuple[str, ...] = get_args(FeatureType)
FIELDS = ("type", "presence", "values", "min", "max")

_HEADER = """\
# The columns that the data has to have. To use an edited copy, give infer_schema its path as schema_file.
#   type      int, float, string or bool
#   presence  the least share of rows, from 0 to 1, in which a value has to be there
#   values    the domain of a column with few distinct values, in the order of descending count
#   min, max  the range of a numeric column, both inclusive
"""


@dataclass(frozen=True)
class SchemaProblem:
    """One thing that is wrong with a schema; the fields are those of `headrace.pipelines.errors.Problem`."""

    what: str
    line: int = 0
    given: str = ""
    available: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        text = f"line {self.line}: {self.what}" if self.line else self.what
        near = difflib.get_close_matches(self.given, self.available, n=1, cutoff=0.5)
        if near:
            text += f"; did you mean {near[0]!r}?"
        return text + (f"\n    remedy: {self.remedy}" if self.remedy else "")


class SchemaError(ValueError):
    """A text that is no schema. `problems` holds everything that is wrong, with lines; `name` is the file."""

    def __init__(self, problems: list[SchemaProblem], name: str = "") -> None:
        self.problems = tuple(problems)
        self.name = name
        super().__init__("\n".join(f"{name}: {problem}" if name else str(problem) for problem in problems))


def read_schema(text: str, name: str = "") -> Schema:
    """The schema of a YAML text.

    Args:
        text: as in the module's text; `presence` is 1.0 where it is left out.
        name: what errors call it, usually the file.

    Raises:
        SchemaError: with every problem that was found.
    """
    return read_schema_lines(text, name)[0]


def read_schema_lines(text: str, name: str = "") -> tuple[Schema, dict[str, int]]:
    """Like `read_schema`, with the line of each feature, from 1."""
    try:
        value, lines = load_with_lines(text, name)
    except YamlError as error:
        raise SchemaError([SchemaProblem(error.what, error.line, remedy=error.remedy)], name) from None
    reader = _Reader(lines)
    schema = reader.schema(value)
    if reader.problems:
        raise SchemaError(sorted(reader.problems, key=lambda p: p.line), name)
    return schema, {feature: lines["features", feature] for feature in schema.names}


def write_schema(schema: Schema) -> str:
    """YAML text, which `read_schema` reads back; equal for equal schemas."""
    return _HEADER + dump({"features": {feature.name: _fields(feature) for feature in schema}})


def _fields(feature: Feature) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": feature.type, "presence": float(feature.presence)}
    if feature.values is not None:
        fields["values"] = [_from_text(value, feature.type) for value in feature.values]
    for bound in ("min", "max"):
        value = getattr(feature, bound)
        if value is not None:
            fields[bound] = int(value) if feature.type == "int" and value == int(value) else value
    return fields


def _from_text(value: str, kind: FeatureType) -> Any:
    if kind == "int":
        return int(value)
    return value == "true" if kind == "bool" else value


class _Reader:
    """Reads everything it can and collects what is wrong."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self.lines = lines
        self.problems: list[SchemaProblem] = []

    def complain(self, what: str, path: Path, remedy: str = "", given: str = "", available: Any = ()) -> None:
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 0)
        self.problems.append(SchemaProblem(what, line, given, tuple(available), remedy))

    def schema(self, value: Any) -> Schema:
        if (
            not isinstance(value, dict)
            or not isinstance(value.get("features"), dict)
            or not value["features"]
        ):
            self.complain(
                "the schema has no features",
                ("features",),
                "begin with 'features:' and one line a column, such as '  rooms: {type: int}'",
            )
            return Schema(())
        for key in value:
            if key != "features":
                self.complain(f"the schema has an unknown field {key!r}", (key,), "", key, ["features"])
        features = value["features"]
        return Schema(tuple(self.feature(name, fields) for name, fields in features.items()))

    def feature(self, name: str, fields: Any) -> Feature:
        path: Path = ("features", name)
        if not name:
            self.complain("a feature has no name", path)
        if not isinstance(fields, dict):
            self.complain(f"{name!r} has to be a mapping", path, "write it as {type: float}")
            return Feature(name, "string")
        for key in fields:
            if key not in FIELDS:
                self.complain(f"{name!r} has an unknown field {key!r}", (*path, key), "", key, FIELDS)
        kind = fields.get("type")
        if kind not in TYPES:
            what = f"{name!r} has the unknown type {kind!r}" if "type" in fields else f"{name!r} has no type"
            self.complain(what, (*path, "type"), f"use one of {', '.join(TYPES)}", str(kind), TYPES)
            return Feature(name, "string")
        presence = self.number(fields.get("presence", 1.0), (*path, "presence"))
        if presence is not None and not 0 <= presence <= 1:
            self.complain(
                f"the presence of {name!r} is {presence}, not a share from 0 to 1", (*path, "presence")
            )
        low, high = self.bounds(name, kind, fields, path)
        return Feature(
            name, kind, 1.0 if presence is None else presence, self.values(kind, fields, path), low, high
        )

    def bounds(self, name: str, kind: str, fields: Any, path: Path) -> tuple[float | None, float | None]:
        found = []
        for bound in ("min", "max"):
            value = fields.get(bound)
            if value is not None and kind not in ("int", "float"):
                self.complain(
                    f"{name!r} is of type {kind} and has no {bound}", (*path, bound), f"remove {bound}"
                )
            found.append(None if value is None else self.number(value, (*path, bound)))
        low, high = found
        if low is not None and high is not None and low > high:
            self.complain(f"the min of {name!r}, {low}, is above its max, {high}", (*path, "min"))
        return low, high

    def values(self, kind: str, fields: Any, path: Path) -> tuple[str, ...] | None:
        given = fields.get("values")
        here: Path = (*path, "values")
        if given is None:
            return None
        if kind == "float":
            self.complain(f"{path[1]!r} is of type float and has no values", here, "use min and max")
            return None
        if not isinstance(given, list) or not given:
            self.complain(f"the values of {path[1]!r} have to be a list", here, "write them as [a, b]")
            return None
        texts: dict[str, int] = {}
        for position, value in enumerate(given):
            place: Path = (*here, position)
            if (text := self.text(value, kind, place)) in texts:
                self.complain(f"the value {text!r} is there twice", place, "remove one of the two")
            texts[text] = position
        return tuple(texts)

    def text(self, value: Any, kind: str, place: Path) -> str:
        """A value of a domain as a string, or a complaint."""
        expected = {"int": int, "bool": bool, "string": str}[kind]
        if type(value) is not expected:
            remedy = f'quote it: "{value}"' if kind == "string" and not isinstance(value, list | dict) else ""
            self.complain(f"the value {value!r} is not of type {kind}", place, remedy)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def number(self, value: Any, path: Path) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            self.complain(f"{path[-1]} of {path[1]!r} has to be a number, not {value!r}", path)
            return None
        return value
