"""Fingerprints: what decides the output of a step, and nothing else, as one SHA-256.

The parts are kept beside the hash, so that `explain` can say which of them changed. Runner, worker
count, log level and machine are not among them: what a cluster computed is a hit on a laptop.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .contents import content_change, is_content, shown_content


@dataclass(frozen=True)
class Parts:
    """What a fingerprint is made of.

    Attributes:
        component: the component's name.
        code: digest of every symbol that its code reaches, by `module:symbol`.
        libraries: versions of the libraries that the code imports.
        parameters: semantic parameters; external files stand as their digests, functions with theirs. The
            order within a mapping counts, since a component sees it: `splits: {train: 8, test: 2}` cuts
            other boundaries than `{test: 2, train: 8}`.
        inputs: digests of the input artifacts by argument.
    """

    component: str
    code: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The parts as JSON values."""
        return asdict(self)


def fingerprint(parts: Parts) -> str:
    """SHA-256 in hex over the canonical form of the parts; nobody sees the order of the parts themselves."""
    told = {
        name: dict(sorted(part.items())) if isinstance(part, Mapping) else part
        for name, part in sorted(parts.to_json().items())
    }
    return hashlib.sha256(canonical(told)).hexdigest()


def canonical(value: Any) -> bytes:
    """An injective encoding of a JSON-like value: each value is tagged and length-delimited.

    Mappings are read in their order. `1`, `1.0`, `True` and `"1"` differ; so do `[]`, `{}` and None.

    Raises:
        TypeError: a value is none of None, bool, int, float, str, bytes, list, tuple and mapping.
    """
    return b"".join(_encode(value))


def _encode(value: Any) -> Iterator[bytes]:
    if value is None:
        yield b"n"
    elif isinstance(value, bool):
        yield b"t" if value else b"f"
    elif isinstance(value, int):
        yield _delimited(b"i", str(value).encode())
    elif isinstance(value, float):
        yield b"d" + struct.pack(">d", value)
    elif isinstance(value, str):
        # The names of files that aren't UTF-8 are strings with surrogates.
        yield _delimited(b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        yield _delimited(b"b", value)
    elif isinstance(value, Mapping):
        yield b"m" + struct.pack(">Q", len(value))
        for key, item in value.items():
            yield from _encode(key)
            yield from _encode(item)
    elif isinstance(value, list | tuple):
        yield b"l" + struct.pack(">Q", len(value))
        for item in value:
            yield from _encode(item)
    else:
        raise TypeError(f"a {type(value).__name__} has no canonical form: {value!r}")


def _delimited(tag: bytes, content: bytes) -> bytes:
    return tag + struct.pack(">Q", len(content)) + content


def differences(before: Parts, now: Parts, step: str) -> list[str]:
    """What changed between two fingerprints of a step, as short phrases; empty if nothing did."""
    found: list[str] = []
    if before.component != now.component:
        found.append(f"component {before.component} → {now.component}")
    found += _changed(before.parameters, now.parameters, f"{step}.", _show)
    found += [f"input {text}" for text in _changed(before.inputs, now.inputs, "", _short)]
    code = [name for name in sorted({*before.code, *now.code}) if before.code.get(name) != now.code.get(name)]
    if code:
        found.append(
            f"code changed: {', '.join(code[:3])}" + (f" and {len(code) - 3} more" if len(code) > 3 else "")
        )
    found += [f"library {text}" for text in _changed(before.libraries, now.libraries, "", str)]
    return found


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str, show: Any) -> list[str]:
    found = []
    for name in sorted({*before, *now}):
        if name not in before:
            found.append(f"{prefix}{name} is new: {show(now[name])}")
        elif name not in now:
            found.append(f"{prefix}{name} is gone")
        elif canonical(before[name]) != canonical(now[name]):
            found.append(_change(f"{prefix}{name}", before[name], now[name], show))
    return found


def _change(name: str, before: Any, now: Any, show: Any) -> str:
    """Names the smallest part that changed: `features.age` in place of all features."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        if "content" in before and "content" in now:
            return f"{name}: {content_change(before, now)}"
        if "code" in before and "code" in now and before.get("name") == now.get("name"):
            changed = [
                k
                for k in sorted({*before["code"], *now["code"]})
                if before["code"].get(k) != now["code"].get(k)
            ]
            return f"{name}: code changed: {', '.join(changed)}"
        order = f"{name}: order {', '.join(map(str, before))} → {', '.join(map(str, now))}"
        return "; ".join(_changed(before, now, f"{name}.", show)) or order
    return f"{name} {show(before)} → {show(now)}"


def _show(value: Any) -> str:
    if isinstance(value, Mapping) and {"name", "code"} == set(value):  # a function stands by its name
        value = value["name"]
    if is_content(value):
        return shown_content(value, length=8)
    if value is None:
        return "not given"
    text = repr(value) if isinstance(value, str | float | int) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _short(digest: str) -> str:
    return digest[:8]
