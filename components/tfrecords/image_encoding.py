"""Rows with images as serialized tf.Examples, one after another.

Numbers and labels of a batch are encoded at once, as for tables. Images follow some at a time, so that memory
is bounded by `SLICE_BYTES` however many or large they are, and a record is put together when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.pixel_sums import PixelSums
from ..preprocessing.casting import serving_batch
from ..preprocessing.fitted import Program
from ..preprocessing.fitted_features import Branch
from ..transforms.image_chains import leading_steps
from ..transforms.images import CenterCrop, Decode, Pixels
from ..transforms.namespace import NumpyNamespace
from .encoding import Encoder, Fault, faults_of
from .layout import Field, OutputFeature
from .tf_example import EXAMPLE, map_front, varint

SLICE_BYTES = 16 * 2**20
"""Bytes of decoded images, at the output's size, that are in memory at once; one image may be larger."""
MISSING_REMEDY = "leave these rows out, or give them a picture that stands for a missing one"


@dataclass
class Seen:
    """What is found out while images are encoded.

    Attributes:
        faults: images that can't be decoded.
        learn: whether transforms are fitted on these rows.
        pixels: by feature the sums that they are fitted on.
    """

    faults: list[Fault]
    learn: bool = False
    pixels: dict[str, PixelSums] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageEncoder:
    """Encodes batches of raw rows with images.

    Attributes:
        encoder: encodes everything else.
    """

    encoder: Encoder

    @cached_property
    def _program(self) -> Program:
        images = [f for f in self.encoder.fitted.fitted if f.output.is_image]
        return Program(images, NumpyNamespace())

    @cached_property
    def _fields(self) -> list[tuple[OutputFeature, Field]]:
        layout = self.encoder.layout
        by_key = {field.key: field for field in layout.fields}
        return [(feature, by_key[layout.image_key(feature)]) for feature in layout.images]

    @cached_property
    def columns(self) -> list[str]:
        """The raw columns of images."""
        branches = [branch for f in self._program.features for branch in f.branches]
        return list(dict.fromkeys(branch.column for branch in branches))

    @property
    def slice_rows(self) -> int:
        """How many rows' images are in memory at once."""
        return max(SLICE_BYTES // sum(f.decoded_bytes for f in self.encoder.layout.images), 1)

    def faults(self, batch: pa.RecordBatch) -> list[Fault]:
        """The images that are missing."""
        found = []
        for feature in self._program.features:
            for branch in feature.branches:
                absent = pc.is_null(batch.column(branch.column)).to_numpy(zero_copy_only=False)
                what = f"the column {branch.column!r} has no image"
                raw = np.full(len(absent), "nan")
                found += faults_of(f"features.{feature.name}", {what: absent}, raw, MISSING_REMEDY)
        return found

    def records(self, batch: pa.RecordBatch, others: np.ndarray[Any, Any], seen: Seen) -> Iterator[bytes]:
        """Serialized tf.Examples.

        Args:
            batch: raw rows, [n], none without its images.
            others: what `encoder` made of them, uint8 [n, length].
            seen: takes what is found out on the way.
        """
        step, head = self.slice_rows, self.encoder.template.head
        for start in range(0, batch.num_rows, step):
            images = self._images(batch.slice(start, step), start, seen)
            for place, other in enumerate(others[start : start + step]):
                stored = [(entry, each[place]) for (_, entry), each in zip(self._fields, images, strict=True)]
                yield record_of(other[head:].tobytes(), stored)

    def _images(self, batch: pa.RecordBatch, first: int, seen: Seen) -> list[Sequence[Any]]:
        """What is stored of each image feature, for each row bytes or an array without gaps."""
        columns = serving_batch(batch, dict.fromkeys(self.columns, "image"))
        run = self._program.run(columns)
        for each in self._program.features:
            for branch, decoded in zip(each.branches, run[each.name], strict=True):
                seen.faults += _broken(each.name, branch, columns[branch.column], decoded, first)
                if each.deferred and seen.learn:
                    before = seen.pixels.get(each.name, PixelSums())
                    seen.pixels[each.name] = before.merge(PixelSums.of(decoded.values))
        made: Mapping[str, Any] = self._program.join(run)
        found: list[Sequence[Any]] = []
        for feature, _ in self._fields:
            pixels = np.ascontiguousarray(made[feature.name])
            if pixels.shape[1:] != feature.shape:
                raise RuntimeError(f"{feature.name}: images of {pixels.shape[1:]}, not {feature.shape}")
            if feature.stored in ("png", "jpeg"):
                found.append(image_files(pixels, feature.stored, self.encoder.layout.jpeg_quality))
            else:
                found.append(list(pixels.astype("<f4", copy=False) if feature.stored == "dense" else pixels))
        return found


def _broken(name: str, branch: Branch, raw: pa.Array, made: Pixels, first: int) -> list[Fault]:
    """The images that can't be decoded, with TensorFlow's words for the first; `first` is the first row."""
    rows = np.flatnonzero(~made.valid)
    if not len(rows):
        return []
    from ..transforms.images_tf import decode_problem

    steps = leading_steps([stage.transform for stage in branch.stages])
    remedy = (
        "have image_examples read such files, which rejects or rewrites them; TensorFlow says:"
        f" {decode_problem(raw[int(rows[0])].as_py(), steps)}"
    )
    what = f"the column {branch.column!r} holds what TensorFlow can't decode as a JPEG or PNG file"
    return [Fault(f"features.{name}", what, len(rows), first + int(rows[0]), "", remedy)]


def record_of(others: bytes, images: Sequence[tuple[Field, Any]]) -> bytes:
    """A serialized tf.Example.

    Args:
        others: its features that aren't images, as they stand in a record behind its head.
        images: the fields of images with what they hold, bytes or an array without gaps.
    """
    pieces: list[Any] = [others]
    size = len(others)
    for own, stored in images:
        length = len(stored) if isinstance(stored, bytes) else stored.nbytes
        front = map_front(own, length)
        pieces += [front, stored]
        size += len(front) + length
    return b"".join([EXAMPLE, varint(size), *pieces])


def image_files(pixels: np.ndarray[Any, Any], kind: str, quality: int) -> list[bytes]:
    """Images as encoded files, by TensorFlow's own encoders.

    Args:
        pixels: uint8 [n, height, width, channels], of 1 or 3 channels.
        kind: `png`, packed by zlib's fastest level, which takes a tenth more bytes and less than half the
            time of its usual one; or `jpeg`, baseline, with the two colour differences at half the resolution
            (4:2:0).
        quality: of JPEG, 1 to 100.
    """
    encoded: np.ndarray[Any, Any] = _file_encoder(kind, quality)(pixels).numpy()
    return list(encoded)


def recompressed(pixels: np.ndarray[Any, Any], quality: int) -> np.ndarray[Any, Any]:
    """Images as they come out of JPEG files of shards; see `image_files`."""
    from ..transforms.images_tf import render_arrow

    files = pa.array(image_files(pixels, "jpeg", quality), pa.binary())
    decode = Decode("rgb" if pixels.shape[-1] == 3 else "grayscale")
    made: np.ndarray[Any, Any] = render_arrow(files, (decode, CenterCrop(pixels.shape[1:3]))).values
    return made


@lru_cache(maxsize=4)
def _file_encoder(kind: str, quality: int) -> Any:
    import tensorflow as tf

    def one(image: Any) -> Any:
        if kind == "png":
            return tf.io.encode_png(image, compression=1)
        return tf.io.encode_jpeg(image, quality=quality, chroma_downsampling=True)

    signature = [tf.TensorSpec([None, None, None, None], tf.uint8)]
    # The loop's rounds are independent, and TensorFlow runs them side by side.
    mapped = lambda images: tf.map_fn(one, images, fn_output_signature=tf.string)  # noqa: E731
    return tf.function(mapped, input_signature=signature)
