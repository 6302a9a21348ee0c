"""Uses in Python what a document names: components of a file, and whole YAML documents as sub-pipelines."""

from __future__ import annotations

import inspect
import sys
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .checks import in_order
from .component import Component
from .conditions import Fact
from .errors import PipelineError
from .expanding import Expansion
from .pipeline import Pipeline, StepOutput, current_trace, map_values
from .promises import Promise
from .resolve import find
from .substitution import OUTER
from .tracing import PipelineFunction


def use(name: str) -> Component[..., Any] | PipelineFunction[..., Any]:
    """The component or pipeline that a document next to the calling file names so.

    Args:
        name: as in `uses:`: a plain name, `module:name`, `file.py:name`, or a document's file.

    Raises:
        PipelineError: there is no such thing, or importing it failed.
        DocumentError: it is a document that can't be read.
    """
    file = Path(sys._getframe(1).f_code.co_filename)
    found = find(name, str(file.absolute().parent) if file.exists() else "")
    return DocumentFunction(found) if isinstance(found, Pipeline) else found


class DocumentFunction(PipelineFunction[..., Any]):
    """A document that is called like a `@pipeline` function; its `outputs:` are what it returns."""

    def __init__(self, document: Pipeline, step: str = "") -> None:
        def call(**values: Any) -> Any:
            return self._add(values)

        super().__init__(call)
        self.document = document
        self.name = self.__name__ = document.name
        self._step = step
        kind, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(name, kind, default=empty if default is None else default)
                for name, default in document.params.items()
            ]
        )

    @property
    def file(self) -> str:
        """The document's file."""
        return self.document.file

    @property
    def folder(self) -> str:
        """The document's folder."""
        return self.document.folder

    def named(self, step: str) -> DocumentFunction:
        """This pipeline, used inside another under the name `step`."""
        return DocumentFunction(self.document, step)

    def _add(self, values: Mapping[str, Any]) -> Any:
        """Adds the document's steps to the current trace."""

        def outside(leaf: Any) -> Any:
            if not isinstance(leaf, Promise):
                return leaf
            reference = leaf._reference("")
            return StepOutput(OUTER + reference.step, reference.output)

        expansion = Expansion(self.document, {name: map_values(v, outside) for name, v in values.items()})
        order, problems = in_order(expansion.used)
        if expansion.problems or problems:
            raise PipelineError([*expansion.problems, *problems])
        added: dict[str, str] = {}

        def promise(leaf: Any) -> Any:
            if not isinstance(leaf, StepOutput):
                return leaf
            if leaf.step.startswith(OUTER):
                return Promise(leaf.step.removeprefix(OUTER), (leaf.output,))
            return Promise(added.get(leaf.step, leaf.step), (leaf.output,))

        def looked_at(side: Any) -> Any:
            if not isinstance(side, Fact):
                return side
            return replace(side, source=promise(side.source)._reference("when"))

        for name in order:
            used = expansion.used[name]
            assert used.component is not None
            arguments = {key: map_values(value, promise) for key, value in used.step.arguments.items()}
            when = tuple(condition.with_operands(looked_at) for condition in used.step.when)
            made = current_trace().add(used.component, name, arguments, used.step.file, used.step.line, when)
            added[name] = made._step
        outputs = {name: promise(source) for name, source in expansion.outputs.items()}
        if list(outputs) in ([], ["output"]):
            return outputs.get("output")
        return namedtuple("Outputs", outputs, rename=True)(*outputs.values())
