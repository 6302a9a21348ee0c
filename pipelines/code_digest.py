"""The digest of a function's code: the function and everything of its own project that it reaches.

The walk reads source files and imports nothing. It goes from symbol to symbol: a function, the helpers
and constants that it names, the imports that these came by. Comments, docstrings and layout don't count.
What can't be followed by name (`import_module(…)`, a module used as a value) counts as a whole. The
engine itself, `headrace.pipelines`, decides how a step is run and not what it gives, and is left out.

`ast.dump` differs between Python versions; the encoding here skips empty fields and doesn't.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_SKIPPED = frozenset({"ctx", "type_comment", "type_ignores", "lineno", "col_offset", "kind", "type_params"})
_ENGINE = "headrace.pipelines"


@dataclass(frozen=True)
class CodeDigest:
    """What a function's code consists of.

    Attributes:
        symbols: digest of each symbol reached, by `module:symbol`; the whole module is `module:*`.
        files: every file and folder that was read.
        libraries: top-level names of packages outside the project that were imported.
    """

    symbols: dict[str, str]
    files: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """Where the modules that belong to a function's own project lie.

    Attributes:
        roots: folder of each top-level name, for example `{"headrace.components": …/components}`.
        folder: a folder whose every module is local, or None for an installed package.
    """

    roots: dict[str, Path]
    folder: Path | None = None

    def find(self, module: str) -> Path | None:
        """The source file of a local module, or None."""
        for name, root in self.roots.items():
            if module == name or module.startswith(name + "."):
                return _source(root, module[len(name) :].strip("."))
        if self.folder is not None and not module.startswith("headrace"):
            return _source(self.folder, module)
        return None


def _source(root: Path, dotted: str) -> Path | None:
    base = root.joinpath(*dotted.split(".")) if dotted else root
    for path in (base / "__init__.py", base.with_suffix(".py") if dotted else base):
        if path.is_file():
            return path
    return None


def project_of(module: str, file: Path) -> Project:
    """The project that the module in `file` belongs to."""
    if module.startswith("headrace."):
        home = Path(__file__).parent.parent
        return Project({f"headrace.{part}": home / part for part in ("components", "schemas")})
    depth = len(module.split(".")) - (0 if file.name == "__init__.py" else 1)
    folder = (
        file.parents[depth]
        if file.name == "__init__.py"
        else file.parent.parents[depth - 1]
        if depth
        else file.parent
    )
    if any(part in ("site-packages", "dist-packages") for part in folder.parts):
        top = module.split(".")[0]
        return Project({top: folder / top if (folder / top).is_dir() else folder / f"{top}.py"})
    return Project({}, folder)


def code_digest(module: str, file: Path, name: str) -> CodeDigest:
    """Walks from the function `name` in `file`, which is imported as `module`.

    Raises:
        OSError, SyntaxError: a file of the project can't be read.
    """
    walk = _Walk(project_of(module, file))
    walk.modules[module] = _Module(module, file)
    walk.symbol(module, name)
    return CodeDigest(
        dict(sorted(walk.digests.items())), tuple(sorted(walk.files)), tuple(sorted(walk.libraries))
    )


@dataclass
class _Module:
    name: str
    file: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.file.read_bytes())

    @property
    def package(self) -> str:
        return self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """The statements at module level that bind each name."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body:
            for name in _bound(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Statements that do something when the module is imported, but for docstrings."""
        return [
            s for s in self.tree.body if isinstance(s, ast.Expr) and not isinstance(s.value, ast.Constant)
        ]

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module that a `from … import` names."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        base = parts[: len(parts) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])


@dataclass
class _Walk:
    project: Project
    modules: dict[str, _Module] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)

    def module(self, name: str) -> _Module | None:
        """The local module of that name, read and noted, or None."""
        if name not in self.modules:
            file = self.project.find(name)
            if file is None:
                return None
            self.modules[name] = _Module(name, file)
        module = self.modules[name]
        if str(module.file) not in self.files:
            self.files.add(str(module.file))
            self.nodes(module, f"{name}:(import)", list(module.effects))
        return module

    def symbol(self, module_name: str, name: str) -> None:
        """Follows one name of a module."""
        module = self.module(module_name)
        key = f"{module_name}:{name}"
        if module is None or key in self.seen:
            return
        self.seen.add(key)
        if name in module.definitions:
            statements = module.definitions[name]
            self.nodes(module, key, [s for s in statements if not isinstance(s, ast.ImportFrom)])
            for statement in statements:
                if isinstance(statement, ast.ImportFrom):
                    self.imported_from(module, statement, name)
        elif self.project.find(f"{module_name}.{name}") is not None:
            self.whole(f"{module_name}.{name}")
        elif "__getattr__" in module.definitions:
            self.symbol(module_name, "__getattr__")
        # Any other name is a builtin, or bound inside the function.

    def whole(self, module_name: str) -> None:
        """Takes a module as a whole, where it isn't known which of its names are used."""
        module = self.module(module_name)
        key = f"{module_name}:*"
        if module is None or key in self.seen:
            return
        self.seen.add(key)
        self.nodes(module, key, list(module.tree.body))

    def folder(self, module: _Module) -> None:
        """Takes every module beside and below one that imports by a name made at run time."""
        self.files.add(str(module.file.parent))
        for file in sorted(module.file.parent.rglob("*.py")):
            relative = file.relative_to(module.file.parent).with_suffix("").parts
            inner = [part for part in relative if part != "__init__"]
            self.whole(".".join([*([module.package] if module.package else []), *inner]))

    def nodes(self, module: _Module, key: str, nodes: list[ast.stmt]) -> None:
        """Digests some statements, then follows each name in them."""
        nodes = [node for node in nodes if not _is_type_checking(node)]
        # An import is digested as what it leads to, under that name.
        kept = [node for node in nodes if not isinstance(node, ast.Import | ast.ImportFrom)]
        if kept:
            self.digests[key] = hashlib.sha256("\n".join(encode(node) for node in kept).encode()).hexdigest()
        for node in nodes:
            self.follow(module, node)

    def follow(self, module: _Module, root: ast.AST) -> None:
        """Follows the imports and names in a statement."""
        aliases = {}
        for node in _walk(root):
            if isinstance(node, ast.Import):
                aliases.update({a.asname or a.name.split(".")[0]: a.name for a in node.names})
        for node in _walk(root):
            if isinstance(node, ast.ImportFrom):
                self.imported_from(module, node)
            elif isinstance(node, ast.Import):
                self.imported(module, node, root)
            elif isinstance(node, ast.Name) and node.id not in aliases:
                self.symbol_or_module(module, node.id, root)
            if isinstance(node, ast.Name | ast.Attribute) and _last(node) in ("import_module", "__import__"):
                self.folder(module)

    def symbol_or_module(self, module: _Module, name: str, root: ast.AST) -> None:
        """Follows a global name; of a module imported at the top only the attributes in use count."""
        for statement in module.definitions.get(name, []):
            if isinstance(statement, ast.Import):
                self.imported(module, statement, root, name)
                return
            if isinstance(statement, ast.ImportFrom) and self.submodule(module, statement, name, root):
                return
        self.symbol(module.name, name)

    def submodule(self, module: _Module, node: ast.ImportFrom, name: str, root: ast.AST) -> bool:
        """Follows `from package import module` by the attributes in use; False if it is no module."""
        original = next((a.name for a in node.names if (a.asname or a.name) == name), name)
        target = f"{module.absolute(node)}.{original}"
        if self.project.find(target) is None:
            return False
        self.attributes(target, name, root)
        return True

    def imported(self, module: _Module, node: ast.Import, root: ast.AST, only: str = "") -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            if only and bound != only:
                continue
            target = alias.name if alias.asname else bound
            if self.project.find(alias.name) is None:
                self.library(alias.name)
            else:
                self.attributes(target, bound, root)
                if target != alias.name:
                    self.whole(alias.name)

    def imported_from(self, module: _Module, node: ast.ImportFrom, only: str = "") -> None:
        """Follows what a `from … import` brings; only the name `only`, if one is given."""
        target = module.absolute(node)
        aliases = [a for a in node.names if not only or (a.asname or a.name) == only]
        submodules = {a.name for a in aliases if self.project.find(f"{target}.{a.name}") is not None}
        if self.project.find(target) is None and not submodules:
            self.library(target)
            return
        for alias in aliases:
            if alias.name == "*":
                self.whole(target)
            elif alias.name in submodules:
                self.whole(f"{target}.{alias.name}")
            else:
                self.symbol(target, alias.name)

    def attributes(self, target: str, bound: str, root: ast.AST) -> None:
        """Follows `bound.name` for each name used; the whole module if it's used in another way."""
        names = [n.attr for n in _walk(root) if isinstance(n, ast.Attribute) and _is_name(n.value, bound)]
        uses = sum(1 for n in _walk(root) if _is_name(n, bound))
        if uses != len(names):
            self.whole(target)
        for name in names:
            self.symbol(target, name)

    def library(self, name: str) -> None:
        top = name.split(".")[0]
        if top and top not in sys.stdlib_module_names and name != _ENGINE and top != "headrace":
            self.libraries.add(top)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at module level binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):
        return {alias.asname or alias.name for alias in statement.names}
    stored = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for inner in ast.iter_child_nodes(statement):
        if isinstance(inner, ast.stmt):
            stored |= _bound(inner)
    return stored


def _walk(root: ast.AST) -> Iterator[ast.AST]:
    """`ast.walk` without the blocks that only type checkers read."""
    todo = [root]
    while todo:
        node = todo.pop()
        if _is_type_checking(node):
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name | ast.Attribute)
        and _last(node.test) == "TYPE_CHECKING"
    )


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _last(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def encode(node: ast.AST) -> str:
    """A syntax tree as text, without positions, docstrings and empty fields."""
    parts = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED or value is None or value == []:
            continue
        if isinstance(value, list):
            if name == "body" and isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
            ):
                value = _without_docstring(value)
            text = ",".join(encode(v) if isinstance(v, ast.AST) else repr(v) for v in value)
            parts.append(f"{name}=[{text}]")
        else:
            shown = encode(value) if isinstance(value, ast.AST) else f"{type(value).__name__}:{value!r}"
            parts.append(f"{name}={shown}")
    return f"({' '.join(parts)})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body
