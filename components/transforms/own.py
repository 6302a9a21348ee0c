"""Transforms of one's own: a class or a function, by its import path or by an entry point.

    features:
      price: {clip.py:clip: {low: 0, high: 10}}     # file.py:name, relative to the pipeline's file
      size: my_package.scaling:Fold                 # module:name
      age: fold                                     # by an entry point of an installed package

A function `def clip(xp, column, low=0.0, high=1.0)` takes a column of numbers, float32 [n] with NaN where one
is missing, and gives such a column; its further parameters are the transform's arguments. A class is a frozen
dataclass below `Transform`, and may be fitted, read and make other kinds.

Of images, a class takes "pixels", uint8 [n, height, width, channels], and gives them; it stands behind
`resize` and before `scale`. One that changes their size says so in `shape`.

Both are array math against `xp`, a `headrace.components.transforms.namespace.Namespace`. What a saved
transform keeps of them is the import path, the arguments and the digest of their code, never the code.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field, fields, make_dataclass
from functools import lru_cache
from importlib import invalidate_caches
from pathlib import Path
from typing import Any, ClassVar, get_args

from ...pipelines.code_digest import code_digest
from ...pipelines.errors import HeadraceError, InvalidRequestError, StepError
from ...pipelines.import_path import find_problem, load_function, module_file, split_path
from ...pipelines.staged_code import staged_file
from ...pipelines.step_parts import source_file
from .base import Analyzer, Constants, Kind, Transform, argument_name
from .target import TargetMean

DTYPES = {"float": "float32", "vector": "float32", "int": "int64", "time": "int64", "ids": "int64",
          "one_hot": "int64", "sequence": "int64", "pixels": "uint8"}  # fmt: skip
"""The dtype of a column, by the kinds that are arrays of numbers."""
_IMPORTED = "import what its annotations name where Python runs it, not under TYPE_CHECKING alone"
_PATHS: dict[type[Transform], str] = {}
"""The import path that each class came by."""


def path_of(kind: type[Transform]) -> str:
    """The import path of one's own transform; empty for those that are built in."""
    return _PATHS.get(kind, "")


