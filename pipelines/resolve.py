"""Finds components and pipelines by the names that people write.

`uses:` is a built-in component, `package.module:name`, `file.py:name` (relative to the document), a
document (`other.yaml`), a ready pipeline, or what another package offers by a plain name; see
`entry_points.py`. The command line's PIPELINE is a document, `module:function`, `file.py:function`, or a
ready pipeline, of headrace or of another package.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from . import entry_points
from .component import Component
from .entry_points import Offer
from .errors import HeadraceError, InvalidRequestError, PipelineError, Problem
from .import_path import package_folders
from .pipeline import Pipeline, Step
from .staged_code import staged_file
from .tracing import PipelineFunction
from .values import absolute_path

HOME = "headrace.components"
"""The package of the built-in components."""
_DOCUMENTS = (".yaml", ".yml")
_FILE = "__headrace_file__"
_ENTRY_POINT_NAMES: dict[Any, str] = {}
"""The names of the functions that were found by entry point, so that they keep them when written down."""

Used = Component[..., Any] | PipelineFunction[..., Any]


def find(uses: str, folder: str = "") -> Used | Pipeline:
    """What a step uses.

    Args:
        uses: the name as it was written.
        folder: what a file's name is relative to; the working folder if empty.

    Raises:
        PipelineError: there is no such thing, or importing it failed.
        DocumentError: it is a document that can't be read.
    """
    if uses.endswith(_DOCUMENTS):
        return _document(uses, folder)
    if ":" in uses:
        return _checked(import_object(uses, folder), uses)
    names = builtin_names()
    if uses in names:
        return _builtin(uses)
    offered = entry_points.offer("components", uses)
    if offered is not None:
        return _loaded(offered)
    ready = ready_pipeline(uses)
    if ready is not None:
        return ready
    raise PipelineError(
        f"there is no component {uses!r}",
        argument="uses",
        given=uses,
        available=tuple(sorted({*names, *entry_points.offers("components"), *ready_names()})),
        remedy="use one of these, module:name, file.py:name, or a document's file",
    )


def find_component(uses: str, folder: str = "") -> Component[..., Any]:
    """Like `find`, for what has to be a component."""
    found = find(uses, folder)
    if not isinstance(found, Component):
        raise PipelineError(f"{uses} is a pipeline, not a component", argument="uses")
    return found


def components() -> dict[str, Component[..., Any]]:
    """Every component that has a plain name, sorted: built-in ones, and other packages' that can be had.

    What is wrong with the others, `offer_problems` tells.

    Raises:
        PipelineError: a built-in one can't be imported.
    """
    found = {name: _builtin(name) for name in builtin_names()}
    for name, offered in entry_points.offers("components").items():
        if name not in found:
            with suppress(HeadraceError):
                value = _loaded(offered)
                if isinstance(value, Component):
                    found[name] = value
    return dict(sorted(found.items()))


def offer_problems(kind: str, built_in: Iterable[str]) -> list[Problem]:
    """What is wrong with what other packages offer; each problem names the package.

    Args:
        kind: one of `entry_points.KINDS`.
        built_in: names that are taken.
    """
    problems = entry_points.claim_problems(kind, built_in)
    for offered in entry_points.offers(kind).values():
        try:
            if kind == "components":
                _loaded(offered)
            elif kind == "pipelines":
                _ready(offered)
            else:
                entry_points.import_path(kind, offered.name)
        except HeadraceError as error:
            problems += error.problems
    return problems


def builtin_names() -> tuple[str, ...]:
    """The names of the built-in components."""
    # By string: the engine must not depend on the components.
    return tuple(importlib.import_module(HOME).COMPONENTS)


def _builtin(name: str) -> Component[..., Any]:
    try:
        found: Component[..., Any] = getattr(importlib.import_module(HOME), name)
    except Exception as error:
        raise _import_failed(name, error) from error
    return found


def _loaded(offered: Offer) -> Used:
    """What another package's entry point leads to."""
    if ":" not in offered.path:
        raise PipelineError(offered.broken("it names a module and nothing in it").at(argument="uses"))
    try:
        value = _checked(import_object(offered.path), offered.path)
        if isinstance(value, Component):
            value.arguments, value.outputs  # noqa: B018 - an annotation that can't be read is found here
    except (NameError, TypeError) as error:
        why = f"its signature can't be read: {error}"
        raise PipelineError(offered.broken(why).at(argument="uses")) from error
    except HeadraceError as error:
        raise PipelineError(offered.broken(error.problems[0].what).at(argument="uses")) from error
    if isinstance(value, Component):
        _ENTRY_POINT_NAMES[value.function] = offered.name
    return value


