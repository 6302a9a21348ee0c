"""A pipeline's YAML document: text to `Pipeline` and back.

    pipeline: housing
    params: {data: housing.csv, epochs: 20}
    steps:
      examples: {uses: csv_examples, with: {path: "${params.data}"}}
      statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
    outputs: {examples: "${steps.examples}"}
    tune: {over: {train.learning_rate: 1e-4..1e-1:log}, metric: train.val_loss}

A reference that fills a whole scalar keeps its type; `${params.x}` inside a longer text is put in as text;
`$${` is a literal `${`. A step may have conditions (`when`, see `conditions.py`) and be there once for each
item of a list (`each`, see `mapping.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..schemas import yaml12
from .conditions import Condition, judge, parse_condition
from .errors import DocumentError, PipelineError, Problem
from .pipeline import (
    NAME,
    STEP_NAME,
    EachValue,
    ParamValue,
    Pipeline,
    Step,
    StepOutput,
    Template,
    leaves,
    map_values,
)
from .references import MAP_NAME, REFERENCES, References, Where
from .values import spelled

KEYS = ("pipeline", "params", "steps", "outputs", "runner", "tune")
STEP_KEYS = ("each", "uses", "when", "with", "runner")


def read_pipeline(path: Path) -> Pipeline:
    """The pipeline in a YAML file; relative paths in it are relative to the file's folder.

    Raises:
        DocumentError: there is no such file, it is not YAML, or not a pipeline; every problem is listed.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        beside = path.parent.glob("*.y*ml") if path.parent.is_dir() else ()
        raise DocumentError(
            f"there is no file {path}", given=path.name, available=tuple(sorted(p.name for p in beside))
        ) from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 ({error.reason} at byte {error.start})", file=str(path)) from None
    except OSError as error:
        raise DocumentError(f"can't be read: {error.strerror}", file=str(path)) from error
    return parse_pipeline(text, str(path), str(path.absolute().parent))


def parse_pipeline(text: str, name: str = "", folder: str = "") -> Pipeline:
    """The pipeline in a YAML text.

    Args:
        text: the document.
        name: what errors call it, usually the file.
        folder: what relative paths are relative to; the working folder if empty.

    Raises:
        DocumentError: it is not YAML, or not a pipeline; every problem is listed.
    """
    try:
        value, lines = yaml12.load_with_lines(text, name)
    except yaml12.YamlError as error:
        raise DocumentError(error.what, file=error.name, line=error.line, remedy=error.remedy) from None
    reader = _Reader(name, lines, folder or str(Path.cwd()))
    pipeline = reader.pipeline(value)
    if reader.problems:
        raise DocumentError(reader.problems)
    return pipeline


