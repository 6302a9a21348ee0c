"""The digest of a function's code: the function and everything of its own project that it reaches.

The walk reads source files and imports nothing. It goes from symbol to symbol: a function, the helpers
and constants that it names, the imports that these came by. Comments, docstrings and layout don't count.
Of every module on the way, what runs when it is imported counts too: tables filled by statements or by
decorators, patches. What can't be followed by name (`import_module(…)`, `globals()`, a module used as a
value) counts as a whole. The engine itself, `headrace.pipelines`, decides how a step is run and not what it
gives, and is left out.

Not seen: data files that code opens by a path of its own (make them parameters of type `FilePath`), and
methods that are patched in from a module that nothing here imports.

`ast.dump` differs between Python versions; the encoding here skips empty fields and doesn't. Nor does it
depend on which characters a version can print.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_SKIPPED = frozenset({"ctx", "type_comment", "type_ignores", "lineno", "col_offset", "kind", "type_params"})
_DYNAMIC = frozenset(
    {"import_module", "__import__", "spec_from_file_location", "run_path", "run_module", "iter_modules",
     "walk_packages"}
)  # fmt: skip
"""Functions that import modules by names made at run time."""
_HOME = Path(__file__).parent.parent
_BUILT_IN = {f"headrace.{part}": _HOME / part for part in ("components", "schemas")}


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
    if spec.origin and Path(spec.origin).suffix != ".py":
        return ()
    origin = spec.origin and Path(spec.origin)
    places = [Path(place) for place in spec.submodule_search_locations or ([origin] if origin else [])]
    return tuple(place for place in places if not _installed(place))


def _installed(place: Path) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in place.parts)


def _source(root: Path, dotted: str) -> Path | None:
    base = root.joinpath(*dotted.split(".")) if dotted else root
    for path in (base / "__init__.py", base.with_suffix(".py") if dotted else base):
        if path.is_file():
            return path
    return None


def project_of(module: str, file: Path) -> Project:
    """The project that the module in `file` belongs to."""
    if module.startswith("headrace."):
        return Project(_BUILT_IN)
    parts = module.split(".")
    # `a.b.c` in `a/b/c.py` and in `a/b/c/__init__.py` both have the project's folder above `a`.
    folder = (file.parent if file.name == "__init__.py" else file).parents[len(parts) - 1]
    if _installed(folder):
        top = parts[0]
        place = folder / top if (folder / top).is_dir() else folder / f"{top}.py"
        return Project({**_BUILT_IN, top: place})
    return Project(dict(_BUILT_IN), folder)


def code_digest(module: str, file: Path, name: str) -> CodeDigest:
    """Walks from the function `name` in `file`, which is imported as `module`.

    Raises:
        OSError, SyntaxError: a file of the project can't be read.
    """
    walk = _Walk(project_of(module, file))
    walk.modules[module] = entry = _Module(module, file, walk.project)
    if name in entry.definitions:
        walk.symbol(module, name)
    else:  # made by a call, patched in, or bound by `import *`
        walk.whole(module)
    return CodeDigest(
        dict(sorted(walk.digests.items())), tuple(sorted(walk.files)), tuple(sorted(walk.libraries))
    )


@dataclass
class _Module:
    name: str
    file: Path
    project: Project

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.file.read_bytes())

    @property
    def package(self) -> str:
        return self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """The statements at module level that bind each name; of `if` and `try` also the imports inside."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body:
            if _is_skipped(statement):
                continue
            for name in _bound(statement):
                found.setdefault(name, []).append(statement)
            if isinstance(statement, ast.If | ast.Try):
                for inner in ast.walk(statement):
                    if isinstance(inner, ast.Import | ast.ImportFrom):
                        for name in _bound(inner):
                            found.setdefault(name, []).append(inner)
        return found

    @cached_property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports at module level."""
        blocks = [s for s in self.tree.body if not _is_skipped(s)]
        flat = [n for b in blocks for n in (ast.walk(b) if isinstance(b, ast.If | ast.Try) else [b])]
        return [node for node in flat if isinstance(node, ast.Import | ast.ImportFrom)]

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Statements that do more at import than bind names: calls, patches, tables filled by decorators."""
        return [s for s in self.tree.body if not _is_skipped(s) and self._acts(s)]

    def _acts(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Expr):
            return not isinstance(statement.value, ast.Constant)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return any(self._registers(decorator) for decorator in statement.decorator_list)
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            return any(isinstance(n, ast.Attribute | ast.Subscript) for t in targets for n in ast.walk(t))
        if isinstance(statement, ast.If | ast.Try):
            return any(self._acts(s) for s in _inside(statement))
        return not isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass)

    def _registers(self, decorator: ast.expr) -> bool:
        """Whether a decorator is code of a project, so that it may keep what it decorates.

        Those of libraries are trusted not to; nor does `@a_component.check`, an attribute of a function.
        """
        root = decorator
        while isinstance(root, ast.Call | ast.Attribute):
            root = root.func if isinstance(root, ast.Call) else root.value
        statements = self.definitions.get(root.id, []) if isinstance(root, ast.Name) else []
        applied = decorator.func if isinstance(decorator, ast.Call) else decorator
        return any(
            self.is_local(statement)
            if isinstance(statement, ast.Import | ast.ImportFrom)
            else not (isinstance(applied, ast.Attribute) and isinstance(statement, ast.FunctionDef))
            for statement in statements
        )

    def is_local(self, node: ast.Import | ast.ImportFrom) -> bool:
        """Whether an import brings code whose text counts."""
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [self.absolute(node)]
        return any(self.project.find(name) is not None for name in names)

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
        """The local module of that name, read and noted with what its import does, or None."""
        if name not in self.modules:
            file = self.project.find(name)
            if file is None:
                self.files.update(map(str, self.project.candidates(name)))
                return None
            self.modules[name] = _Module(name, file, self.project)
        module = self.modules[name]
        if str(module.file) not in self.files:
            self.files.add(str(module.file))
            if name not in _BUILT_IN:  # these only find what they are asked for
                parent = name.rpartition(".")[0]
                if parent:
                    self.module(parent)
                self.nodes(module, f"{name}:(import)", module.effects)
                self.import_modules(module)
        return module

    def import_modules(self, module: _Module) -> None:
        """Reads what a module imports, whether or not its names are used: its import may do something."""
        for node in module.imports:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                target = module.absolute(node)
                names = [target, *(f"{target}.{alias.name}" for alias in node.names)]
            for name in names:
                if self.project.find(name) is not None:
                    self.module(name)

    def symbol(self, module_name: str, name: str) -> None:
        """Follows one name of a module, asked for from outside."""
        module = self.module(module_name)
        if module is None:
            return
        if self.defined(module, name):
            return
        if self.project.find(f"{module_name}.{name}") is not None:
            self.whole(f"{module_name}.{name}")
        elif "__getattr__" in module.definitions:
            self.defined(module, "__getattr__")

    def defined(self, module: _Module, name: str) -> bool:
        """Follows a name that a module binds; False if it is a builtin, or bound inside a function."""
        key = f"{module.name}:{name}"
        if key in self.seen:
            return True
        statements = module.definitions.get(name, [])
        if not statements:
            return self.starred(module, name)
        self.seen.add(key)
        self.nodes(module, key, [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)])
        for statement in statements:
            if isinstance(statement, ast.ImportFrom):
                self.imported_from(module, statement, name)
            elif isinstance(statement, ast.Import):
                self.imported(module, statement, statement, name)
        return True

    def starred(self, module: _Module, name: str) -> bool:
        """Looks for a name in the modules that are imported by `*`."""
        found = False
        for node in module.imports:
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                source = self.module(module.absolute(node))
                if source is None:
                    self.library(module.absolute(node))
                elif not name.startswith("_"):
                    found = self.defined(source, name) or found
        return found

    def whole(self, module_name: str) -> None:
        """Takes a module as a whole, where it isn't known which of its names are used."""
        module = self.module(module_name)
        key = f"{module_name}:*"
        if module is None or key in self.seen:
            return
        self.seen.add(key)
        self.nodes(module, key, [s for s in module.tree.body if not _is_skipped(s)])

    def folder(self, module: _Module) -> None:
        """Takes every module beside and below one that imports by a name made at run time."""
        self.files.add(str(module.file.parent))
        for file in _sources_below(module.file.parent):
            relative = file.relative_to(module.file.parent).with_suffix("").parts
            inner = [part for part in relative if part != "__init__"]
            name = ".".join([*([module.package] if module.package else []), *inner])
            try:
                self.whole(name)
            except (SyntaxError, ValueError):  # a template, or for another Python: never imported here
                self.digests[f"{name}:*"] = hashlib.sha256(file.read_bytes()).hexdigest()

    def nodes(self, module: _Module, key: str, nodes: Iterable[ast.stmt]) -> None:
        """Digests some statements, then follows each name in them."""
        nodes = list(nodes)
        # An import is digested as what it leads to, under that name.
        kept = [node for node in nodes if not isinstance(node, ast.Import | ast.ImportFrom)]
        if kept:
            self.digests[key] = hashlib.sha256("\n".join(encode(node) for node in kept).encode()).hexdigest()
        for node in nodes:
            self.follow(module, node)

    def follow(self, module: _Module, root: ast.AST) -> None:
        """Follows the imports and names in a statement."""
        for node in _walk(root):
            if isinstance(node, ast.ImportFrom):
                self.imported_from(module, node)
            elif isinstance(node, ast.Import):
                self.imported(module, node, root)
            elif isinstance(node, ast.Name):
                self.name(module, node.id, root)
            if _last(node) in _DYNAMIC:
                self.folder(module)
            elif _reaches_all(node):
                self.whole(module.name)

    def name(self, module: _Module, name: str, root: ast.AST) -> None:
        """Follows a global name; of a module imported at the top only the attributes in use count."""
        other = False
        for statement in module.definitions.get(name, [None]):
            if isinstance(statement, ast.Import):
                self.imported(module, statement, root, name)
            elif not (
                isinstance(statement, ast.ImportFrom) and self.submodule(module, statement, name, root)
            ):
                other = True
        if other:
            self.defined(module, name)

    def submodule(self, module: _Module, node: ast.ImportFrom, name: str, root: ast.AST) -> bool:
        """Follows `from package import module` by the attributes in use; False if it is no module."""
        original = next((a.name for a in node.names if (a.asname or a.name) == name), name)
        target = f"{module.absolute(node)}.{original}"
        if self.project.find(target) is None:
            return False
        self.attributes(target, name, root)
        return True

    def imported(self, module: _Module, node: ast.Import, root: ast.AST, only: str = "") -> None:
        """Follows an `import` by what `root` uses of it; the whole module if `root` is the import itself."""
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            if only and bound != only:
                continue
            if self.project.find(alias.name) is None:
                self.library(alias.name)
                continue
            target = alias.name if alias.asname else bound
            if root is node and only:
                self.whole(target)
            else:
                self.attributes(target, bound, root)
            if target != alias.name:
                self.whole(alias.name)

    def imported_from(self, module: _Module, node: ast.ImportFrom, only: str = "") -> None:
        """Follows what a `from … import` brings; only the name `only`, if one is given."""
        target = module.absolute(node)
        aliases = [a for a in node.names if not only or (a.asname or a.name) == only]
        if any(alias.name in _DYNAMIC for alias in aliases):  # it may go by another name here
            self.folder(module)
        submodules = {a.name for a in aliases if self.project.find(f"{target}.{a.name}") is not None}
        if self.project.find(target) is None and not submodules:
            self.files.update(map(str, self.project.candidates(target)))
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
        if top and top not in sys.stdlib_module_names and top != "headrace":
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
    """`ast.walk` without the blocks that don't run when a module is imported."""
    todo = [root]
    while todo:
        node = todo.pop()
        if _is_skipped(node):
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


