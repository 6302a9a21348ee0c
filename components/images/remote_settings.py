"""The parameter `remote`: how images are fetched from the network. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ...pipelines.errors import Problem

NAMES = (
    "schemes", "allow_private", "connect_timeout", "read_timeout", "total_timeout", "max_bytes", "retries",
    "backoff", "redirects",
)  # fmt: skip
Value = bool | float | list[Literal["https", "http"]]
SECONDS = ("connect_timeout", "read_timeout", "total_timeout", "backoff")
_WHOLE = {"max_bytes": (1, 1 << 40), "retries": (0, 20), "redirects": (0, 20)}


def remote_problems(remote: Mapping[str, Any]) -> Iterator[Problem]:
    """What doesn't fit."""
    for name, value in remote.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        low, high = _WHOLE.get(name, (0, 0))
        if name not in NAMES:
            yield Problem(f"there is no {name!r}", argument="remote", given=name, available=NAMES)
            continue
        if name == "schemes":
            fits, wanted = isinstance(value, list) and bool(value), "a list of https and http"
        elif name == "allow_private":
            fits, wanted = isinstance(value, bool), "true or false"
        elif name in SECONDS:
            fits, wanted = number and 0 < value <= 86_400, "a number of seconds"
        else:
            fits = number and low <= value <= high and value == int(value)
            wanted = f"a whole number from {low} to {high:,}"
        if not fits:
            yield Problem(f"[{name}]: {value!r} has to be {wanted}", argument="remote")


def settled(remote: Mapping[str, Any]) -> dict[str, Any]:
    """The values as `RemoteOptions` takes them."""
    made: dict[str, Any] = {}
    for name, value in remote.items():
        made[name] = int(value) if name in _WHOLE else tuple(value) if name == "schemes" else value
    return made
