"""How the artifacts of the built-in components are shown to a person: `headrace artifacts show`.

The components are not imported: what is read here are the JSON files that they write. A file of another
layout (a component of somebody's own may give an Evaluation too) has no view, and is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..tuning.trials import Trial, rows
from .common import table
from .evaluation_view import evaluation, worst
from .tables import number_text, tasks_text

if TYPE_CHECKING:
    from ..artifact import Artifact

_NO_METRICS = ("epoch", "learning_rate")
_MOST_INPUTS = 40
_MOST_NAMES = 12
_WORST = "worst_examples.json"
"""What `evaluate` writes beside its metrics."""


def view(artifact: Artifact) -> list[str]:
    """The lines that tell a person what is in an artifact; none for a type that has no view."""
    name, show = _VIEWS.get(artifact.type, ("", None))
    if show is None or not (artifact.path / name).is_file():
        return []
    try:
        lines = show(artifact.read_json(name), artifact.properties)
        return [*lines, *worst(artifact.read_json(_WORST))] if (artifact.path / _WORST).is_file() else lines
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return []


def _model(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    settings, history = told["settings"], told["history"]
    best = history[told["best_epoch"] - 1]
    losses = ", ".join(f"{key} {number_text(value)}" for key, value in best.items() if key not in _NO_METRICS)
    tasks = told["tasks"] if "tasks" in told else [told["task"]]
    rows = [("task", tasks_text(told))]
    for task in tasks:
        title = f"classes of {task['label']}" if len(tasks) > 1 else "classes"
        rows += [(title, _few(task["classes"]))] if task["classes"] else []
    rows += [
        ("model", settings["model"]),
        ("features", str(told["inputs"])),
        ("epochs", f"{len(history)} of {settings['epochs']}"),
        ("best epoch", f"{told['best_epoch']}: {losses}"),
        ("weights", properties["weights"][:12]),
    ]
    return [table(rows)]


def _export(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    parity = told["parity"]
    inputs = [_input(i) for i in told["inputs"]]
    outputs = [(o["name"], o["dtype"], _shape(o["shape"])) for o in told["outputs"]]
    lines = [f"{tasks_text(told)}, version {told['version']}", "inputs"]
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


def _trials(told: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    search = told["search"]
    found = [Trial(**trial) for trial in told["trials"]]
    head = f"{search['method']} search, {search['direction']} {search['metric']}, seed {search['seed']}"
    return [head, "", table(rows(found, list(search["over"]), search["metric"], search["direction"]))]


def _input(told: Mapping[str, Any]) -> tuple[str, str, str]:
    renamed = f"column {told['column']}" if told["column"] != told["name"] else ""
    return told["name"], told["dtype"], renamed


def _shape(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('rows' if size is None else str(size) for size in shape)}]"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


_View = Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]
_VIEWS: Mapping[str, tuple[str, _View]] = {
    "Evaluation": ("evaluation.json", evaluation),
    "Trials": ("trials.json", _trials),
    "Model": ("model.json", _model),
    "ExportedModel": ("export.json", _export),
}
"""The file that is shown, and how, by type."""
VIEWED = tuple(_VIEWS)
"""The types that have a view."""
