"""Pictures of a pipeline's DAG, and its text in YAML and Python.

`render(pipeline, "ascii")` and the like; each format is a pure function of a `Graph`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from .bound import BoundPipeline, BoundStep
from .errors import InvalidRequestError
from .pipeline import Pipeline, Step, StepOutput, base_name, leaves, topological
from .tracing import PipelineFunction

Target = Pipeline | BoundPipeline | PipelineFunction[..., Any]


@dataclass(frozen=True)
class Edge:
    """A step reads what another gives, or looks at it.

    Attributes:
        source, target: the other step, and the step.
        output: what is read; empty for a single output.
        when: the condition that looks at it; empty if it is read.
    """

    source: str
    target: str
    output: str = ""
    when: str = ""

    @property
    def text(self) -> str:
        """The source and what is read of it, or what has to hold of it."""
        place = f"{self.source}.{self.output}".rstrip(".")
        return f"{place} when {self.when}" if self.when else place


@dataclass(frozen=True)
class Graph:
    """The DAG as names: steps with what they use, in topological order; edges in the order of arguments."""

    name: str
    steps: Mapping[str, str]
    edges: tuple[Edge, ...]

    def upstream(self, step: str) -> list[str]:
        """The steps that `step` reads from or looks at, each once."""
        return list(dict.fromkeys(edge.source for edge in self.edges if edge.target == step))

    def labels(self, source: str, target: str) -> str:
        """The names of the outputs that `target` reads from `source`, and what has to hold of them."""
        between = self._between(source, target)
        found = [edge.output for edge in between if edge.output and not edge.when]
        found += [f"when {edge.when}" for edge in between if edge.when]
        return ", ".join(dict.fromkeys(found))

    def reads(self, source: str, target: str) -> bool:
        """Whether `target` reads from `source`, and doesn't merely look at it."""
        return any(not edge.when for edge in self._between(source, target))

    def _between(self, source: str, target: str) -> list[Edge]:
        return [edge for edge in self.edges if (edge.source, edge.target) == (source, target)]


def graph_of(pipeline: Pipeline | BoundPipeline) -> Graph:
    """The DAG of a pipeline, without references to steps that aren't there or that close a cycle."""
    sources: dict[str, list[tuple[StepOutput, str]]] = {}
    for name, step in pipeline.steps.items():
        read = (
            step.inputs.values()
            if isinstance(step, BoundStep)
            else [leaf for leaf in leaves(step.arguments) if isinstance(leaf, StepOutput)]
        )
        looked_at = [(source, condition.label) for condition in step.when for source in condition.sources]
        # Of a pipeline that isn't bound, a map is one step.
        sources[name] = [
            (replace(source, step=base_name(source.step, pipeline.steps)), when)
            for source, when in (*((source, "") for source in read), *looked_at)
        ]
    order, _ = topological({name: [source.step for source, _ in found] for name, found in sources.items()})
    place = {name: number for number, name in enumerate(order)}
    edges = [
        Edge(source.step, name, "" if source.output == "output" else source.output, when)
        for name in order
        for source, when in sources[name]
        if source.step in place and place[source.step] < place[name]
    ]
    uses = {name: pipeline.steps[name].uses.removeprefix(f"{pipeline.folder}/") for name in order}
    return Graph(pipeline.name, uses, tuple(dict.fromkeys(edges)))


def render(pipeline: Target, form: str) -> str:
    """A pipeline in one of `FORMATS`.

    Args:
        pipeline: as declared, or bound; a bound one is written out with every value that it has.
        form: ascii, mermaid, dot, svg, yaml or python.

    Raises:
        InvalidRequestError: there is no such format.
        PipelineError: it can't be written as YAML or Python.
    """
    if form not in FORMATS:
        raise InvalidRequestError(f"there is no format {form!r}", given=form, available=tuple(FORMATS))
    return FORMATS[form](pipeline.trace() if isinstance(pipeline, PipelineFunction) else pipeline)


