"""What a step's fingerprint is made of: its code, its libraries' versions, its parameters, its inputs.

Whatever has to be read for it (source files, external data) is remembered in the store's index by size and
time of change, so that a cached run reads next to nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .artifact import Artifact
from .bound import BoundStep
from .code_digest import CodeDigest, code_digest
from .component import Argument, Component, NamedFile
from .errors import DataError, PipelineError
from .fingerprint import Parts
from .import_path import short_names, source_of
from .store import Store

_EXECUTION_ONLY = frozenset({"apache_beam", "click", "msgspec", "rich", "yaml", "etils", "fsspec"})
"""Libraries that decide how a step is run, and not what it gives."""
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "farmhash": "pyfarmhash",
    "google_crc32c": "google-crc32c",
    "PIL": "pillow",
}


def parts_of(step: BoundStep, inputs: Mapping[str, Artifact], store: Store) -> Parts:
    """The parts of a step's fingerprint; reads files only if they changed since they were last read."""
    component = step.component
    code = function_code(component.function, store)
    libraries = set(code.libraries)
    parameters: dict[str, Any] = {}
    short = _names_of_code(step)
    for name, value in step.parameters.items():
        argument = component.arguments.get(name)
        markers = argument.markers if argument else frozenset()
        if "operational" in markers:
            continue
        if "file" in markers and isinstance(value, Mapping):
            parameters[name] = {key: {"content": file_digests(files, store)} for key, files in value.items()}
        elif "file" in markers and value is not None and not _is_word(argument, value):
            parameters[name] = {"content": file_digests(value, store)}
        elif "code" in markers and isinstance(value, str) and ":" in value:
            user = user_code(value, store)
            libraries |= set(user.libraries)
            parameters[name] = {"name": _short_name(value), "code": user.symbols}
        elif "codes" in markers and component.code_finder is not None and value is not None:
            parameters[name] = _renamed(_plain(value), short)
            for path in component.code_finder(name, value):
                user = user_code(path, store)
                libraries |= set(user.libraries)
                parameters[short[path]] = {"name": short[path], "code": user.symbols}
        else:
            parameters[name] = _plain(value)
    if component.source_finder is not None:
        sources = list(component.source_finder(step.parameters))
        parameters["sources"] = {"content": file_digests(sources, store)}
    digests = {name: artifact.digest for name, artifact in inputs.items()}
    versions = library_versions(sorted(libraries - _EXECUTION_ONLY), store)
    return Parts(component_name(component), code.symbols, versions, parameters, digests)


def component_name(component: Component[..., Any]) -> str:
    """A name that doesn't depend on where the project lies."""
    return f"{component.module.rpartition('.')[2]}:{component.name}"


def _names_of_code(step: BoundStep) -> dict[str, str]:
    """Short names of the import paths in all arguments of a step that are marked `codes`."""
    finder = step.component.code_finder
    if finder is None:
        return {}
    arguments = step.component.arguments
    marked = [
        (name, value)
        for name, value in step.parameters.items()
        if value is not None and name in arguments and "codes" in arguments[name].markers
    ]
    return short_names(path for name, value in marked for path in finder(name, value))


def _short_name(path: str) -> str:
    place, _, name = path.rpartition(":")
    return f"{Path(place).name}:{name}"


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """`value` with other names in place of some texts and keys."""
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    import msgspec

    return msgspec.to_builtins(value, str_keys=True)


def _expanded(value: str | Sequence[NamedFile]) -> list[tuple[Path, str]]:
    """The files that a path, a glob or a list of them names, in a stable order; folders by their files.

    Each comes with its name inside the folder that was given; behind a glob with the folders from the first
    wildcard on that stand for columns (`year=2024`); of a pair with its second; else with an empty string.
    """
    found: list[tuple[Path, str]] = []
    for text in [value] if isinstance(value, str) else value:
        if not isinstance(text, str):
            found.append((Path(text[0]), text[1]))
            continue
        path = Path(text)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            found.extend((p, p.relative_to(path).as_posix()) for p in inside)
        elif any(mark in text for mark in "*?[") and not path.exists():
            from glob import glob

            begin = next(place for place, part in enumerate(path.parts) if set(part) & set("*?["))
            for name in sorted(glob(text, recursive=True)):  # noqa: PTH207 - absolute
                columns = [part for part in Path(name).parts[begin:-1] if "=" in part]
                found.append((Path(name), "/".join(columns)))
        else:
            found.append((path, ""))
    return found