def _checked(value: Any, uses: str) -> Used:
    if isinstance(value, Component | PipelineFunction):
        return value
    remedy = "decorate it with @component or @pipeline" if callable(value) else ""
    raise PipelineError(
        f"{uses} is neither a component nor a pipeline, but a {type(value).__name__}",
        argument="uses",
        remedy=remedy,
    )


def import_object(path: str, folder: str = "") -> Any:
    """The object at `module:name` or `file.py:name`.

    Args:
        path: the import path; `name` may have dots.
        folder: what the file's name is relative to, and where a module is looked for that isn't on
            Python's path; the working folder if empty.

    Raises:
        PipelineError: there is no such module or name, or importing it failed.
    """
    place, _, name = path.rpartition(":")
    folder = folder or str(Path.cwd())
    value: Any = load_file(absolute_path(place, folder)) if place.endswith(".py") else _module(place, folder)
    for part in name.split("."):
        if not hasattr(value, part):
            names = tuple(n for n, v in vars(value).items() if isinstance(v, Component | PipelineFunction))
            raise PipelineError(f"{place} has no {name!r}", argument="uses", given=name, available=names)
        value = getattr(value, part)
    return value


def _module(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.split(".")[0]):
            raise _import_failed(name, error) from error
    except Exception as error:
        raise _import_failed(name, error) from error
    _look_in(folder)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _import_failed(name, error) from error


def load_file(path: str) -> ModuleType:
    """The module in a Python file, imported once; the file's folder joins Python's path.

    Raises:
        PipelineError: there is no such file, or importing it failed.
    """
    resolved = Path(path).resolve()
    name, source = file_module(resolved), staged_file(resolved)
    if not source.is_file():
        beside = (
            tuple(sorted(p.name for p in resolved.parent.glob("*.py"))) if resolved.parent.is_dir() else ()
        )
        raise PipelineError(
            f"there is no file {path}", argument="uses", given=resolved.name, available=beside
        )
    if name in sys.modules:
        return sys.modules[name]
    _look_in(str(source.parent))
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, _FILE, str(resolved))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_failed(path, error) from error
    return module


def file_module(file: Path) -> str:
    """The name that the module in a file goes by; two files of one name are two modules."""
    return f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def _look_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)
        importlib.invalidate_caches()


def _import_failed(name: str, error: Exception) -> PipelineError:
    place: dict[str, Any] = {}
    if isinstance(error, SyntaxError) and error.filename:
        place = {"file": error.filename, "line": error.lineno or 0}
    remedy = "install it, or give the file as file.py:name" if isinstance(error, ModuleNotFoundError) else ""
    return PipelineError(
        f"importing {name} failed: {type(error).__name__}: {error}", argument="uses", remedy=remedy, **place
    )


def name_of(component: Component[..., Any], folder: str = "") -> str:
    """The name under which a document in `folder` uses a component that Python code gave."""
    module = component.module
    if module.startswith(f"{HOME}.") and component.name in builtin_names():
        return component.name
    if component.function in _ENTRY_POINT_NAMES:
        return _ENTRY_POINT_NAMES[component.function]
    qualname = component.function.__qualname__
    loaded = sys.modules.get(module)
    file = getattr(loaded, _FILE, None) or (
        getattr(loaded, "__file__", None) if module == "__main__" else None
    )
    if not file or not Path(file).is_file():  # a script on standard input is "<stdin>"
        return f"{module}:{qualname}"
    path = Path(file).resolve()
    if folder and path.is_relative_to(Path(folder).resolve()):
        return f"{path.relative_to(Path(folder).resolve())}:{qualname}"
    return f"{path}:{qualname}"


