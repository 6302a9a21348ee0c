"""The wheel of headrace itself, from the package as it is installed: from a wheel, editable, or by a path."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from ..boot import NEEDS
from .wheel import Wheel

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "apache-beam": "apache_beam",
        "google-crc32c": "google_crc32c",
        "msgspec": "msgspec",
        "numpy": "numpy",
        "pyarrow": "pyarrow",
        "pyfarmhash": "farmhash",
    }
)
"""What workers of the tabular data plane need: modules by the name of their packages."""
WITH_TENSORFLOW = ("pillow", "tensorflow")
"""Packages that workers need besides where they handle images, or answer as a model does."""
_PARTS = ("components", "pipelines", "schemas")
_HOME = Path(__file__).parents[3]


def own_wheel(tensorflow: bool = False) -> Wheel:
    """The wheel of headrace.

    Its requirements are those of a worker, each with the version that this process has: numbers and bytes
    depend on it, and a worker that is installed by pip shall give the same.

    Args:
        tensorflow: whether workers handle images or models, for which pip shall install TensorFlow too.
    """
    packages = [*MODULES, *(WITH_TENSORFLOW if tensorflow else ())]
    versions = {name: f"{name}=={metadata.version(name)}" for name in packages}
    needs = {"python": "{}.{}".format(*sys.version_info), "modules": dict(MODULES), "versions": versions}
    files = {}
    for part in _PARTS:
        folder = _HOME / part
        for file in sorted(folder.rglob("*")):
            if file.suffix in (".py", ".yaml", ".typed") and file.is_file():
                files[f"headrace/{file.relative_to(_HOME).as_posix()}"] = file.read_bytes()
    return Wheel(
        "headrace",
        _version(),
        files,
        requires=sorted(versions.values()),
        notes={NEEDS: json.dumps(needs, sort_keys=True, indent=1).encode()},
    )


def _version() -> str:
    try:
        return metadata.version("headrace")
    except metadata.PackageNotFoundError:  # it is on Python's path and not installed
        return "0"
