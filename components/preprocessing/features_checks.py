"""Whether features and labels fit a table: columns are there, kinds follow each other, ends can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...pipelines.errors import Problem
from ..tfrecords.layout import JPEG_QUALITY
from ..transforms import Decode, Identity, Kind, TargetMean, Transform, coerced
from ..transforms.image_chains import image_problem
from ..transforms.own import contract_problem, path_of
from .features_grammar import RAW, FeatureSpec, LabelSpec

KEY_TYPES = ("string", "int", "bool")
"""The types of columns that constants may be by."""


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
        if kind == "image":
            what = f"column {label.column!r} holds images, and a label is a value or classes"
            problems.append(Problem(what, argument=f"label.{label.column}", remedy="take another column"))
            continue
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
            if kind == "image" or any(isinstance(transform, Decode) for transform in whole):
                wrong = _image_problems(spec, whole, kind or "image", column, where)
                if wrong:
                    problems += wrong
                    continue
            wrong = _check_chain(whole, column, kind, where)
            problems += wrong or _check_end(whole, kind, where)
    return problems


def _image_problems(
    spec: FeatureSpec, chain: Sequence[Transform], kind: str, column: str, where: str
) -> list[Problem]:
    """What is wrong with a feature that is made of an image, or by a chain that decodes one."""
    if kind != "image":
        remedy = f"column {column!r} is of type {kind}; image_examples reads files into a column of images"
        return [Problem("decode takes an encoded image", argument=where, remedy=remedy)]
    if len(spec.columns) > 1:
        remedy = "make a feature of each"
        return [Problem("images can't lie side by side in one feature", argument=where, remedy=remedy)]
    if all(isinstance(transform, Identity) for transform in chain):
        chain = ()
    wrong = image_problem(chain)
    remedy = f"for example {column}: [decode, {{resize: [224, 224]}}, {{scale: zero_one}}]"
    return [Problem(f"column {column!r}: {wrong}", argument=where, remedy=remedy)] if wrong else []


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


def store_problems(store: str, quality: int, specs: Sequence[FeatureSpec]) -> list[Problem]:
    """What is wrong with how images are to be stored; without specs the features aren't known."""
    chains = [chain for spec in specs for chain in spec.chains]
    if specs and store != "uint8" and not any(isinstance(t, Decode) for chain in chains for t in chain):
        return [
            Problem("store is for images, and no feature is one", argument="store", remedy="leave it out")
        ]
    if quality != JPEG_QUALITY and store != "jpeg":
        return [Problem("jpeg_quality is for store: jpeg", argument="jpeg_quality", remedy="leave it out")]
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
    "image": ("an encoded image", "write [decode, {resize: [height, width]}, {scale: zero_one}]"),
}
"""Kinds that no feature can end as: what they are, and the remedy."""


def _takes(transform: Transform) -> str:
    words = {
        "float": "numbers", "string": "strings and whole numbers", "ids": "ids", "one_hot": "",
        "time": "points in time", "strings": "lists of strings", "ints": "lists of whole numbers",
        "id_lists": "lists of ids", "sequence": "sequences of ids", "image": "images", "pixels": "pixels",
        "scaled": "scaled pixels",
    }  # fmt: skip
    kinds = [k for k in transform.takes if not (k == "int" and "float" in transform.takes)]
    return " or ".join(words[k] for k in kinds if words.get(k))


def _enumerate(kinds: set[Kind]) -> str:
    words = {
        "float": "a float", "int": "an int", "string": "a string", "ids": "ids", "one_hot": "one-hots",
        "time": "a point in time", "strings": "lists of strings", "ints": "lists of whole numbers",
        "floats": "lists of numbers", "id_lists": "lists of ids", "sequence": "sequences of ids",
        "vector": "several numbers a row", "image": "an encoded image", "pixels": "pixels",
        "scaled": "scaled pixels",
    }  # fmt: skip
    return " or ".join(words[k] for k in sorted(kinds))
