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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .code_files import BUILT_IN, Project, is_installed, project_of, sources_below
from .code_syntax import (
    SourceModule,
    encode,
    is_name,
    is_skipped,
    last_name,
    live_nodes,
    reaches_all,
)

_DYNAMIC = frozenset(
    {"import_module", "__import__", "spec_from_file_location", "run_path", "run_module", "iter_modules",
     "walk_packages"}
)  # fmt: skip
"""Functions that import modules by names made at run time."""


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

    @classmethod
    def of(cls, symbols: Mapping[str, str], files: Iterable[str], libraries: Iterable[str]) -> CodeDigest:
        """The digest in an order that doesn't depend on the walk."""
        return cls(dict(sorted(symbols.items())), tuple(sorted(files)), tuple(sorted(libraries)))


def code_digest(module: str, file: Path, name: str) -> CodeDigest:
    """Walks from the function `name` in `file`, which is imported as `module`.

    Raises:
        OSError, SyntaxError: a file of the project can't be read.
    """
    walk = _Walk(project_of(module, file))
    if is_installed(file) and not module.startswith("headrace."):
        walk.libraries.add(module.partition(".")[0])  # its data files count by its version
    walk.modules[module] = entry = SourceModule(module, file, walk.project)
    if name in entry.definitions:
        walk.symbol(module, name)
    else:  # made by a call, patched in, or bound by `import *`
        walk.whole(module)
    return CodeDigest.of(walk.digests, walk.files, walk.libraries)


def local_modules(module: str, file: Path) -> dict[str, Path]:
    """The source files of a module and of all that it imports of its own project, by name.

    These are modules as wholes, where `code_digest` goes by what a function reaches in them: to import one of
    them takes all of them. None of headrace's own.

    Raises:
        OSError, SyntaxError: the module's own file can't be read.
    """
    project = project_of(module, file)
    walk = _Walk(replace(project, roots={k: v for k, v in project.roots.items() if k not in BUILT_IN}))
    walk.modules[module] = SourceModule(module, file, walk.project)
    done: set[str] = set()
    while todo := [name for name in walk.modules if name not in done]:
        for name in todo:
            done.add(name)
            try:
                walk.whole(name)
            except (SyntaxError, ValueError):  # for another Python: a try around its import lets it be
                if name == module:
                    raise
    return {name: found.file for name, found in sorted(walk.modules.items())}


@dataclass
class _Walk:
    project: Project
    modules: dict[str, SourceModule] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)

    def module(self, name: str) -> SourceModule | None:
        """The local module of that name, read and noted with what its import does, or None."""
        if name not in self.modules:
            file = self.project.find(name)
            if file is None:
                self.files.update(map(str, self.project.candidates(name)))
                return None
            self.modules[name] = SourceModule(name, file, self.project)
        module = self.modules[name]
        if str(module.file) not in self.files:
            self.files.add(str(module.file))
            if name not in BUILT_IN:  # these only find what they are asked for
                parent = name.rpartition(".")[0]
                if parent:
                    self.module(parent)
                self.nodes(module, f"{name}:(import)", module.effects)
                self.import_modules(module)
        return module

    def import_modules(self, module: SourceModule) -> None:
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

    def defined(self, module: SourceModule, name: str) -> bool:
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

    def starred(self, module: SourceModule, name: str) -> bool:
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
        self.nodes(module, key, [s for s in module.tree.body if not is_skipped(s)])

    def folder(self, module: SourceModule) -> None:
        """Takes every module beside and below one that imports by a name made at run time."""
        self.files.add(str(module.file.parent))
        for file in sources_below(module.file.parent):
            relative = file.relative_to(module.file.parent).with_suffix("").parts
            inner = [part for part in relative if part != "__init__"]
            name = ".".join([*([module.package] if module.package else []), *inner])
            try:
                self.whole(name)
            except (SyntaxError, ValueError):  # a template, or for another Python: never imported here
                self.digests[f"{name}:*"] = hashlib.sha256(file.read_bytes()).hexdigest()

    def nodes(self, module: SourceModule, key: str, nodes: Iterable[ast.stmt]) -> None:
        """Digests some statements, then follows each name in them."""
        nodes = list(nodes)
        # An import is digested as what it leads to, under that name.
        kept = [node for node in nodes if not isinstance(node, ast.Import | ast.ImportFrom)]
        if kept:
            self.digests[key] = hashlib.sha256("\n".join(encode(node) for node in kept).encode()).hexdigest()
        for node in nodes:
            self.follow(module, node)

    def follow(self, module: SourceModule, root: ast.AST) -> None:
        """Follows the imports and names in a statement."""
        for node in live_nodes(root):
            if isinstance(node, ast.ImportFrom):
                self.imported_from(module, node)
            elif isinstance(node, ast.Import):
                self.imported(module, node, root)
            elif isinstance(node, ast.Name):
                self.name(module, node.id, root)
            if last_name(node) in _DYNAMIC:
                self.folder(module)
            elif reaches_all(node):
                self.whole(module.name)

    def name(self, module: SourceModule, name: str, root: ast.AST) -> None:
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

    def submodule(self, module: SourceModule, node: ast.ImportFrom, name: str, root: ast.AST) -> bool:
        """Follows `from package import module` by the attributes in use; False if it is no module."""
        original = next((a.name for a in node.names if (a.asname or a.name) == name), name)
        target = f"{module.absolute(node)}.{original}"
        if self.project.find(target) is None:
            return False
        self.attributes(target, name, root)
        return True

    def imported(self, module: SourceModule, node: ast.Import, root: ast.AST, only: str = "") -> None:
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

    def imported_from(self, module: SourceModule, node: ast.ImportFrom, only: str = "") -> None:
        """Follows what a `from … import` brings; only the name `only`, if one is given."""
        target = module.absolute(node)
        aliases = [a for a in node.names if not only or (a.asname or a.name) == only]
        if any(alias.name in _DYNAMIC for alias in aliases):  # it may go by another name here
            self.folder(module)
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
        names = [n.attr for n in live_nodes(root) if isinstance(n, ast.Attribute) and is_name(n.value, bound)]
        uses = sum(1 for n in live_nodes(root) if is_name(n, bound))
        if uses != len(names):
            self.whole(target)
        for name in names:
            self.symbol(target, name)

    def library(self, name: str) -> None:
        top = name.split(".")[0]
        if top and top not in sys.stdlib_module_names and top != "headrace":
            self.libraries.add(top)
            self.files.update(map(str, self.project.candidates(top)))
