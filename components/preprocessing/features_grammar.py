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
    label: {price: z_score, sold: vocabulary}                  # several, each an output of the model
    label: [sold, {price: z_score}]                            # or a list, in which each may stand alone

Light: neither NumPy nor the data is needed, so everything here is checked before anything runs.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, cast

import msgspec

from ...pipelines.errors import HeadraceError, InvalidRequestError, Problem
from ..transforms import TRANSFORMS, Identity, Kind, TargetMean, Transform, coerced
from ..transforms.own import contract_problem, entry_points, find_own, one_way, path_of

RAW: dict[str, Kind] = {
    "float": "float", "int": "int", "bool": "int", "string": "string", "timestamp": "time",
    "strings": "strings", "ints": "ints", "floats": "floats",
}  # fmt: skip
"""Column type → kind at the start of a chain."""
KEY_TYPES = ("string", "int", "bool")
"""The types of columns that constants may be by."""
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
    """A label: a column, and the transforms that make it; none leaves the choice to the rule."""

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


def parse_labels(told: Any) -> tuple[tuple[LabelSpec, ...], list[Problem]]:
    """The specs of the labels that could be read, in order, and everything that is wrong with the others."""
    each = told if isinstance(told, (list, tuple)) else [told]
    found: list[tuple[str, Any]] = []
    for one in each:
        if isinstance(one, str) and one:
            found.append((one, None))
        elif isinstance(one, Mapping) and one and all(isinstance(name, str) and name for name in one):
            found += one.items()
        else:
            return (), [_no_label(told)]
    if not found:
        return (), [_no_label(told)]
    columns = [column for column, _ in found]
    problems = [
        Problem(f"the label {column!r} is listed twice", argument="label", remedy="leave one of them out")
        for column in dict.fromkeys(columns)
        if columns.count(column) > 1
    ]
    specs: list[LabelSpec] = []
    # A column alone leaves the choice to the rule; `{column: null}` says nothing that could be meant.
    for column, applied in [] if problems else found:
        alone = column in each
        chain, wrong = ((), []) if alone else _label_chain(column, applied)
        problems += wrong
        specs += [] if wrong else [LabelSpec(column, chain)]
    return tuple(specs), problems


def _no_label(told: Any) -> Problem:
    return Problem(
        f"the label has to be a column, or {{column: transform}} for each, not {told!r}",
        argument="label",
        remedy="for example label: price, or label: {price: z_score}",
    )


def _label_chain(column: str, applied: Any) -> tuple[tuple[Transform, ...], list[Problem]]:
    """The transforms that make a label, and what is wrong with them."""
    if applied is None:
        remedy = f"name one, or write the label in a list: [{column}, …]"
        return (), [Problem("there is no transform", argument=f"label.{column}", remedy=remedy)]
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
    for transform in chain:
        if transform.label == "value" and one_way(type(transform)):
            text = f"{transform.name} has an apply and no inverse of its own, and a label is made by it"
            remedy = "write def inverse(self, xp, column, constants), which brings predictions back"
            problems.append(Problem(text, argument=f"label.{column}", remedy=remedy))
        if transform.key:
            text = f"{transform.name} by {transform.key} can't make a label: a prediction has no key"
            problems.append(Problem(text, argument=f"label.{column}", remedy="leave by out"))
    if len(chain) > 1 and any(t.label == "class" for t in chain):
        problems.append(Problem("vocabulary has to stand alone in a label", argument=f"label.{column}"))
    return chain, problems


def label_kind(spec: LabelSpec, kind: str | None) -> str:
    """What a label becomes, as far as it can be told without the data: `value`, `class`, `multi`, or "".

    Args:
        spec: the label.
        kind: its column's type, None if it isn't known.
    """
    if spec.chain:
        return spec.chain[-1].label or "value"
    return {"string": "class", "bool": "class", "float": "value"}.get(kind or "", "")


def check_specs(
    specs: Sequence[FeatureSpec],
    labels: Sequence[LabelSpec],
    types: Mapping[str, str] | None,
    names: Sequence[str] | None,
) -> list[Problem]:
    """What is wrong with specs beside a table.

    Args:
        specs: the features.
        labels: those that could be read.
        types: column → type, where it is known.
        names: the columns, where they are known.
    """
    problems: list[Problem] = []
    for label in labels:
        if names is not None and label.column not in names:
            problems.append(_no_column(label.column, names, "label"))
            continue
        kind = (types or {}).get(label.column)
        problems += _check_chain(label.chain, label.column, kind, f"label.{label.column}")
    targets = [label.column for label in labels]
    for spec in specs:
        where = f"features.{spec.name}"
        leak = next((name for name in (*spec.columns, spec.name) if name in targets), "")
        if leak:
            which = f"the label {leak!r}" if len(targets) > 1 else "the label"
            what = f"is made from {which}" if leak in spec.columns else f"has the name of {which}"
            problems.append(
                Problem(f"the feature {spec.name!r} {what}", argument=where, remedy="remove or rename it")
            )
        for column, chain in zip(spec.columns, spec.chains, strict=True):
            if names is not None and column not in names:
                problems.append(_no_column(column, names, where))
                continue
            kind = (types or {}).get(column)
            problems += _key_problems(chain, types or {}, names, targets, where)
            found = [t.target_problem(targets) for t in chain if targets and isinstance(t, TargetMean)]
            problems += [problem.at(argument=where) for problem in found if problem]
            whole = (*chain, *spec.joined)
            wrong = _check_chain(whole, column, kind, where)
            problems += wrong or _check_end(whole, kind, where)
    return problems


