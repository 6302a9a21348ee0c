"""The grammar of `features` and `label`: from what a person writes to frozen specs, or to problems.

    features:
      longitude: z_score                                       # a transform's name
      age: {clip: [0, 10]}                                     # its first argument
      rooms: {vocabulary: {top_k: 100, oov_buckets: 2}}        # its arguments by name
      bedrooms: [{impute: median}, log1p, z_score]             # a chain of any of these
      bucket: {from: income, apply: {bucketize: [1.5, 3]}}     # from a column of another name
      place: {from: [longitude, latitude], apply: min_max}     # or from several, side by side
      grid: {from: [longitude, latitude], apply: [{bucketize: 20}, {cross: 400}]}        # or joined into one
      sea: {from: {age: {bucketize: [10, 30]}, ocean: identity}, apply: {cross: 50}}     # each in its own way
    label: {price: z_score}                                    # or a column alone

Light: neither NumPy nor the data is needed, so everything here is checked before anything runs.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, cast

import msgspec

from ...pipelines.errors import Problem
from ..transforms import TRANSFORMS, Identity, Kind, Transform, coerced

RAW: dict[str, Kind] = {
    "float": "float", "int": "int", "bool": "int", "string": "string", "timestamp": "time",
    "strings": "strings", "ints": "ints", "floats": "floats",
}  # fmt: skip
"""Column type → kind at the start of a chain."""
LABEL_TRANSFORMS = tuple(name for name, cls in TRANSFORMS.items() if cls.label)


@dataclass(frozen=True)
class FeatureSpec:
    """One output feature.

    Attributes:
        name: its name.
        columns: the raw columns that it is made from; each goes through its chain, and the outputs lie
            side by side, or are joined.
        chains: for each column the transforms in order.
        joined: the transform that makes one column of them, and those behind it; empty if nothing joins.
    """

    name: str
    columns: tuple[str, ...]
    chains: tuple[tuple[Transform, ...], ...]
    joined: tuple[Transform, ...] = ()


@dataclass(frozen=True)
class LabelSpec:
    """The label: a column, and the transforms that make it; none leaves the choice to the rule."""

    column: str
    chain: tuple[Transform, ...] = ()


def parse_features(told: Mapping[str, Any]) -> tuple[list[FeatureSpec], list[Problem]]:
    """The specs that could be read, and everything that is wrong with the others."""
    specs: list[FeatureSpec] = []
    problems: list[Problem] = []
    if not told:
        remedy = "name at least one, or auto"
        problems.append(Problem("there are no features", argument="features", remedy=remedy))
    for name, value in told.items():
        where = f"features.{name}"
        if not isinstance(name, str) or not name:
            problems.append(Problem(f"a feature's name has to be a string, not {name!r}", argument=where))
            continue
        source, applied, wrong = _columns(name, value, where)
        chain, more = _chain(applied, where) if not wrong else ((), [])
        own = {
            column: _chain(told, where) if told is not None else ((), []) for column, told in source.items()
        }
        found = [*wrong, *more, *(problem for _, each in own.values() for problem in each)]
        place = next((i for i, transform in enumerate(chain) if transform.joins), len(chain))
        chains = tuple((*before, *chain[:place]) for before, _ in own.values())
        found += _join_problems(chains, chain[place:], where) if not found else []
        problems += found
        if not found:
            specs.append(FeatureSpec(name, tuple(source), chains, chain[place:]))
    return specs, problems


def parse_label(told: Any) -> tuple[LabelSpec | None, list[Problem]]:
    """The label's spec, None if it can't be read."""
    if isinstance(told, str) and told:
        return LabelSpec(told), []
    if not isinstance(told, Mapping) or len(told) != 1 or not isinstance(next(iter(told)), str):
        return None, [
            Problem(
                f"the label has to be a column, or {{column: transform}}, not {told!r}",
                argument="label",
                remedy="for example label: price, or label: {price: z_score}",
            )
        ]
    column, applied = next(iter(told.items()))
    chain, problems = _chain(applied, f"label.{column}")
    several = bool(chain) and chain[-1].label == "multi"
    for transform in chain:
        early = transform.label == "multi" and transform is not chain[-1]
        if early or not (transform.label or several):
            problems.append(
                Problem(
                    f"{transform.name} can't make a label",
                    argument=f"label.{column}",
                    available=LABEL_TRANSFORMS,
                    remedy="use a transform that predictions can be brought back through",
                )
            )
    if len(chain) > 1 and any(t.label == "class" for t in chain):
        problems.append(Problem("vocabulary has to stand alone in a label", argument=f"label.{column}"))
    return (None if problems else LabelSpec(column, chain)), problems


def check_specs(
    specs: Sequence[FeatureSpec],
    label: LabelSpec | None,
    types: Mapping[str, str] | None,
    names: Sequence[str] | None,
) -> list[Problem]:
    """What is wrong with specs beside a table.

    Args:
        specs: the features.
        label: the label, if it could be read.
        types: column → type, where it is known.
        names: the columns, where they are known.
    """
    problems: list[Problem] = []
    if label is not None and names is not None and label.column not in names:
        problems.append(_no_column(label.column, names, "label"))
    elif label is not None:
        kind = (types or {}).get(label.column)
        problems += _check_chain(label.chain, label.column, kind, f"label.{label.column}")
    for spec in specs:
        where = f"features.{spec.name}"
        if label is not None and label.column in (spec.name, *spec.columns):
            what = "is made from the label" if label.column in spec.columns else "has the label's name"
            problems.append(
                Problem(f"the feature {spec.name!r} {what}", argument=where, remedy="remove or rename it")
            )
        for column, chain in zip(spec.columns, spec.chains, strict=True):
            if names is not None and column not in names:
                problems.append(_no_column(column, names, where))
                continue
            kind = (types or {}).get(column)
            whole = (*chain, *spec.joined)
            wrong = _check_chain(whole, column, kind, where)
            problems += wrong or _check_end(whole, kind, where)
    return problems


def weight_problems(
    weight: str | None, types: Mapping[str, str], label: LabelSpec | None, names: Sequence[str] | None = None
) -> list[Problem]:
    """What is wrong with a column of row weights."""
    if not weight:
        return []
    if label is not None and weight == label.column:
        return [Problem(f"{weight!r} is the label, and can't be the row weight too", argument="weight")]
    if names is None:
        names = tuple(types) or None
    if names is not None and weight not in names:
        return [_no_column(weight, names, "weight")]
    if types.get(weight, "float") not in ("float", "int", "bool"):
        remedy = "give a column of numbers, 0 or more"
        return [
            Problem(f"the weight {weight!r} is of type {types[weight]}", argument="weight", remedy=remedy)
        ]
    return []


def possible_kinds(kind: str | None) -> set[Kind]:
    """The kinds that a column of this type, or of one not known, may have at the start of a chain."""
    return {RAW[kind]} if kind else set(RAW.values())


def _no_column(column: str, names: Sequence[str], where: str) -> Problem:
    return Problem(f"there is no column {column!r}", argument=where, given=column, available=tuple(names))


def _walk(chain: Sequence[Transform], kinds: set[Kind]) -> tuple[set[Kind], str]:
    """The kinds that may come out of a chain; and what is wrong, if nothing can go through."""
    before = ""
    for transform in chain:
        read = {k for k in (coerced(kind, transform.takes) for kind in kinds) if k}
        if not read:
            given = f"{before} gives" if before else "the column is"
            return set(), f"{transform.name} takes {_takes(transform)}, but {given} {_enumerate(kinds)}"
        fitting = {k for k in read if not transform.problem(k)}
        if not fitting:
            return set(), f"{transform.name}: {transform.problem(min(read))}"
        kinds = {transform.gives(k) for k in fitting}
        before = transform.name
    return kinds, ""


def _check_chain(chain: Sequence[Transform], column: str, kind: str | None, where: str) -> list[Problem]:
    _, wrong = _walk(chain, possible_kinds(kind))
    if not wrong:
        return []
    text = f"column {column!r}: {wrong}"
    if kind == "float" and "takes strings" in wrong:
        return [Problem(text, argument=where, remedy="put bucketize before it")]
    if kind == "string" and "takes points in time" in wrong:
        remedy = f"have it read as one: types: {{{column}: timestamp}}, or timestamp:%d/%m/%Y for other texts"
        return [Problem(text, argument=where, remedy=remedy)]
    if kind == "string" and "takes numbers" in wrong:
        return [Problem(text, argument=where, remedy="use one_hot, vocabulary or hash for strings")]
    return [Problem(text, argument=where)]


def _check_end(chain: Sequence[Transform], kind: str | None, where: str) -> list[Problem]:
    kinds, _ = _walk(chain, possible_kinds(kind))
    for kind, (what, remedy) in _NO_END.items():
        if kinds == {kind}:
            return [
                Problem(
                    f"the feature ends as {what}, which a model can't read", argument=where, remedy=remedy
                )
            ]
    return []


_NO_END = {
    "string": ("a string", "add one_hot, vocabulary or hash at the end"),
    "time": ("a point in time", "add date_parts or cyclic at the end"),
    "strings": ("lists of strings", "add multi_hot or bag, or vocabulary and pad, at the end"),
    "ints": ("lists of numbers", "add multi_hot or bag, or vocabulary and pad, at the end"),
    "floats": ("lists of numbers", "lists of floats have no transform yet: make a column of each place"),
    "id_lists": ("lists of ids", "add {pad: length} at the end"),
}
"""Kinds that no feature can end as: what they are, and the remedy."""


def _join_problems(
    chains: Sequence[Sequence[Transform]], joined: Sequence[Transform], where: str
) -> list[Problem]:
    """What is wrong with joining columns, or with not joining them."""
    if any(transform.joins for chain in chains for transform in chain):
        return [Problem("a transform that joins columns stands under apply, not under from", argument=where)]
    if joined and len(chains) < 2:
        remedy = f"for example from: [a, b], apply: {{{joined[0].name}: …}}; hash takes one column"
        return [Problem(f"{joined[0].name} needs two columns or more", argument=where, remedy=remedy)]
    if any(transform.joins for transform in joined[1:]):
        return [Problem(f"{joined[0].name} stands twice in a chain", argument=where)]
    return []


def _takes(transform: Transform) -> str:
    words = {
        "float": "numbers", "string": "strings and whole numbers", "ids": "ids", "one_hot": "",
        "time": "points in time", "strings": "lists of strings", "ints": "lists of whole numbers",
        "id_lists": "lists of ids", "sequence": "sequences of ids",
    }  # fmt: skip
    kinds = [k for k in transform.takes if not (k == "int" and "float" in transform.takes)]
    return " or ".join(words[k] for k in kinds if words.get(k))


def _enumerate(kinds: set[Kind]) -> str:
    words = {
        "float": "a float", "int": "an int", "string": "a string", "ids": "ids", "one_hot": "one-hots",
        "time": "a point in time", "strings": "lists of strings", "ints": "lists of whole numbers",
        "floats": "lists of numbers", "id_lists": "lists of ids", "sequence": "sequences of ids",
        "vector": "several numbers a row",
    }  # fmt: skip
    return " or ".join(words[k] for k in sorted(kinds))


def _columns(name: str, value: Any, where: str) -> tuple[dict[str, Any], Any, list[Problem]]:
    """Splits `{from, apply}`; gives the columns, each with its chain or None, what is applied, problems."""
    if not isinstance(value, Mapping) or not ("from" in value or "apply" in value):
        return {name: None}, value, []
    unknown = [key for key in value if key not in ("from", "apply")]
    if unknown:
        given = str(unknown[0])
        text = f"there is no {given!r} beside from and apply"
        return {}, None, [Problem(text, argument=where, given=given, available=("from", "apply"))]
    if "apply" not in value:
        remedy = "say what is done, for example apply: identity"
        return {}, None, [Problem("apply is missing", argument=where, remedy=remedy)]
    source = value.get("from", name)
    columns = (source,) if isinstance(source, str) else source
    if (
        not isinstance(columns, (list, tuple, Mapping))
        or not columns
        or not all(isinstance(c, str) and c for c in columns)
    ):
        text = f"from has to be a column, a list of columns, or a chain for each column, not {source!r}"
        return {}, None, [Problem(text, argument=where)]
    twice = sorted({column for column in columns if list(columns).count(column) > 1})
    if twice:
        remedy = "name each column once; a column crossed with itself says no more than the column alone"
        return {}, None, [Problem(f"from names {', '.join(twice)} twice", argument=where, remedy=remedy)]
    own = (
        {c: None if told == Identity.name else told for c, told in columns.items()}
        if isinstance(columns, Mapping)
        else dict.fromkeys(columns)
    )
    return own, value["apply"], []


def _chain(applied: Any, where: str) -> tuple[tuple[Transform, ...], list[Problem]]:
    links = applied if isinstance(applied, (list, tuple)) else [applied]
    if not links:
        return (), [
            Problem("the chain is empty", argument=where, remedy="write identity to leave it as it is")
        ]
    chain: list[Transform] = []
    problems: list[Problem] = []
    for link in links:
        transform, wrong = _transform(link, where)
        problems += wrong
        if transform is not None:
            chain.append(transform)
    return tuple(chain), problems


def _transform(link: Any, where: str) -> tuple[Transform | None, list[Problem]]:
    names = tuple(TRANSFORMS)
    if isinstance(link, Mapping) and len(link) == 1:
        name, given = next(iter(link.items()))
    elif isinstance(link, Mapping):
        listed = ", ".join(map(str, link))
        text = f"a transform is one name with its arguments, and here are {len(link)}: {listed}"
        remedy = "for a chain write a list: [{impute: median}, z_score]"
        return None, [Problem(text, argument=where, remedy=remedy)]
    else:
        name, given = link, None
    if not isinstance(name, str) or name not in TRANSFORMS:
        return None, [
            Problem(f"there is no transform {name!r}", argument=where, given=str(name), available=names)
        ]
    cls = TRANSFORMS[name]
    arguments, problems = _arguments(cls, given, where)
    if problems:
        return None, problems
    transform = cls(**arguments)
    wrong = transform.problem(None)
    return transform, [Problem(f"{name}: {wrong}", argument=where)] if wrong else []


def _arguments(cls: type[Transform], given: Any, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The arguments by name, converted, or what is wrong with them."""
    accepted = tuple(field.name for field in fields(cls))
    named, problem = _named(cls, given, accepted)
    if problem:
        return {}, [problem.at(argument=where)]
    hints = _hints(cast(Any, cls))
    problems: list[Problem] = []
    converted: dict[str, Any] = {}
    for key, value in named.items():
        if key not in accepted:
            text = f"{cls.name} has no argument {key!r}"
            problems.append(Problem(text, argument=where, given=str(key), available=accepted))
            continue
        try:
            converted[key] = msgspec.convert(value, hints[key])
        except msgspec.ValidationError as error:
            problems.append(Problem(f"{cls.name}.{key} is {value!r}: {error}", argument=where))
    for field in fields(cls):
        if field.default is MISSING and field.name not in named:
            text = f"{cls.name} needs the argument {field.name!r}"
            problems.append(Problem(text, argument=where, available=accepted, remedy=_usage(cls)))
    return converted, problems


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of the arguments, which a wide table asks for thousands of times."""
    return typing.get_type_hints(cls, include_extras=True)


def _named(
    cls: type[Transform], given: Any, accepted: tuple[str, ...]
) -> tuple[dict[str, Any], Problem | None]:
    if given is None:
        return {}, None
    if isinstance(given, Mapping):
        return cast("dict[str, Any]", dict(given)), None
    if not cls.first:
        text = f"{cls.name} takes no argument, and {given!r} was given"
        return {}, Problem(text, remedy=f"write {cls.name} alone")
    if len(cls.first) == 1:
        return {cls.first[0]: given}, None
    if isinstance(given, (list, tuple)) and len(given) == len(cls.first):
        return dict(zip(cls.first, given, strict=True)), None
    return {}, Problem(f"{cls.name} takes [{', '.join(cls.first)}], not {given!r}", available=accepted)


def _usage(cls: type[Transform]) -> str:
    if not cls.first:
        return ""
    values = cls.first[0] if len(cls.first) == 1 else f"[{', '.join(cls.first)}]"
    return f"write {{{cls.name}: {values}}}"
