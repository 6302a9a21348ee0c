"""Augmentation: random changes of the images of the train split, as a declared list.

    augment: [{flip: horizontal}, {rotate: 15}, {shift: 0.1}, {brightness: 0.2}, {noise: 0.02}]

Each is a small frozen class, as transforms are: its fields are its arguments. Those that move pixels say by
which matrices, and those that follow each other are multiplied into one, so that an image is resampled once;
those that change values say by how much, and what follows each other is one multiplication and one addition.

Every random number is a hash of (seed, epoch, example, place in the list, draw). So what becomes of an
example in an epoch depends on nothing else: not on the batch that it is in, nor on readers or workers.
"""

from __future__ import annotations

from .base import Augmentation
from .color import Brightness, Contrast, Cutout, Noise
from .geometry import Affine, Flip, RandomCrop, Rotate, Rotate90, Shear, Shift, Zoom

_ALL: tuple[type[Augmentation], ...] = (
    Flip, Rotate90, Rotate, Shift, Zoom, Shear, Affine, RandomCrop, Brightness, Contrast, Noise, Cutout,
)  # fmt: skip
AUGMENTATIONS: dict[str, type[Augmentation]] = {cls.name: cls for cls in _ALL}
"""What may stand in the list, by name."""

__all__ = ["AUGMENTATIONS", "Augmentation"]
