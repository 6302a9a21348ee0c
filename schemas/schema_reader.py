"""Reads a schema from YAML values, strictly: all that is wrong is collected, with lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from .schema import (
    CATEGORICAL,
    INTEGERS,
    LIFECYCLES,
    MULTI,
    NUMBERS,
    Comparator,
    Domain,
    Feature,
    FeatureType,
    Schema,
)
from .schema_problem import SchemaProblem
from .yaml12 import Path

TYPES: tuple[str, ...] = get_args(FeatureType)
TOP = ("features", "domains", "default_environments")
FIELDS = (
    "type", "presence", "values", "min", "max", "min_count", "domain", "min_domain_mass", "value_count",
    "drift", "skew", "in_environment", "not_in_environment", "lifecycle",
)  # fmt: skip
DISTANCES = ("infinity_norm", "jensen_shannon_divergence")
_CLASSES = {"int": int, "ints": int, "bool": bool, "string": str, "strings": str}
_LARGEST = 2**63


class Reader:
    """Reads everything it can and collects what is wrong in `problems`."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self.lines = lines
        self.problems: list[SchemaProblem] = []
        self.domains: dict[str, Domain] = {}
        self.environments: tuple[str, ...] = ()

    def complain(self, what: str, path: Path, remedy: str = "", given: str = "", available: Any = ()) -> None:
        """Adds a problem at the line of the nearest place that has one."""
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 0)
        self.problems.append(SchemaProblem(what, line, given, tuple(available), remedy))

    def schema(self, value: Any) -> Schema:
        """The whole document."""
        features = value.get("features") if isinstance(value, dict) else None
        if not isinstance(features, dict) or not features:
            remedy = "begin with 'features:' and one line a column, such as '  rooms: {type: int}'"
            self.complain("the schema has no features", ("features",), remedy)
            return Schema(())
        for key in value:
            if key not in TOP:
                self.complain(f"the schema has an unknown field {key!r}", (key,), "", key, TOP)
        self.environments = self.names(value.get("default_environments"), ("default_environments",))
        self.read_domains(value.get("domains"))
        read = tuple(self.feature(name, fields) for name, fields in features.items())
        return Schema(read, tuple(self.domains.values()), self.environments)

    def read_domains(self, value: Any) -> None:
        """The shared domains."""
        if value is None:
            return
        if not isinstance(value, dict):
            self.complain("domains have to be a mapping", ("domains",), "write 'domains: {name: [a, b]}'")
            return
        for name, given in value.items():
            path: Path = ("domains", name)
            if not name:
                self.complain("a domain has no name", path)
            self.domains[name] = Domain(
                name, self.listed("string", given, path, f"the domain {name!r}") or ()
            )

    def feature(self, name: str, fields: Any) -> Feature:
        """One column; a stand-in where it can't be read."""
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
        low, high = self.bounds(name, kind, fields, path)
        values, domain = self.values(kind, fields, path)
        inside, outside = self.feature_environments(fields, path)
        return Feature(
            name, kind, self.share(fields, "presence", path), values, low, high,
            self.count(fields.get("min_count", 0), (*path, "min_count")), domain,
            self.share(fields, "min_domain_mass", path), self.value_count(kind, fields, path),
            self.comparator(kind, fields.get("drift"), (*path, "drift")),
            self.comparator(kind, fields.get("skew"), (*path, "skew")),
            inside, outside, self.lifecycle(fields, path),
        )  # fmt: skip

    def share(self, fields: Any, key: str, path: Path) -> float:
        """A number from 0 to 1, which is 1 where it is left out."""
        found = self.number(fields.get(key, 1.0), (*path, key))
        if found is not None and not 0 <= found <= 1:
            self.complain(f"the {key} of {path[1]!r} is {found}, not a share from 0 to 1", (*path, key))
        return 1.0 if found is None else found

    def count(self, value: Any, path: Path) -> int:
        """A whole number from 0 on."""
        if type(value) is not int or not 0 <= value < _LARGEST:
            what = f"{path[-1]} of {path[1]!r} has to be a whole number from 0 on, not {value!r}"
            self.complain(what, path)
            return 0
        return value

    def value_count(self, kind: str, fields: Any, path: Path) -> tuple[int, int | None] | None:
        """How many values a row may have."""
        given, here = fields.get("value_count"), (*path, "value_count")
        if given is None:
            return None
        if not isinstance(given, dict) or not given or set(given) - {"min", "max"}:
            self.complain(f"value_count of {path[1]!r} has to be {{min: n, max: n}}", here)
            return None
        least = self.count(given.get("min", 0), (*here, "min"))
        most = None if given.get("max") is None else self.count(given["max"], (*here, "max"))
        if most is not None and least > most:
            self.complain(f"the value_count of {path[1]!r} has its min, {least}, above its max, {most}", here)
        if kind not in MULTI and (least > 1 or most != 1):
            what = f"{path[1]!r} is of type {kind} and has one value a row"
            self.complain(what, here, f"use one of {', '.join(MULTI)}, or remove value_count")
        return least, most

    def comparator(self, kind: str, given: Any, path: Path) -> Comparator | None:
        """The bounds of a distance."""
        if given is None:
            return None
        if not isinstance(given, dict) or not given:
            self.complain(f"{path[-1]} of {path[1]!r} has to be a mapping", path, "{infinity_norm: 0.1}")
            return None
        bounds: dict[str, float | None] = {}
        if kind == "image":
            self.complain(
                f"{path[1]!r} is of type image, which has no {path[-1]}", path, f"remove {path[-1]}"
            )
        for key, value in given.items():
            here = (*path, key)
            if key not in DISTANCES:
                self.complain(f"{path[-1]} has no distance {key!r}", here, "", key, DISTANCES)
                continue
            bounds[key] = self.number(value, here)
            if bounds[key] is not None and not 0 <= (bounds[key] or 0) <= 1:
                self.complain(f"the {key} of {path[1]!r} is {value}, not from 0 to 1", here)
            if key == "infinity_norm" and kind not in (*CATEGORICAL, "image"):
                what = f"{path[1]!r} is of type {kind}, whose values are not counted one by one"
                self.complain(what, here, "use jensen_shannon_divergence")
        return Comparator(**bounds)

    def feature_environments(self, fields: Any, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Where a column is expected beside the defaults, and where not."""
        inside = self.names(fields.get("in_environment"), (*path, "in_environment"))
        outside = self.names(fields.get("not_in_environment"), (*path, "not_in_environment"))
        here = (*path, "not_in_environment")
        for name in outside:
            if name in inside:
                self.complain(f"{path[1]!r} is both in and not in the environment {name!r}", here)
            elif name not in self.environments:
                what = f"{path[1]!r} leaves the environment {name!r}, which is none of the default ones"
                remedy = f"add it: default_environments: [{', '.join((*self.environments, name))}]"
                self.complain(what, here, remedy, name, self.environments)
        return inside, outside

    def lifecycle(self, fields: Any, path: Path) -> str:
        """The stage of life, or ""."""
        given = fields.get("lifecycle", "")
        if given and given not in LIFECYCLES:
            what = f"{path[1]!r} has the unknown lifecycle {given!r}"
            self.complain(what, (*path, "lifecycle"), "", str(given), LIFECYCLES)
            return ""
        return str(given or "")

    def names(self, given: Any, path: Path) -> tuple[str, ...]:
        """A list of names, none twice."""
        if given is None:
            return ()
        if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
            self.complain(f"{path[-1]} has to be a list of names", path, "write it as [TRAINING, SERVING]")
            return ()
        if len(set(given)) < len(given):
            self.complain(f"{path[-1]} has a name twice", path)
        return tuple(given)

    def bounds(self, name: str, kind: str, fields: Any, path: Path) -> tuple[float | None, float | None]:
        """min and max."""
        found = []
        for bound in ("min", "max"):
            value, here = fields.get(bound), (*path, bound)
            if value is not None and kind not in NUMBERS:
                self.complain(f"{name!r} is of type {kind} and has no {bound}", here, f"remove {bound}")
            number = None if value is None else self.number(value, here)
            if number is not None and kind in INTEGERS and not self.whole(number):
                self.complain(f"{bound} of {name!r} is no int64: {value}", here, "write a whole number")
            found.append(number)
        low, high = found
        if low is not None and high is not None and low > high:
            self.complain(f"the min of {name!r}, {low}, is above its max, {high}", (*path, "min"))
        return low, high

    def whole(self, number: float) -> bool:
        """Whether a number is an int64."""
        # The infinities fail the first comparison.
        return -_LARGEST <= number < _LARGEST and number == int(number)

    def values(self, kind: str, fields: Any, path: Path) -> tuple[tuple[str, ...] | None, str]:
        """The domain, and the name of the shared one that it is."""
        domain = fields.get("domain")
        if domain is None:
            return self.listed(kind, fields.get("values"), (*path, "values"), f"{path[1]!r}"), ""
        here: Path = (*path, "domain")
        if fields.get("values") is not None:
            self.complain(f"{path[1]!r} has both values and a domain", here, "remove one of the two")
        if kind not in ("string", "strings"):
            self.complain(f"{path[1]!r} is of type {kind}, and domains hold strings", here, "use values")
        elif domain not in self.domains:
            what = f"{path[1]!r} has the domain {domain!r}, which is not among the schema's domains"
            remedy = f"add it: domains: {{{domain}: [a, b]}}"
            self.complain(what, here, remedy, str(domain), self.domains)
        else:
            return self.domains[domain].values, domain
        return None, ""

    def listed(self, kind: str, given: Any, here: Path, owner: str) -> tuple[str, ...] | None:
        """A list of values, none twice, as strings."""
        if given is None:
            return None
        if kind not in _CLASSES:
            remedy = "use min and max" if kind in NUMBERS else "remove values"
            self.complain(f"{owner} is of type {kind} and has no values", here, remedy)
            return None
        if not isinstance(given, list) or not given:
            self.complain(f"the values of {owner} have to be a list", here, "write them as [a, b]")
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
        if type(value) is not _CLASSES[kind]:
            string = _CLASSES[kind] is str and not isinstance(value, list | dict)
            self.complain(
                f"the value {value!r} is not of type {kind}", place, f'quote it: "{value}"' if string else ""
            )
        elif isinstance(value, int) and kind in INTEGERS and not self.whole(value):
            self.complain(f"the value {value} is no int64", place)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def number(self, value: Any, path: Path) -> float | None:
        """A number as it is, or a complaint."""
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            self.complain(f"{path[-1]} of {path[1]!r} has to be a number, not {value!r}", path)
            return None
        return value
