"""How an Evaluation is shown to a person: of `evaluate`, and of `cross_validate`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .common import brief, table
from .tables import number_text, right, tasks_text

_MOST_CLASSES = 12
"""With more classes the confusion matrix is too wide to be read."""
_MOST_METRICS = 8
"""In a table with a column for each metric; the first are the most telling."""
_MOST_WORST = 5
_TOP = re.compile(r"top_\d+_accuracy")


def evaluation(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    """The lines that tell a person what an `evaluation.json` says."""
    folds = told.get("folds")
    where = f"{len(folds)} folds of {told['split']}" if folds else told["split"]
    lines: list[str | None] = [
        f"{tasks_text(told)}, on {told['rows']} rows of {where}",
        "",
        _metrics_table(told),
    ]
    lines += _folds(told) if folds else _parts(told)
    if told["thresholds"]:
        lines += ["", "thresholds", table(list(_thresholds(told["thresholds"])), "  ")]
    lines += [None if told["thresholds"] else "", "blessed" if told["blessed"] else "not blessed"]
    lines += [f"  {reason}" for reason in told["reasons"]]
    for name, task in _outputs(told).items():
        lines += _confused(name, task, told)
    return [line for line in lines if line is not None]


def _outputs(told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The tasks by what stands before their metrics: "" for a single one, else the label."""
    return {task["label"]: task for task in told["tasks"]} if "tasks" in told else {"": told["task"]}


