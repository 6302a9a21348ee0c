"""What a worker elsewhere proves before its first unit of work: that it gives the driver's bytes.

Every worker does so, since a cluster's hosts may differ. It has to have the libraries' versions that the
fingerprint of the step names, and to see the folder in which results are left. Other vector instructions are
warned of: they may change the last bits of floating-point results, and nobody can install others.
"""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StepError
from ..sharing import share_as

LIBRARIES = ("numpy", "pyarrow")
"""The libraries that decide the bytes of tabular data."""
IMAGE_LIBRARIES = ("tensorflow", "pillow")
"""Those of images, which are compared where they are installed."""
_SIGN = "driver.sign"
_MARK = "headrace-unfit:"
_NOTE = re.compile(r"cpu-[0-9a-f]{32}\.note")


def surroundings() -> dict[str, str]:
    """What decides the bytes of a result besides the code: versions, and the CPU's vector instructions."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in (*LIBRARIES, *IMAGE_LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def vector_instructions() -> str:
    """The CPU features by which NumPy and Arrow choose their loops."""
    import pyarrow as pa
    from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

    features = _multiarray_umath.__cpu_features__
    return " ".join(
        [*sorted(name for name, there in features.items() if there), pa.runtime_info().simd_level]
    )


class UnfitError(StepError):
    """A worker can't prove it. Its text holds it for `unfit`, since a runner hands nothing else on."""

    def __str__(self) -> str:
        (problem,) = self.problems
        return f"{problem}\n{_MARK}{json.dumps({'what': problem.what, 'remedy': problem.remedy})}"


@dataclass(frozen=True)
class Proof:
    """What is asked of each worker; picklable.

    Attributes:
        folder: where results are left.
        sign: what the file in it says; empty where files travel by an exchange.
        expected: `surroundings` of the driver.
        vectors: `vector_instructions` of the driver.
    """

    folder: Path
    sign: str
    expected: Mapping[str, str]
    vectors: str

    @classmethod
    def ask(cls, folder: Path, shared: bool) -> Proof:
        """Asks for proofs; `shared` says whether workers have to see the folder themselves.

        A folder keeps its sign: a worker that an earlier attempt left may only now read it.
        """
        file, sign = folder / _SIGN, ""
        if shared:
            if not file.exists():
                file.write_text(uuid.uuid4().hex)
            sign = file.read_text()
        return cls(folder, sign, surroundings(), vector_instructions())

    def give(self) -> None:
        """Proves it, once a process.

        Raises:
            UnfitError: it can't be proved.
        """
        if (done := str(self.folder)) in _proved:
            return
        share_as(self.folder)  # the driver is another user, and has to clear what is made here
        for problem in (self._folder_problem(), self._library_problem()):
            if problem:
                raise UnfitError(**problem)
        if (vectors := vector_instructions()) != self.vectors:
            told = {"host": socket.gethostname(), "vectors": vectors}
            (self.folder / f"cpu-{uuid.uuid4().hex}.note").write_text(json.dumps(told))
        _proved.add(done)

    def _folder_problem(self) -> dict[str, str]:
        """Whether this worker sees what the driver wrote, and may write there."""
        if not self.sign:
            return {}
        try:
            seen = (self.folder / _SIGN).read_text()
            if seen == self.sign:
                probe = self.folder / f"{uuid.uuid4().hex}.partly"
                probe.write_bytes(b"")
                probe.unlink()
                return {}
            what = "sees another folder of this name"
        except OSError as error:
            what = f"can't use it: {error.strerror}"
        user = os.getuid() if hasattr(os, "getuid") else "?"
        return {
            "what": f"a worker on {socket.gethostname()} (user {user}) can't reach the store's folder "
            f"{self.folder}: it {what}",
            "remedy": "give a store by --store that all workers reach: a folder that is mounted there under "
            "the same path and that their users may write to (`chgrp GROUP F && chmod 2775 F` first of all), "
            "or an s3:// or gs:// address",
        }

    def _library_problem(self) -> dict[str, str]:
        here = surroundings()
        wrong = [
            (name, version)
            for name, version in self.expected.items()
            if here[name] != version and (name not in IMAGE_LIBRARIES or (here[name] and version))
        ]
        if not wrong:
            return {}
        named = ", ".join(f"{name} {here[name] or 'none'} and not {version}" for name, version in wrong)
        return {
            "what": f"a worker on {socket.gethostname()} has {named}, so that it would give other results",
            "remedy": "install there " + " ".join(f"{name}=={version}" for name, version in wrong),
        }


_proved: set[str] = set()
"""The folders for which this process has given its proof."""


def unfit(text: str) -> StepError | None:
    """The error of a worker that is unfit, from a runner's text."""
    if (at := text.find(_MARK)) < 0:
        return None
    told, _ = json.JSONDecoder().raw_decode(text[at + len(_MARK) :])
    return StepError(**told)


def notes(folder: Path) -> str:
    """What workers noted of their CPUs, as a sentence; empty where they are like the driver's."""
    told: list[Any] = [
        json.loads(path.read_text()) for path in folder.glob("*.note") if _NOTE.fullmatch(path.name)
    ]
    if not told:
        return ""
    hosts = ", ".join(sorted({each["host"] for each in told}))
    own = set(vector_instructions().split())
    other = sorted(own ^ set(told[0]["vectors"].split()))
    return (
        f"the CPU of the workers on {hosts} differs from this machine's in vector instructions "
        f"({', '.join(other)}): the last bits of floating-point results may be others than here"
    )