def find_own(path: str) -> type[Transform]:
    """The transform behind an import path, `module:name` or `file.py:name`.

    Raises:
        InvalidRequestError: it isn't there, can't be imported, or is no transform.
    """
    place, _ = split_path(path)
    problem = find_problem(path)
    if problem is not None:
        raise InvalidRequestError(problem)
    stat = staged_file(place).stat() if place.endswith(".py") else None
    return _found(path, None if stat is None else (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=256)
def _found(path: str, stamp: Any) -> type[Transform]:
    """Loads it once, and again when its file has changed."""
    value = load_function(path)
    made = _class_of(value, path) if isinstance(value, type) else _of_function(value, path)
    if not made.__module__.startswith("headrace.components."):
        _PATHS[made] = path
    return made


def _class_of(value: type, path: str) -> type[Transform]:
    wrong = remedy = ""
    if not issubclass(value, Transform):
        wrong, remedy = "is a class and no Transform", f"write class {value.__name__}(Transform)"
    elif "__dataclass_params__" not in vars(value):
        wrong, remedy = "is no dataclass of its own", "decorate it with @dataclass(frozen=True)"
    elif value.apply is Transform.apply:
        wrong, remedy = "has no apply", "write def apply(self, xp, column, constants)"
    elif hidden := [one.name for one in fields(value) if callable(getattr(Transform, one.name, None))]:
        wrong = f"has a field {hidden[0]!r}, which hides the method of that name"
        remedy = f'write {hidden[0]}_ = field(metadata={{"argument": "{hidden[0]}"}})'
    elif odd := [kind for kind in value.takes if kind not in get_args(Kind)]:
        wrong, remedy = f"takes {odd[0]!r}, which is no kind", f"kinds are {', '.join(get_args(Kind))}"
    if wrong:
        raise InvalidRequestError(f"{_short(path)} {wrong}", remedy=remedy)
    try:
        typing.get_type_hints(value, include_extras=True)
    except Exception as error:
        raise InvalidRequestError(
            f"the types of {_short(path)}'s arguments can't be read: {error}", remedy=_IMPORTED
        ) from error
    found: type[Transform] = value
    return found


class OfFunction(Transform):
    """What a function becomes; see the module's text.

    Attributes:
        function: the function.
    """

    function: ClassVar[Callable[..., Any]]

    def gives(self, kind: Kind) -> Kind:
        """Numbers."""
        return "float"

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """Calls the function with the arguments by name."""
        told = {argument_name(one): getattr(self, one.name) for one in fields(self)}
        return xp.float32(type(self).function(xp, column, **told))


def _of_function(function: Callable[..., Any], path: str) -> type[Transform]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # annotations are code of one's own
        raise InvalidRequestError(
            f"the signature of {_short(path)} can't be read: {error}", remedy=_IMPORTED
        ) from error
    by_name = [p for p in parameters[2:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if len(parameters) < 2 or len(by_name) != len(parameters) - 2:
        known = ", ".join(map(str, parameters))
        raise InvalidRequestError(
            f"{_short(path)} can't be called as a transform is, with ({known})",
            remedy=f"write def {split_path(path)[1]}(xp, column, …) with further parameters by name",
        )
    made = []
    for one in by_name:
        default = MISSING if one.default is one.empty else one.default
        metadata = {"argument": one.name}
        told = field(metadata=metadata)
        if default is not MISSING:
            told = field(default_factory=_giving(default), metadata=metadata)
        name = f"{one.name}_" if hasattr(OfFunction, one.name) else one.name
        made.append((name, hints.get(one.name, _type_of(default)), told))
    names = tuple(one.name for one in by_name)
    own = {
        "name": _short(path),
        "first": names,
        "function": staticmethod(function),
        "__doc__": function.__doc__,
    }
    found: type[Transform] = make_dataclass(
        split_path(path)[1], made, bases=(OfFunction,), namespace=own, frozen=True, kw_only=True
    )
    return found


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


def _type_of(default: Any) -> Any:
    """What a parameter without annotation takes, by its default."""
    if isinstance(default, bool | str):
        return type(default)
    return float | int if isinstance(default, float | int) else Any


def _short(path: str) -> str:
    place, name = split_path(path)
    return f"{Path(place).name if place.endswith('.py') else place}:{name}"


def root_of(path: str) -> str:
    """The folder that has to be on Python's path for a module to be found; empty for what names its file."""
    place, _ = split_path(path)
    file = None if place.endswith(".py") else module_file(place)
    if file is None:
        return ""
    depth = len(place.split("."))
    return str((file.parent if file.name == "__init__.py" else file).parents[depth - 1])


def rebuild(path: str, arguments: Mapping[str, Any], root: str = "") -> Transform:
    """A transform from what is pickled for Beam in place of it; see `rebuild_class`."""
    return rebuild_class(path, root)(**arguments)


def rebuild_class(path: str, root: str = "") -> type[Transform]:
    """A transform that another process had.

    Args:
        path: its import path.
        root: as `root_of` gave it there; this process may have another path.

    Raises:
        InvalidRequestError: see `find_own`.
    """
    reach(path, root)
    return find_own(path)


def reach(path: str, root: str) -> None:
    """Puts a folder on Python's path where a module isn't found without; nothing is imported."""
    place, _ = split_path(path)
    if root and root not in sys.path and not place.endswith(".py") and module_file(place) is None:
        sys.path.append(root)
        invalidate_caches()


def digest_of(path: str) -> str:
    """SHA-256 in hex over the code behind an import path, helpers of its own project included."""
    place, name = split_path(path)
    file = source_file(place)
    if file.suffix != ".py":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    code = code_digest(Path(place).stem if place.endswith(".py") else place, file, name.split(".")[0])
    return hashlib.sha256(json.dumps(code.symbols, sort_keys=True).encode()).hexdigest()


def contract_problem(transform: Transform, kind: Kind) -> str:
    """What one's own transform says wrongly of itself where it reads `kind`; empty if nothing."""
    asked, known = transform.analyzers(kind), get_args(Analyzer)
    if transform.gives(kind) not in get_args(Kind):
        return f"gives {transform.gives(kind)!r}, which is no kind: kinds are {', '.join(get_args(Kind))}"
    if not isinstance(asked, tuple | list) or any(one not in known for one in asked):
        return f"analyzers gives {asked!r}, and has to give a tuple of {', '.join(known)}"
    if "label_means" in asked and not isinstance(transform, TargetMean):
        return "means of the label are for target_mean and classes below TargetMean"
    return ""


def one_way(kind: type[Transform]) -> bool:
    """Whether a class has an `apply` of its own and no `inverse` that belongs to it."""
    apply, inverse = (
        next(depth for depth, one in enumerate(kind.__mro__) if name in vars(one))
        for name in ("apply", "inverse")
    )
    return apply < inverse


def require_constants(transform: Transform, constants: Any) -> None:
    """Raises StepError where what `fit` of one's own transform gave are no constants."""
    import numpy as np

    kinds = (int, float, str, list, np.ndarray, np.generic)
    wrong = ""
    if not isinstance(constants, Mapping):
        wrong = type(constants).__name__
    elif odd := [name for name, value in constants.items() if not isinstance(value, kinds)]:
        wrong = f"a {type(constants[odd[0]]).__name__} as {odd[0]!r}"
    if wrong:
        raise StepError(
            f"fit of the transform {_short(path_of(type(transform)))} gave {wrong}",
            remedy="give a dict of numbers, texts, arrays, and lists of numbers or of texts",
        )


def _rows(column: Any) -> int | None:
    """The rows of a column, or of the first of several; None where TensorFlow doesn't know them yet."""
    one = column[0] if isinstance(column, list) else column
    if not hasattr(one, "shape"):
        return len(one) if hasattr(one, "__len__") else None
    return one.shape[0] if len(one.shape) else None


def _failure(path: str, error: Exception) -> StepError:
    """What one's own code raised, with the place in it."""
    place = [one for one in traceback.extract_tb(error.__traceback__) if one.filename != __file__]
    own = [one for one in place if one.filename == str(staged_file(split_path(path)[0]))] or place
    return StepError(
        f"the transform {_short(path)} failed: {type(error).__name__}: {error}",
        file=own[-1].filename if own else split_path(path)[0],
        line=(own[-1].lineno or 0) if own else 0,
        remedy="use operators and the functions of headrace.components.transforms.namespace.Namespace",
    )


def inverse_own(transform: Transform, xp: Any, column: Any, constants: Constants) -> Any:
    """`inverse` of one's own transform, with errors that name it; see `apply_own`."""
    try:
        return transform.inverse(xp, column, constants)
    except HeadraceError:
        raise
    except Exception as error:
        raise _failure(path_of(type(transform)), error) from error


def apply_own(
    transform: Transform,
    xp: Any,
    column: Any,
    constants: Constants,
    kind: Kind,
    places: Sequence[tuple[int, int]] | None = None,
) -> Any:
    """`apply` of one's own transform, with errors that name it.

    Args:
        transform: the transform.
        xp, column, constants: see `Transform.apply`.
        kind: what has to come out.
        places: of rows of the train split, see `Transform.apply_train`.

    Raises:
        StepError: it failed, or gave a column of another dtype or shape.
    """
    path = path_of(type(transform))
    if hasattr(column, "flags"):  # in NumPy other features may read the same array
        column = column.view()
        column.flags.writeable = False
    try:
        if places is None:
            made = transform.apply(xp, column, constants)
        else:
            made = transform.apply_train(xp, column, constants, places)
        dtype = getattr(getattr(made, "dtype", None), "name", "no array")
        dimensions = len(made.shape) if hasattr(made, "shape") else 0
        given, got = _rows(column), _rows(made)
    except HeadraceError:
        raise
    except Exception as error:
        raise _failure(path, error) from error
    expected = DTYPES.get(kind)
    wanted = {"vector": 2, "sequence": 2, "pixels": 4}.get(kind, 1)
    if expected is not None and (dtype != expected or dimensions != wanted):
        raise StepError(
            f"the transform {_short(path)} gave {dtype} in {dimensions} dimensions, and a column of kind"
            f" {kind} is {expected} in {wanted}",
            remedy="make it by xp.float32 or xp.int64 (images by xp.uint8), of all rows; say what comes out"
            " in gives, and the size of images in shape",
        )
    if given is not None and got is not None and given != got:
        raise StepError(
            f"the transform {_short(path)} gave {got} rows of {given}",
            remedy="a transform gives a value for each row; where a row has none, give NaN",
        )
    return made
