"""Fitted features: chains of transforms with their constants, on one column or joining several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from ..tfrecords.layout import DENSE_LIMIT, OutputFeature, Stored
from ..transforms import Constants, Kind, Results, Transform, coerce, coerced
from ..transforms.by_key import of_rows
from ..transforms.image_chains import leading_steps, normalization
from ..transforms.images import NO_SHAPE, Pixels, Shape, Standardize
from ..transforms.namespace import Namespace, NumpyNamespace
from ..transforms.own import apply_own, path_of
from .features_grammar import RAW

Places = Sequence[tuple[int, int]]
"""Number and rows of parts of the train split."""
LISTS = ("strings", "ints", "floats", "id_lists")
"""Kinds with any number of values a row."""
IMAGES = ("pixels", "scaled")
"""Kinds of images of one size, `Pixels` where a chain ends."""


@dataclass(frozen=True)
class Stage:
    """A transform and its constants."""

    transform: Transform
    constants: Constants


@dataclass(frozen=True)
class Branch:
    """A chain on one column.

    Attributes:
        column: the raw column.
        type: its type: `float`, `int`, `bool` or `string`.
        stages: the chain.
        beside: column and type of the keys that stages have constants by.
    """

    column: str
    type: str
    stages: tuple[Stage, ...]
    beside: tuple[tuple[str, str], ...] = ()

    @cached_property
    def end(self) -> End:
        """What comes out."""
        return End(RAW[self.type]).behind(self.stages)

    def run(self, xp: Namespace, column: Any, prepared: Sequence[Constants], rows: Rows | None = None) -> Any:
        """The chain's output on a cast column, [n], or [n, width]; of images `Pixels`.

        `rows` are needed by some chains.
        """
        steps = leading_steps([stage.transform for stage in self.stages])
        if steps:
            pixels, place = xp.render(column, steps), len(steps)
            after = run_stages(xp, pixels.values, "pixels", self.stages[place:], prepared[place:], rows)
            return pixels._replace(values=after)
        # NaN and infinities go through: whoever learns from the result refuses them, with their rows.
        with np.errstate(all="ignore"):
            return run_stages(xp, column, RAW[self.type], self.stages, prepared, rows)


class Rows(NamedTuple):
    """What a chain may know of the rows beside its own column.

    Attributes:
        columns: cast columns by name.
        places: of rows that are learned from, number and rows of each part of the train split that they are,
            whole and in order; None for other rows.
    """

    columns: Mapping[str, Any]
    places: Places | None = None


class End(NamedTuple):
    """What comes out of a chain.

    Attributes:
        kind: its kind.
        size: for ids, how many there are.
        width: the values a row.
        embedding: the dimensions of the embedding that is asked for, or 0.
        shape: of images, height, width and channels.
    """

    kind: Kind
    size: int = 0
    width: int = 1
    embedding: int = 0
    shape: Shape = NO_SHAPE

    def behind(self, stages: Sequence[Stage]) -> End:
        """What comes out behind further stages."""
        kind, size, width, embedding, shape = self
        for transform, constants in ((stage.transform, stage.constants) for stage in stages):
            kind = coerced(kind, transform.takes) or kind
            embedding = transform.dimensions(size)
            size, width = transform.size(constants, size), transform.width(constants, width)
            kind, shape = transform.gives(kind), transform.shape(shape)
        return End(kind, size, width, embedding, shape)


def run_stages(
    xp: Namespace,
    column: Any,
    kind: Kind,
    stages: Sequence[Stage],
    prepared: Sequence[Constants],
    rows: Rows | None = None,
) -> Any:
    """A column of `kind` through a chain, with the constants prepared for the plane."""
    for stage, constants in zip(stages, prepared, strict=True):
        column, kind = coerce(xp, column, kind, stage.transform.takes)
        transform, gives = stage.transform, stage.transform.gives(kind)
        if transform.key:
            assert rows is not None, "a chain by key is given the key"
            constants = of_rows(xp, rows.columns[transform.key], constants)
        if path_of(type(transform)):
            places = None if rows is None else rows.places
            column = apply_own(transform, xp, column, constants, gives, places)
        elif rows is not None and rows.places is not None:
            column = transform.apply_train(xp, column, constants, rows.places)
        else:
            column = transform.apply(xp, column, constants)
        kind = gives
    return column


@dataclass(frozen=True)
class FittedFeature:
    """An output feature.

    Attributes:
        name: its name.
        branches: the chains that make it, one a source column.
        joined: what makes one column of their outputs, and what stands behind that; empty where the outputs
            lie side by side.
        stored: how an image is stored; nothing else is asked how.
    """

    name: str
    branches: tuple[Branch, ...]
    joined: tuple[Stage, ...] = ()
    stored: Stored = "pixels"

    @cached_property
    def ends(self) -> tuple[End, ...]:
        """What the columns are that lie side by side."""
        ends = tuple(branch.end for branch in self.branches)
        return (ends[0].behind(self.joined),) if self.joined else ends

    @cached_property
    def output(self) -> OutputFeature:
        """How the model gets it and how it is stored."""
        kinds = {end.kind for end in self.ends}
        sizes = tuple(end.size for end in self.ends)
        if kinds <= set(IMAGES):
            return self._image
        if kinds == {"ids"}:
            return OutputFeature(self.name, "int64", len(sizes), "ids", sizes, self.ends[0].embedding)
        if kinds == {"sequence"}:
            last = self.ends[0]
            sizes = (last.size,) * last.width
            return OutputFeature(self.name, "int64", last.width, "ids", sizes, last.embedding, sequence=True)
        if kinds == {"one_hot"}:
            width = sum(sizes)
            stored: Literal["dense", "ids"] = "dense" if width <= DENSE_LIMIT else "ids"
            return OutputFeature(self.name, "float32", width, stored, sizes)
        width = sum(end.width for end in self.ends)
        return OutputFeature(self.name, "int64" if kinds == {"int"} else "float32", width)

    @property
    def deferred(self) -> bool:
        """Whether a transform waits for the sums of pixels, which are taken while the images are encoded."""
        return any(_waits(stage) for branch in self.branches for stage in branch.stages)

    def with_pixels(self, found: Results) -> FittedFeature:
        """Fitted on the sums of its own pixels in the train split."""
        (branch,) = self.branches
        stages = [
            Stage(s.transform, canonical(s.transform.fit(found, "pixels"))) if _waits(s) else s
            for s in branch.stages
        ]
        return replace(self, branches=(replace(branch, stages=tuple(stages)),))

    @property
    def _image(self) -> OutputFeature:
        shape = self.ends[0].shape
        shift, divisor = normalization([(s.transform, s.constants) for s in self.branches[0].stages])
        width = shape[0] * shape[1] * shape[2]
        return OutputFeature(
            self.name, "float32", width, self.stored, shape=shape, shift=shift, divisor=divisor
        )

    @cached_property
    def normalized(self) -> np.ndarray[Any, Any]:
        """What each value of a pixel becomes, float32 [256, channels]. Looked up, since a graph may multiply
        by a reciprocal where it reads a division."""
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], self.output.shape[-1], axis=1)
        table: np.ndarray[Any, Any] = NumpyNamespace().rescale(levels, self.output.shift, self.output.divisor)
        return table

    def joint(self, xp: Namespace, columns: Sequence[Any], prepared: Sequence[Constants]) -> list[Any]:
        """The chains' outputs, [n] each, as the columns that lie side by side."""
        if not self.joined:
            return list(columns)
        first, *rest = self.joined
        takes = first.transform.takes
        read = [
            coerce(xp, column, branch.end.kind, takes)[0]
            for column, branch in zip(columns, self.branches, strict=True)
        ]
        kind = first.transform.gives(self.branches[0].end.kind)
        if path_of(type(first.transform)):
            made = apply_own(first.transform, xp, read, prepared[0], kind)
        else:
            made = first.transform.apply(xp, read, prepared[0])
        return [run_stages(xp, made, kind, rest, prepared[1:])]

    def join(self, xp: Namespace, columns: Sequence[Any]) -> Any:
        """The columns that lie side by side as they are stored, [n, stored width]."""
        output = self.output
        kinds = {end.kind for end in self.ends}
        if output.is_image:
            return self._stored_image(xp, columns[0])
        if output.stored == "dense" and output.sizes:
            pairs = zip(columns, output.sizes, strict=True)
            return xp.concat([xp.one_hot(column, size) for column, size in pairs])
        if kinds == {"sequence"}:
            return columns[0]
        if "vector" in kinds:
            pairs_ = zip(columns, self.ends, strict=True)
            return xp.concat([c if e.kind == "vector" else xp.stack([xp.to_float(c)]) for c, e in pairs_])
        if output.stored_dtype == "float32":
            return xp.stack([xp.to_float(column) for column in columns])
        return xp.stack(list(columns))

    def _stored_image(self, xp: Namespace, pixels: Pixels) -> Any:
        if self.stored != "dense":
            return pixels.values
        return xp.blank(xp.normalize(pixels.values, self.normalized), pixels.valid)


def _waits(stage: Stage) -> bool:
    return isinstance(stage.transform, Standardize) and not stage.constants


def canonical(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Constants as both planes use them: numbers rounded once to float32, lists of numbers as arrays."""

    def rounded(value: Any) -> Any:
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float):
            return float(np.float32(value))
        if isinstance(value, list) and not (value and isinstance(value[0], str)) and value:
            return np.asarray(value, np.float32)
        return value

    return {name: rounded(value) for name, value in constants.items()}
