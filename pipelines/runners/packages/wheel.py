"""Wheels written straight from bytes, so that equal contents give an equal file."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Wheel:
    """What a wheel of pure Python consists of.

    Attributes:
        name: the distribution's name, as it stands in file names: with underscores.
        version: as it is without the digest.
        files: contents by name inside the wheel, with slashes.
        requires: requirements, as `Requires-Dist` has them.
        notes: further files of its `.dist-info`.
    """

    name: str
    version: str
    files: Mapping[str, bytes]
    requires: Sequence[str] = ()
    notes: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 in hex over names and contents."""
        whole = hashlib.sha256()
        told = [self.name, self.version, *self.requires]
        for part in [text.encode() for text in told] + self._named(self.files) + self._named(self.notes):
            whole.update(len(part).to_bytes(8, "big") + part)
        return whole.hexdigest()

    @property
    def full_version(self) -> str:
        """The version with a mark of the contents, so that pip takes two that differ for two."""
        return f"{self.version.partition('+')[0]}+d{self.digest[:12]}"

    def write(self, folder: Path) -> Path:
        """Writes the wheel into a folder."""
        info = f"{self.name}-{self.full_version}.dist-info"
        files = dict(self.files) | {f"{info}/{name}": content for name, content in self.notes.items()}
        files[f"{info}/METADATA"] = self._metadata()
        files[f"{info}/WHEEL"] = (
            b"Wheel-Version: 1.0\nGenerator: headrace\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        lines = [
            f"{name},{_record_hash(content)},{len(content)}\n" for name, content in sorted(files.items())
        ]
        files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
        path = folder / f"{self.name}-{self.full_version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, content in sorted(files.items()):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # the same on every system
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, content)
        return path

    def _metadata(self) -> bytes:
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.full_version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        return "".join(f"{line}\n" for line in lines).encode()

    @staticmethod
    def _named(files: Mapping[str, bytes]) -> list[bytes]:
        return [part for name, content in sorted(files.items()) for part in (name.encode(), content)]


def _record_hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
