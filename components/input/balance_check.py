"""Whether classes can be balanced, which is known from the labels' kinds. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from ...pipelines.errors import Problem


def balance_problems(labels: Mapping[str, str]) -> list[Problem]:
    """What is wrong with `sampling: balanced`.

    Args:
        labels: by column `value`, `class` or `multi`; empty where it isn't known yet.
    """
    kinds = list(labels.values())
    if "" in kinds or kinds.count("class") == 1:
        return []
    told = ", ".join(labels)
    number = "more than one is" if kinds.count("class") else "none is"
    return [
        Problem(
            f"sampling: balanced needs one label of one class a row, and of {told} {number}",
            argument="sampling",
            remedy="leave sampling out; class_weights weigh classes without drawing them more often",
        )
    ]
