"""A schema as `schema.pbtxt`: tensorflow-metadata's `schema_pb2.Schema` as text, which TFDV reads and writes.

| here | there |
|---|---|
| int, float, string | INT, FLOAT, BYTES |
| bool | INT or BYTES with a bool_domain (written as INT) |
| timestamp | INT or BYTES with a time_domain (written as INT in microseconds) |
| image | BYTES with an image_domain |
| ints, floats, strings | the same types with a value_count, or a shape, that allows more than one |
| values, domain | string_domain of the feature, domain by name (or a bool_domain of other words) |
| min, max | int_domain, float_domain; the latter holds float32 |
| presence, min_count | presence.min_fraction, presence.min_count |
| drift, skew | drift_comparator, skew_comparator |
| lifecycle | lifecycle_stage; `deprecated` is read too |

What the message knows and a Schema doesn't stays in the message: `write_pbtxt` takes the message that was
read and changes only what differs, so that an unchanged schema gives an equal message. Values of an int
column have no place in the message.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from .schema import INTEGERS, MULTI, Comparator, Domain, Feature, FeatureType, Schema
from .schema_problem import SchemaError, SchemaProblem

_PLURAL: dict[str, FeatureType] = {"string": "strings", "int": "ints", "float": "floats"}
_TYPES = {
    "int": "INT", "ints": "INT", "bool": "INT", "timestamp": "INT", "float": "FLOAT", "floats": "FLOAT",
    "string": "BYTES", "strings": "BYTES", "image": "BYTES",
}  # fmt: skip
_OWN = (
    "name", "type", "presence", "value_count", "domain", "int_domain", "float_domain", "string_domain",
    "bool_domain", "time_domain", "image_domain", "distribution_constraints", "skew_comparator",
    "drift_comparator", "in_environment", "not_in_environment", "lifecycle_stage", "deprecated",
)  # fmt: skip
_KNOWN: dict[str, tuple[str, ...]] = {
    "Schema": ("feature", "string_domain", "default_environment"),
    "Feature": _OWN,
    "StringDomain": ("name", "value"),
    "IntDomain": ("name", "min", "max"),
    "FloatDomain": ("name", "min", "max"),
    "ImageDomain": (),
    "FeatureComparator": ("infinity_norm", "jensen_shannon_divergence"),
}
_WORDS = ("", "true")


@dataclass(frozen=True)
class Imported:
    """What a `schema.pbtxt` says.

    Attributes:
        schema: as far as a Schema can say it.
        message: all of it, a `schema_pb2.Schema`.
        warnings: a sentence for everything that `schema` doesn't hold.
    """

    schema: Schema
    message: Any
    warnings: tuple[str, ...]


def read_pbtxt(text: str, name: str = "") -> Imported:
    """Reads the text of a `schema_pb2.Schema`.

    Args:
        text: protobuf's text format.
        name: what errors call it, usually the file.

    Raises:
        SchemaError: it can't be parsed, or says what can't be; with lines.
    """
    message, warnings = _parse(text, name)
    return from_message(message, name, text, warnings)


def from_message(message: Any, name: str = "", text: str = "", warnings: Iterable[str] = ()) -> Imported:
    """Reads a `schema_pb2.Schema`; `text` is what it was parsed from, for lines in errors."""
    reader = _Reader(text)
    schema = reader.schema(message)
    if not reader.problems and not schema.features:
        reader.problems.append(SchemaProblem("the schema has no features"))
    if reader.problems:
        raise SchemaError(reader.problems, name)
    told = [*warnings, *reader.warnings]
    kept = sorted(dict.fromkeys(_unknown(message)))
    if kept:
        more = f" and {len(kept) - 20} more" if len(kept) > 20 else ""
        told.append(f"kept for export and not used: {', '.join(kept[:20])}{more}")
    return Imported(schema, message, tuple(told))


def write_pbtxt(schema: Schema, base: Any = None) -> str:
    """The schema as text; see `to_message`."""
    return str(text_format.MessageToString(to_message(schema, base), as_utf8=True))


def to_message(schema: Schema, base: Any = None) -> Any:
    """The schema as a `schema_pb2.Schema`.

    Args:
        schema: the schema.
        base: the message that it was read from, if any: what a Schema can't say is taken from there.
    """
    message = schema_pb2.Schema()
    if base is None:
        before = Schema(())
    else:
        before = _Reader("").schema(base)
        message.CopyFrom(base)
        if before == schema:
            return message
    messages = {} if base is None else {feature.name: feature for feature in base.feature}
    del message.feature[:]
    for feature in schema:
        own = message.feature.add()
        if feature.name in messages:
            own.CopyFrom(messages[feature.name])
        if feature.name not in before or before[feature.name] != feature:
            _write_feature(own, feature)
    # What a Schema can't hold at all, such as a STRUCT, comes last.
    foreign = [one for one in messages.values() if one.name not in before and one.name not in schema]
    message.feature.extend(foreign)
    _write_domains(message, schema)
    message.default_environment[:] = schema.default_environments
    return message


def _write_domains(message: Any, schema: Schema) -> None:
    known = {domain.name: domain for domain in message.string_domain}
    found = []
    for domain in schema.domains:
        own = schema_pb2.StringDomain()
        if domain.name in known:
            own.CopyFrom(known[domain.name])
        if tuple(dict.fromkeys(own.value)) != domain.values:
            own.value[:] = domain.values
        own.name = domain.name
        found.append(own)
    del message.string_domain[:]
    message.string_domain.extend(found)


def _write_feature(own: Any, feature: Feature) -> None:
    images = schema_pb2.ImageDomain()
    images.CopyFrom(own.image_domain)
    for field in _OWN:
        own.ClearField(field)
    if feature.value_count is not None or feature.type in MULTI:
        own.ClearField("shape")
    own.name, own.type = feature.name, schema_pb2.FeatureType.Value(_TYPES[feature.type])
    if feature.presence:
        own.presence.min_fraction = feature.presence
    if feature.min_count:
        own.presence.min_count = feature.min_count
    _write_value_count(own, feature)
    _write_domain(own, feature, images)
    if feature.min_domain_mass != 1:
        own.distribution_constraints.min_domain_mass = feature.min_domain_mass
    for key in ("drift", "skew"):
        _write_comparator(own, f"{key}_comparator", getattr(feature, key))
    own.in_environment[:] = feature.in_environment
    own.not_in_environment[:] = feature.not_in_environment
    if feature.lifecycle:
        own.lifecycle_stage = schema_pb2.LifecycleStage.Value(feature.lifecycle.upper())


def _write_value_count(own: Any, feature: Feature) -> None:
    if feature.value_count is None:
        if feature.type in MULTI:  # without it the message would say one value a row
            own.value_count.min = 0
        return
    least, most = feature.value_count
    own.value_count.min = least
    if most is not None:
        own.value_count.max = most


def _write_domain(own: Any, feature: Feature, images: Any) -> None:
    """Writes the domain; `images` is the message's own image_domain, perhaps with more than we know."""
    if feature.domain:
        own.domain = feature.domain
    elif feature.type == "bool":
        own.bool_domain.SetInParent()
    elif feature.type == "image":
        own.image_domain.CopyFrom(images)
    elif feature.type == "timestamp":
        own.time_domain.integer_format = schema_pb2.TimeDomain.UNIX_MICROSECONDS
    elif feature.type in ("string", "strings") and feature.values is not None:
        own.string_domain.name = feature.name
        own.string_domain.value[:] = feature.values
    for bound in ("min", "max"):
        value = getattr(feature, bound)
        if value is None:
            continue
        if feature.type in INTEGERS:
            setattr(own.int_domain, bound, int(value))
        elif abs(value) <= 3.4028234e38:
            setattr(own.float_domain, bound, value)


