"""Steps that are there once for each item of a list.

    train:
      each: {country: [de, fr]}
      uses: train
      with: {examples: "${steps.examples}", seed: "${each.country.seed}"}

gives `train[de]` and `train[fr]`. A mapped step that refers to another one that is mapped over the same name
means its twin, the one with its own key; any step may name one, `${steps.train[de]}`. Over several names a
step is there for each combination.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import PipelineError, Problem
from .pipeline import KEY
from .values import shown, spelled

KEY_ENTRY = "key"
"""The entry of an item that is a mapping which tells the items apart."""


@dataclass(frozen=True)
class Item:
    """What one of the steps that a map makes was made for; an unmapped step has the empty one.

    Attributes:
        values: items by the map's names.
        keys: their keys.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """What stands behind the step's name."""
        return f"[{','.join(self.keys.values())}]" if self.keys else ""

    def fits(self, other: Item) -> bool:
        """Whether `other`, which is mapped over the same names or some of them, has the same keys."""
        return all(self.keys.get(name) == key for name, key in other.keys.items())


def key_of(*items: Any) -> str:
    """The key of a mapped step's item: a mapping's entry `key`, or else the item as a text.

    Args:
        items: an item, or one of each list where a step is mapped over several.

    Raises:
        PipelineError: an item has no key, or one that can't be part of a name.
    """
    return ",".join(_key(item) for item in items)


def _key(item: Any) -> str:
    remedy = f"make the items mappings with an entry `{KEY_ENTRY}`: {{{KEY_ENTRY}: uk, name: United Kingdom}}"
    if isinstance(item, Mapping):
        if KEY_ENTRY not in item:
            raise PipelineError(f"the item {shown(dict(item))} has no entry `{KEY_ENTRY}`", remedy=remedy)
        item = item[KEY_ENTRY]
    if item is None or not isinstance(item, str | int | float):
        raise PipelineError(f"{shown(item)} can't be a key", remedy=remedy)
    key = spelled(item)
    if not KEY.fullmatch(key):
        raise PipelineError(
            f"{shown(key)} can't be a key, which holds letters, digits, _ . + and -", remedy=remedy
        )
    return key


def keyed(items: Any) -> dict[str, Any]:
    """Items by their keys.

    Raises:
        PipelineError: `items` is no list, is empty, or two items have one key.
    """
    if not isinstance(items, list | tuple):
        raise PipelineError(f"has to be a list, not {shown(items)}", remedy="write the items as a list")
    if not items:
        raise PipelineError("the list is empty, so that there would be no step", remedy="add an item")
    found: dict[str, Any] = {}
    for item in items:
        key = _key(item)
        if key in found:
            raise PipelineError(f"two items have the key {key!r}", remedy="remove one of them")
        found[key] = item
    return found


def combinations(lists: Mapping[str, Any]) -> tuple[list[Item], list[Problem]]:
    """Every item that a step is mapped over, and what is wrong with the lists.

    Args:
        lists: items by the map's names.
    """
    problems: list[Problem] = []
    by_key: dict[str, dict[str, Any]] = {}
    for name, items in lists.items():
        try:
            by_key[name] = keyed(items)
        except PipelineError as error:
            problems += [problem.at(argument=f"each.{name}") for problem in error.problems]
    if problems:
        return [], problems
    together = (dict(zip(by_key, keys, strict=True)) for keys in itertools.product(*by_key.values()))
    return [Item({name: by_key[name][key] for name, key in keys.items()}, keys) for keys in together], []


def twin(step: str, items: Iterable[Item], own: Item) -> str | Problem:
    """The full name of the step that a reference from a mapped or unmapped step means.

    Args:
        step: a mapped step, without a key.
        items: what it is mapped over.
        own: the item of the step that refers to it.
    """
    names = [f"{step}{item.suffix}" for item in items]
    if not own.keys:
        what = f"{step} is there once for each item, so that it isn't clear which one is meant"
        remedy = f"name one, for example ${{steps.{names[0]}}}, or map this step too, by `each:`"
        return Problem(what, available=tuple(names), remedy=remedy)
    foreign = [name for name in next(iter(items)).keys if name not in own.keys]
    if foreign:
        what = f"{step} is mapped over {', '.join(foreign)}, and this step over {', '.join(own.keys)}"
        return Problem(
            what, available=tuple(names), remedy="map both over the same names, or name one of these"
        )
    for item in items:
        if own.fits(item):
            return f"{step}{item.suffix}"
    what = f"{step} has no twin for {own.suffix}"
    return Problem(what, available=tuple(names), remedy="map both over the same list")
