"""From what a pass found to anomalies, by the schema and the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...schemas.anomalies import Action, Anomaly, Kind, Offence, Policy, Severity, action
from ...schemas.drift import (
    BINS,
    common_counts,
    divergence_of_counts,
    divergence_of_numbers,
    infinity_norm,
)
from ...schemas.numeric_counts import NumericCounts
from ...schemas.schema import UNCHECKED, Comparator, Feature, Schema
from ...schemas.string_counts import StringCounts
from .examine import Examined, Finding
from .offences import fits

_SHOWN = 3


@dataclass(frozen=True)
class Sides:
    """Two splits that are compared.

    Attributes:
        base, other: what the passes over them found.
        first, second: what messages call them, and the names of the splits.
    """

    base: Examined
    other: Examined
    first: tuple[str, str]
    second: tuple[str, str]

    def texts(self, name: str) -> tuple[StringCounts, StringCounts] | None:
        """Counts of a column's values on both sides, if they were counted."""
        p, q = self.base.texts.get((self.first[1], name)), self.other.texts.get((self.second[1], name))
        return None if p is None or q is None else (p, q)

    def numbers(self, name: str) -> tuple[NumericCounts, NumericCounts] | None:
        """The same as numbers."""
        p, q = self.base.numbers.get((self.first[1], name)), self.other.numbers.get((self.second[1], name))
        return None if p is None or q is None else (p, q)


