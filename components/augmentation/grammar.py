"""A list of augmentations as it is written: names and arguments become augmentations, or problems. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...pipelines.errors import Problem
from ..preprocessing.link_arguments import link_arguments
from . import AUGMENTATIONS
from .base import Augmentation

ARGUMENT = "augment"


def parse_augmentation(
    told: Any, shape: Sequence[int] | None = None
) -> tuple[tuple[Augmentation, ...], list[Problem]]:
    """The augmentations of a list, and what is wrong with those that are left out.

    Args:
        told: a list of names, `{name: value of the first argument}` and `{name: {argument: value}}`; or
            one of these alone; None for no augmentation.
        shape: (height, width, channels) of the images; None as long as they aren't known.
    """
    links = [] if told is None else told if isinstance(told, list | tuple) else [told]
    found: list[Augmentation] = []
    problems: list[Problem] = []
    for place, link in enumerate(links):
        made, wrong = _augmentation(link, f"{ARGUMENT}[{place}]", shape)
        problems += wrong
        if made is not None:
            found.append(made)
    return tuple(found), problems


def _augmentation(
    link: Any, where: str, shape: Sequence[int] | None
) -> tuple[Augmentation | None, list[Problem]]:
    name, given = link, None
    if isinstance(link, Mapping):
        if len(link) != 1:
            listed = ", ".join(map(str, link))
            text = f"an augmentation is one name with its arguments, and here are {len(link)}: {listed}"
            remedy = "write each as an item of the list: [{rotate: 15}, {shift: 0.1}]"
            return None, [Problem(text, argument=where, remedy=remedy)]
        name, given = next(iter(link.items()))
    if not isinstance(name, str) or name not in AUGMENTATIONS:
        text = f"there is no augmentation {name!r}"
        return None, [Problem(text, argument=where, given=str(name), available=tuple(AUGMENTATIONS))]
    cls = AUGMENTATIONS[name]
    arguments, problems = link_arguments(cls, given, where)
    if problems:
        return None, problems
    made = cls(**arguments)
    wrong = made.problem(shape)
    return (None, [Problem(f"{name}: {wrong}", argument=where)]) if wrong else (made, [])