def ascii_graph(graph: Graph) -> str:
    """One line a step, with rails on the left that lead from what it reads, as `git log --graph` has them."""
    last = {source: step for step in graph.steps for source in graph.upstream(step)}
    rails: list[str] = []
    lines: list[tuple[str, str, str]] = []
    for step, uses in graph.steps.items():
        inputs = graph.upstream(step)
        ending = {source for source in inputs if last[source] == step}
        drawn = _rails(rails, set(inputs), ending)
        rails = [("" if rail in ending else rail) for rail in rails]
        column = len(drawn) // 2
        rails = [*rails[:column], step if step in last else ""]
        while rails and not rails[-1]:
            rails.pop()
        read = [edge.text for edge in graph.edges if edge.target == step]
        lines.append((f"{drawn}● {step}", uses, f"← {', '.join(read)}" if read else ""))
    widths = [max((len(line[i]) for line in lines), default=0) for i in (0, 1)]
    return "".join(f"{a:<{widths[0]}}   {b:<{widths[1]}}   {c}".rstrip() + "\n" for a, b, c in lines)


def _rails(rails: list[str], inputs: set[str], ending: set[str]) -> str:
    """The part of a line left of its step: two characters a rail."""
    text, joined = "", False
    for rail in rails:
        if rail in inputs:
            corner = "┴" if rail in ending else "┼"
            first = "└" if rail in ending else "├"
            text += (corner if joined else first) + "─"
            joined = True
        elif rail:
            text += "│─" if joined else "│ "  # passes behind
        else:
            text += "──" if joined else "  "
    return text


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, which GitHub and many editors show."""
    ids = {name: f"s{number}" for number, name in enumerate(graph.steps)}
    lines = ["flowchart TD"]
    for name, uses in graph.steps.items():
        lines.append(f'  {ids[name]}["{_mermaid(name)}<br/><small>{_mermaid(uses)}</small>"]')
    for source, target in dict.fromkeys((edge.source, edge.target) for edge in graph.edges):
        label = graph.labels(source, target)
        line, tip = ("--", "-->") if graph.reads(source, target) else ("-.", ".->")
        arrow = f'{line} "{_mermaid(label)}" {tip}' if label else "-->"
        lines.append(f"  {ids[source]} {arrow} {ids[target]}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    return html.escape(text, quote=False).replace('"', "#quot;")


def dot(graph: Graph) -> str:
    """A Graphviz digraph."""
    lines = [f"digraph {_dot(graph.name)} {{", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    labels = {name: "\n".join((name, uses)) for name, uses in graph.steps.items()}
    lines += [f"  {_dot(name)} [label={_dot(label)}];" for name, label in labels.items()]
    for source, target in dict.fromkeys((edge.source, edge.target) for edge in graph.edges):
        label = graph.labels(source, target)
        style = "" if graph.reads(source, target) else ", style=dashed"
        note = f" [label={_dot(label)}{style}]" if label else ""
        lines.append(f"  {_dot(source)} -> {_dot(target)}{note};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def unbound(bound: BoundPipeline) -> Pipeline:
    """A bound pipeline as one could have declared it: every value stated, every path absolute."""
    steps = {
        name: Step(
            name=name,
            uses=step.uses,
            arguments={
                **msgspec.to_builtins(
                    {k: v for k, v in step.parameters.items() if v != step.component.arguments[k].default},
                    str_keys=True,
                ),
                **step.inputs,
            },
            file=step.file,
            line=step.line,
            runner=step.runner,
            component=step.component,
            when=step.when,
        )
        for name, step in bound.steps.items()
    }
    return Pipeline(bound.name, {}, steps, bound.folder, bound.file, bound.outputs, bound.runner, bound.tune)


def _declared(pipeline: Pipeline | BoundPipeline) -> Pipeline:
    return unbound(pipeline) if isinstance(pipeline, BoundPipeline) else pipeline


def _yaml(pipeline: Pipeline | BoundPipeline) -> str:
    from .document import write_pipeline

    return write_pipeline(_declared(pipeline))


def _python(pipeline: Pipeline | BoundPipeline) -> str:
    from .python_source import write_python

    return write_python(_declared(pipeline))


def _svg(pipeline: Pipeline | BoundPipeline) -> str:
    from .svg import svg

    return svg(graph_of(pipeline))


FORMATS: Mapping[str, Callable[[Pipeline | BoundPipeline], str]] = {
    "ascii": lambda pipeline: ascii_graph(graph_of(pipeline)),
    "mermaid": lambda pipeline: mermaid(graph_of(pipeline)),
    "dot": lambda pipeline: dot(graph_of(pipeline)),
    "svg": _svg,
    "yaml": _yaml,
    "python": _python,
}
"""The formats of `headrace graph --format`."""