@dataclass(frozen=True)
class Judge:
    """Judges examples by a schema.

    Attributes:
        schema, environment, policy: see the component `validate_examples`.
        types: the columns' types.
    """

    schema: Schema
    environment: str | None
    policy: Policy
    types: Mapping[str, str]

    def checked(self) -> list[Feature]:
        """The features that are looked at: those that are there, and that live."""
        return [f for f in self.schema if f.name in self.types and f.lifecycle not in UNCHECKED]

    def columns(self) -> Iterator[Anomaly]:
        """Columns that aren't there, or that the schema doesn't know."""
        for feature in self.schema:
            expected = self.schema.expects(feature, self.environment) and feature.presence > 0
            if feature.name in self.types or not expected or feature.lifecycle in UNCHECKED:
                continue
            new = [name for name in self.types if name not in self.schema]
            maybe = f" (new are {', '.join(map(repr, new[:_SHOWN]))})" if new else ""
            yield self._anomaly(
                feature.name, "missing_column", f"the column {feature.name!r} is not there{maybe}",
                "add it to the data; or, if it isn't to be there, remove it from the schema, or give it "
                "presence: 0 or not_in_environment", share=1.0,
            )  # fmt: skip
        for name in self.types:
            if name not in self.schema:
                what = f"the column {name!r} is not in the schema"
                kind = self.types[name]
                remedy = f"add it to the schema, {name}: {{type: {kind}}}, or leave it out of the data"
                yield self._anomaly(name, "new_column", what, remedy, share=1.0)

    def rows(self, found: Examined) -> Iterator[Anomaly]:
        """Types, missing values, domains, ranges and numbers of values."""
        rows = sum(found.rows.values())
        for feature in self.checked():
            missing = sum(self._count(found, split, feature.name, "too_many_missing") for split in found.rows)
            # A column without a value has no type of its own.
            if not fits(self.types[feature.name], feature) and missing < rows:
                yield self._type(feature, self._merged(found, feature.name, "type_changed"), rows)
                continue
            if not self.schema.expects(feature, self.environment):
                continue
            yield from self._presence(feature, found, rows - missing)
            filled = max(rows - missing, 1)
            for kind in ("unexpected_value", "out_of_range", "value_count"):
                finding = self._merged(found, feature.name, kind)
                allowed = 1 - feature.min_domain_mass if kind == "unexpected_value" else 0.0
                if finding.count and finding.count / filled > allowed + 1e-12:
                    yield self._values(feature, kind, finding, rows)

    def _count(self, found: Examined, split: str, name: str, kind: str) -> int:
        finding = found.findings.get((split, name, kind))
        return finding.count if finding else 0

    def _merged(self, found: Examined, name: str, kind: str) -> Finding:
        """A finding over all splits."""
        merged = Finding()
        for split in found.rows:
            one = found.findings.get((split, name, kind))
            if one is not None:
                shown = [(o.value, o.file, o.line, o.row) for o in one.examples.values()]
                merged.add({"count": one.count, "distinct": one.distinct, "examples": shown})
        return merged

    def _type(self, feature: Feature, finding: Finding, rows: int) -> Anomaly:
        found, name = self.types[feature.name], feature.name
        what = f"{name} is {found} in the data and {feature.type} in the schema"
        if finding.examples:
            what += f": {_listed(finding)}"
        remedy = (
            f"mend the values, or have the column read as {feature.type} (types: {{{name}: "
            f"{feature.type}}}), or write type: {found} in the schema"
        )
        return self._anomaly(name, "type_changed", what, remedy, finding, rows)

    def _presence(self, feature: Feature, found: Examined, filled: int) -> Iterator[Anomaly]:
        name = feature.name
        for split, rows in found.rows.items():
            count = self._count(found, split, name, "too_many_missing")
            if rows and (rows - count) / rows < feature.presence:
                what = (
                    f"{name}: {_rows(count)} ({_share(count, rows)}) of the split {split!r} have no value, "
                    f"and the schema wants one in {feature.presence:.4g} of the rows"
                )
                remedy = f"fill them, or lower the presence of {name} in the schema, or {self._hint(name)}"
                yield self._anomaly(name, "too_many_missing", what, remedy, Finding(count), rows, split=split)
        if filled < feature.min_count:
            what = (
                f"{name}: {_rows(filled)} have a value, and the schema's min_count is {feature.min_count:,}"
            )
            yield self._anomaly(
                name, "too_few_values", what, "give more data, or lower min_count", Finding(filled)
            )

    def _values(self, feature: Feature, kind: Kind, finding: Finding, rows: int) -> Anomaly:
        name, some = feature.name, f"{_rows(finding.count)} ({_share(finding.count, rows)})"
        many = f"{finding.distinct}{'' if finding.distinct < 10 else ' or more'}"
        values = "1 value" if finding.distinct == 1 else f"{many} values"
        if kind == "unexpected_value":
            what = f"{name}: {some} hold {values} that the schema's domain doesn't have: {_listed(finding)}"
            where = f"domain {feature.domain}" if feature.domain else f"values of {name}"
            remedy = f"add them to the {where} in the schema"
        elif kind == "out_of_range":
            what = f"{name}: {some} lie outside {_range(feature)}: {_listed(finding)}"
            remedy = f"mend them, or widen the range of {name} in the schema"
        else:
            least, most = feature.value_count or (0, None)
            what = f"{name}: {some} hold less than {least} or more than {most} values: {_listed(finding)}"
            remedy = f"mend them, or change value_count of {name} in the schema"
        return self._anomaly(name, kind, what, f"{remedy}, or {self._hint(name)}", finding, rows)

    def _hint(self, name: str) -> str:
        return f"set policy: {{{name}: drop}} to leave the rows out"

    def distances(self, kind: Kind, default: float | None, sides: Sides) -> Iterator[Anomaly]:
        """Columns whose distributions are farther apart than they may be.

        Args:
            kind: drift or skew.
            default: the bound for columns to which the schema gives none.
            sides: what is compared.
        """
        for feature in self.checked():
            if not fits(self.types[feature.name], feature):
                continue
            bounds = bounds_of(feature, kind, default)
            for found in (
                _norm(feature.name, bounds.infinity_norm, sides),
                _divergence(feature.name, bounds.jensen_shannon_divergence, sides),
            ):
                if found is not None:
                    far, what = found
                    remedy = (
                        "look into what changed; if it is meant to be, raise the bound "
                        f"({kind} of {feature.name} in the schema)"
                    )
                    yield self._anomaly(feature.name, kind, what, remedy, share=far, split=sides.second[1])

    def _anomaly(
        self, name: str, kind: Kind, what: str, remedy: str, finding: Finding | None = None, rows: int = 0,
        share: float = 0.0, split: str = "",
    ) -> Anomaly:  # fmt: skip
        finding = finding or Finding()
        done: Action = action(self.policy, name, kind)
        share = finding.count / rows if rows else share
        examples: tuple[Offence, ...] = tuple(finding.examples.values())
        severity: Severity = "error" if done == "fail" else "warning"
        text = f"{what}; {remedy}"
        return Anomaly(name, kind, severity, text, finding.count, share, examples, split, done == "drop")


