"""How the artifacts of the built-in components are shown to a person: `headrace artifacts show`.

The components are not imported: what is read here are the JSON files that they write. A file of another
layout (a component of somebody's own may give an Evaluation too) has no view, and is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .common import table

if TYPE_CHECKING:
    from ..artifact import Artifact

_MOST_CLASSES = 12
"""With more classes the confusion matrix is too wide to be read."""
_MOST_INPUTS = 40


def view(artifact: Artifact) -> list[str]:
    """The lines that tell a person what is in an artifact; none for a type that has no view."""
    name, show = _VIEWS.get(artifact.type, ("", None))
    if show is None or not (artifact.path / name).is_file():
        return []
    try:
        return show(artifact.read_json(name), artifact.properties)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return []


def number_text(value: Any) -> str:
    """A number with four significant digits, and all of those before the point; `-` for a missing one."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:.0f}"
    return f"{value:.4g}"


def _evaluation(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    task = told["task"]
    lines = [f"{task['name']} of {task['label']}, on {told['rows']} rows of {told['split']}", ""]
    lines += _metrics_table(told)
    baseline = told["baseline"]
    lines += ["", f"baseline: {baseline['from']}, {number_text(baseline['prediction'])}"]
    if told["thresholds"]:
        lines.append("thresholds")
        lines.append(table([(name, _limit(limit)) for name, limit in told["thresholds"].items()], "  "))
    lines.append("blessed" if told["blessed"] else "not blessed")
    lines += [f"  {reason}" for reason in told["reasons"]]
    if told.get("confusion") and len(task["classes"]) <= _MOST_CLASSES:
        lines += ["", "confusion: a row for each label, a column for each prediction"]
        head = ["", *map(str, task["classes"])]
        rows = [[name, *map(str, row)] for name, row in zip(task["classes"], told["confusion"], strict=True)]
        lines.append(_right([head, *rows]))
    return lines


def _metrics_table(told: Mapping[str, Any]) -> list[str]:
    """A row for the model, the baseline and each value of the slice columns; a column for each metric."""
    names = list(told["metrics"])

    def row(title: str, rows: Any, metrics: Mapping[str, Any]) -> list[str]:
        return [title, str(rows), *(number_text(metrics.get(name)) for name in names)]

    rows = [["", "rows", *names], row("model", told["rows"], told["metrics"])]
    rows.append(row("baseline", told["rows"], told["baseline"]["metrics"]))
    for column, values in told["slices"].items():
        rows += [row(f"{column} = {value}", m["rows"], m) for value, m in values.items()]
    return [_right(rows)]


def _limit(limit: Any) -> str:
    if isinstance(limit, Mapping):
        return ", ".join(f"{kind} {number_text(value)}" for kind, value in limit.items())
    return number_text(limit)


def _right(rows: Sequence[Sequence[str]]) -> str:
    """A table of numbers, aligned to the right, under titles, aligned to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return table([[row[0], *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in rows])


def _model(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    task, settings, history = told["task"], told["settings"], told["history"]
    best = history[told["best_epoch"] - 1]
    losses = ", ".join(f"{key} {number_text(value)}" for key, value in best.items() if key != "epoch")
    rows = [("task", f"{task['name']} of {task['label']}"), ("model", settings["model"])]
    if task["classes"]:
        rows.insert(1, ("classes", _few(task["classes"])))
    rows += [
        ("features", str(told["inputs"])),
        ("epochs", f"{len(history)} of {settings['epochs']}"),
        ("best epoch", f"{told['best_epoch']}: {losses}"),
        ("weights", properties["weights"][:12]),
    ]
    return [table(rows)]


def _export(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    task, parity = told["task"], told["parity"]
    inputs = [_input(i) for i in told["inputs"]]
    outputs = [(o["name"], o["dtype"], _shape(o["shape"])) for o in told["outputs"]]
    lines = [f"{task['name']} of {task['label']}, version {told['version']}", "inputs"]
    lines.append(table(inputs[:_MOST_INPUTS], "  "))
    if len(inputs) > _MOST_INPUTS:
        lines.append(f"  and {len(inputs) - _MOST_INPUTS} more")
    lines += ["outputs", table(outputs, "  "), "parity"]
    worst = f" ({parity['worst_feature']})" if parity.get("worst_feature") else ""
    facts = [
        ("rows", f"{parity['rows']} of {parity['split']}"),
        (
            "features",
            f"{number_text(parity['worst_ulps'])} ulps apart at most{worst}, "
            f"{number_text(parity['tolerance_ulps'])} allowed",
        ),
        (
            "outputs",
            f"{number_text(parity['worst_output'])} apart at most, "
            f"{number_text(parity['output_tolerance'])} allowed",
        ),
    ]
    return [*lines, table(facts, "  ")]


def _input(told: Mapping[str, Any]) -> tuple[str, str, str]:
    renamed = f"column {told['column']}" if told["column"] != told["name"] else ""
    return told["name"], told["dtype"], renamed


def _shape(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('rows' if size is None else str(size) for size in shape)}]"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_CLASSES])
    return shown + (f" and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else "")


_View = Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]
_VIEWS: Mapping[str, tuple[str, _View]] = {
    "Evaluation": ("evaluation.json", _evaluation),
    "Model": ("model.json", _model),
    "ExportedModel": ("export.json", _export),
}
"""The file that is shown, and how, by type."""
