"""The features of a TensorFlow Dataset as our columns. Standard library only.

| feature | column |
|---|---|
| `Image`, `LabeledImage` of uint8 (uint16 becomes 8 bits) | image |
| `ClassLabel` | string, the class's name; its number as text where it has none; -1 is missing |
| `Text`, `Scalar` and `Tensor` of shape () | string, int, float, bool |
| `Tensor` of another shape, `BBoxFeature` | ints, floats, strings: its values row by row |
| `Sequence` of one of these but images | strings, ints, floats; of tensors, one after another |
| `FeaturesDict`, `Translation` | a column for each feature in it, `outer/inner` |

Videos, audio, sequences of images or of sequences, and features of one's own become none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from ...pipelines.errors import DataError, Problem
from .naming import FEATURES
from .prepared import AGAIN, Prepared

Kind = Literal["value", "class", "packed", "image"]
_MOST_NUMBERS = 1_000_000
LISTS = {"int": "ints", "float": "floats", "string": "strings", "bool": "ints"}


@dataclass(frozen=True)
class Column:
    """A column and the tf.Example feature that it is made of, which has its name.

    Attributes:
        name: of both.
        type: the column's.
        kind: `class` for numbers of `names`; `packed` for a tensor written as bytes.
        names: of the classes.
        dtype: of a packed tensor.
        zipped: whether its bytes are compressed by zlib.
        key: the tf.Example feature, where it isn't `name`.
        note: what is worth telling.
    """

    name: str
    type: str
    kind: Kind = "value"
    names: tuple[str, ...] = ()
    dtype: str = ""
    zipped: bool = False
    key: str = ""
    note: str = ""


@dataclass(frozen=True)
class Refused:
    """A feature that becomes no column, and why."""

    name: str
    why: str


def columns_of(prepared: Prepared) -> tuple[dict[str, Column], dict[str, Refused]]:
    """The columns of a set, and the features that become none, each by name.

    Raises:
        DataError: `features.json` is none that TFDS writes.
    """
    columns: dict[str, Column] = {}
    refused: dict[str, Refused] = {}
    try:
        every = list(_walk(prepared, prepared.features, (), False))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"it doesn't say what TFDS writes ({error!r})"
        raise DataError(what, file=str(prepared.folder / FEATURES), remedy=AGAIN) from error
    for found in every:
        if not found.name.strip() or "\0" in found.name:
            refused[found.name] = Refused(found.name, "has no name for a column")
        elif isinstance(found, Column):
            columns[found.name] = found
        else:
            refused[found.name] = found
    return columns, refused


def chosen(
    columns: Mapping[str, Column], refused: Mapping[str, Refused], asked: Sequence[str] | None
) -> dict[str, Column] | list[Problem]:
    """The columns to read: those asked for, or all, if all can be."""
    if asked is not None and not asked:
        return [Problem("the list of columns is empty", argument="columns", available=tuple(columns))]
    if asked is None and refused:
        told = "; ".join(f"feature {one.name!r} {one.why}" for one in refused.values())
        remedy = f"leave out what can't be read: columns: [{', '.join(columns)}]" if columns else ""
        return [Problem(told, argument="columns", remedy=remedy)]
    if asked is None:
        return dict(columns)
    problems = [
        Problem(f"feature {name!r} {refused[name].why}", argument="columns", remedy="leave it out")
        if name in refused
        else Problem(
            f"there is no feature {name!r}", argument="columns", given=name, available=tuple(columns)
        )
        for name in asked
        if name not in columns
    ]
    return problems or {name: columns[name] for name in asked}


def _walk(
    prepared: Prepared, node: Mapping[str, Any], place: tuple[str, ...], listed: bool
) -> Iterator[Column | Refused]:
    """The columns of a feature; `listed` where it stands in a sequence."""
    name = "/".join(place)
    if "featuresDict" in node:
        for inner, child in (node["featuresDict"].get("features") or {}).items():
            yield from _walk(prepared, child, (*place, inner), listed)
    elif "sequence" in node:
        if listed:
            yield Refused(name, "is a sequence of sequences, and a column's lists are one level deep")
        else:
            yield from _walk(prepared, node["sequence"]["feature"], place, True)
    elif "translation" in node:
        yield from _translation(node["translation"], name, listed)
    elif "image" in node:
        yield _image(node["image"], name, listed)
    elif "classLabel" in node:
        yield _label(node["classLabel"], name, listed, prepared.label_names(place))
    elif "text" in node:
        yield Column(name, "strings" if listed else "string")
    elif "tensor" in node:
        yield _tensor(node["tensor"], name, listed)
    elif "boundingBox" in node:
        order = node["boundingBox"].get("bboxFormat") or "REL_YXYX"
        yield Column(name, "floats", note=f"boxes of four numbers, {order}")
    else:
        kind = str(node.get("pythonClassName", "")).rpartition(".")[2]
        yield Refused(name, f"is of the type {kind}, which no column holds")


def _translation(told: Mapping[str, Any], name: str, listed: bool) -> Iterator[Column | Refused]:
    if listed:
        yield Refused(name, "is a sequence of translations")
    elif told.get("variableLanguagesPerExample"):
        yield from (Column(f"{name}/{part}", "strings") for part in ("language", "translation"))
    else:
        yield from (Column(f"{name}/{language}", "string") for language in told.get("languages", ()))


def _image(told: Mapping[str, Any], name: str, listed: bool) -> Column | Refused:
    if listed:
        return Refused(name, "is a sequence of images, and a column holds one image a row")
    if told.get("dtype", "uint8") not in ("uint8", "uint16"):
        return Refused(name, f"is an image of {told['dtype']}, and images are read at 8 bits a channel")
    return Column(name, "image", "image")


def _label(told: Mapping[str, Any], name: str, listed: bool, names: Sequence[str] | None) -> Column | Refused:
    count = int(told.get("numClasses") or 0)
    if not names and count > _MOST_NUMBERS:
        return Refused(name, f"has {count:,} classes and no names for them")
    numbers = names or [str(number) for number in range(count)]
    return Column(name, "strings" if listed else "string", "class", tuple(numbers))


def _tensor(told: Mapping[str, Any], name: str, listed: bool) -> Column | Refused:
    dtype = str(told.get("dtype", ""))
    element = _element(dtype)
    if not element:
        return Refused(name, f"is a tensor of {dtype}")
    shape = [int(size) for size in (told.get("shape") or {}).get("dimensions", ())]
    note = "" if len(shape) < 2 and not (shape and listed) else f"tensors of shape {shape}, row by row"
    encoding = str(told.get("encoding", "none")).lower()
    if encoding in ("bytes", "zlib") and element != "string":
        if listed:
            return Refused(name, "is a sequence of tensors written as bytes")
        kind = element if not shape else LISTS[element]
        key = f"{name}/value" if shape.count(-1) > 1 else ""
        return Column(name, kind, "packed", (), dtype, encoding == "zlib", key, note)
    if shape.count(-1) > 1 or (listed and -1 in shape):
        return Refused(name, "is a tensor with several unknown dimensions")
    several = bool(shape) and prod(shape) != 1
    return Column(name, LISTS[element] if listed or several else element, note=note)


def _element(dtype: str) -> str:
    if dtype == "bool":
        return "bool"
    if dtype.startswith(("int", "uint")):
        return "int"
    return {"string": "string", "object": "string"}.get(
        dtype, "float" if dtype in ("float16", "float32", "float64", "bfloat16") else ""
    )
