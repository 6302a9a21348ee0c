"""What a component's docstring says, for listings and for editors."""

from __future__ import annotations

import inspect
import re
from typing import Any

_ENTRY = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?: (.*)")


def summary(documented: Any) -> str:
    """The first paragraph of a docstring, in one line; an empty string without one."""
    text = inspect.getdoc(documented) or ""
    return " ".join(text.split("\n\n")[0].split())


def argument_texts(documented: Any) -> dict[str, str]:
    """The entries under `Args:` of a Google-style docstring, by argument.

    An entry that names several (`file, line: …`) is given to each of them.
    """
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in _section(inspect.getdoc(documented) or "", "Args:"):
        entry = _ENTRY.fullmatch(line.strip())
        if entry and len(line) - len(line.lstrip()) == 4:
            current = [entry[2]]
            found.update((name.strip(" *"), current) for name in entry[1].split(","))
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(lines) for name, lines in found.items()}


def _section(text: str, title: str) -> list[str]:
    lines = text.splitlines()
    if title not in lines:
        return []
    rest = lines[lines.index(title) + 1 :]
    end = next((i for i, line in enumerate(rest) if line and not line.startswith(" ")), len(rest))
    return rest[:end]