def _write_comparator(own: Any, field: str, comparator: Comparator | None) -> None:
    for key, bound in vars(comparator or Comparator()).items():
        if bound is not None:
            getattr(getattr(own, field), key).threshold = bound


class _Reader:
    """From the message to a Schema; collects problems, and warnings of what is left out."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[SchemaProblem] = []
        self.warnings: list[str] = []
        self.domains: dict[str, Domain] = {}
        self.numbers: dict[str, Any] = {}

    def complain(
        self, what: str, named: str, remedy: str = "", available: Any = (), occurrence: int = 0
    ) -> None:
        line = _line_of(self.text, named, occurrence)
        self.problems.append(SchemaProblem(what, line, named if available else "", tuple(available), remedy))

    def schema(self, message: Any) -> Schema:
        for domain in message.string_domain:
            if domain.name in self.domains:
                self.complain(f"the domain {domain.name!r} is there twice", domain.name, occurrence=1)
            self.domains[domain.name] = Domain(domain.name, self.listed(domain, f"domain {domain.name!r}"))
        for domain in (*message.int_domain, *message.float_domain):
            self.numbers[domain.name] = domain
        seen: dict[str, Feature | None] = {}
        for feature in message.feature:
            if feature.name in seen:
                self.complain(
                    f"the feature {feature.name!r} is there twice", feature.name, "remove one", occurrence=1
                )
                continue
            seen[feature.name] = self.feature(feature)
        features = tuple(feature for feature in seen.values() if feature is not None)
        return Schema(features, tuple(self.domains.values()), tuple(message.default_environment))

    def listed(self, domain: Any, owner: str) -> tuple[str, ...]:
        values = tuple(dict.fromkeys(domain.value))
        if len(values) < len(domain.value):
            self.warnings.append(f"the {owner} has values twice; each counts once")
        return values

    def feature(self, own: Any) -> Feature | None:
        kind = self.kind(own)
        if not own.name:
            self.complain("a feature has no name", "")
        if kind is None:
            return None
        low, high = self.bounds(own, kind)
        values, domain = self.values(own, kind)
        inside, outside = tuple(own.in_environment), tuple(own.not_in_environment)
        for name in sorted(set(inside) & set(outside)):
            self.complain(f"{own.name!r} is both in and not in the environment {name!r}", own.name)
        stage = schema_pb2.LifecycleStage.Name(own.lifecycle_stage).lower()
        lifecycle = "deprecated" if own.deprecated and stage == "unknown_stage" else stage
        mass = own.distribution_constraints
        return Feature(
            own.name, kind, own.presence.min_fraction, values, low, high, own.presence.min_count, domain,
            mass.min_domain_mass if mass.HasField("min_domain_mass") else 1.0, self.value_count(own, kind),
            self.comparator(own, "drift_comparator", kind), self.comparator(own, "skew_comparator", kind),
            inside, outside, "" if lifecycle == "unknown_stage" else lifecycle,
        )  # fmt: skip

    def kind(self, own: Any) -> FeatureType | None:
        stated = schema_pb2.FeatureType.Name(own.type)
        info = own.WhichOneof("domain_info")
        if stated == "STRUCT":
            self.warnings.append(f"{own.name!r} is a STRUCT, which is left out here and kept for export")
            return None
        if info == "time_domain":
            return "timestamp"
        if info == "image_domain":
            if not _several(own):
                return "image"
            self.warnings.append(f"{own.name!r} has several images a row: left out here and kept for export")
            return None
        if info == "bool_domain" and (stated != "BYTES" or own.bool_domain.true_value.lower() in _WORDS):
            return "bool"
        by_domain = {"int_domain": "int", "float_domain": "float"}.get(info or "", "string")
        kind = {"INT": "int", "FLOAT": "float", "BYTES": "string"}.get(stated, by_domain)
        if stated == "TYPE_UNKNOWN":
            self.warnings.append(f"{own.name!r} has no type, and is taken for {kind}")
        return _PLURAL[kind] if _several(own) else cast(FeatureType, kind)

    def value_count(self, own: Any, kind: FeatureType) -> tuple[int, int | None] | None:
        shape = own.WhichOneof("shape_type")
        if shape == "value_count":
            count = own.value_count
            least, most = count.min, count.max if count.HasField("max") else None
            if most is not None and least > most:
                self.complain(f"value_count of {own.name!r}: min {least} is above max {most}", own.name)
            return (least, most) if kind in MULTI or most == 1 else None
        size = _size(own)
        return (size, size) if kind in MULTI and size is not None else None

    def comparator(self, own: Any, field: str, kind: FeatureType) -> Comparator | None:
        found = getattr(own, field)
        bounds = {
            key: getattr(found, key).threshold
            for key in ("infinity_norm", "jensen_shannon_divergence")
            if found.HasField(key) and getattr(found, key).HasField("threshold")
        }
        if bounds and kind == "image":
            self.warnings.append(f"the {field} of {own.name!r} is kept for export: images aren't compared")
            return None
        return Comparator(**bounds) if bounds else None

    def bounds(self, own: Any, kind: FeatureType) -> tuple[float | None, float | None]:
        info = own.WhichOneof("domain_info")
        found = self.numbers.get(own.domain) if info == "domain" else None
        if info in ("int_domain", "float_domain"):
            found = getattr(own, info)
        if found is None or _TYPES[kind] not in ("INT", "FLOAT") or kind in ("bool", "timestamp"):
            return None, None
        low, high = (_bound(found, bound, kind) for bound in ("min", "max"))
        if low is not None and high is not None and low > high:
            self.complain(f"the min of {own.name!r}, {low}, is above its max, {high}", own.name)
        return low, high

    def values(self, own: Any, kind: FeatureType) -> tuple[tuple[str, ...] | None, str]:
        info = own.WhichOneof("domain_info")
        if kind not in ("string", "strings"):
            return (("true", "false") if kind == "bool" else None), ""
        if info == "string_domain":
            return self.listed(own.string_domain, f"domain of {own.name!r}") or None, ""
        if info == "bool_domain":
            words = (own.bool_domain.true_value, own.bool_domain.false_value)
            return tuple(dict.fromkeys(word for word in words if word)), ""
        if info == "domain" and own.domain in self.domains:
            return self.domains[own.domain].values, own.domain
        if info == "domain" and own.domain not in self.numbers:
            what = f"{own.name!r} has the domain {own.domain!r}, which is not there"
            self.problems.append(
                SchemaProblem(
                    what, _line_of(self.text, own.domain, field="domain"), own.domain, tuple(self.domains)
                )
            )
        return None, ""


def _several(own: Any) -> bool:
    shape = own.WhichOneof("shape_type")
    if shape == "value_count":
        return not own.value_count.HasField("max") or own.value_count.max > 1
    size = _size(own)
    return shape == "value_counts" or (shape == "shape" and size != 1)


def _size(own: Any) -> int | None:
    """How many values a shape has; None if that varies or there is none."""
    if own.WhichOneof("shape_type") != "shape":
        return None
    sizes = [dim.size for dim in own.shape.dim]
    return math.prod(sizes) if all(size > 0 for size in sizes) else None


def _bound(domain: Any, bound: str, kind: FeatureType) -> float | None:
    if not domain.HasField(bound):
        return None
    value = getattr(domain, bound)
    if kind in INTEGERS:
        return int(value) if math.isfinite(value) else None
    return shortest(value) if isinstance(value, float) else float(value)


def shortest(value: float) -> float:
    """The number of fewest decimal digits that float32 can't tell from `value`: 0.1 for 0.10000000149."""
    if not math.isfinite(value):
        return value
    exact = struct.pack("f", value)
    for digits in range(6, 10):
        near = float(f"{value:.{digits}g}")
        if abs(near) <= 3.4028234e38 and struct.pack("f", near) == exact:
            return near
    return value


