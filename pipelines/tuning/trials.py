"""Trials: what was tried and what came of it, ranked, and as a table for people and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .metric import Direction

STATES = ("done", "pruned", "failed")


@dataclass(frozen=True)
class Trial:
    """One setting, and what became of it.

    Attributes:
        number: from 0.
        values: by `step.argument`.
        state: "done", "pruned" (ended early, since it was behind), "failed", or "" before its end.
        metric: of one that is done.
        seconds: wall clock of its run.
        run: the id of its run; empty if all was in the store.
        mark: digest of the code, parameters and data that decide it, see `search.mark_of`.
        error: why it failed, in one line.
        epochs: how many epochs it was watched for.
        inputs: digests of what the objective was read from, by output.
    """

    number: int
    values: Mapping[str, Any]
    state: str = ""
    metric: float | None = None
    seconds: float = 0.0
    run: str = ""
    mark: str = ""
    error: str = ""
    epochs: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON values."""
        return asdict(self)


def ranked(trials: Iterable[Trial], direction: Direction) -> list[Trial]:
    """The best first; then what was pruned, the longest watched first, and what failed."""
    sign = 1.0 if direction == "minimize" else -1.0

    def place(trial: Trial) -> tuple[float, ...]:
        if trial.metric is not None:
            return (0, sign * trial.metric, trial.number)
        return (STATES.index(trial.state) if trial.state in STATES else 9, -trial.epochs, trial.number)

    return sorted(trials, key=place)


def best_of(trials: Iterable[Trial], direction: Direction) -> Trial | None:
    """The best of those that are done; the earlier of equal ones."""
    done = [trial for trial in trials if trial.metric is not None]
    return ranked(done, direction)[0] if done else None


def best_so_far(trials: Sequence[Trial], direction: Direction) -> list[tuple[int, float]]:
    """(number, best metric of all trials up to it) at each trial that is done."""
    better = min if direction == "minimize" else max
    found: list[tuple[int, float]] = []
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.metric is not None:
            value = better(trial.metric, found[-1][1]) if found else trial.metric
            found.append((trial.number, value))
    return found


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Each name's last part, with as many parts before it as tell it from the others.

    >>> list(short_names(["train.rate", "train.args.width", "wide.width"]).values())
    ['rate', 'args.width', 'wide.width']
    """
    found = {}
    for name in names:
        parts = name.split(".")
        for size in range(1, len(parts) + 1):
            short = ".".join(parts[-size:])
            if sum(other == short or other.endswith(f".{short}") for other in names) == 1:
                break
        found[name] = short
    return found


def value_text(value: Any) -> str:
    """A value as it could be typed: four significant digits of a float."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rows(trials: Sequence[Trial], names: Sequence[str], metric: str, direction: Direction) -> list[list[str]]:
    """A table for people, the best first: the title, then a row a trial.

    A trial's time is left out where none has one, as in the data of an artifact.
    """
    shorts = short_names(names)
    took = ["TOOK"] if any(trial.seconds for trial in trials) else []
    table = [["RANK", "TRIAL", *(shorts[name].upper() for name in names), metric.upper(), *took, "STATE"]]
    for rank, trial in enumerate(ranked(trials, direction), start=1):
        values = [value_text(trial.values[name]) for name in names]
        told = "" if trial.metric is None else f"{trial.metric:.6g}"
        state = trial.state
        if trial.state == "pruned":
            state = f"pruned after epoch {trial.epochs}"
        elif trial.state == "failed":
            state = f"failed: {trial.error}"
        shown = str(rank) if trial.metric is not None else ""
        seconds = [f"{trial.seconds:.1f} s"] if took else []
        table.append([shown, str(trial.number), *values, told, *seconds, state])
    return table


def csv_text(trials: Sequence[Trial], names: Sequence[str], metric: str, direction: Direction) -> str:
    """The table for programs: full precision, the best first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["rank", "trial", *names, metric, "seconds", "state", "epochs", "run", "error"])
    for rank, trial in enumerate(ranked(trials, direction), start=1):
        values = [v if isinstance(v := trial.values[n], str) else json.dumps(v) for n in names]
        told = "" if trial.metric is None else repr(trial.metric)
        end = [f"{trial.seconds:.3f}", trial.state, trial.epochs or "", trial.run, trial.error]
        writer.writerow([rank if trial.metric is not None else "", trial.number, *values, told, *end])
    return stream.getvalue()
