"""Lineage: what an artifact was made from, and what was made of it, from the records of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .contents import is_content, shown_content


@dataclass(frozen=True)
class Execution:
    """One execution of a step.

    Attributes:
        run, pipeline, step: where it happened.
        inputs: digests by argument.
        outputs: (type, digest) by output.
        files: names of the external files that it read, with the digest of their content, by argument.
    """

    run: str
    pipeline: str
    step: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, tuple[str, str]]
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The execution as JSON values."""
        outputs = {name: {"type": kind, "digest": digest} for name, (kind, digest) in self.outputs.items()}
        place = {"run": self.run, "pipeline": self.pipeline, "step": self.step}
        return {**place, "inputs": dict(self.inputs), "files": dict(self.files), "outputs": outputs}


class Lineage:
    """The executions of a store, as a graph of artifacts."""

    def __init__(self, executions: Iterable[Execution]) -> None:
        self.types: dict[str, str] = {}
        self.makers: dict[str, list[Execution]] = {}
        self.users: dict[str, list[Execution]] = {}
        for execution in executions:
            for kind, digest in execution.outputs.values():
                self.types[digest] = kind
                self.makers.setdefault(digest, []).append(execution)
            for digest in dict.fromkeys(execution.inputs.values()):
                self.users.setdefault(digest, []).append(execution)

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> Lineage:
        """From run records with their steps, as `Store.run_record` gives them."""
        return cls(execution for record in records for execution in _executions(record))

    def upstream(self, digest: str) -> list[str]:
        """Every artifact that this one was made from, the nearest first."""
        return _walk(digest, lambda d: (i for e in self.makers.get(d, ()) for i in e.inputs.values()))

    def downstream(self, digest: str) -> list[str]:
        """Every artifact that was made of this one, the nearest first."""
        return _walk(digest, lambda d: (o for e in self.users.get(d, ()) for _, o in e.outputs.values()))

    def to_json(self, digest: str) -> dict[str, Any]:
        """What is known of an artifact and its kin, as JSON values."""
        up, down = self.upstream(digest), self.downstream(digest)
        kin = [digest, *up, *down]
        return {
            "artifact": digest,
            "type": self.types.get(digest, ""),
            "upstream": up,
            "downstream": down,
            "executions": [e.to_json() for e in self._made(kin)],
            "types": {d: self.types.get(d, "") for d in kin},
        }

    def _made(self, digests: Iterable[str]) -> list[Execution]:
        """The executions that made these artifacts, each once."""
        found = {(e.run, e.step): e for digest in digests for e in self.makers.get(digest, ())}
        return list(found.values())

    def ancestry(self, digest: str) -> str:
        """A tree of what the artifact was made from."""
        return "\n".join(self._up(digest, "", "", "", set()))

    def offspring(self, digest: str) -> str:
        """A tree of what was made of the artifact; empty if nothing was."""
        return "\n".join(list(self._down(digest, "", set()))[1:])

    def _title(self, digest: str) -> str:
        makers = self.makers.get(digest, ())
        if not makers:
            return f"{self.types.get(digest, 'artifact')} {digest[:12]}  (no record of its making)"
        last = makers[0]
        more = f" and {len(makers) - 1} more" if len(makers) > 1 else ""
        return f"{self.types[digest]} {digest[:12]}  {last.step} in run {last.run} of {last.pipeline}{more}"

    def _up(self, digest: str, name: str, head: str, rest: str, seen: set[str]) -> Iterator[str]:
        label = f"{name}: " if name else ""
        known = digest in seen
        makers = self.makers.get(digest, ())
        above = "  (see above)" if known and makers and (makers[0].inputs or makers[0].files) else ""
        yield f"{head}{label}{self._title(digest)}{above}"
        seen.add(digest)
        if known or not makers:
            return
        files, inputs = list(makers[0].files.items()), list(makers[0].inputs.items())
        for i, (argument, told) in enumerate(files):
            branch = "└─ " if not inputs and i == len(files) - 1 else "├─ "
            yield f"{rest}{branch}{argument}: {told}"
        for i, (argument, source) in enumerate(inputs):
            last = i == len(inputs) - 1
            branch, deeper = ("└─ ", "   ") if last else ("├─ ", "│  ")
            yield from self._up(source, argument, rest + branch, rest + deeper, seen)

    def _down(self, digest: str, rest: str, seen: set[str]) -> Iterator[str]:
        known = digest in seen
        outputs = (o for e in self.users.get(digest, ()) for _, o in e.outputs.values())
        made = [output for output in dict.fromkeys(outputs) if output != digest]
        yield self._title(digest) + ("  (see above)" if known and made else "")
        seen.add(digest)
        for i, output in enumerate([] if known else made):
            branch, deeper = ("└─ ", "   ") if i == len(made) - 1 else ("├─ ", "│  ")
            title, *lines = self._down(output, rest + deeper, seen)
            yield rest + branch + title
            yield from lines


def _executions(record: Mapping[str, Any]) -> Iterator[Execution]:
    """The executions in a run's record; a step that was cached tells of no new one."""
    for step, told in record["steps"].items():
        if told["status"] == "ran":
            declared = record["document"]["steps"].get(step, {}).get("parameters", {})
            yield Execution(
                record["run"],
                record["pipeline"],
                step,
                dict(told["parts"].get("inputs", {})),
                {name: (output["type"], output["digest"]) for name, output in told["outputs"].items()},
                dict(_files(told["parts"].get("parameters", {}), declared)),
            )


def _files(parameters: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        if is_content(value) and value["content"]:
            yield name, f"{declared.get(name, '')} ({shown_content(value)})"


def _walk(start: str, neighbours: Any) -> list[str]:
    found: dict[str, None] = {}
    todo = [start]
    while todo:
        for digest in neighbours(todo.pop(0)):
            if digest not in found and digest != start:
                found[digest] = None
                todo.append(digest)
    return list(found)