class _Reader:
    """Takes a document apart and collects what is wrong with it."""

    def __init__(self, file: str, lines: Mapping[Where, int], folder: str) -> None:
        self.file, self.lines, self.folder = file, lines, folder
        self.problems: list[Problem] = []
        self.step = ""
        self.references = References((), self.wrong)

    def wrong(self, what: str, where: Where = (), **details: Any) -> None:
        """Notes a problem at a place of the document."""
        line = next((self.lines[where[:n]] for n in range(len(where), -1, -1) if where[:n] in self.lines), 0)
        self.problems.append(Problem(what, file=self.file, line=line, step=self.step, **details))

    def pipeline(self, value: Any) -> Pipeline:
        """The whole document."""
        document = self.mapping(value, (), "the document", KEYS)
        name = document.get("pipeline")
        if not isinstance(name, str) or not name:
            self.wrong("the pipeline has no name", ("pipeline",), remedy="begin with `pipeline: NAME`")
        entries = self.mapping(document.get("steps"), ("steps",), "steps")
        if not entries:
            self.wrong("there are no steps", ("steps",), remedy="add `steps:` with a component each")
        self.references = References(entries, self.wrong)
        params = self.mapping(document.get("params"), ("params",), "params")
        for param, default in params.items():
            self.name(param, ("params", param), "parameter")
            params[param] = self.default(default, ("params", param))
        return Pipeline(
            name=str(name),
            params=params,
            steps={step: self.one_step(step, entry) for step, entry in entries.items()},
            folder=self.folder,
            file=self.file,
            outputs=self.outputs(document.get("outputs")),
            runner=self.runner(document.get("runner"), ("runner",)),
            tune=self.tune(document["tune"]) if "tune" in document else None,
            tune_line=self.lines.get(("tune",), 0),
            output_lines={
                str(where[1]): line
                for where, line in self.lines.items()
                if where[:1] == ("outputs",) and len(where) == 2
            },
        )

    def mapping(self, value: Any, where: Where, what: str, keys: Iterable[str] = ()) -> dict[str, Any]:
        """`value` as a mapping that has no other keys than `keys`, if any are stated."""
        if value is None and where:
            return {}
        if not isinstance(value, dict):
            self.wrong(f"{what} has to be a mapping", where)
            return {}
        for key in value:
            if keys and key not in keys:
                self.wrong(f"{what} has no key {key!r}", (*where, key), given=key, available=tuple(keys))
        return dict(value)

    def name(self, name: str, where: Where, what: str) -> None:
        """Checks a name that references use."""
        if not (STEP_NAME if what == "step" else NAME).fullmatch(name):
            self.wrong(f"{name!r} can't be a {what}'s name", where, remedy="use letters, digits, _ and -")

    def default(self, default: Any, where: Where) -> Any:
        """A parameter's default, which refers to nothing."""
        value = self.references.value(default, where)
        if any(isinstance(leaf, REFERENCES) for leaf in leaves(value)):
            self.wrong("a parameter's default can't refer to anything", where, remedy="write the value")
        return value

    def tune(self, value: Any) -> dict[str, Any]:
        """The section `tune`; whether it fits the steps is found when they are bound."""
        from .tuning.settings import shape_problems

        told = self.mapping(value, ("tune",), "tune")
        for problem in shape_problems(told):
            key, _, rest = problem.argument.partition(".")
            where = ("tune", key, rest) if rest else ("tune", key)
            remedy, given, available = problem.remedy, problem.given, problem.available
            self.wrong(
                problem.what,
                where,
                argument=problem.argument,
                remedy=remedy,
                given=given,
                available=available,
            )
        return told

    def one_step(self, name: str, value: Any) -> Step:
        """One entry of `steps`."""
        where: Where = ("steps", name)
        self.step = name
        self.name(name, where, "step")
        entry = self.mapping(value, where, "a step", STEP_KEYS) if value is not None else {}
        uses = entry.get("uses")
        if not isinstance(uses, str) or not uses:
            self.wrong(
                "the step doesn't say what it uses", where, argument="uses", remedy="add `uses: COMPONENT`"
            )
        given = self.mapping(entry.get("with"), (*where, "with"), "with")
        arguments = {key: self.references.value(item, (*where, "with", key)) for key, item in given.items()}
        runner = self.runner(entry.get("runner"), (*where, "runner"))
        when = self.when(entry["when"], (*where, "when")) if "when" in entry else ()
        each = self.each(entry["each"], (*where, "each")) if "each" in entry else {}
        self.step = ""
        lines = {
            ".".join(str(part) for part in place[3:]): line
            for place, line in self.lines.items()
            if place[:3] == (*where, "with") and len(place) > 3
        }
        for key in ("uses", "when", "each"):
            if (*where, key) in self.lines:
                lines.setdefault(key, self.lines[*where, key])
        line = self.lines.get(where, 0)
        return Step(name, str(uses), arguments, self.file, line, lines, runner, when=when, each=each)

    def when(self, value: Any, where: Where) -> tuple[Condition, ...]:
        """A condition, or several that all have to hold."""
        several = value if isinstance(value, list) else [value]

        def read(inside: str) -> Any:
            return self.references.reference(inside, where, looks=True)

        found = [parse_condition(one, read) for one in several]
        for problem in found:
            if isinstance(problem, Problem):
                self.wrong(problem.what, where, argument="when", remedy=problem.remedy)
        return tuple(condition for condition in found if isinstance(condition, Condition))

    def each(self, value: Any, where: Where) -> dict[str, Any]:
        """The lists that a step is mapped over, by name."""
        given = self.mapping(value, where, "each")
        if not given:
            self.wrong("each is over nothing", where, remedy="write `each: {NAME: [ITEM, …]}`")
        for name in given:
            if not MAP_NAME.fullmatch(name):
                self.wrong(f"{name!r} can't be a map's name", (*where, name), remedy="use letters, digits, _")
        return {name: self.references.value(items, (*where, name)) for name, items in given.items()}

    def runner(self, value: Any, where: Where) -> dict[str, Any] | None:
        """A runner's name, or a mapping of its `name` and its options."""
        if value is None:
            return None
        if isinstance(value, str):
            return {"name": value}
        entry = self.mapping(value, where, "runner")
        for key, option in entry.items():
            if isinstance(option, dict | list):
                self.wrong(f"the runner's {key} has to be a text, a number, true or false", (*where, key))
        return {key: spelled(option) for key, option in entry.items()}

    def outputs(self, value: Any) -> dict[str, StepOutput]:
        """What the pipeline gives to one that uses it."""
        given = self.mapping(value, ("outputs",), "outputs")
        found = {}
        for name, leaf in given.items():
            where = ("outputs", name)
            self.name(name, where, "output")
            reference = self.references.scalar(leaf, where)
            if isinstance(reference, StepOutput):
                found[name] = reference
            else:
                self.wrong(f"the output {name} has to refer to a step", where, remedy='write "${steps.NAME}"')
        return found


