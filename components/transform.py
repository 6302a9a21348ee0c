"""The component `transform`: raw examples → shuffled TFRecord shards, and the fitted preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from ..pipelines import Context, Examples, Known, Problem, Schema, Transform, component
from ..pipelines.component import Marker
from .preprocessing.features_checks import check_specs, store_problems, weight_problems
from .preprocessing.features_grammar import (
    FeatureSpec,
    image_shapes,
    label_kind,
    own_code,
    parse_features,
    parse_labels,
)
from .split_checks import ALREADY_TRANSFORMED, RAW_REMEDY
from .tfds.layout_notes import packed_problems
from .tfrecords.layout import JPEG_QUALITY


class Transformed(NamedTuple):
    """The outputs of `transform`."""

    examples: Examples
    transform: Transform


@component
def transform(
    ctx: Context,
    examples: Examples,
    *,
    label: str
    | Annotated[dict[str, Any], Marker("codes")]
    | Annotated[list[str | dict[str, Any]], Marker("codes")],
    features: Literal["auto"] | Annotated[dict[str, Any], Marker("codes")] = "auto",
    schema: Schema | None = None,
    weight: str | None = None,
    seed: int = 0,
    shards: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None,
    layout: Literal["packed", "columns"] = "packed",
    compression: Literal["none", "gzip"] = "none",
    store: Literal["uint8", "png", "jpeg", "float32"] = "uint8",
    jpeg_quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = JPEG_QUALITY,
) -> Transformed:
    """Makes features and label ready for a model: fitted on the split `train`, written as shuffled shards.

    Under `features` a key names the output feature, and its value says how it is made: a transform's name;
    `{name: first argument}`; `{name: {argument: value}}`; a list of these for a chain; or `{from: column or
    columns, apply: any of these}`. `cross` in a chain joins the columns into one; `from` may give each column
    a chain of its own: `{from: {age: {bucketize: 5}, city: identity}, apply: [{cross: 100}, one_hot]}`. The
    transforms are those of `headrace.components.transforms.TRANSFORMS`, of which the README has a table, and
    one's own, by import path or entry point; see `headrace.components.transforms.own`.

    Numbers are cast once, to float32 and int64. A one-hot has a slot for each value of the train split by
    descending count, then one for unknown values, then one for missing ones; the ids of vocabulary are
    numbered likewise. bucketize gives a one-hot of buckets. One-hots of more than 64 slots are stored as ids
    and expanded by `dataset()` and the export. A missing or infinite number that would reach the model is an
    error here, in any split, and remedied by impute and clip; at serving such a number comes out as NaN,
    and as no bucket, where no impute stands before.

    A label with a numeric transform is a value (regression), with `vocabulary` a class; one that ends in
    `multi_hot` has any number of classes a row (`{tags: [{split: "|"}, multi_hot]}`). Without a
    transform, strings, bools and ints of at most 20 distinct values are classes in ascending order, the
    rest are values. Whole numbers written 1.0 are a float column; to have them as classes state
    `types: {column: int}` where they are read. A value given without a transform is left as it is, but gets
    z_score where the features are chosen by `auto`.

    An image becomes pixels of one size: `image: [decode, {resize: [224, 224]}, {scale: zero_one}]`, with
    `resize`'s `method` (bilinear, nearest, bicubic, area), `fit` (stretch, crop, pad) and `antialias`,
    `center_crop`, and for its numbers `scale` (zero_one, minus_one_one, imagenet) or `standardize` (by
    channel or dataset, or with stated numbers). Without those two the model gets 0 … 255. Decoding and
    resizing are TensorFlow's, here and in the exported model; numbers are rounded to whole ones, and scaled
    where they are read, by `dataset()` and the export. The step runs in a process with TensorFlow then.

    Args:
        examples: raw examples with a split `train`.
        label: the label's column, or `{column: transform}`; for several labels, each an output of the model,
            `{price: z_score, sold: vocabulary}`, or a list, `[sold, {price: z_score}]`.
        features: see above; `auto` chooses by the schema and says what it chose.
        schema: the columns' domains, which `auto` needs.
        weight: a column of numbers, 0 or more: how much each row counts in training and evaluation. What
            transforms are fitted on is not weighted, as in tensorflow-transform where it isn't asked to be:
            means, quantiles, target means and the order of vocabularies count each row once.
        seed: of the shuffle.
        shards: files a split; without it about 64 MB each, and at least 4 from 10,000 rows on. With images
            100 to 200 MB each, and at least 4 from 10,000 rows or 64 MB on.
        layout: `packed` for one list of floats and one of ints a record, which is read fastest;
            `columns` for a tf.Example feature per output, for readers that know nothing of headrace; with
            TensorFlow Datasets' notes beside the shards, so that `tfds.builder_from_directory` opens them.
        compression: `gzip` for smaller shards, in the layout `packed`; block by block, one gzip file to any
            reader, so that reading may begin at any block.
        store: how images lie in the shards: `uint8`, raw and read fastest; `png`, smaller and the same to the
            bit; `jpeg`, smallest, and not the same; `float32`, normalized already, four times as large.
        jpeg_quality: of `store: jpeg`, 1 to 100.

    Returns:
        Shards of tf.Examples in the order of a hash, each with a small file `….blocks.json` beside it that
        says where its blocks lie, so that reading may begin at any example; and the fitted transform.

    Raises:
        DataError: a value is missing or infinite where a model would get it; the label is missing, has one
            class or value only, or one that the train split doesn't have; a split has no rows.
    """
    from .preprocessing.run import run_transform

    made, fitted = run_transform(
        ctx,
        examples,
        label=label,
        features=features,
        schema=schema,
        seed=seed,
        shards=shards,
        layout=layout,
        compression="gzip" if compression == "gzip" else "",
        weight=weight or "",
        store=store,
        jpeg_quality=jpeg_quality,
    )
    return Transformed(made, fitted)


@transform.code_of
def code_of_transform(name: str, value: Any) -> tuple[str, ...]:
    """The code of transforms of one's own, which `features` and `label` name."""
    return own_code(**{name: value})


