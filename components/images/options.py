"""What `image_examples` is asked to do, as far as no file is needed. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ...pipelines.errors import InvalidRequestError, Problem
from ..csv.options import Options as CsvOptions
from ..csv.sources import name_problems
from ..ingestion.column_options import KINDS
from ..ingestion.split_options import SplitOptions
from ..ingestion.time_patterns import pattern_problem

OWN = ("image", "path", "height", "width")
"""The columns that every table of images has."""
MANIFESTS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".ndjson.gz")
"""The ends of names of files that tell of images and are none."""
IMAGE_NAMES = (
    "image", "path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "image_file",
    "url", "image_url", "pixels",
)  # fmt: skip
"""What a manifest's column of images is called, if nothing else is said."""
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "val": "validation", "valid": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What folders are called that hold a split, and the split."""

_FIELD = re.compile(r"\{([^{}]+)\}")
ImageAs = Literal["path", "base64", "pixels"]


@dataclass(frozen=True)
class ImageOptions:
    """The parameters of `image_examples`, see there, but for those of single images."""

    split: SplitOptions
    split_folders: bool | Literal["auto"] = False
    labels: str | Sequence[str] = "label"
    join: str | None = None
    label_pattern: str | None = None
    separators: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    image_as: ImageAs = "path"
    shape: Sequence[int] | None = None
    columns: Sequence[str] | None = None
    types: Mapping[str, str] | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    allow_outside: bool = False
    max_rejects: int = 0
    sample: int | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> ImageOptions:
        """The options among a component's arguments by name."""
        own = {f.name: arguments[f.name] for f in fields(cls) if f.name in arguments}
        own["separators"] = own.get("separators") or {}
        return cls(SplitOptions.of(arguments), **own)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns of labels that folders or the pattern give."""
        if self.label_pattern is None:
            return (self.labels,) if isinstance(self.labels, str) else tuple(self.labels)
        named = tuple(re.compile(self.label_pattern).groupindex)
        return named or ((self.labels,) if isinstance(self.labels, str) else tuple(self.labels))

    @property
    def template(self) -> tuple[str, ...]:
        """The columns that `image` puts together, `train/{id}.jpg`; none where it is a column's name."""
        return tuple(_FIELD.findall(self.image or ""))

    def kind_told(self, name: str, inferred: str = "string") -> str:
        """The type of a column, bare: as stated, or a list where it has a separator, or what was inferred."""
        stated = (self.types or {}).get(name, "").partition(":")[0]
        return stated or ("strings" if name in self.separators else inferred)

    def folder_problems(self) -> list[Problem]:
        """What doesn't fit where folders are given, and no manifest."""
        asked = {
            "image": self.image, "shape": self.shape, "columns": self.columns, "delimiter": self.delimiter,
            "image_as": None if self.image_as == "path" else self.image_as,
        }  # fmt: skip
        remedy = f"leave it out, or give a manifest ({', '.join(MANIFESTS[:5])}) as path"
        found = [
            Problem(f"{argument} is for manifests, and path names images", argument=argument, remedy=remedy)
            for argument, value in asked.items()
            if value is not None
        ]
        return found + [
            Problem(f"there is no column {name!r}", argument=argument, given=name, available=self.label_names)
            for argument, names in (("types", self.types or {}), ("separators", self.separators))
            for name in names
            if name not in self.label_names
        ]

    def filled(self, values: Mapping[str, str | None]) -> str | None:
        """What tells of a row's image, by the columns that do; None where one of them has no value."""
        if None in values.values():
            return None
        if self.template:
            return _FIELD.sub(lambda found: str(values[found[1]]), self.image or "")
        return " ".join(str(value) for value in values.values())

    @property
    def spread(self) -> bool:
        """Whether each pixel has a column of its own, `image: pixel*`."""
        return self.image_as == "pixels" and "*" in (self.image or "")

    def csv_options(self, name: str, types: Mapping[str, str]) -> CsvOptions:
        """How a manifest in CSV is read.

        Args:
            name: its file's.
            types: the columns whose type is stated.
        """
        tabs = name.lower().removesuffix(".gz").endswith(".tsv")
        sign = self.delimiter if self.delimiter is not None else "\t" if tabs else None
        return CsvOptions(
            SplitOptions({"all": 1.0}), sign, encoding=self.encoding, types=dict(types),
            max_rejects=self.max_rejects,
        )  # fmt: skip

    def problems(self) -> list[Problem]:
        """What doesn't fit, known from the arguments alone."""
        found = [*self._split_problems(), *self._label_problems(), *self._manifest_problems()]
        for name, sign in self.separators.items():
            if not sign:
                found.append(Problem(f"[{name}]: a separator can't be empty", argument="separators"))
        for name, stated in (self.types or {}).items():
            kind, _, pattern = stated.partition(":")
            if kind not in KINDS:
                what = f"column {name!r} can't have the type {stated!r}"
                found.append(Problem(what, argument="types", given=kind, available=KINDS))
            elif pattern and (
                wrong := "no second part fits" if kind != "timestamp" else pattern_problem(pattern)
            ):
                found.append(Problem(f"column {name!r}: {wrong}", argument="types"))
        return found

    def _split_problems(self) -> list[Problem]:
        if not self.split_folders:
            return self.split.problems()
        asked = [
            name
            for name in ("split_by", "split_by_time", "split_by_value", "stratify")
            if getattr(self.split, name)
        ]
        if self.split.files is not None or asked:
            other = asked[0] if asked else "path"
            what = f"split_folders takes the splits from folders, and {other} says something else"
            remedy = f"leave one out, {other}: null" if asked else "leave one out"
            return [Problem(what, argument="split_folders", remedy=remedy)]
        return []

    def _label_problems(self) -> list[Problem]:
        found = []
        names = (self.labels,) if isinstance(self.labels, str) else tuple(self.labels)
        if self.label_pattern is not None:
            try:
                pattern = re.compile(self.label_pattern)
            except re.error as error:
                return [Problem(f"this is no regular expression: {error}", argument="label_pattern")]
            if not pattern.groups:
                remedy = r"mark what is a label: (?P<label>[a-z]+)_\d+"
                found.append(Problem("the pattern has no group", argument="label_pattern", remedy=remedy))
            elif not pattern.groupindex and pattern.groups != len(names):
                what = f"the pattern has {pattern.groups} unnamed groups, and there are {len(names)} labels"
                found.append(Problem(what, argument="label_pattern", remedy="name them: (?P<label>…)"))
            if self.join is not None:
                found.append(
                    Problem("join joins the names of folders, and label_pattern is given", argument="join")
                )
            names = self.label_names if not found else ()
        if self.join is not None and len(names) != 1:
            what = f"join puts all levels into one column, and there are {len(names)}"
            found.append(Problem(what, argument="join", remedy="labels: label"))
        found += [problem.at(argument="labels") for problem in name_problems(names, "")] if names else []
        for name in names:
            if name in OWN:
                what = f"no label can be called {name!r}, which is a column of its own"
                found.append(Problem(what, argument="labels", remedy="call it otherwise"))
        return found

    def _manifest_problems(self) -> list[Problem]:
        found = []
        if self.shape is not None and (len(self.shape) not in (2, 3) or min(self.shape) < 1):
            remedy = "shape: [height, width], or [height, width, channels]"
            found.append(
                Problem(f"{list(self.shape)} is no shape of an image", argument="shape", remedy=remedy)
            )
        elif self.shape is not None and len(self.shape) == 3 and self.shape[2] not in (1, 3, 4):
            what = f"an image has 1, 3 or 4 channels, not {self.shape[2]}"
            found.append(Problem(what, argument="shape"))
        if self.image_as == "pixels" and self.shape is None:
            remedy = "shape: [height, width], or [height, width, channels]"
            found.append(Problem("the shape of the pixels isn't stated", argument="shape", remedy=remedy))
        if self.image_as != "pixels" and self.shape is not None:
            found.append(
                Problem("only pixels have a shape to state", argument="shape", remedy="image_as: pixels")
            )
        if self.image_as != "path" and self.template:
            what = f"image: {self.image!r} is put together as a path, and image_as is {self.image_as}"
            found.append(Problem(what, argument="image", remedy="name one column"))
        return found


