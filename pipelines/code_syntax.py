"""Modules as syntax trees: what each statement binds, what acts on import, and trees as text.

`ast.dump` differs between Python versions; `encode` skips empty fields and doesn't.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .code_files import Project
from .import_path import parse_file

_SKIPPED = frozenset({"ctx", "type_comment", "type_ignores", "lineno", "col_offset", "kind", "type_params"})


@dataclass
class SourceModule:
    """A module's name, source file and project; its parts are read when they are asked for."""

    name: str
    file: Path
    project: Project

    @cached_property
    def tree(self) -> ast.Module:
        """The whole module."""
        return parse_file(self.file)

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """The statements at module level that bind each name; of `if` and `try` also the imports inside."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body:
            if is_skipped(statement):
                continue
            for name in bound_names(statement):
                found.setdefault(name, []).append(statement)
            if isinstance(statement, ast.If | ast.Try):
                for inner in ast.walk(statement):
                    if isinstance(inner, ast.Import | ast.ImportFrom):
                        for name in bound_names(inner):
                            found.setdefault(name, []).append(inner)
        return found

    @cached_property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports at module level."""
        blocks = [s for s in self.tree.body if not is_skipped(s)]
        flat = [n for b in blocks for n in (ast.walk(b) if isinstance(b, ast.If | ast.Try) else [b])]
        return [node for node in flat if isinstance(node, ast.Import | ast.ImportFrom)]

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Statements that do more at import than bind names: calls, patches, tables filled by decorators."""
        return [s for s in self.tree.body if not is_skipped(s) and self._acts(s)]

    def _acts(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Expr):
            return not isinstance(statement.value, ast.Constant)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return any(self._registers(decorator) for decorator in statement.decorator_list)
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            return any(isinstance(n, ast.Attribute | ast.Subscript) for t in targets for n in ast.walk(t))
        if isinstance(statement, ast.If | ast.Try):
            return any(self._acts(s) for s in statements_inside(statement))
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


def bound_names(statement: ast.stmt) -> set[str]:
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
            stored |= bound_names(inner)
    return stored


def live_nodes(root: ast.AST) -> Iterator[ast.AST]:
    """`ast.walk` without the blocks that don't run when a module is imported."""
    todo = [root]
    while todo:
        node = todo.pop()
        if is_skipped(node):
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


def is_skipped(node: ast.AST) -> bool:
    """Whether a block is for type checkers only, or for a module that is run as a script."""
    if not isinstance(node, ast.If):
        return False
    if last_name(node.test) == "TYPE_CHECKING":
        return not node.orelse
    compared = isinstance(node.test, ast.Compare) and last_name(node.test.left) == "__name__"
    return compared and not node.orelse


def is_name(node: ast.AST, name: str) -> bool:
    """Whether a node is this very name."""
    return isinstance(node, ast.Name) and node.id == name


def last_name(node: ast.AST) -> str:
    """The last part of a dotted name, or an empty string."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def reaches_all(node: ast.AST) -> bool:
    """Whether a node may lead to anything in its module: `globals()`, `sys.modules`, a class's subclasses."""
    if isinstance(node, ast.Name):
        return node.id in ("globals", "eval", "exec")
    if isinstance(node, ast.Attribute):
        return node.attr == "__subclasses__" or (node.attr == "modules" and is_name(node.value, "sys"))
    return isinstance(node, ast.FunctionDef) and node.name == "__init_subclass__"


def statements_inside(block: ast.If | ast.Try) -> list[ast.stmt]:
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
