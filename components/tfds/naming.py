"""Names of TensorFlow Datasets, `name/config:version`, and where a prepared one lies. Standard library only.

A set is prepared into `DATA_DIR/name/config/version`, or `DATA_DIR/name/version` where it has no configs.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...pipelines.errors import InvalidRequestError, Problem

_NAME = re.compile(
    r"(?P<name>[A-Za-z]\w*)(/(?P<config>[\w+.-]+))?(:(?P<version>(\d+|\*)\.(\d+|\*)\.(\d+|\*)))?"
)
_VERSION = re.compile(r"\d+\.\d+\.\d+")
INFO, FEATURES = "dataset_info.json", "features.json"
_FORM = "name, name/config, or name/config:1.0.0"


@dataclass(frozen=True)
class DatasetName:
    """A dataset as it is asked for; `config` and `version` are empty where they are left open."""

    name: str
    config: str = ""
    version: str = ""

    def __str__(self) -> str:
        return (
            self.name + (f"/{self.config}" if self.config else "") + (f":{self.version}" * bool(self.version))
        )


def parse_name(text: str) -> DatasetName:
    """Reads `name/config:version`; `MyDataset` is `my_dataset`.

    Raises:
        InvalidRequestError: it is no such name, or one that needs the network to be known.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        if re.match(r"[\w-]+:[A-Za-z_]", text):
            raise InvalidRequestError(
                f"{text!r} names a set of another registry, which TFDS looks up on the network",
                argument="name", remedy="prepare it with TFDS, and give its folder with `path`",
            )  # fmt: skip
        raise InvalidRequestError(f"{text!r} names no dataset", argument="name", remedy=f"write {_FORM}")
    return DatasetName(snake_case(found["name"]), found["config"] or "", found["version"] or "")


def snake_case(name: str) -> str:
    """`MyDataset` as TFDS calls it, `my_dataset`."""
    partly = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", partly).lower()


def default_data_dir() -> Path:
    """Where TFDS keeps its sets: `TFDS_DATA_DIR`, or `~/tensorflow_datasets`."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def find_prepared(wanted: DatasetName, data_dir: Path) -> Path | Problem:
    """The folder of a prepared set; of several versions the newest that fits.

    Returns:
        The folder, or what is missing.
    """
    root = data_dir / wanted.name
    if not root.is_dir():
        names = tuple(sorted(name for name in _folders(data_dir) if _holds_set(data_dir / name)))
        what = f"the dataset {wanted.name!r} isn't prepared in {data_dir}"
        return Problem(what, argument="name", given=wanted.name, available=names)
    configs = {name: root / name for name in _folders(root) if _versions(root / name)}
    folder = root
    if wanted.config or (configs and not _versions(root)):
        config = wanted.config or _default_config(root, configs)
        if config not in configs:
            what = (
                f"the config {config!r} of {wanted.name!r} isn't prepared in {data_dir}"
                if config
                else f"several configs of {wanted.name!r} are prepared, and none is named"
            )
            return Problem(what, argument="name", given=config, available=tuple(sorted(configs)))
        folder = configs[config]
    versions = _versions(folder)
    fitting = [version for version in versions if _fits(version, wanted.version)]
    if not fitting:
        what = f"no version of {wanted.name!r} is prepared in {folder}"
        if versions:
            what = f"version {wanted.version} of {wanted.name!r} isn't prepared in {folder}"
        return Problem(what, argument="name", given=wanted.version, available=tuple(versions))
    return folder / fitting[-1]


def _folders(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] not in "._"]
    except OSError:
        return []


def _holds_set(folder: Path) -> bool:
    return bool(_versions(folder)) or any(_versions(folder / config) for config in _folders(folder))


def _versions(folder: Path) -> list[str]:
    """The versions that are there, the newest last."""
    found = [name for name in _folders(folder) if _VERSION.fullmatch(name)]
    whole = [name for name in found if (folder / name / INFO).is_file()]
    return sorted(whole, key=lambda version: [int(number) for number in version.split(".")])


def _fits(version: str, wanted: str) -> bool:
    pairs = zip(version.split("."), wanted.split("."), strict=False)
    return not wanted or all(asked in ("*", has) for has, asked in pairs)


def _default_config(root: Path, configs: dict[str, Path]) -> str:
    """The config that is meant where none is named: TFDS notes it beside them; or the only one."""
    try:
        told = json.loads((root / ".config" / "metadata.json").read_text("utf-8"))
        name = told.get("default_config_name", "")
    except (OSError, ValueError, AttributeError):
        name = ""
    return name or (next(iter(configs)) if len(configs) == 1 else "")