def _unknown(message: Any, path: str = "") -> Iterator[str]:
    """The fields that are set and that a Schema doesn't hold, as `city.float_domain.disallow_nan`."""
    known = _KNOWN.get(message.DESCRIPTOR.name)
    for field, value in message.ListFields():
        if field.name == "shape" and _size(message) == 1:
            continue
        used = path == "" and field.name in ("int_domain", "float_domain")
        if known is not None and field.name not in known and not used:
            yield f"{path}{field.name}"
        elif field.message_type is not None:
            several = getattr(field, "is_repeated", None)
            several = field.label == 3 if several is None else several
            for one in value if several else [value]:
                own = f"{one.name}." if field.name == "feature" else f"{path}{field.name}."
                yield from _unknown(one, own)


_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*(?=\s*[:{<])""")


def _parse(text: str, name: str) -> tuple[Any, list[str]]:
    try:
        return text_format.Parse(text, schema_pb2.Schema()), []
    except text_format.ParseError as error:
        first = error
    fields = _all_fields()
    foreign: dict[str, int] = {}
    for match in _TOKEN.finditer(text):
        if match[0][0] not in "#\"'" and match[0] not in fields:
            foreign.setdefault(match[0], text.count("\n", 0, match.start()) + 1)
    try:
        message = text_format.Parse(text, schema_pb2.Schema(), allow_unknown_field=True)
    except text_format.ParseError as error:
        raise SchemaError([_parse_problem(error)], name) from None
    shown = ", ".join(f"{field} (line {line})" for field, line in foreign.items())
    if not shown or not message.feature:
        raise SchemaError([_parse_problem(first)], name) from None
    return message, [f"left out, since tensorflow-metadata's schema.proto has no such field: {shown}"]


def _parse_problem(error: Any) -> SchemaProblem:
    what = re.sub(r"^\d+:\d+ : ", "", str(error))
    remedy = "it has to be protobuf's text format of a tensorflow.metadata.v0.Schema, as TFDV writes it"
    return SchemaProblem(f"can't be parsed: {what}", error.GetLine() or 0, remedy=remedy)


def _all_fields() -> set[str]:
    found: set[str] = set()

    def add(descriptor: Any) -> None:
        found.update(field.name for field in descriptor.fields)
        for nested in descriptor.nested_types:
            add(nested)

    for descriptor in schema_pb2.DESCRIPTOR.message_types_by_name.values():
        add(descriptor)
    return found


def _line_of(text: str, named: str, occurrence: int = 0, field: str = "name") -> int:
    """The line of the n-th `name: "…"`; 0 if it isn't found."""
    pattern = rf"""\b{field}\s*:\s*["']{re.escape(named)}["']"""
    found = list(re.finditer(pattern, text))
    return text.count("\n", 0, found[occurrence].start()) + 1 if occurrence < len(found) else 0
