"""Values with paths below one folder, pickled without that folder and read again below another.

`Path` objects and strings are recognized wherever they are in a value: in fields, lists, mappings, partial
functions. They are pickled as persistent ids, relative to the folder, by Beam's own pickler otherwise.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path, PurePath
from typing import Any


def dumped(value: Any, folder: str) -> tuple[bytes, tuple[str, ...]]:
    """A value as bytes, and the names relative to `folder` of the paths in it, with slashes."""
    from apache_beam.internal.cloudpickle import cloudpickle

    named: dict[str, None] = {}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, found: Any) -> Any:
            if not isinstance(found, str | PurePath):
                return None
            text = str(found)
            if text != folder and not text.startswith(f"{folder}/"):
                return None
            name = text[len(folder) + 1 :]
            named[name] = None
            return ("text" if isinstance(found, str) else "path", name)

    stream = io.BytesIO()
    Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue(), tuple(name for name in named if name)


def loaded(text: bytes, folder: str) -> Any:
    """The value that `dumped` wrote, with its paths below `folder`."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, found: Any) -> Any:
            kind, name = found
            path = f"{folder}/{name}" if name else folder
            return path if kind == "text" else Path(path)

    return Unpickler(io.BytesIO(text)).load()


def moved(value: Any, old: str, new: str) -> Any:
    """The value with its paths below `old` below `new`."""
    text, _ = dumped(value, old)
    return loaded(text, new)
