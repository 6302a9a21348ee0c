"""The notes that make a folder of TFRecord shards a dataset that TFDS opens. Standard library only.

    tfds.builder_from_directory(folder).as_dataset()

needs `dataset_info.json` (name, version, the rows of each shard, how the files are called), `features.json`
(the tree of features) and `FEATURE.labels.txt` for each class label with names. TFDS reads no shards that are
compressed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pipelines.errors import InvalidRequestError, Problem
from .naming import FEATURES, INFO
from .prepared import labels_file

FLAT = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
"""How TFDS itself calls its files,"""
BY_SPLIT = "{SPLIT}/{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}"
"""and `ShardPlan`: TFDS reads any name that says split, shard and number of shards."""
_NAME, _VERSION = re.compile(r"[a-z][a-z0-9_]*"), re.compile(r"\d+\.\d+\.\d+")
_SPLIT = re.compile(r"[\w-]+")
_CLASSES = "tensorflow_datasets.core.features."

Node = Mapping[str, Any]
"""A feature as `features.json` states it."""


def tensor(dtype: str, shape: Sequence[int] = (), encoding: str = "none") -> Node:
    """Numbers of a shape; `encoding="bytes"` for one that is stored as the bytes of the array."""
    return _node(
        "tensor_feature.Tensor", "tensor", {"shape": _shape(shape), "dtype": dtype, "encoding": encoding}
    )


def text() -> Node:
    """A string."""
    return _node("text_feature.Text", "text", {})


def image(shape: Sequence[int | None], encoding: str = "") -> Node:
    """An encoded image of uint8 [height, width, channels], None where it differs; `png`, `jpeg` or both."""
    told: dict[str, Any] = {
        "shape": _shape([-1 if size is None else size for size in shape]),
        "dtype": "uint8",
    }
    return _node(
        "image_feature.Image", "image", {**told, **({"encodingFormat": encoding} if encoding else {})}
    )


def class_label(classes: int) -> Node:
    """The number of a class."""
    return _node("class_label_feature.ClassLabel", "classLabel", {"numClasses": str(classes)})


def sequence(of: Node) -> Node:
    """Any number of a feature."""
    return _node("sequence_feature.Sequence", "sequence", {"feature": of, "length": "-1"})


def _node(name: str, kind: str, told: Mapping[str, Any]) -> Node:
    return {"pythonClassName": _CLASSES + name, kind: told}


def _shape(shape: Sequence[int | None]) -> dict[str, list[str]]:
    return {"dimensions": [str(size) for size in shape]} if shape else {}


@dataclass(frozen=True)
class Notes:
    """What is noted of a dataset.

    Attributes:
        name, version: as TFDS wants them, see `name_problems`.
        features: by the name of their tf.Example feature; `a/b` is `b` within `a`.
        shards: by split the rows of each shard.
        template: of the files' names, `FLAT` or `BY_SPLIT`.
        classes: by feature the names of its classes, where they can be noted.
        supervised: the features that are a model's input and its label, if it is one each.
        sizes: by split the bytes of all shards.
    """

    name: str
    version: str
    features: Mapping[str, Node]
    shards: Mapping[str, Sequence[int]]
    template: str = FLAT
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    supervised: tuple[str, str] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes the files into the folder of the shards.

        Raises:
            InvalidRequestError: a feature is called as another one's group is.
        """
        features = features_dict(self.features)
        _write_json(folder / INFO, self._info())
        _write_json(folder / FEATURES, features)
        for feature, names in self.classes.items():
            path = folder / labels_file(tuple(feature.split("/")))
            path.write_text("\n".join(names) + "\n", "utf-8")

    def _info(self) -> dict[str, Any]:
        splits = [
            {
                "name": split,
                "shardLengths": [str(rows) for rows in lengths],
                "numBytes": str(self.sizes.get(split, 0)),
                "filepathTemplate": self.template,
            }
            for split, lengths in self.shards.items()
        ]
        told: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "fileFormat": "tfrecord",
            "splits": splits,
        }
        if self.supervised:
            told["supervisedKeys"] = {"tuple": {"items": [{"featureKey": key} for key in self.supervised]}}
        return told


def features_dict(features: Mapping[str, Node]) -> Node:
    """Features by name as one.

    Raises:
        InvalidRequestError: a feature is called as another one's group is.
    """
    tree: dict[str, Any] = {}
    for name, node in features.items():
        *groups, last = name.split("/")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
            if "pythonClassName" in place:
                break
        if last in place or "pythonClassName" in place:
            raise InvalidRequestError(
                f"feature {name!r} can't be noted for TFDS, since another one is called like its group",
                argument="columns", remedy="rename one of them",
            )  # fmt: skip
        place[last] = node
    return _nested(tree)


def _nested(tree: Mapping[str, Any]) -> Node:
    inner = {
        name: child if "pythonClassName" in child else _nested(child) for name, child in sorted(tree.items())
    }
    return _node("features_dict.FeaturesDict", "featuresDict", {"features": inner})


def _write_json(path: Path, told: Any) -> None:
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")


def can_be_noted(names: Sequence[str]) -> bool:
    """Whether classes can stand a line each; TFDS strips the lines, and leaves out empty ones."""
    plain = all(name and name == name.strip() and len(name.splitlines()) == 1 for name in names)
    return plain and len(set(names)) == len(names)


def name_problems(name: str, version: str) -> list[Problem]:
    """What TFDS doesn't take as the name and the version of a set."""
    problems = []
    if not _NAME.fullmatch(name):
        remedy = "write small letters, digits and _, as in my_photos"
        problems.append(Problem(f"a dataset can't be called {name!r}", argument="name", remedy=remedy))
    if not _VERSION.fullmatch(version):
        problems.append(Problem(f"{version!r} is no version", argument="version", remedy="write 1.0.0"))
    return problems


def split_problems(splits: Sequence[str]) -> list[Problem]:
    """The splits whose names TFDS can't read in its slices, as in `train[:80%]`."""
    return [
        Problem(
            f"TFDS reads no split called {split!r}",
            argument="examples",
            remedy="use letters, digits, _ and -",
        )
        for split in splits
        if not _SPLIT.fullmatch(split) or split == "all"
    ]
