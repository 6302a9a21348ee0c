"""A Python of its own with Beam and without headrace, TensorFlow and Keras: what a cluster's workers have."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

LEFT_OUT = ("headrace", "tensorflow", "keras", "__editable__", "_headrace")


def bare_python(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Makes an environment from links to the packages of this one, and gives its interpreter.

    Args:
        folder: of the environment.
        without: beginnings of further names to leave out.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (target,) = (folder / "lib").glob("python*/site-packages")
    for place in site.getsitepackages():
        for entry in Path(place).iterdir() if Path(place).is_dir() else ():
            hidden = entry.name.startswith((*LEFT_OUT, *without)) or entry.suffix == ".pth"
            if not hidden and not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)
    return folder / "bin" / "python"