@transform.schema_of
def schema_of_transform(name: str) -> dict[str, Any] | None:
    """What editors know of `features` and `label`."""
    from .preprocessing.features_schema import argument_schema

    return argument_schema(name)


@transform.process_of
def process_of_transform(arguments: Mapping[str, Any]) -> str:
    """TensorFlow's where there is an image to decode."""
    examples, features = arguments["examples"], arguments.get("features", "auto")
    types = examples.properties.get("columns", {})
    if features == "auto":
        return "tensorflow" if "image" in types.values() else ""
    used = {column for spec in parse_features(features)[0] for column in spec.columns}
    return "tensorflow" if any(types.get(column) == "image" for column in used) else ""


@transform.check
def check_transform(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], Mapping[str, Known]]:
    """Reads `features` and `label`, and looks for their columns where these are known."""
    table = known.get("examples") or Known()
    names = table.columns
    if names is None and known.get("schema") is not None:
        names = known["schema"].columns
    types = {**_types(known.get("schema")), **_types(table)}
    labels, problems = parse_labels(arguments["label"]) if "label" in arguments else ((), [])
    specs: list[FeatureSpec] = []
    if isinstance(arguments.get("features"), Mapping):
        specs, more = parse_features(arguments["features"])
        problems += more
    problems += check_specs(specs, labels, types, names)
    problems += weight_problems(arguments.get("weight"), types if names is not None else {}, labels, names)
    if table.splits is not None and "train" not in table.splits:
        problems.append(
            Problem(
                "the examples have no split 'train', on which transforms are fitted",
                argument="examples",
                available=tuple(table.splits),
            )
        )
    if table.facts.get("format") == "tfrecord":
        problems.append(Problem(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY))
    if arguments.get("features", "auto") == "auto" and "examples" in known and "schema" not in known:
        problems.append(
            Problem(
                "features: auto chooses by a schema, and none is given",
                argument="schema",
                remedy="wire one, schema: ${steps.schema}, or name the features",
            )
        )
    problems += packed_problems(arguments.get("layout", ""), arguments.get("compression", ""))
    problems += store_problems(
        arguments.get("store", "uint8"), arguments.get("jpeg_quality", JPEG_QUALITY), specs
    )
    names = tuple(spec.name for spec in specs) or None
    output = Known(columns=names, splits=table.splits, facts={"format": "tfrecord"})
    facts: dict[str, Any] = {}
    if specs and not problems:
        facts["images"] = image_shapes(specs)
        facts["inputs"] = _read_by(specs)
    if labels and not any(problem.argument.startswith("label") for problem in problems):
        facts["labels"] = {one.column: label_kind(one, types.get(one.column)) for one in labels}
    return problems, {"examples": output, "transform": Known(facts=facts)}


def _read_by(specs: Sequence[FeatureSpec]) -> tuple[str, ...]:
    """The raw columns that features are made from, those of keys included."""
    chains = [pair for spec in specs for pair in zip(spec.columns, spec.chains, strict=True)]
    named = [name for column, chain in chains for name in (column, *(one.key for one in chain))]
    return tuple(dict.fromkeys(name for name in named if name))


def _types(known: Known | None) -> Mapping[str, str]:
    """The column types that are known before a run, of all columns or of some."""
    types = known.facts.get("types") if known is not None else None
    return types if isinstance(types, Mapping) else {}
