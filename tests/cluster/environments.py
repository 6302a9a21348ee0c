"""Python environments for a cluster's workers: without headrace, and without TensorFlow unless asked."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

from headrace.pipelines.runners.boot import write_boot

TABULAR = (
    "apache-beam", "google-crc32c", "msgspec", "numpy", "protobuf", "pyarrow", "pyfarmhash", "PyYAML",
)  # fmt: skip
"""What workers of the tabular data plane need."""
SUBMITS = ("click", "rich", "fsspec")
"""What one needs besides to submit from a shell."""


def make_tabular(folder: Path, more: tuple[str, ...] = ()) -> Path:
    """A new environment with the versions that are installed here; gives its Python.

    Raises:
        LookupError: this Python can't be started by other users, or the packages can't be installed.
    """
    python = _empty(folder)
    wanted = [f"{name}=={version(name)}" for name in (*TABULAR, *more)]
    done = subprocess.run([python, "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True)
    if done.returncode:
        raise LookupError(f"pip can't install {' '.join(wanted)}: {done.stderr[-500:]}")
    return python


def make_whole(folder: Path) -> Path:
    """A new environment that sees all that is installed here, TensorFlow too, but no headrace."""
    python = _empty(folder)
    here = Path(sysconfig.get_path("purelib"))
    if not reachable(here):
        raise LookupError(f"other users can't read {here}")
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    there = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    (there / "whole.pth").write_text(f"{here}\n")
    return python


def boot(folder: Path, python: Path) -> Path:
    """The program by which a runner starts workers of an environment."""
    return write_boot(folder / f"worker-{python.parents[1].name}", str(python))


def _empty(folder: Path) -> Path:
    base = _interpreter()
    subprocess.run([base, "-m", "venv", folder], check=True, capture_output=True)
    return folder / "bin" / "python"


def _interpreter() -> str:
    """A Python of this version that every user may start, as a root's own is often not."""
    name = "python{}.{}".format(*sys.version_info)
    own = str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    for found in (own, *(shutil.which(name, path=each) for each in ("/usr/local/bin", "/usr/bin"))):
        if found and (os.geteuid() or reachable(Path(found).resolve())):
            return found
    raise LookupError(f"there is no {name} that other users may start: install it for all")


def reachable(path: Path) -> bool:
    """Whether users that are nobody to a file may read it."""
    folders = all(each.stat().st_mode & stat.S_IXOTH for each in path.parents)
    return folders and bool(path.stat().st_mode & stat.S_IROTH)