def _norm(name: str, bound: float | None, sides: Sides) -> tuple[float, str] | None:
    """The L-infinity distance and a sentence, where it is above the bound."""
    counts = sides.texts(name)
    if bound is None or counts is None:
        return None
    p, q = common_counts(*counts)
    n, m = (side.count for side in counts)
    far, value = infinity_norm(p, q, n, m)
    one, two = sides.first[0], sides.second[0]
    at = f"{_share(p.get(value, 0), n)} in {one}, {_share(q.get(value, 0), m)} in {two}"
    where = f" (at {value!r}: {at})"
    return _far(name, f"L-infinity distance{_sampled(*counts)}", far, bound, sides, where)


def _divergence(name: str, bound: float | None, sides: Sides) -> tuple[float, str] | None:
    """The Jensen-Shannon divergence and a sentence, where it is above the bound."""
    numbers, texts = sides.numbers(name), sides.texts(name)
    if bound is None or (numbers is None and texts is None):
        return None
    if numbers is not None:
        far, how = divergence_of_numbers(*numbers), f" in {BINS} bins"
    else:
        assert texts is not None
        far, how = divergence_of_counts(*common_counts(*texts)), _sampled(*texts)
    return _far(name, f"Jensen-Shannon divergence{how}", far, bound, sides, "")


def _far(
    name: str, measure: str, far: float, bound: float, sides: Sides, where: str
) -> tuple[float, str] | None:
    if far <= bound:
        return None
    between = f"between {sides.first[0]} and {sides.second[0]}"
    return far, f"{name}: the {measure} {between} is {far:.4g}, above {bound:g}{where}"


def bounds_of(feature: Feature, kind: str, default: float | None) -> Comparator:
    """The feature's bounds of drift or skew; without any, the default one on what suits its type."""
    if feature.type == "image":
        return (
            Comparator()
        )  # its values have no distribution; height, width and label are columns of their own
    own: Comparator | None = getattr(feature, kind)
    if own is not None or default is None:
        return own or Comparator()
    few = feature.values is not None or feature.type == "bool"
    if feature.type in ("string", "strings") and not few:
        return Comparator()  # free text and identifiers differ by nature
    return Comparator(infinity_norm=default) if few else Comparator(jensen_shannon_divergence=default)


def compared(
    features: Sequence[Feature], types: Mapping[str, str], defaults: Mapping[str, float | None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns whose values have to be counted one by one, and those as numbers."""
    texts, numbers = [], []
    for feature in features:
        bounds = [bounds_of(feature, kind, default) for kind, default in defaults.items()]
        kind = types[feature.name]
        textual = kind in ("string", "strings", "bool")
        if kind == "image":
            continue
        norm = any(b.infinity_norm is not None for b in bounds)
        divergence = any(b.jensen_shannon_divergence is not None for b in bounds)
        if norm or (divergence and textual):
            texts.append(feature.name)
        if divergence and not textual:
            numbers.append(feature.name)
    return tuple(texts), tuple(numbers)


def _listed(finding: Finding) -> str:
    examples = list(finding.examples.values())
    more = " …" if len(examples) > _SHOWN or finding.distinct > len(examples) else ""
    return ", ".join(map(str, examples[:_SHOWN])) + more


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _share(count: int, rows: int) -> str:
    return f"{100 * count / max(rows, 1):.3g} %"


def _sampled(*sides: StringCounts) -> str:
    return "" if all(side.exact for side in sides) else " over a sample of the values"


def _range(feature: Feature) -> str:
    low = "-∞" if feature.min is None else f"{feature.min:g}" if abs(feature.min) < 1e6 else f"{feature.min}"
    high = "∞" if feature.max is None else f"{feature.max:g}" if abs(feature.max) < 1e6 else f"{feature.max}"
    return f"{low} to {high}"