def write_pipeline(pipeline: Pipeline) -> str:
    """The YAML document of a pipeline; `parse_pipeline` gives an equal one back.

    Raises:
        PipelineError: a component can't be imported by name, or a value can't be written as YAML.
    """
    refuse_unimportable(pipeline)
    document: dict[str, Any] = {"pipeline": pipeline.name}
    if pipeline.params:
        document["params"] = written(pipeline.params)
    if pipeline.runner is not None:
        document["runner"] = dict(pipeline.runner)
    document["steps"] = {name: _written_step(step) for name, step in pipeline.steps.items()}
    if pipeline.outputs:
        document["outputs"] = {name: str(source) for name, source in pipeline.outputs.items()}
    if pipeline.tune is not None:
        document["tune"] = dict(pipeline.tune)
    return yaml12.dump(document)


def _written_step(step: Step) -> dict[str, Any]:
    entry: dict[str, Any] = {"each": written(step.each)} if step.each else {}
    entry["uses"] = step.uses
    if step.when:
        conditions = [_written_condition(one) for one in step.when]
        entry["when"] = conditions[0] if len(conditions) == 1 else conditions
    if step.arguments:
        try:
            entry["with"] = written(step.arguments)
        except (TypeError, NotImplementedError) as error:
            raise PipelineError(
                f"an argument can't be written down: {error}", step=step.name, file=step.file, line=step.line
            ) from None
    if step.runner is not None:
        entry["runner"] = dict(step.runner)
    return entry


def _written_condition(condition: Condition) -> str | bool:
    """A condition as it stands in a document; one that looks at nothing any more is decided."""
    sides = (condition.left, condition.right)
    return str(condition) if any(isinstance(s, REFERENCES) for s in sides) else judge(condition, {}).met


def written(value: Any) -> Any:
    """A value as it stands in a document: references as text, a literal `${` escaped."""

    def leaf(item: Any) -> Any:
        if isinstance(item, StepOutput | ParamValue | EachValue | Template):
            return str(item)
        if isinstance(item, str):
            return str(item).replace("${", "$${")
        if item is None or isinstance(item, bool | int | float):
            return item
        return msgspec.to_builtins(item, str_keys=True)

    return map_values(value, leaf)


def refuse_unimportable(pipeline: Pipeline) -> None:
    """Raises PipelineError for each traced step whose component no document could name."""
    from .resolve import importable

    problems = [
        Problem(
            f"{step.uses} can't be imported by this name, so a document can't use it",
            step=step.name,
            file=step.file,
            line=step.line,
            remedy="define the component at the top level of a module or file",
        )
        for step in pipeline.steps.values()
        if not importable(step, pipeline.folder)
    ]
    if problems:
        raise PipelineError(problems)
