"""The wheel of the user's own code that a pipeline's steps use, with all that it imports of its project.

Its modules keep their names and stand below one another as they do in the project; where each folder was is
written into the wheel, see `headrace.pipelines.staged_code`. Data files don't come along: a step reads them
through parameters.
"""

from __future__ import annotations

import hashlib
import json
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...bound import BoundPipeline, BoundStep
from ...code_digest import CodeDigest, local_modules
from ...code_files import is_installed
from ...import_path import source_of, split_path, user_module
from ...live_code import live_code
from ...resolve import file_module
from ...staged_code import STAGED
from ...step_parts import dotted_name
from .wheel import Wheel

NAMED = "by_file"
"""The folder of modules that stand for files by the names that their modules go by in pickles."""


@dataclass(frozen=True)
class Entry:
    """A module that a step's code begins in.

    Attributes:
        module: its name.
        file: its source file.
        by_file: whether steps name the file and not the module.
    """

    module: str
    file: Path
    by_file: bool = False


def user_wheel(bound: BoundPipeline) -> Wheel | None:
    """The wheel of the user's code; None where all code is headrace's."""
    found = dict.fromkeys(entry for step in bound.steps.values() for entry in entries_of(step))
    entries = [entry for entry in found if not entry.module.startswith("headrace.")]
    if not entries:
        return None
    folders: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for entry in entries:
        for name, file in local_modules(entry.module, entry.file).items():
            root = _root(name, file)
            inside = "site-packages" if is_installed(root) else f"project_{_short_hash(str(root))}"
            folders[str(root)] = inside
            files[f"{STAGED}/{inside}/{file.relative_to(root).as_posix()}"] = file.read_bytes()
    for entry in entries:
        if entry.by_file:
            files |= _stand_ins(entry.file)
    order = [*dict.fromkeys(folders.values()), NAMED]
    files[f"{STAGED}/__init__.py"] = _package(folders)
    files[f"{STAGED}.pth"] = "".join(f"{STAGED}/{name}\n" for name in order).encode()
    return Wheel(STAGED, "0", files)


def entries_of(step: BoundStep) -> Iterator[Entry]:
    """The modules in which the code of a step begins: its component's, and what its arguments name."""
    yield from _of_function(step.component.function)
    place, _ = split_path(step.uses)
    if place.endswith(".py"):
        yield Entry(Path(place).stem, Path(place), by_file=True)
    finder = step.component.code_finder
    for name, value in step.parameters.items():
        argument = step.component.arguments.get(name)
        markers = argument.markers if argument is not None else frozenset()
        if "code" in markers and isinstance(value, str) and ":" in value:
            yield from _of_path(value)
        elif "codes" in markers and finder is not None and value is not None:
            for path in finder(name, value):
                yield from _of_path(path)


def _of_path(path: str) -> Iterator[Entry]:
    place, _ = split_path(path)
    file = source_of(place)
    if file is not None and file.suffix == ".py":  # an extension module has to be installed on the workers
        by_file = place.endswith(".py")
        yield Entry(file.stem if by_file else place, file, by_file)


def _of_function(function: Any) -> Iterator[Entry]:
    """The modules of a function, and of what it captured where no file shows it."""
    entries: list[Entry] = []

    def note(value: types.FunctionType | type, file: Path) -> CodeDigest:
        entries.append(Entry(dotted_name(value.__module__, file), file))
        return CodeDigest({}, (), ())

    code = live_code(function, note)
    yield from entries
    for name in code.libraries:  # modules that a function at a prompt uses
        file = getattr(sys.modules.get(name), "__file__", None)
        if (
            file
            and file.endswith(".py")
            and not is_installed(Path(file))
            and name not in sys.stdlib_module_names
        ):
            yield Entry(name, Path(file))


def _root(module: str, file: Path) -> Path:
    """The folder that has to be on Python's path for a module to be found."""
    depth = len(module.split("."))
    return (file.parent if file.name == "__init__.py" else file).parents[depth - 1]


def _stand_ins(file: Path) -> dict[str, bytes]:
    """Modules by the names that files' modules have, which load the file: pickles name classes by them."""
    resolved = file.resolve()
    texts = {
        file_module(
            resolved
        ): f"from headrace.pipelines.resolve import load_file\n\nload_file({str(file)!r})\n",
        user_module(
            resolved
        ): "from pathlib import Path\n\nfrom headrace.pipelines.import_path import import_file"
        f"\n\nimport_file(Path({str(file)!r}))\n",
    }
    # What they load takes their place among the modules, under the same name.
    forget = "import sys\n\ndel sys.modules[__name__]\n"
    return {f"{STAGED}/{NAMED}/{name}.py": f"{forget}{text}".encode() for name, text in texts.items()}


def _package(folders: Mapping[str, str]) -> bytes:
    # The longest place first: a folder may be inside another.
    places = dict(sorted(folders.items(), key=lambda pair: (-len(pair[0]), pair[0])))
    text = json.dumps(places, indent=1, ensure_ascii=True)
    return f'"""Code that a run of headrace brought along, by where it was."""\n\nFOLDERS = {text}\n'.encode()


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