def absolute_name(uses: str, folder: str) -> str:
    """`uses` with the name of a file made absolute."""
    place, colon, name = uses.rpartition(":")
    return f"{absolute_path(place, folder)}:{name}" if colon and place.endswith(".py") else uses


def importable(step: Step, folder: str) -> bool:
    """Whether `uses` of a traced step finds the component that the step has."""
    if step.component is None:
        return True
    try:
        found = find_component(step.uses, folder)
    except PipelineError:
        return False
    code, other = found.function.__code__, step.component.function.__code__
    return (code.co_filename, code.co_firstlineno) == (other.co_filename, other.co_firstlineno)


def ready_pipelines() -> dict[str, Path]:
    """The documents of headrace's own pipelines that run as they are, by name."""
    folder = Path(__file__).parent / "ready"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def ready_names() -> tuple[str, ...]:
    """The plain names of all pipelines that run as they are, those of other packages too."""
    return tuple(sorted({*ready_pipelines(), *entry_points.offers("pipelines")}))


def ready_params() -> dict[str, dict[str, Any]]:
    """The parameters of the pipelines that run as they are, by plain name; not of those that are broken."""
    found: dict[str, dict[str, Any]] = {}
    for name in ready_names():
        with suppress(HeadraceError):
            ready = ready_pipeline(name)
            found[name] = {} if ready is None else dict(ready.params)
    return found


def ready_pipeline(name: str) -> Pipeline | PipelineFunction[..., Any] | None:
    """The pipeline of that plain name: a built-in one, or another package's; None if there is none.

    Raises:
        PipelineError: several packages claim the name, or what it leads to is no pipeline.
        DocumentError: its document can't be read.
    """
    built_in = ready_pipelines()
    if name in built_in:
        return _document(str(built_in[name]), "")
    offered = entry_points.offer("pipelines", name)
    return None if offered is None else _ready(offered)


def _ready(offered: Offer) -> Pipeline | PipelineFunction[..., Any]:
    """Another package's pipeline: a function, or the document of that name in the folder of a package."""
    if ":" in offered.path:
        found = _loaded(offered)
        if isinstance(found, PipelineFunction):
            return found
        raise PipelineError(offered.broken("it is no pipeline"))
    folders = package_folders(offered.path)
    files = [folder / f"{offered.name}{ending}" for folder in folders for ending in _DOCUMENTS]
    document = next((file for file in files if file.is_file()), None)
    if document is None:
        why = f"there is no {files[0]}" if files else f"there is no package {offered.path!r}"
        raise PipelineError(offered.broken(why))
    return _document(str(document), "")


def load_pipeline(target: str, folder: str = "") -> Pipeline | PipelineFunction[..., Any]:
    """What the command line's PIPELINE names.

    Args:
        target: a YAML file, `module:function`, `file.py:function`, or the name of a ready pipeline.
        folder: what a file's name is relative to; the working folder if empty.

    Raises:
        InvalidRequestError: there is no such pipeline, or it can't be read.
    """
    if target.endswith(_DOCUMENTS):
        return _document(target, folder)
    if ":" in target:
        found = import_object(target, folder)
        if not isinstance(found, PipelineFunction):
            raise InvalidRequestError(
                f"{target} is not a pipeline, but a {type(found).__name__}",
                remedy="decorate it with @pipeline",
            )
        return found
    ready = ready_pipeline(target)
    if ready is not None:
        return ready
    if target.endswith(".py"):
        module = load_file(absolute_path(target, folder or str(Path.cwd())))
        names = tuple(name for name, value in vars(module).items() if isinstance(value, PipelineFunction))
        raise InvalidRequestError(f"{target}: say which function", available=names, remedy=f"{target}:NAME")
    raise InvalidRequestError(
        f"there is no pipeline {target!r}",
        given=target,
        available=ready_names(),
        remedy="give a YAML file, module:function, file.py:function, or one of these",
    )


def _document(path: str, folder: str) -> Pipeline:
    from .document import read_pipeline

    return read_pipeline(Path(absolute_path(path, folder or str(Path.cwd()))))
