"""Environments of their own for tools that can't or needn't be installed beside headrace's tests."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import pytest

_PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]


def make_environment(folder: Path, requirement: str, *, beside: bool) -> Path:
    """A virtual environment with a package and what it needs; skips the test where pip can't get them.

    Args:
        folder: where to make it.
        requirement: of the package, as pip takes it.
        beside: whether it sees the packages of the environment of the tests, none of which may change.

    Returns:
        Its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = [str(python), *_PIP, "install", requirement]
    if beside:
        (place,) = folder.glob("[Ll]ib/**/site-packages")
        (place / "tested.pth").write_text("\n".join(site.getsitepackages()) + "\n")
        frozen = subprocess.run(
            [sys.executable, *_PIP, "freeze", "--exclude-editable", "--exclude", "headrace"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        (folder / "frozen.txt").write_text(
            "\n".join(line for line in frozen.stdout.splitlines() if "==" in line)
        )
        install += ["--constraint", str(folder / "frozen.txt")]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        pytest.skip(f"pip can't install {requirement} here: {last[0]}")
    return python
