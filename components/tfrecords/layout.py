"""What a transformed row consists of, and where it lies in the shards' records. Light, no array library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ...pipelines.errors import DataError

if TYPE_CHECKING:
    from ..transforms.namespace import Namespace

FLOATS, INTS = "floats", "ints"
"""The two tf.Example features of the packed layout: every float32 in a row, every int64 in a row."""

Stored = Literal["dense", "ids", "pixels", "png", "jpeg"]
"""How a feature lies in the shards, see `OutputFeature`."""
StoredDtype = Literal["float32", "int64", "bytes"]
FILES = ("png", "jpeg")
"""What is stored as an encoded file."""
ENCODED = ("pixels", *FILES)
"""What is stored as one string of bytes."""
JPEG_QUALITY = 95
APPLIED = "transform"
"""The property of examples that were made by a transform fitted on others: its digest."""
BLOCK_ROWS, BLOCK_BYTES = 4096, 4 << 20
"""Records of a block, at most, and bytes of these as they are decoded; part of what decides the order."""
DENSE_LIMIT = 64
"""One-hots of more slots than this are stored as ids and expanded when they are read."""


@dataclass(frozen=True)
class OutputFeature:
    """One feature as the model gets it.

    Attributes:
        name: the output feature's name.
        dtype: `float32` or `int64`, as the model gets it.
        width: the number of values a row, as the model gets it.
        stored: `dense`, as the model gets it; or `ids`, int64 ids (expanded to one-hots if dtype is float32).
            Of an image: `pixels`, raw uint8; `png` or `jpeg`, an encoded file; or `dense`, normalized floats.
        sizes: for categories the number of ids of each source column; empty for numbers.
        embedding: the dimensions of the embedding that is asked for, 0 if none is.
        sequence: whether it is `width` ids of one vocabulary, which share one table; 0 is padding.
        shape: of an image (height, width, channels); empty for anything else.
        shift, divisor: of an image, one number or one for each channel: the model gets
            `(float32(pixel) - shift) / divisor`.
    """

    name: str
    dtype: Literal["float32", "int64"]
    width: int
    stored: Stored = "dense"
    sizes: tuple[int, ...] = ()
    embedding: int = 0
    sequence: bool = False
    shape: tuple[int, ...] = ()
    shift: tuple[float, ...] = (0.0,)
    divisor: tuple[float, ...] = (1.0,)

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return bool(self.shape)

    @property
    def expands(self) -> bool:
        """Whether stored ids become one-hots for the model."""
        return self.stored == "ids" and self.dtype == "float32"

    @property
    def stored_dtype(self) -> StoredDtype:
        """The dtype in the shards."""
        if self.stored in ENCODED:
            return "bytes"
        return "int64" if self.stored == "ids" else self.dtype

    @property
    def stored_width(self) -> int:
        """The number of values a row in the shards."""
        if self.stored in ENCODED:
            return 1
        return len(self.sizes) if self.stored == "ids" else self.width

    @property
    def decoded_bytes(self) -> int:
        """Bytes of a row as `dataset(expand=False)` gives it."""
        if self.is_image:
            return self.width * (4 if self.stored == "dense" else 1)
        return self.stored_width * (4 if self.stored_dtype == "float32" else 8)

    def pixels(self, values: Any) -> Any:
        """Images as they are stored, decoded, as a person sees them: uint8 [n, height, width, channels].

        Floats that were normalized before they were stored are turned back.
        """
        import numpy as np

        if self.stored == "dense":
            values = np.rint(values * np.array(self.divisor, np.float32) + np.array(self.shift, np.float32))
        return np.clip(values, 0, 255).astype(np.uint8)

    def expand(self, xp: Namespace, values: Any) -> Any:
        """From what is stored, [n, stored_width], to what the model gets, [n, width].

        An image comes as uint8 [n, height, width, channels], decoded, and becomes float32 of this shape; one
        that is stored as floats stays as it is.
        """
        if self.is_image:
            return values if self.stored == "dense" else xp.rescale(values, self.shift, self.divisor)
        if not self.expands:
            return values
        return xp.concat([xp.one_hot(values[:, i], size) for i, size in enumerate(self.sizes)])


@dataclass(frozen=True)
class StoredLabel:
    """A label in the shards.

    Attributes:
        column: the raw column.
        kind: `value`, stored as float32; `class`, stored as int64 class ids; or `multi`, stored as float32
            with a 0 or 1 for each class.
        classes: the number of classes, 0 for a value.
    """

    column: str
    kind: Literal["value", "class", "multi"]
    classes: int = 0

    @property
    def dtype(self) -> Literal["float32", "int64"]:
        """The dtype in the shards."""
        return "int64" if self.kind == "class" else "float32"

    @property
    def width(self) -> int:
        """The number of values a row."""
        return self.classes if self.kind == "multi" else 1


@dataclass(frozen=True)
class Field:
    """One tf.Example feature of a record.

    Attributes:
        key: its name in the tf.Example.
        dtype: `float32` for a float_list, `int64` for an int64_list, `bytes` for a bytes_list of one string.
        sizes: for each value the number of different ids, 0 where it may be any number; empty for an image.
        image: the number of values of an image, 0 for anything else: 1 for a string of bytes, or its floats.
    """

    key: str
    dtype: StoredDtype
    sizes: tuple[int, ...]
    image: int = 0

    @property
    def width(self) -> int:
        """The number of values."""
        return self.image or len(self.sizes)


@dataclass(frozen=True)
class Layout:
    """Everything that a reader of shards has to know; stands in the Examples' properties.

    Attributes:
        features: in the order of the plan.
        labels: in the order of the plan; one at the least.
        layout: `packed` or `columns`.
        compression: empty or `gzip`.
        weight: the raw column of row weights, stored as float32; empty if rows weigh the same.
        jpeg_quality: of images that are stored as JPEG, 1 to 100.
        written_blocks: records in a block as the shards were written; 0 where they are to be written.
    """

    features: tuple[OutputFeature, ...]
    labels: tuple[StoredLabel, ...]
    layout: Literal["packed", "columns"] = "packed"
    compression: Literal["", "gzip"] = ""
    weight: str = ""
    jpeg_quality: int = JPEG_QUALITY
    written_blocks: int = field(default=0, compare=False)

    @property
    def images(self) -> tuple[OutputFeature, ...]:
        """The features that are images."""
        return tuple(f for f in self.features if f.is_image)

    @property
    def block_rows(self) -> int:
        """Records in a block, which is what is read at once; the last one of a shard may have fewer."""
        size = sum(f.decoded_bytes for f in self.features) + 8
        return self.written_blocks or max(1, min(BLOCK_ROWS, BLOCK_BYTES // size))

    def without_images(self) -> Layout:
        """The same records to a reader that leaves the images in them alone."""
        light = replace(self, features=tuple(f for f in self.features if not f.is_image))
        # An image may have taken the weight's name.
        return light if light.weight_key == self.weight_key else self

    @property
    def fields(self) -> tuple[Field, ...]:
        """The tf.Example features of a record: the features', then the labels', then the weight's; in the
        packed layout two for all numbers, then one for each image."""
        images = [Field(self.image_key(f), f.stored_dtype, (), f.stored_width) for f in self.images]
        columns = [Field(f.name, f.stored_dtype, _sizes(f)) for f in self.features if not f.is_image]
        for label in self.labels:
            sizes = (label.classes,) if label.kind == "class" else (0,) * label.width
            columns.append(Field(label.column, label.dtype, sizes))
        if self.weight:
            columns.append(Field(self.weight_key, "float32", (0,)))
        if self.layout == "columns":
            return (*columns, *images)
        packed: list[Field] = []
        dtypes: tuple[tuple[str, Literal["float32", "int64"]], ...] = ((FLOATS, "float32"), (INTS, "int64"))
        for key, dtype in dtypes:
            sizes = tuple(size for column in columns if column.dtype == dtype for size in column.sizes)
            if sizes:
                packed.append(Field(key, dtype, sizes))
        return (*packed, *images)

    def image_key(self, feature: OutputFeature) -> str:
        """The tf.Example feature of an image: its name, if that isn't one of the packed layout's own."""
        taken = {FLOATS, INTS} if self.layout == "packed" else set()
        names = {f.name for f in self.images}
        key = feature.name
        while key in taken or (key != feature.name and key in names):
            key += "_image"
        return key

    @property
    def weight_key(self) -> str:
        """The weight's tf.Example feature in the layout `columns`, where features may have its name."""
        taken = {*(label.column for label in self.labels), *(f.name for f in self.features)}
        key = self.weight
        while key in taken:
            key += "_weight"
        return key

    def columns(self) -> list[tuple[str, str, int, int]]:
        """For each feature, each label, then the weight if there is one: its name, and the field, first
        value and width that hold it."""
        named: list[tuple[str, str, int]] = [(f.name, f.stored_dtype, f.stored_width) for f in self.features]
        named += [(label.column, label.dtype, label.width) for label in self.labels]
        named += [(self.weight_key, "float32", 1)] if self.weight else []
        if self.layout == "columns":
            return [(name, name, 0, width) for name, _, width in named]
        position = {"float32": 0, "int64": 0}
        images = {f.name: self.image_key(f) for f in self.images}
        found = []
        for place, (name, dtype, width) in enumerate(named):
            if place < len(self.features) and name in images:
                found.append((name, images[name], 0, width))
                continue
            found.append((name, FLOATS if dtype == "float32" else INTS, position[dtype], width))
            position[dtype] += width
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "layout": self.layout,
            "compression": self.compression,
            "block_rows": self.block_rows,
            "features": [
                {
                    "name": f.name,
                    "dtype": f.dtype,
                    "width": f.width,
                    "kind": f.stored,
                    **({"sizes": list(f.sizes)} if f.sizes else {}),
                    **({"embedding": f.embedding} if f.embedding else {}),
                    **({"sequence": True} if f.sequence else {}),
                    **({"shape": list(f.shape)} if f.shape else {}),
                    **({"shift": list(f.shift), "divisor": list(f.divisor)} if f.shape else {}),
                }
                for f in self.features
            ],
            "labels": [asdict(label) for label in self.labels],
            **({"weight": self.weight} if self.weight else {}),
            **({"jpeg_quality": self.jpeg_quality} if any(f.stored == "jpeg" for f in self.features) else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Layout:
        """From the properties of an Examples artifact."""
        features = tuple(
            OutputFeature(
                f["name"], f["dtype"], f["width"], f["kind"], tuple(f.get("sizes", ())),
                f.get("embedding", 0), f.get("sequence", False), tuple(f.get("shape", ())),
                tuple(f.get("shift", (0.0,))), tuple(f.get("divisor", (1.0,))),
            )
            for f in values["features"]
        )  # fmt: skip
        labels = tuple(StoredLabel(**told) for told in values.get("labels") or [values["label"]])
        quality = values.get("jpeg_quality", JPEG_QUALITY)
        return cls(
            features, labels, values["layout"], values["compression"], values.get("weight", ""), quality,
            values.get("block_rows", 0),
        )  # fmt: skip


def as_matrix(xp: Namespace, features: Sequence[OutputFeature], outputs: Mapping[str, Any]) -> Any:
    """All features side by side in their order, float32 [n, total width]; see `check_matrix`."""
    check_matrix(features)
    return xp.concat([xp.float32(outputs[f.name]) for f in features])


def check_matrix(features: Sequence[OutputFeature]) -> None:
    """Refuses features that can't be columns of a matrix.

    Raises:
        DataError: a feature is ids, which are names and not amounts, or an image; or there is none.
    """
    images = tuple(f.name for f in features if f.is_image)
    if images:
        raise DataError(
            f"{', '.join(images)}: an image is no row of numbers, so it can't be a column of a matrix",
            remedy="use a model for images, such as cnn",
        )
    ids = tuple(f.name for f in features if f.stored == "ids" and f.dtype == "int64")
    if ids:
        raise DataError(
            f"{', '.join(ids)}: ids are names and not amounts, so they can't be columns of a matrix",
            remedy="put one_hot behind, as in [vocabulary, one_hot], or use a model that embeds them",
        )
    if not features:
        raise DataError("there is no feature to make a matrix of", remedy="name one under `features`")


def _sizes(feature: OutputFeature) -> tuple[int, ...]:
    return feature.sizes if feature.stored == "ids" else (0,) * feature.width
