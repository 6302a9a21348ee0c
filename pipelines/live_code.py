"""Code that no file shows, or not wholly: functions typed at a prompt, and values that a function captured.

A component that is made inside another function, or by a decorator that hides it, holds values in its
closure; one in a notebook uses whatever its globals are now. These values decide its output like its text.
"""

from __future__ import annotations

import hashlib
import inspect
import types
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .code_digest import CodeDigest
from .component import Component
from .fingerprint import canonical

Walk = Callable[[types.FunctionType | type, Path], CodeDigest]
"""Digests a function or class by the text of the file that defines it."""


def live_code(function: Any, walk: Walk) -> CodeDigest:
    """The digest of a function's code as it is now, captured values included.

    A value that can't be compared (an open file, a model) counts as changed each time: the step runs again.
    """
    live = _Live(walk)
    live.add(getattr(function, "__qualname__", "function"), function)
    return CodeDigest.of(live.symbols, live.files, live.libraries)


@dataclass
class _Live:
    walk: Walk
    symbols: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    seen: dict[int, str] = field(default_factory=dict)

    def add(self, name: str, value: Any) -> None:
        """Adds what a name stands for."""
        value = value.function if isinstance(value, Component) else value
        if id(value) in self.seen:
            self.symbols.setdefault(name, f"the same as {self.seen[id(value)]}")
            return
        self.seen[id(value)] = name
        if isinstance(value, types.FunctionType):
            self.function(name, value)
        elif isinstance(value, type):
            self.kind(name, value)
        elif isinstance(value, types.ModuleType):
            self.libraries.add(value.__name__.partition(".")[0])
        elif isinstance(value, types.BuiltinFunctionType):
            self.symbols[name] = value.__qualname__
        elif isinstance(value, list | tuple | set | frozenset):
            for number, item in enumerate(
                value if isinstance(value, list | tuple) else sorted(value, key=repr)
            ):
                self.add(f"{name}[{number}]", item)
            self.symbols[name] = f"{type(value).__name__} of {len(value)}"
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.add(f"{name}[{key!r}]", item)
            self.symbols[name] = f"{type(value).__name__} of {len(value)}"
        else:
            self.symbols[name] = _plain_digest(value)

    def function(self, name: str, function: types.FunctionType) -> None:
        inner = inspect.unwrap(function)
        code = inner.__code__
        if Path(code.co_filename).is_file():
            self.merge(self.walk(inner, Path(code.co_filename)))
        else:
            self.symbols[name] = hashlib.sha256(_code_text(code).encode()).hexdigest()
            for used in sorted(_global_names(code) & inner.__globals__.keys()):
                self.add(used, inner.__globals__[used])
            for number, default in enumerate(inner.__defaults__ or ()):
                self.add(f"{name}({number})", default)
            for keyword, default in (inner.__kwdefaults__ or {}).items():
                self.add(f"{name}({keyword})", default)
        for variable, cell in zip(code.co_freevars, inner.__closure__ or (), strict=True):
            if cell != types.CellType():
                self.add(f"{name}.{variable}", cell.cell_contents)

    def kind(self, name: str, kind: type) -> None:
        methods = [value for value in vars(kind).values() if isinstance(value, types.FunctionType)]
        file = next((Path(m.__code__.co_filename) for m in methods if m.__module__ == kind.__module__), None)
        if file is not None and file.is_file():
            self.merge(self.walk(kind, file))
            return
        self.symbols[name] = f"{kind.__module__}.{kind.__qualname__}"
        if kind.__module__ == "__main__":
            for key, value in vars(kind).items():
                if not key.startswith("__") or isinstance(value, types.FunctionType):
                    self.add(f"{name}.{key}", value)
        else:
            self.libraries.add(kind.__module__.partition(".")[0])

    def merge(self, walked: CodeDigest) -> None:
        self.symbols.update(walked.symbols)
        self.files.update(walked.files)
        self.libraries.update(walked.libraries)


def _plain_digest(value: Any) -> str:
    try:
        return hashlib.sha256(canonical(value)).hexdigest()
    except TypeError:
        return f"not comparable: {uuid.uuid4().hex}"


def _code_text(code: types.CodeType) -> str:
    inner = [_code_text(c) if isinstance(c, types.CodeType) else ascii(c) for c in code.co_consts]
    return repr((code.co_code, inner, code.co_names, code.co_varnames))


def _global_names(code: types.CodeType) -> set[str]:
    import dis

    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return names.union(*(_global_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))
