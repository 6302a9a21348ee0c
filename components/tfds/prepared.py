"""What the folder of a prepared dataset says of itself. Standard library only, so that a check can look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...pipelines.errors import DataError
from .naming import FEATURES, INFO

READABLE = ("tfrecord", "array_record")
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
AGAIN = "prepare it again with a current TFDS"


@dataclass(frozen=True)
class SplitFiles:
    """A split: the rows of each of its shards, and how their files are called."""

    name: str
    lengths: tuple[int, ...]
    template: str


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset.

    Attributes:
        folder: where it is.
        name, config, version: of the set; `config` is empty where there is none.
        file_format: of its shards.
        splits: by name.
        features: the tree of `features.json`.
        supervised: the names of the features that are a model's input and its label, where it says so.
    """

    folder: Path
    name: str
    config: str
    version: str
    file_format: str
    splits: Mapping[str, SplitFiles]
    features: Mapping[str, Any]
    supervised: tuple[str, ...]

    @property
    def lengths(self) -> dict[str, tuple[int, ...]]:
        """The rows of each split's shards."""
        return {name: split.lengths for name, split in self.splits.items()}

    def shard(self, split: str, number: int) -> Path:
        """The file of a shard.

        Raises:
            DataError: the folder's notes name a file that lies outside it.
        """
        own = self.splits[split]
        count = len(own.lengths)
        digits = max(5, len(str(count)))
        index, total = f"{number:0{digits}d}", f"{count:0{digits}d}"
        values = {
            "DATASET": self.name, "SPLIT": split, "FILEFORMAT": self.file_format, "SHARD_INDEX": index,
            "NUM_SHARDS": total, "SHARD_X_OF_Y": f"{index}-of-{total}",
        }  # fmt: skip
        name = own.template
        for key, value in values.items():
            name = name.replace(f"{{{key}}}", value)
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(
                f"a shard is called {name!r}, which leads out of the folder", file=str(self.folder / INFO)
            )
        return self.folder / path

    def label_names(self, place: tuple[str, ...]) -> list[str] | None:
        """The names of a class label, or None where it has numbers only.

        Args:
            place: the feature's name, behind those of the features that it is in.

        Raises:
            DataError: the file can't be read.
        """
        file = self.folder / labels_file(place)
        try:
            lines = file.read_text("utf-8").split("\n")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"the names of the classes can't be read: {error}", file=str(file)) from error
        return [line.strip() for line in lines if line.strip()]


def labels_file(place: tuple[str, ...]) -> str:
    """What TFDS calls the file of a class label's names."""
    return "-".join(name.replace("/", ".") for name in place) + ".labels.txt"


def read_prepared(folder: Path) -> Prepared:
    """Reads the notes in the folder of a prepared set.

    Raises:
        DataError: none is there, or it can't be read from here.
    """
    info = _json(folder, INFO)
    if not (folder / FEATURES).is_file():
        raise DataError(
            f"the set was prepared by TFDS before 4.0: {FEATURES} is missing", file=str(folder), remedy=AGAIN
        )
    try:
        file_format = str(info.get("fileFormat") or "tfrecord")
        splits = {
            str(told["name"]): SplitFiles(
                str(told["name"]),
                tuple(int(rows) for rows in told.get("shardLengths", ())),
                str(told.get("filepathTemplate") or _TEMPLATE),
            )
            for told in info.get("splits", ())
        }
        made = Prepared(
            folder, str(info["name"]), str(info.get("configName", "")), str(info["version"]), file_format,
            splits, _json(folder, FEATURES), _supervised(info.get("supervisedKeys")),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"it doesn't say what TFDS writes ({error!r})", file=str(folder / INFO), remedy=AGAIN
        ) from error
    if file_format not in READABLE:
        raise DataError(
            f"the shards are in the format {file_format!r}", file=str(folder), available=READABLE,
            remedy="prepare it with `download_and_prepare(file_format='tfrecord')`",
        )  # fmt: skip
    if not splits:
        raise DataError("the set has no split", file=str(folder / INFO), remedy=AGAIN)
    return made


def _json(folder: Path, name: str) -> Any:
    file = folder / name
    try:
        told = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        inside = sorted(str(path.parent) for path in folder.glob(f"*/{INFO}")) if folder.is_dir() else []
        remedy = "give the folder of a version, as in data/mnist/3.0.1"
        raise DataError(
            f"no prepared dataset is here: {name} is missing",
            file=str(folder), available=tuple(inside), remedy=remedy,
        ) from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError(f"it can't be read: {error}", file=str(file), remedy=AGAIN) from error
    if not isinstance(told, dict):
        raise DataError("it doesn't say what TFDS writes", file=str(file), remedy=AGAIN)
    return told


def _supervised(told: Any) -> tuple[str, ...]:
    """The keys of a pair (input, label) or a triple with a weight; nothing where they are nested."""
    items = ((told or {}).get("tuple") or {}).get("items") or ()
    keys = tuple(item.get("featureKey", "") for item in items)
    if told and not items:  # as TFDS wrote it before 4.3
        keys = (told.get("input", ""), told.get("output", ""))
    return keys if all(keys) else ()
