"""Where the source files of a function's own project lie: found by name, never imported."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from .staged_code import STAGED

_HOME = Path(__file__).parent.parent
BUILT_IN = {f"headrace.{part}": _HOME / part for part in ("components", "schemas")}
"""The folders of headrace's own code that decides what a step gives, by import name."""


@dataclass(frozen=True)
class Project:
    """Where the modules lie whose code counts by its text, and not by a library's version.

    Attributes:
        roots: folder of each top-level name, for example `{"headrace.components": …/components}`.
        folder: a folder whose every module is local, or None for an installed package.
        found: places of other top-level names on Python's path, as they are asked for.
    """

    roots: dict[str, Path]
    folder: Path | None = None
    found: dict[str, tuple[Path, ...]] = field(default_factory=dict)

    def find(self, module: str) -> Path | None:
        """The source file of a local module, or None."""
        for name, root in self.roots.items():
            if module == name or module.startswith(name + "."):
                return _source(root, module[len(name) :].strip("."))
        top = module.partition(".")[0]
        if self.folder is None or not top or top == "headrace":
            return None
        beside = _source(self.folder, module)
        if beside is not None or top in sys.stdlib_module_names:
            return beside
        if top not in self.found:
            self.found[top] = _development_places(top)
        sources = (_source(place, module[len(top) :].strip(".")) for place in self.found[top])
        return next((source for source in sources if source), None)

    def candidates(self, module: str) -> tuple[Path, ...]:
        """Where a module that wasn't found would lie: a file that appears there changes what is meant."""
        top = module.partition(".")[0]
        if self.folder is None or not top or top == "headrace" or top in sys.stdlib_module_names:
            return ()
        return (self.folder / f"{top}.py", self.folder / top / "__init__.py")


def _development_places(top: str) -> tuple[Path, ...]:
    """Where a top-level module lies that is on Python's path and isn't installed: a checkout, a `src` folder.

    An installed package counts by its version; one that is being worked on has the same version all day.
    """
    from importlib.util import find_spec

    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.origin and not spec.origin.endswith(".py"):
        return ()
    names: list[str] = list(spec.submodule_search_locations or ([spec.origin] if spec.origin else []))
    places = [Path(name) for name in names]
    return tuple(place for place in places if not is_installed(place))


def is_installed(place: Path) -> bool:
    """Whether a place is that of an installed package, which counts by its version."""
    parts = place.parts
    if STAGED in parts:  # a run brought it to this machine, from where it was either
        parts = parts[parts.index(STAGED) :]
    return any(part in ("site-packages", "dist-packages") for part in parts)


def _source(root: Path, dotted: str) -> Path | None:
    base = root.joinpath(*dotted.split(".")) if dotted else root
    for path in (base / "__init__.py", base.with_suffix(".py") if dotted else base):
        if path.is_file():
            return path
    return None


def project_of(module: str, file: Path) -> Project:
    """The project that the module in `file` belongs to."""
    if module.startswith("headrace."):
        return Project(BUILT_IN)
    parts = module.split(".")
    # `a.b.c` in `a/b/c.py` and in `a/b/c/__init__.py` both have the project's folder above `a`.
    folder = (file.parent if file.name == "__init__.py" else file).parents[len(parts) - 1]
    if is_installed(folder):
        top = parts[0]
        place = folder / top if (folder / top).is_dir() else folder / f"{top}.py"
        return Project({**BUILT_IN, top: place})
    return Project(dict(BUILT_IN), folder)


def sources_below(folder: Path) -> list[Path]:
    """The Python files in a folder and its subfolders, but for hidden ones and virtual environments."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            hidden = path.name.startswith((".", "__")) or path.name == "node_modules"
            if not hidden and not (path / "pyvenv.cfg").exists():
                found += sources_below(path)
        elif path.suffix == ".py":
            found.append(path)
    return found
