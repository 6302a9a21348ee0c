"""What other packages offer by plain names: components, transforms, models, losses, metrics and pipelines.

A package says so in its pyproject.toml, with an import path behind each name:

    [project.entry-points."headrace.components"]
    count_rows = "tidy_tables.counting:count_rows"     # a @component or a @pipeline function
    [project.entry-points."headrace.transforms"]
    fold = "tidy_tables.transforms:Fold"
    [project.entry-points."headrace.models"]
    ridge = "tidy_tables.models:ridge"
    [project.entry-points."headrace.losses"]           # and headrace.metrics
    cubed = "tidy_tables.losses:cubed"
    [project.entry-points."headrace.pipelines"]
    tidy_wine = "tidy_tables.ready"         # the package that holds tidy_wine.yaml; or module:function

A plain name stands for its import path, whose code and package's version are fingerprinted. What is built in
is never hidden by another package's, and of two packages that claim one name neither is taken silently.
Nothing is imported here but what a name needs: a broken package is told of where it is used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .errors import PipelineError, Problem
from .pipeline import map_values

if TYPE_CHECKING:
    from .component import Argument

PREFIX = "headrace."
KINDS = {
    "components": "component", "transforms": "transform", "models": "model", "losses": "loss",
    "metrics": "metric", "pipelines": "pipeline",
}  # fmt: skip
"""The entry point groups without their prefix, each with what one of its members is."""
_BARE_KINDS = ("models", "losses", "metrics")
_PLAIN = re.compile(r"[^\W\d][\w.-]*")


@dataclass(frozen=True)
class Offer:
    """One name that a package offers.

    Attributes:
        kind: the group, one of `KINDS`.
        name: what people write.
        path: the import path behind it.
        package: the distribution.
        version: the distribution's.
    """

    kind: str
    name: str
    path: str
    package: str
    version: str

    def __str__(self) -> str:
        return f"the {KINDS[self.kind]} {self.name!r} of the package {self.package} {self.version}"

    def broken(self, why: str) -> Problem:
        """The problem that it can't be used, which names the package."""
        remedy = f"install a version of {self.package} that fits, or uninstall it"
        return Problem(f"{self} ({self.path}) can't be used: {why}", remedy=remedy)


def is_plain(name: object) -> bool:
    """Whether a value is a name that an entry point may have: no import path, no file, no reference."""
    return isinstance(name, str) and bool(_PLAIN.fullmatch(name)) and not name.startswith("keras.")


def offers(kind: str) -> dict[str, Offer]:
    """Those of a kind by name, sorted, without names that several packages claim."""
    return {name: found[0] for name, found in _claims(kind).items() if len(found) == 1}


def offer(kind: str, name: str) -> Offer | None:
    """The one of that name; None if no package offers it.

    Raises:
        PipelineError: several packages claim the name.
    """
    found = _claims(kind).get(name, ())
    if len(found) > 1:
        raise PipelineError(_claimed_twice(found))
    return found[0] if found else None


def import_path(kind: str, name: str) -> str:
    """The import path behind a plain name; empty if no package offers it.

    Raises:
        PipelineError: several packages claim the name, or what it leads to isn't there. It isn't imported.
    """
    from .import_path import find_problem

    found = offer(kind, name)
    if found is None:
        return ""
    problem = find_problem(found.path)
    if problem is not None:
        raise PipelineError(found.broken(problem.what))
    return found.path


def offered_paths(argument: Argument, value: Any) -> tuple[Any, list[Problem]]:
    """The value of an argument with import paths in place of plain names, and what is wrong with those.

    Keys stay as they are, and so do names that are built in, or that no package offers: the component says
    what there is. Looks at installed packages only if there is a name that isn't built in.
    """
    problems: list[Problem] = []
    built_in = set(map(_bare, argument.words))

    def path(leaf: Any) -> Any:
        if not is_plain(leaf) or _bare(leaf) in built_in:
            return leaf
        try:
            return import_path(argument.offers, leaf) or leaf
        except PipelineError as error:
            problems.extend(problem.at(argument=argument.name) for problem in error.problems)
            return leaf

    return (map_values(value, path) if argument.offers else value), problems


def claim_problems(kind: str, built_in: Iterable[str]) -> list[Problem]:
    """What is wrong with the names of a kind: claimed by several packages, built in, or not to be written."""
    problems = list(_installed(tuple(sys.path)).unreadable)
    same = _bare if kind in _BARE_KINDS else str
    taken = set(map(same, built_in))
    for name, found in _claims(kind).items():
        if len(found) > 1:
            problems.append(_claimed_twice(found))
        for one in found:
            if same(name) in taken:
                remedy = f"the built-in one is used; write {one.path} for the other"
                problems.append(Problem(f"{one} has the name of a built-in one", remedy=remedy))
            elif not is_plain(name):
                what = f"{one} has a name that no document can use"
                problems.append(Problem(what, remedy="letters, digits, _, - and . make a name"))
    return problems


def _bare(name: str) -> str:
    """A name without case and underscores, as Keras compares its own: `MeanSquaredError` is built in too."""
    return name.replace("_", "").lower()


def _claimed_twice(found: tuple[Offer, ...]) -> Problem:
    claims = " and ".join(f"{one.package} {one.version}" for one in found)
    return Problem(
        f"{len(found)} packages offer a {KINDS[found[0].kind]} {found[0].name!r}: {claims}",
        remedy=f"write the import path of the one that is meant, {' or '.join(one.path for one in found)}",
    )


def _claims(kind: str) -> Mapping[str, tuple[Offer, ...]]:
    return _installed(tuple(sys.path)).claims[kind]


@dataclass(frozen=True)
class _Installed:
    """What the packages on a Python path offer, by kind and name, and whose entry points can't be read."""

    claims: Mapping[str, Mapping[str, tuple[Offer, ...]]]
    unreadable: tuple[Problem, ...]


@lru_cache(maxsize=4)
def _installed(path: tuple[str, ...]) -> _Installed:
    # importlib.metadata reads every installed package's entry points: some 80 ms, so only where a name that
    # isn't built in asks for it.
    from importlib.metadata import distributions

    found: dict[str, dict[str, dict[str, Offer]]] = {kind: {} for kind in KINDS}
    unreadable: list[Problem] = []
    seen: set[str] = set()
    for package in distributions(path=list(path)):
        name = package.name
        if not name or name.lower() in seen:  # of one package on the path twice Python takes the first
            continue
        seen.add(name.lower())
        try:
            points = tuple(package.entry_points)
        except Exception as error:  # a line that is no entry point, text that is no UTF-8
            what = f"the entry points of the package {name} {package.version} can't be read: {error}"
            unreadable.append(Problem(what, remedy=f"install {name} again, or uninstall it"))
            continue
        for point in points:
            kind = point.group.removeprefix(PREFIX)
            if point.group.startswith(PREFIX) and kind in found:
                leads = point.value.partition("[")[0].strip()  # behind it once stood what else to install
                made = Offer(kind, point.name, leads, name, package.version)
                found[kind].setdefault(point.name, {}).setdefault(leads, made)
    claims = {
        kind: {name: tuple(by_path.values()) for name, by_path in sorted(names.items())}
        for kind, names in found.items()
    }
    return _Installed(claims, tuple(unreadable))
