"""How the content of external files, as it stands in a fingerprint, is told to people. Standard library only.

A file stands as the digest of its bytes; one in a folder as `[name, digest]`, since its name counts too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def is_content(value: Any) -> bool:
    """Whether a parameter of a fingerprint stands for files."""
    return isinstance(value, Mapping) and set(value) == {"content"}


def shown_content(value: Mapping[str, Any], most: int = 3, length: int = 12) -> str:
    """The beginnings of the first few files' digests, `cat/1.jpg 89abcdef0123`."""
    files = [_named(file) for file in value["content"]]
    shown = [f"{name} {digest[:length]}".lstrip() for name, digest in files[:most]]
    more = f" and {len(files) - most} more" if len(files) > most else ""
    return f"content {', '.join(shown)}{more}"


def content_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What happened to files: how many are new, changed or gone, and the name of the first of these.

    Files that were named by themselves have no name here: a path isn't part of a fingerprint.
    """
    old, new = (Counter(_named(file) for file in each["content"]) for each in (before, now))
    gone, come = (sorted(name for name, _ in each) for each in (old - new, new - old))
    if "" in (*gone, *come) or not (gone or come):
        return "the content of the file changed"
    changed = sorted({*gone} & {*come})
    kinds = {
        "changed": changed,
        "new": sorted({*come} - {*changed}),
        "gone": sorted({*gone} - {*changed}),
    }
    told = [
        f"{len(names)} {'file' if len(names) == 1 else 'files'} {kind}: {names[0]}"
        + (", …" if len(names) > 1 else "")
        for kind, names in kinds.items()
        if names
    ]
    return "; ".join(told)


def other_files(
    before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> tuple[str | None, str | None]:
    """The names and digests of the files that only one of the two has; None where it has none such."""
    files = [[_named(file) for file in each["content"]] if each else [] for each in (before, now)]
    shared = Counter(files[0]) & Counter(files[1])
    only = [[f"{name} {digest[:12]}".lstrip() for name, digest in each if (name, digest) not in shared]
            for each in files]  # fmt: skip
    return ", ".join(only[0]) or None, ", ".join(only[1]) or None


def _named(file: str | Sequence[str]) -> tuple[str, str]:
    return ("", file) if isinstance(file, str) else (str(file[0]), str(file[1]))
