"""Augmentations that move pixels: each as the matrices that lead from the new image back into the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .base import STEPS, Amount, Drawn, FillingWarp, Warp, around, range_problem

FAR = 10.0
"""The greatest zoom and ratio."""


@dataclass(frozen=True, kw_only=True)
class Flip(Warp):
    """Mirrors images: `{flip: horizontal}`.

    Attributes:
        direction: `horizontal` (left and right change places), `vertical`, or `both`, each by itself.
        probability: of each direction.
    """

    direction: Literal["horizontal", "vertical", "both"] = "horizontal"
    probability: float = 0.5
    name: ClassVar[str] = "flip"
    first: ClassVar[tuple[str, ...]] = ("direction",)

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        across = np.array([[-1.0, 0, width - 1, 0, 1, 0]])
        down = np.array([[1.0, 0, 0, 0, -1, height - 1]])
        return {
            "horizontal": [Drawn(0, across)],
            "vertical": [Drawn(0, down)],
            "both": [Drawn(0, across, by_itself=True), Drawn(1, down, by_itself=True)],
        }[self.direction]


@dataclass(frozen=True, kw_only=True)
class Rotate90(Warp):
    """Turns images counter-clockwise by a whole number of right angles: `rotate90`, `{rotate90: [0, 2]}`.

    Attributes:
        turns: the numbers of right angles to choose from; odd ones are for square images.
    """

    turns: tuple[int, ...] = (0, 1, 2, 3)
    name: ClassVar[str] = "rotate90"
    first: ClassVar[tuple[str, ...]] = ("turns",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        if not self.turns:
            return "turns is empty; choose from 0, 1, 2 and 3"
        if shape and shape[0] != shape[1] and any(turn % 2 for turn in self.turns):
            return f"images of {shape[0]} by {shape[1]} don't fit when turned; write turns: [0, 2]"
        return ""

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        turns = np.array(self.turns) % 4
        cos, sin = np.array([1.0, 0, -1, 0])[turns], np.array([0.0, 1, 0, -1])[turns]
        return [Drawn(0, _centred(np, cos, -sin, sin, cos, height, width))]


@dataclass(frozen=True, kw_only=True)
class Rotate(FillingWarp):
    """Turns images about their centre, counter-clockwise: `{rotate: 15}`, `{rotate: [0, 360]}`.

    Attributes:
        degrees: as far to both sides, or [low, high].
    """

    degrees: Amount
    name: ClassVar[str] = "rotate"
    first: ClassVar[tuple[str, ...]] = ("degrees",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        return range_problem("degrees", self.degrees, -360, 360)

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        angle = np.radians(_spread(np, around(self.degrees)))
        cos, sin = np.cos(angle), np.sin(angle)
        return [Drawn(0, _centred(np, cos, -sin, sin, cos, height, width))]


@dataclass(frozen=True, kw_only=True)
class Shift(FillingWarp):
    """Moves images: `{shift: 0.1}`, `{shift: {x: 3, y: 0, unit: pixels}}`.

    Attributes:
        amount: both ways; a share of the width and of the height as far to both sides, or [low, high]. To the
            right and down are above 0.
        x, y: the same for one way, where they are to differ.
        unit: `share`, or `pixels`: whole ones, so that nothing is blurred.
    """

    amount: Amount = 0.0
    x: Amount | None = None
    y: Amount | None = None
    unit: Literal["share", "pixels"] = "share"
    name: ClassVar[str] = "shift"
    first: ClassVar[tuple[str, ...]] = ("amount",)

    @property
    def _ways(self) -> tuple[Amount, Amount]:
        return self.amount if self.x is None else self.x, self.amount if self.y is None else self.y

    @property
    def keeps_pixels(self) -> bool:
        """See the class `Warp`."""
        return self.unit == "pixels"

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        if not any(self._ways):
            return "it says nothing; give amount, or x and y"
        if self.unit == "share":
            found = [range_problem("a shift in shares of the image", way, -1, 1) for way in self._ways]
            return next((what + "; for pixels write unit: pixels" for what in found if what), "")
        if any(end != int(end) for way in self._ways for end in around(way)):
            return f"a shift in pixels is by whole ones, and this is {self._ways}"
        sizes = (1 << 16, 1 << 16) if shape is None else (shape[1], shape[0])
        ways = zip(self._ways, sizes, strict=True)
        return next((p for p in (range_problem("a shift", way, -far, far) for way, far in ways) if p), "")

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        found = []
        for draw, (way, size) in enumerate(zip(self._ways, (width, height), strict=True)):
            low, high = around(way)
            if self.unit == "pixels":
                by = np.arange(int(low), int(high) + 1, dtype=np.float64)
            else:
                by = _spread(np, (low, high)) * size
            found.append(Drawn(draw, _moved(np, -by, draw)))
        return found


@dataclass(frozen=True, kw_only=True)
class Zoom(FillingWarp):
    """Enlarges or reduces images about their centre: `{zoom: 0.1}`, `{zoom: [1, 1.5]}`.

    Attributes:
        factor: a number a stands for [1 - a, 1 + a]; above 1 enlarges.
        keep_aspect: whether height and width have one factor.
    """

    factor: Amount
    keep_aspect: bool = True
    name: ClassVar[str] = "zoom"
    first: ClassVar[tuple[str, ...]] = ("factor",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        return range_problem("factor", self.factor, 1 / FAR, FAR, 1.0)

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        by = 1 / _spread(np, around(self.factor, 1.0))
        none, one = np.zeros(len(by)), np.ones(len(by))
        if self.keep_aspect:
            return [Drawn(0, _centred(np, by, none, none, by, height, width))]
        return [
            Drawn(0, _centred(np, by, none, none, one, height, width)),
            Drawn(1, _centred(np, one, none, none, by, height, width)),
        ]


@dataclass(frozen=True, kw_only=True)
class Shear(FillingWarp):
    """Slants images about their centre: `{shear: 10}`.

    Attributes:
        degrees: as far to both sides, or [low, high]; above 0 the upper edge goes to the right, or with
            axis y the right edge down.
        axis: `x`, `y`, or `both`, each by itself.
    """

    degrees: Amount
    axis: Literal["x", "y", "both"] = "x"
    name: ClassVar[str] = "shear"
    first: ClassVar[tuple[str, ...]] = ("degrees",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        return range_problem("degrees", self.degrees, -80, 80)

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        by = np.tan(np.radians(_spread(np, around(self.degrees))))
        none, one = np.zeros(len(by)), np.ones(len(by))
        across = Drawn(0, _centred(np, one, by, none, one, height, width))
        down = Drawn(1, _centred(np, one, none, -by, one, height, width))
        return {"x": [across], "y": [down], "both": [across, down]}[self.axis]


@dataclass(frozen=True, kw_only=True)
class Affine(FillingWarp):
    """Shears, zooms, turns and moves images, in this order: `{affine: {degrees: 10, shift: 0.1}}`.

    Attributes:
        degrees: see `Rotate`.
        shift: see `Shift`, in shares.
        zoom: see `Zoom`; a number a stands for [1 - a, 1 + a].
        shear: see `Shear`, in degrees.
    """

    degrees: Amount = 0.0
    shift: Amount = 0.0
    zoom: Amount = 0.0
    shear: Amount = 0.0
    name: ClassVar[str] = "affine"

    def _parts(self) -> tuple[Warp, ...]:
        return (
            Shear(degrees=self.shear),
            Zoom(factor=self.zoom),
            Rotate(degrees=self.degrees),
            Shift(amount=self.shift),
        )

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        if not any((self.degrees, self.shift, self.zoom, self.shear)):
            return "it says nothing; give one of degrees, shift, zoom and shear"
        parts = [part for part in self._parts() if not isinstance(part, Shift) or self.shift]
        return next((p for p in (part.wrong(shape) for part in parts) if p), "")

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        found: list[Drawn] = []
        for part in self._parts():
            drawn = part.matrices(np, height, width)
            found += [Drawn(len(found) + one.draw, one.rows) for one in drawn]
        return found


@dataclass(frozen=True, kw_only=True)
class RandomCrop(FillingWarp):
    """Cuts a piece out of the image; what comes out has the image's size.

    `{random_crop: 4}` pads the image by 4 pixels and cuts its size out at any place. With
    `{random_crop: {scale: [0.3, 1]}}` the piece has 0.3 to 1 of the area and is enlarged to the image's size.

    Attributes:
        padding: pixels on each side, filled as `fill` says; for height and width alike.
        scale: [low, high] of the share of the area.
        ratio: [low, high] of the piece's width by its height, in units of the image's own.
    """

    padding: int = 0
    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    name: ClassVar[str] = "random_crop"
    first: ClassVar[tuple[str, ...]] = ("padding",)

    @property
    def keeps_pixels(self) -> bool:
        """See the class `Warp`."""
        return self.scale is None

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        if bool(self.padding) == (self.scale is not None):
            return "give either padding, in pixels, or scale: [low, high], of the area"
        if self.padding < 0 or (shape and self.padding > min(shape[:2])):
            return f"padding is a number of pixels that fits the image, and this is {self.padding}"
        if self.scale is None:
            return ""
        wrong = range_problem("scale", self.scale, 1e-3, 1.0)
        return wrong or range_problem("ratio", self.ratio, 1 / FAR, FAR)

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """See the class `Warp`."""
        if self.scale is None:
            by = np.arange(-self.padding, self.padding + 1, dtype=np.float64)
            return [Drawn(0, _moved(np, by, 0)), Drawn(1, _moved(np, by, 1))]
        # A piece is the image reduced towards a point of it: where that lies says where the piece does.
        across, down = (np.linspace(-0.5, size - 0.5, STEPS) for size in (width, height))
        return [
            Drawn(0, _moved(np, across, 0)),
            Drawn(1, _moved(np, down, 1)),
            Drawn(2, self._sizes(np)),
            Drawn(1, _moved(np, -down, 1)),
            Drawn(0, _moved(np, -across, 0)),
        ]

    def _sizes(self, np: Any) -> Any:
        """Pieces of every area and ratio, as far as they fit into the image."""
        low, high = self.scale or (1.0, 1.0)
        spread = np.arange(STEPS) * 2531 % STEPS  # by the golden section: near areas meet all kinds of ratios
        area = np.linspace(low, high, STEPS)
        ratio = np.exp(np.linspace(*np.log(self.ratio), STEPS))[spread]
        x, y = np.minimum(np.sqrt(area * ratio), 1.0), np.minimum(np.sqrt(area / ratio), 1.0)
        none = np.zeros(STEPS)
        return np.stack([x, none, none, none, y, none], axis=1)


def _spread(np: Any, ends: tuple[float, float]) -> Any:
    """Numbers between the ends, float64 [k]."""
    return np.linspace(*ends, STEPS) if ends[0] < ends[1] else np.array(ends[:1])


def _moved(np: Any, by: Any, way: int) -> Any:
    """Matrices, float64 [k, 6], of looking so many pixels further along x (way 0) or y (way 1)."""
    rows = np.tile([1.0, 0, 0, 0, 1, 0], (len(by), 1))
    rows[:, 2 if way == 0 else 5] = by
    return rows


def _centred(np: Any, a: Any, b: Any, c: Any, d: Any, height: int, width: int) -> Any:
    """Matrices, float64 [k, 6], that leave the image's centre where it is."""
    x, y = (width - 1) / 2, (height - 1) / 2
    return np.stack([a, b, x - a * x - b * y, c, d, y - c * x - d * y], axis=1)
