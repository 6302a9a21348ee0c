"""What a run brings to its workers: wheels of headrace and of the user's own code, built once a run.

own        headrace's wheel, from wherever it is installed
user_code  the wheel of the modules and files that the steps use, with what they import
wheel      wheels as values, written the same for equal contents
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...bound import BoundPipeline
from .own import own_wheel
from .user_code import user_wheel

__all__ = ["Packages", "build_packages"]

_WITH_IMAGES = ("image_examples", "digits_images", "tfds_examples")


@dataclass(frozen=True)
class Packages:
    """The wheels of a run.

    Attributes:
        files: what is staged, headrace's first.
        digest: SHA-256 in hex over their contents.
    """

    files: tuple[Path, ...]
    digest: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags by which Beam stages them."""
        return tuple(f"--extra_package={file}" for file in self.files)


def build_packages(bound: BoundPipeline, folder: Path) -> Packages:
    """Builds the wheels that the workers of a pipeline need; equal code gives equal files.

    Args:
        bound: the pipeline; the code of all its steps is taken.
        folder: where the wheels are written.

    Raises:
        OSError, SyntaxError: a source file can't be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    users = user_wheel(bound)
    wheels = [own_wheel(need_tensorflow(bound)), *([users] if users is not None else [])]
    digest = hashlib.sha256("\n".join(wheel.digest for wheel in wheels).encode()).hexdigest()
    return Packages(tuple(wheel.write(folder) for wheel in wheels), digest)


def need_tensorflow(bound: BoundPipeline) -> bool:
    """Whether workers may have to decode images, or to answer as a model does."""
    components = [step.component for step in bound.steps.values()]
    return any(each.name in _WITH_IMAGES or (each.beam and each.process) for each in components)
