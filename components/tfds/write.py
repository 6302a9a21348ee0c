"""Raw examples as a TensorFlow Dataset: globally shuffled shards with TFDS's notes. Runs in the driver."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError, Problem
from ..data_plane.few_units import run_few
from ..data_plane.parts import Parts, units_of
from ..data_plane.result import Result
from ..preprocessing.casting import serving_batch
from ..split_checks import RAW_REMEDY
from ..tfrecords.image_shards import GatherShards, SpilledImages, gather_shards, image_shard_count
from ..tfrecords.shard_plan import ShardPlan, raise_faults
from ..tfrecords.tfrecord import framed, record_file
from ..transforms.ragged import Ragged
from .encode import ImageFacts, RawEncoder, Seen, class_texts
from .metadata import (
    FLAT,
    Node,
    Notes,
    can_be_noted,
    class_label,
    features_dict,
    image,
    sequence,
    split_problems,
    tensor,
    text,
)

MOST_CLASSES = 10_000
_NODES: dict[str, Node] = {
    "string": text(), "int": tensor("int64"), "timestamp": tensor("int64"), "bool": tensor("bool"),
    "float": tensor("float32"), "strings": sequence(text()), "ints": sequence(tensor("int64")),
    "floats": sequence(tensor("float32")),
}  # fmt: skip
_CLASS_KINDS = ("string", "strings", "int", "bool")


@dataclass(frozen=True)
class TfdsPlan(ShardPlan):
    """How the rows of a split are spread, into files that are called as TFDS calls them."""

    dataset: str = ""

    def name(self, shard: int) -> str:
        """The file of a shard."""
        return f"{self.dataset}-{self.split}.tfrecord-{shard:05d}-of-{self.shards:05d}"


@dataclass(frozen=True)
class FindClasses:
    """Work on some parts: the distinct values of columns of classes."""

    types: Mapping[str, str]

    def __call__(self, unit: Parts) -> Result:
        """Gives JSON: by column the names, sorted."""
        columns = serving_batch(unit.read(list(self.types)), self.types)
        told = {}
        for name, kind in self.types.items():
            column = columns[name]
            texts = class_texts(column.values if isinstance(column, Ragged) else column, kind)
            told[name] = sorted(pc.unique(texts).drop_null().to_pylist())[: MOST_CLASSES + 1]
        return Result(json.dumps(told).encode(), unit.rows)


@dataclass(frozen=True)
class EncodeRaw:
    """Work on some parts: encodes their rows; the payload says where the records lie."""

    encoder: RawEncoder
    folder: str

    def __call__(self, unit: Parts) -> Result:
        """Spills the records."""
        seen = Seen()
        records, faults = self.encoder.records(unit.read(list(self.encoder.types)), seen)
        if faults:
            return Result(json.dumps({"faults": faults}).encode(), unit.rows)
        path = Path(self.folder) / f"{unit.split}-{unit.places[0][0]:06d}-{uuid.uuid4().hex}"
        starts = [0]
        with record_file(path) as stream:
            for record in records:
                pieces = framed(record)
                stream.writelines(pieces)
                starts.append(starts[-1] + sum(map(len, pieces)))
            stream.write(np.array(starts, "<i8").tobytes())
        spilled = SpilledImages(str(path), unit.places, starts[-1])
        return Result(json.dumps({"spilled": spilled, "seen": asdict(seen)}).encode(), unit.rows)


@dataclass(frozen=True)
class Wanted:
    """What is asked for, see `to_tfds`."""

    name: str
    version: str
    label: Sequence[str] | None
    columns: Sequence[str] | None
    shards: int | None
    seed: int


def write(ctx: Context, examples: Examples, wanted: Wanted) -> Examples:
    """Does what `to_tfds` says.

    Raises:
        DataError: a row can't be written, or a column of classes has too many.
        InvalidRequestError: a column isn't there, or TFDS can't read what a split is called.
    """
    types = _types(examples, wanted)
    _refuse(split_problems(tuple(examples.splits)))
    units = units_of(examples, list(examples.splits))
    classes = _classes(ctx, examples, wanted, types, units)
    draft = ctx.output(Examples)
    scratch = ctx.scratch("spill")
    seen, spilled = _encode(ctx, examples, units, EncodeRaw(RawEncoder(types, classes), str(scratch)))
    sizes = {split: sum(one.size for one in own) for split, own in spilled.items()}
    plans = {split: _plan(wanted, split, examples.rows(split), size) for split, size in sizes.items()}
    gather = GatherShards(str(scratch / "index.json"), plans, "", 0)
    written = gather_shards(partial(run_few, ctx, "write"), examples, gather, spilled, draft.path)
    _notes(wanted, types, classes, seen, written.splits, sizes).write(draft.path)
    properties = {
        "format": "tfds", "tfds": f"{wanted.name}/{wanted.version}", "columns": types,
        "splits": written.splits,
    }  # fmt: skip
    summary = {"rows": {split: one["rows"] for split, one in written.splits.items()}}
    ctx.say("tfds.builder_from_directory(FOLDER) opens it; `headrace artifacts path` names the folder")
    return draft.finish(properties, summary, digests=written.digests)


def _encode(
    ctx: Context, examples: Examples, units: Sequence[Parts], work: EncodeRaw
) -> tuple[Seen, dict[str, list[SpilledImages]]]:
    """Encodes all rows; what was seen of them, and by split where their records lie."""
    told = [json.loads(payload) for payload in run_few(ctx, "encode", units, work)]
    raise_faults(units, told)
    seen, spilled = Seen(), {split: list[SpilledImages]() for split in examples.splits}
    for unit, one in zip(units, told, strict=True):
        seen.add(one["seen"])
        spilled[unit.split].append(SpilledImages(*one["spilled"]))
    for name, count in seen.missing.items():
        ctx.warn(f"{name}: {count:,} missing values are written as -9223372036854775808")
    return seen, spilled


def _types(examples: Examples, wanted: Wanted) -> dict[str, str]:
    """The columns that are written, with their types."""
    if examples.properties.get("format") != "parquet":
        raise InvalidRequestError(
            "these examples aren't raw", argument="examples",
            remedy=f"{RAW_REMEDY}; transformed ones open with TFDS in the layout `columns`",
        )  # fmt: skip
    types: Mapping[str, str] = examples.properties["columns"]
    asked = [("columns", name) for name in wanted.columns or ()]
    asked += [("label", name) for name in wanted.label or ()]
    chosen = list(wanted.columns) if wanted.columns is not None else list(types)
    problems = []
    for argument, name in asked:
        if name not in (types if argument == "columns" else chosen):
            what = f"there is no column {name!r}"
            problems.append(Problem(what, argument=argument, given=name, available=tuple(types)))
        elif argument == "label" and types[name] not in _CLASS_KINDS:
            what = f"column {name!r} is {types[name]}, and classes are text, whole numbers, or true and false"
            problems.append(Problem(what, argument="label"))
    if not chosen:
        problems.append(Problem("the list of columns is empty", argument="columns", available=tuple(types)))
    _refuse(problems)
    features_dict({name: text() for name in chosen})  # which looks at their names
    return {name: types[name] for name in chosen}


def _classes(
    ctx: Context, examples: Examples, wanted: Wanted, types: Mapping[str, str], units: Sequence[Parts]
) -> dict[str, list[str]]:
    """The names of each column of classes, in the order of their numbers."""
    known: Mapping[str, list[str]] = examples.properties.get("classes", {})
    asked = list(wanted.label) if wanted.label is not None else [name for name in known if name in types]
    if not asked:
        return {}
    found: dict[str, set[str]] = {name: set() for name in asked}
    own = {name: types[name] for name in asked}
    for payload in run_few(ctx, "classes", units, FindClasses(own)):
        for name, values in json.loads(payload).items():
            found[name].update(values)
    classes = {}
    for name, values in found.items():
        if len(values) > MOST_CLASSES:
            raise DataError(
                f"column {name!r} has more than {MOST_CLASSES:,} distinct values, which are no classes",
                argument="label", remedy="leave it out; it is written as text or numbers then",
            )  # fmt: skip
        order = [*known.get(name, ())] if values <= {*known.get(name, ())} else []
        whole = own[name] == "int"
        classes[name] = order or sorted(
            values, key=lambda value: (int(value), value) if whole else (0, value)
        )
    return classes


def _plan(wanted: Wanted, split: str, rows: int, size: int) -> TfdsPlan:
    count = wanted.shards or image_shard_count(rows, size)
    return TfdsPlan(split, min(count, max(rows, 1)), wanted.seed, wanted.name)


def _notes(
    wanted: Wanted,
    types: Mapping[str, str],
    classes: Mapping[str, list[str]],
    seen: Seen,
    splits: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> Notes:
    """What TFDS has to know."""
    features: dict[str, Node] = {}
    for name, kind in types.items():
        if name in classes:
            label = class_label(len(classes[name]))
            features[name] = sequence(label) if kind.endswith("s") else label
        elif kind == "image":
            features[name] = _image(seen, name)
        elif kind == "bool" and name in seen.missing:
            features[name] = tensor("int64")
        else:
            features[name] = _NODES[kind]
    lengths = {split: [part["rows"] for part in told["parts"]] for split, told in splits.items()}
    named = {name: names for name, names in classes.items() if can_be_noted(names)}
    pair = _supervised(types, classes)
    return Notes(wanted.name, wanted.version, features, lengths, FLAT, named, pair, sizes)


def _supervised(types: Mapping[str, str], classes: Mapping[str, list[str]]) -> tuple[str, str] | None:
    """The one image and the first of the labels, if it is so."""
    images = [name for name, kind in types.items() if kind == "image"]
    labels = [name for name in classes if not types[name].endswith("s")]
    return (images[0], labels[0]) if len(images) == 1 and labels else None


def _image(seen: Seen, name: str) -> Node:
    """An image as TFDS shall decode it: gray or with alpha only where all can be."""
    facts = seen.images.get(name, ImageFacts())
    channels = set(facts.channels)
    depth = 1 if channels == {1} else 4 if channels & {2, 4} and facts.formats == ["png"] else 3
    height, width = facts.sizes[0] if len(facts.sizes) == 1 else (None, None)
    return image((height, width, depth), facts.formats[0] if len(facts.formats) == 1 else "")


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidRequestError(list(problems))