def _is_skipped(node: ast.AST) -> bool:
    """Whether a block is for type checkers only, or for a module that is run as a script."""
    if not isinstance(node, ast.If):
        return False
    if _last(node.test) == "TYPE_CHECKING":
        return not node.orelse
    compared = isinstance(node.test, ast.Compare) and _last(node.test.left) == "__name__"
    return compared and not node.orelse


def _sources_below(folder: Path) -> list[Path]:
    """The Python files in a folder and its subfolders, but for hidden ones and virtual environments."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            hidden = path.name.startswith((".", "__")) or path.name == "node_modules"
            if not hidden and not (path / "pyvenv.cfg").exists():
                found += _sources_below(path)
        elif path.suffix == ".py":
            found.append(path)
    return found


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _last(node: ast.AST) -> str:
    """The last part of a dotted name, or an empty string."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _reaches_all(node: ast.AST) -> bool:
    """Whether a node may lead to anything in its module: `globals()`, `sys.modules`, a class's subclasses."""
    if isinstance(node, ast.Name):
        return node.id in ("globals", "eval", "exec")
    if isinstance(node, ast.Attribute):
        return node.attr == "__subclasses__" or (node.attr == "modules" and _is_name(node.value, "sys"))
    return isinstance(node, ast.FunctionDef) and node.name == "__init_subclass__"


def _inside(block: ast.If | ast.Try) -> list[ast.stmt]:
    """The statements of a block's branches."""
    handlers = block.handlers if isinstance(block, ast.Try) else []
    lists = [block.body, block.orelse, *(h.body for h in handlers), getattr(block, "finalbody", [])]
    return [statement for statements in lists for statement in statements]


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
            text = ",".join(encode(v) if isinstance(v, ast.AST) else ascii(v) for v in value)
            parts.append(f"{name}=[{text}]")
        else:
            shown = encode(value) if isinstance(value, ast.AST) else f"{type(value).__name__}:{value!a}"
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