def is_manifest(path: str) -> bool:
    """Whether a file's name says that it tells of images."""
    return path.lower().endswith(MANIFESTS)


@dataclass(frozen=True)
class Given:
    """What `path` names: folders and files of images, or manifests.

    Attributes:
        paths: as they were given, and the split of each, or "".
        manifests: whether they are manifests.
        passed: files in folders that are passed over.
    """

    paths: tuple[tuple[str, str], ...]
    manifests: bool
    passed: tuple[str, ...] = ()


def given(path: str | Sequence[str] | Mapping[str, str | Sequence[str]]) -> Given:
    """What `path` names.

    Raises:
        InvalidRequestError: manifests and images are mixed, or nothing is named.
    """
    by_split = path if isinstance(path, Mapping) else {"": path}
    paths = [
        (one, split) for split, own in by_split.items() for one in ([own] if isinstance(own, str) else own)
    ]
    kinds = {is_manifest(one) and not Path(one).is_dir() for one, _ in paths}
    if not paths:
        raise InvalidRequestError("the list of files is empty", argument="path")
    if not all(one.strip() for one, _ in paths):
        raise InvalidRequestError("the path is empty", argument="path", remedy="path: . is this folder")
    if len(kinds) > 1:
        raise InvalidRequestError(
            "manifests and images are mixed",
            argument="path",
            available=tuple(one for one, _ in paths),
            remedy="ingest them by two steps, or name the images in a manifest",
        )
    return Given(tuple(paths), kinds.pop())
