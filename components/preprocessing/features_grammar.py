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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...pipelines.errors import Problem
from ..transforms import TRANSFORMS, Identity, Kind, Transform, coerced
from ..transforms.image_chains import shape_of
from ..transforms.images import Decode, Shape
from ..transforms.own import one_way, path_of
from .chain_grammar import parse_chain

RAW: dict[str, Kind] = {
    "float": "float", "int": "int", "bool": "int", "string": "string", "timestamp": "time",
    "strings": "strings", "ints": "ints", "floats": "floats", "image": "image",
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
        chain, more = parse_chain(applied, where) if not wrong else ((), [])
        own = {
            column: parse_chain(first, where) if first is not None else ((), [])
            for column, first in source.items()
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
    chain, problems = parse_chain(applied, f"label.{column}")
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


def image_shapes(specs: Sequence[FeatureSpec]) -> dict[str, Shape]:
    """Height, width and channels of the features that are images, by name."""
    chains = {spec.name: spec.chains[0] for spec in specs}
    return {name: shape_of(chain) for name, chain in chains.items() if chain and isinstance(chain[0], Decode)}


def label_kind(spec: LabelSpec, kind: str | None) -> str:
    """What a label becomes, as far as it can be told without the data: `value`, `class`, `multi`, or "".

    Args:
        spec: the label.
        kind: its column's type, None if it isn't known.
    """
    if spec.chain:
        return spec.chain[-1].label or "value"
    return {"string": "class", "bool": "class", "float": "value"}.get(kind or "", "")


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


def own_code(features: Any = None, label: Any = None) -> tuple[str, ...]:
    """The import paths of the transforms of one's own that features or a label use."""
    specs = parse_features(features)[0] if isinstance(features, Mapping) else []
    targets = parse_labels(label)[0] if label is not None else ()
    used = [t for spec in specs for chain in (*spec.chains, spec.joined) for t in chain]
    used += [transform for target in targets for transform in target.chain]
    return tuple(dict.fromkeys(path for path in map(path_of, map(type, used)) if path))
