"""What the component `transform` does: fit on the train split, write shards of all splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from ...pipelines.artifact import Draft, Examples, Schema, Transform
from ...pipelines.context import Context
from ...pipelines.errors import DataError, Problem
from ..split_checks import ALREADY_TRANSFORMED, RAW_REMEDY
from ..tfds.layout_notes import packed_problems, write_notes
from ..tfrecords.encoding import Encoder
from ..tfrecords.image_shards import write_image_shards
from ..tfrecords.layout import APPLIED, JPEG_QUALITY, Layout, Stored
from ..tfrecords.shards import write_shards
from .analysis import Found
from .features_checks import check_specs, weight_problems
from .features_grammar import parse_features, parse_labels
from .fitted import FittedTransform
from .fitted_file import CODE, load_fitted, save_fitted
from .fitting import TRAIN, Fitter, train_pass

Store = Literal["uint8", "png", "jpeg", "float32"]
STORED: Mapping[Store, Stored] = {"uint8": "pixels", "png": "png", "jpeg": "jpeg", "float32": "dense"}
"""How images are stored, by what a pipeline says."""
PICTURE = "contact_sheet.png"
"""The file of a Transform artifact that shows images of each class and split."""


def run_transform(
    ctx: Context,
    examples: Examples,
    *,
    label: Any,
    features: Literal["auto"] | Mapping[str, Any],
    schema: Schema | None,
    seed: int,
    shards: int | None,
    layout: Literal["packed", "columns"],
    compression: Literal["", "gzip"],
    weight: str = "",
    store: Store = "uint8",
    jpeg_quality: int = JPEG_QUALITY,
) -> tuple[Examples, Transform]:
    """See `headrace.components.transform.transform`."""
    _check_splits(examples)
    _refuse(packed_problems(layout, compression))
    types: Mapping[str, str] = examples.properties["columns"]
    targets, problems = parse_labels(label)
    _refuse(problems)
    fitter = Fitter(types, train_pass(ctx, examples), ctx.warn)
    chosen = ""
    _refuse(weight_problems(weight, types, targets))
    if features == "auto":
        _refuse(check_specs([], targets, types, list(types)))
        from .auto import choose_features

        specs, chosen = choose_features(ctx, fitter, examples, schema, targets, weight)
    else:
        specs, problems = parse_features(features)
        _refuse(problems or check_specs(specs, targets, types, list(types)))
    fitted = fitter.fit(
        specs, targets, scale_labels=features == "auto", stored=STORED[store], defer_pixels=store != "float32"
    )
    fitted = replace(fitted, weight=weight, jpeg_quality=jpeg_quality)
    shape = layout_of(fitted, layout, compression)
    made, fitted = _write_examples(ctx, examples, Encoder(fitted, shape), shards, seed)
    return made, _write_transform(ctx, fitted, chosen, _picture(made, fitted))


def run_apply(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    *,
    seed: int,
    shards: int | None,
    layout: Literal["packed", "columns"],
    compression: Literal["", "gzip"],
) -> Examples:
    """See `headrace.components.apply_transform.apply_transform`."""
    _require_raw(examples)
    _refuse(packed_problems(layout, compression))
    fitted = load_fitted(transform.path)
    _require_columns(fitted, examples.properties["columns"])
    shape = layout_of(fitted, layout, compression)
    encoder = Encoder(fitted, shape, of_others=True)
    made, _ = _write_examples(ctx, examples, encoder, shards, seed, "output", {APPLIED: transform.digest})
    return made


def layout_of(
    fitted: FittedTransform, layout: Literal["packed", "columns"], compression: Literal["", "gzip"]
) -> Layout:
    """How the records of a fitted transform are laid out."""
    stored = tuple(one.stored for one in fitted.labels)
    return Layout(fitted.features, stored, layout, compression, fitted.weight, fitted.jpeg_quality)


def _require_columns(fitted: FittedTransform, types: Mapping[str, str]) -> None:
    weight = {fitted.weight: ""} if fitted.weight else {}
    needed = {**fitted.types, **{label.column: label.type for label in fitted.labels}, **weight}
    problems = []
    for column, kind in needed.items():
        if column not in types:
            what = f"there is no column {column!r}, which the transform needs"
            problems.append(Problem(what, argument="examples", given=column, available=tuple(types)))
        elif kind and types[column] != kind:
            what = f"the column {column!r} is {types[column]}, and the transform was fitted on {kind}"
            remedy = f"state types: {{{column}: {kind}}} where the examples are read"
            problems.append(Problem(what, argument="examples", remedy=remedy))
    _refuse(problems)


def _write_examples(
    ctx: Context,
    examples: Examples,
    encoder: Encoder,
    shards: int | None,
    seed: int,
    name: str = "examples",
    more: Mapping[str, Any] | None = None,
) -> tuple[Examples, FittedTransform]:
    """The shards, and the transform with what was fitted while they were written."""
    draft = ctx.output(Examples, name)
    write = write_image_shards if encoder.layout.images else write_shards
    splits, digests, pixels = write(ctx, examples, encoder, draft.path, shards=shards, seed=seed)
    fitted = encoder.fitted.with_pixels({name: Found(name, images=sums) for name, sums in pixels.items()})
    layout = replace(encoder.layout, features=fitted.features)
    if layout.layout == "columns":
        classes = {label.column: label.classes for label in fitted.labels}
        write_notes(ctx, draft.path, layout, splits, classes)
    return finish_examples(draft, layout, splits, digests, more), fitted


def finish_examples(
    draft: Draft[Examples],
    layout: Layout,
    splits: Mapping[str, Any],
    digests: Mapping[str, str],
    more: Mapping[str, Any] | None = None,
) -> Examples:
    """The artifact of shards that were written into its folder; `more` goes into its properties."""
    properties = {"format": "tfrecord", **layout.to_json(), "splits": splits, **(more or {})}
    summary = {"rows": {name: split["rows"] for name, split in splits.items()}}
    return draft.finish(properties, summary, digests=digests)


def _picture(made: Examples, fitted: FittedTransform) -> bytes:
    if not fitted.images:
        return b""
    from .example_sheet import example_sheet

    return example_sheet(made, fitted)


def _write_transform(ctx: Context, fitted: FittedTransform, chosen: str, picture: bytes) -> Transform:
    return finish_transform(ctx.output(Transform, "transform"), fitted, chosen, picture)


def finish_transform(
    draft: Draft[Transform], fitted: FittedTransform, chosen: str = "", picture: bytes = b""
) -> Transform:
    """Writes a fitted transform into its folder.

    Args:
        draft: the folder.
        fitted: the transform.
        chosen: the features that `auto` chose, as YAML.
        picture: images for people to look at.
    """
    save_fitted(fitted, draft.path)
    if chosen:
        (draft.path / "auto.yaml").write_text(chosen, "utf-8")
    summary: dict[str, Any] = {
        "features": {f.name: f.width for f in fitted.features},
        "width": sum(f.width for f in fitted.features),
        "labels": {
            label.column: {"kind": label.kind, "classes": list(label.classes[:100])}
            for label in fitted.labels
        },
    }
    if picture:
        (draft.path / PICTURE).write_bytes(picture)
        summary["pictures"] = [PICTURE]
    return draft.finish(summary=summary, volatile=[CODE, PICTURE])


def _check_splits(examples: Examples) -> None:
    _require_raw(examples)
    if TRAIN not in examples.splits:
        raise DataError(
            "the examples have no split 'train', on which transforms are fitted",
            argument="examples",
            available=tuple(examples.splits),
        )


def _require_raw(examples: Examples) -> None:
    if examples.properties.get("format") != "parquet":
        raise DataError(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY)
    for split, told in examples.splits.items():
        if not told["rows"]:
            raise DataError(
                f"the split {split!r} has no rows",
                argument="examples",
                remedy="give the split a greater share of the rows, or leave it out",
            )


def _refuse(problems: Any) -> None:
    if problems:
        raise DataError(problems)