def _key_problems(
    chain: Sequence[Transform],
    types: Mapping[str, str],
    names: Sequence[str] | None,
    targets: Sequence[str],
    where: str,
) -> list[Problem]:
    """What is wrong with the columns that transforms have constants by."""
    problems = []
    for key in dict.fromkeys(transform.key for transform in chain if transform.key):
        if names is not None and key not in names:
            problems.append(_no_column(key, names, where))
        elif key in targets:
            text = f"by: {key} is a label, which is not known when a prediction is made"
            problems.append(Problem(text, argument=where, remedy="take another column"))
        elif types.get(key, "string") not in KEY_TYPES:
            text = f"by: {key} is of type {types[key]}, and a key is a string, a whole number or a bool"
            problems.append(Problem(text, argument=where, remedy="take another column"))
    return problems


def weight_problems(
    weight: str | None,
    types: Mapping[str, str],
    labels: Sequence[LabelSpec],
    names: Sequence[str] | None = None,
) -> list[Problem]:
    """What is wrong with a column of row weights."""
    if not weight:
        return []
    if weight in [label.column for label in labels]:
        return [Problem(f"{weight!r} is a label, and can't be the row weight too", argument="weight")]
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
        if path_of(type(transform)):
            wrong = next(filter(None, (contract_problem(transform, k) for k in sorted(fitting))), "")
            if wrong:
                return set(), f"{transform.name}: {wrong}"
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
    for transform in joined:
        kind: Kind = "ids" if coerced("ids", transform.takes) else "float"
        if transform.key or transform.analyzers(kind):
            text = f"{transform.name} has to know the data, and can't stand behind {joined[0].name}"
            return [Problem(text, argument=where, remedy=f"put it before {joined[0].name}, under from")]
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
    if isinstance(link, Mapping) and len(link) == 1:
        name, given = next(iter(link.items()))
    elif isinstance(link, Mapping):
        listed = ", ".join(map(str, link))
        text = f"a transform is one name with its arguments, and here are {len(link)}: {listed}"
        remedy = "for a chain write a list: [{impute: median}, z_score]"
        return None, [Problem(text, argument=where, remedy=remedy)]
    else:
        name, given = link, None
    try:
        cls = transform_class(name)
    except HeadraceError as error:
        return None, [problem.at(argument=where) for problem in error.problems]
    arguments, problems = _arguments(cls, given, where)
    if problems:
        return None, problems
    try:
        transform = cls(**arguments)
    except (ValueError, TypeError) as error:  # by a `__post_init__` of one's own
        return None, [Problem(f"{cls.name} refuses its arguments: {error}", argument=where)]
    wrong = transform.problem(None)
    return transform, [Problem(f"{name}: {wrong}", argument=where)] if wrong else []


def transform_class(name: Any) -> type[Transform]:
    """The transform of that name: built in, by import path, or by entry point.

    Raises:
        InvalidRequestError: there is none.
    """
    if isinstance(name, str) and name in TRANSFORMS:
        return TRANSFORMS[name]
    if isinstance(name, str) and ":" in name:
        return find_own(name)
    if isinstance(name, str) and name in entry_points():
        return find_own(entry_points()[name])
    raise InvalidRequestError(
        f"there is no transform {name!r}", given=str(name), available=(*TRANSFORMS, *entry_points())
    )


def own_code(features: Any = None, label: Any = None) -> tuple[str, ...]:
    """The import paths of the transforms of one's own that features or a label use."""
    specs = parse_features(features)[0] if isinstance(features, Mapping) else []
    targets = parse_labels(label)[0] if label is not None else ()
    used = [t for spec in specs for chain in (*spec.chains, spec.joined) for t in chain]
    used += [transform for target in targets for transform in target.chain]
    return tuple(dict.fromkeys(path for path in map(path_of, map(type, used)) if path))


def _arguments(cls: type[Transform], given: Any, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The arguments by name, converted, or what is wrong with them."""
    accepted = tuple(field.name for field in fields(cls) if not field.metadata.get("fitted"))
    named, problem = _named(cls, given, accepted)
    if problem:
        return {}, [problem.at(argument=where)]
    hints = _hints(cast("Any", cls))
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
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if not optional and field.name not in named:
            text = f"{cls.name} needs the argument {field.name!r}"
            problems.append(Problem(text, argument=where, available=accepted, remedy=_usage(cls)))
    return converted, problems


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of a transform's arguments; a table of thousands of columns asks for them again and again."""
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
        by_name = f", or {{{cls.name}: {{{accepted[0]}: …}}}}" if accepted else ""
        return {}, Problem(text, remedy=f"write {cls.name} alone{by_name}")
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