def _own(output: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one output by metric, without the output before it."""
    parts = ((name.rpartition("/"), value) for name, value in values.items())
    return {metric: value for (before, _, metric), value in parts if before == output}


def _first(output: str, told: Mapping[str, Any]) -> list[str]:
    """The metrics of an output that have a column: the first, and behind the very first the top-k ones."""
    names = list(_own(output, told["metrics"]))
    top = [name for name in names if _TOP.fullmatch(name)]
    return [*names[:1], *top, *(name for name in names[1:] if name not in top)][:_MOST_METRICS]


def _titled(output: str, what: str) -> list[str]:
    """A blank line, and the title of what follows; of a single output without its name."""
    return ["", *filter(None, [", ".join(filter(None, (output, what)))])]


def _confused(output: str, task: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    """The confusion matrix, or the most frequent mistakes where it would be too wide."""
    matrix, mistakes = (_detail(told.get(name), output) for name in ("confusion", "mistakes"))
    if isinstance(matrix, list) and len(task["classes"]) <= _MOST_CLASSES:
        title = _titled(output, "confusion: a row for each label, a column for each prediction")
        return [*title, _confusion(task["classes"], matrix)]
    if not isinstance(mistakes, list) or not mistakes:
        return []
    pairs = [[m["label"], m["prediction"], number_text(m["rows"])] for m in mistakes[:_MOST_CLASSES]]
    return [*_titled(output, "the most frequent mistakes"), table([["label", "prediction", "rows"], *pairs])]


def worst(told: Mapping[str, Any]) -> list[str]:
    """The lines that tell a person of the first of a `worst_examples.json`."""
    found = told["examples"]
    lines: list[str] = []
    for output, each in found.items() if isinstance(found, Mapping) else [("", found)]:
        rows = [_example(one) for one in each[:_MOST_WORST]]
        if rows:
            head = ["", "label", "prediction", "loss"]
            lines += [*_titled(output, "the worst examples"), table([head, *rows])]
    return lines


def _example(one: Mapping[str, Any]) -> list[str]:
    """Where it is, its label, what was predicted and how probably, and the loss."""
    line = f"{one['file']} line {one['line']}" if "line" in one else f"{one['part']} row {one['part_row']}"
    label, prediction = _short(one["label"]), _short(one["prediction"])
    probability = f" ({one['probability']:.0%})" if "probability" in one else ""
    return [_short(one.get("path", line)), label, prediction + probability, number_text(one["loss"])]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return _short(", ".join(map(str, value)) or "none")
    if isinstance(value, float):
        return number_text(value)
    # It comes from the data: nothing of it may act on the terminal.
    return brief("".join(c if c.isprintable() else "\ufffd" for c in str(value)), 60)


def _detail(told: Any, output: str) -> Any:
    """Of a detail the one of an output; with several they stand by output."""
    return told.get(output) if output and isinstance(told, Mapping) else told


def _metrics_table(told: Mapping[str, Any]) -> str:
    """A row for each metric; columns for the model, its deviation over folds, what it is compared with."""
    columns: list[tuple[str, Mapping[str, Any]]] = [("model", told["metrics"])]
    folds = "deviations" in told
    if folds:
        columns.append(("±", told["deviations"]))
    columns.append(("naive", told["naive"]["metrics"]))
    if told.get("baseline"):
        columns += [("baseline", told["baseline"]["metrics"]), ("change", told["baseline"]["change"])]
        columns += [("±", told["baseline"]["change_deviations"])] if folds else []
    rows = [["", *(title for title, _ in columns)]]
    rows += [[name, *(number_text(values.get(name)) for _, values in columns)] for name in told["metrics"]]
    return right(rows)


def _parts(told: Mapping[str, Any]) -> list[str]:
    """The slices, and the classes, each in a row; a table for each output."""
    lines: list[str] = []
    slices = [(f"{c} = {v}", m) for c, values in told["slices"].items() for v, m in values.items()]
    for output in _outputs(told) if slices else ():
        names = _first(output, told)
        rows = [(title, {"rows": m["rows"], **_own(output, m)}) for title, m in slices]
        lines += [*_titled(output, ""), _grid(rows, ["rows", *names])]
    for output in _outputs(told):
        classes = [(name, _own(output, m)) for name, m in (told.get("per_class") or {}).items()]
        classes = [(name, values) for name, values in classes if values]
        if classes:
            names = list(dict.fromkeys(name for _, values in classes for name in values))[:_MOST_CLASSES]
            lines += [*_titled(output, ""), _grid(classes[:_MOST_CLASSES], names)]
            more = len(classes) - _MOST_CLASSES
            lines += [f"and {more} more classes"] if more > 0 else []
    return lines


def _folds(told: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    sizes = ("train_rows", "rows", "best_epoch")
    for output in _outputs(told):
        names = _first(output, told)
        folds = [
            (f"fold {f['fold']}", {**{s: f[s] for s in sizes}, **_own(output, f["metrics"])})
            for f in told["folds"]
        ]
        lines += [*_titled(output, ""), _grid(folds, [*sizes, *names])]
    return lines


def _grid(rows: Sequence[tuple[str, Mapping[str, Any]]], names: Sequence[str]) -> str:
    return right([["", *names], *([title, *(number_text(m.get(n)) for n in names)] for title, m in rows)])


def _confusion(classes: Sequence[Any], counts: Sequence[Sequence[float]]) -> str:
    rows = [[name, *map(number_text, row)] for name, row in zip(classes, counts, strict=True)]
    return right([["", *map(str, classes)], *rows])


def _thresholds(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each threshold with what it is on: `recall of bird`, `rmse of city=Rome`."""
    for name, limit in told.items():
        if name == "per_class":
            for label, bounds in limit.items():
                yield from ((f"{metric} of {label}", _limit(bound)) for metric, bound in bounds.items())
        elif name == "slices":
            places = [(f"{c}={v}", bounds) for c, values in limit.items() for v, bounds in values.items()]
            for place, bounds in places:
                yield from ((f"{metric} of {place}", _limit(bound)) for metric, bound in bounds.items())
        else:
            yield name, _limit(limit)


def _limit(limit: Any) -> str:
    if isinstance(limit, Mapping):
        return ", ".join(f"{kind} {number_text(value)}" for kind, value in limit.items())
    return number_text(limit)