def file_digests(value: str | Sequence[NamedFile], store: Store) -> list[Any]:
    """The digests of the files that a parameter names; in a folder the files' names count too, and those of
    pairs of a file and a name.

    Raises:
        DataError: a file isn't there or can't be read.
    """
    files = _expanded(value)
    try:
        digests = store.digests([path for path, _ in files])
    except OSError as error:
        raise DataError(
            "the file isn't there"
            if isinstance(error, FileNotFoundError)
            else f"can't be read: {error.strerror}",
            file=str(error.filename),
            remedy="check the path; it is relative to the pipeline's file",
        ) from error
    return [[name, digests[str(path)]] if name else digests[str(path)] for path, name in files]


def function_code(function: Any, store: Store) -> CodeDigest:
    """The digest of a function's code, remembered as long as none of its files changes."""
    file = Path(function.__code__.co_filename)
    if file.is_file() and not function.__closure__ and not hasattr(function, "__wrapped__"):
        return _code_in(function, file, store)
    from .live_code import live_code

    return live_code(function, lambda value, place: _code_in(value, place, store))


def _code_in(value: Any, file: Path, store: Store) -> CodeDigest:
    return _remembered_code(
        dotted_name(value.__module__, file), file, value.__qualname__.split(".")[0], store
    )


def user_code(path: str, store: Store) -> CodeDigest:
    """The digest of the function behind an import path, `module:name` or `file.py:name`.

    Raises:
        PipelineError: there is no such module, or its text is no Python.
    """
    place, _, name = path.rpartition(":")
    file = source_file(place)
    if file.suffix != ".py":  # an extension module
        digest = store.digests([file])[str(file)]
        return CodeDigest({f"{place}:*": digest}, (str(file),), (place.partition(".")[0],))
    module = file.stem if place.endswith(".py") else place
    return _remembered_code(module, file, name.split(".")[0], store)


def source_file(place: str) -> Path:
    """The file of a module, or of what names its file itself.

    Raises:
        PipelineError: there is no such module.
    """
    file = source_of(place)
    if file is None:
        raise PipelineError(f"there is no module {place!r}", remedy="check the import path, `module:name`")
    return file


def dotted_name(module: str, file: Path) -> str:
    """The module's name, or the file's where the module was loaded from a path."""
    return module if module.rpartition(".")[2] in (file.stem, file.parent.name) else file.stem


def _remembered_code(module: str, file: Path, name: str, store: Store) -> CodeDigest:
    key = f"{file}:{module}:{name}"
    known = store.index.code(key)
    if known is not None:
        stats, digest = known
        if _stats(stat[0] for stat in stats) == stats:
            return CodeDigest(digest["symbols"], tuple(digest["files"]), tuple(digest["libraries"]))
    try:
        fresh = code_digest(module, file, name)
    except (SyntaxError, ValueError) as error:
        place = {
            "file": getattr(error, "filename", "") or str(file),
            "line": getattr(error, "lineno", 0) or 0,
        }
        raise PipelineError(f"the code of {module}:{name} can't be read: {error}", **place) from error
    stats = _stats(fresh.files)
    store.index.remember_code(
        key, stats, {"symbols": fresh.symbols, "files": fresh.files, "libraries": fresh.libraries}
    )
    return fresh


def _stats(files: Iterable[str]) -> list[list[Any]]:
    """Size and time of change; `mtime` wouldn't do, since copying and unpacking can restore it."""
    found = []
    for name in files:
        try:
            stat = os.stat(name)  # noqa: PTH116 - on the path of a cached run
            found.append([name, stat.st_size, stat.st_ctime_ns])
        except OSError:
            found.append([name, -1, -1])
    return found


def library_versions(names: list[str], store: Store) -> dict[str, str]:
    """Installed versions by import name, remembered while no folder of packages changes.

    A name that no distribution goes by is left out.
    """
    import sys

    key = json.dumps(["versions", names])
    stats = _stats(folder for folder in sys.path if folder.endswith("-packages"))
    known = store.index.code(key) if stats else None
    if known is not None and known[0] == stats:
        return dict(known[1])
    versions = {name: version for name in names if (version := _version(name))}
    store.index.remember_code(key, stats, versions)
    return versions


def _version(name: str) -> str:
    """The versions of the distributions that bring a module, or an empty string."""
    from importlib import metadata

    try:
        return metadata.version(_DISTRIBUTIONS.get(name, name))
    except metadata.PackageNotFoundError:
        found = metadata.packages_distributions().get(name, [])
        return ", ".join(sorted({f"{d} {metadata.version(d)}" for d in found}))


def _is_word(argument: Argument | None, value: Any) -> bool:
    """Whether a text is no path though its argument is marked `file`."""
    return argument is not None and isinstance(value, str) and value in argument.words
