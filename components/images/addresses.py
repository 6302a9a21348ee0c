"""Which addresses on the network may be asked for an image, and how a URL is shown without its secrets."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, quote, unquote, urlsplit

from .names import one_line
from .unusable import UnusableImageError

_PORTS = {"http": 80, "https": 443}
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""NAT64: the last four bytes are an IPv4 address."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads.

    Attributes:
        scheme: "http" or "https".
        host: in ASCII, as it stands in the Host header and in the certificate.
        port: a number, stated or the scheme's.
        path: with its query, as it is sent.
        login: `user:password`, or an empty string.
    """

    scheme: str
    host: str
    port: int
    path: str
    login: str


def target_of(url: str, schemes: tuple[str, ...]) -> Target:
    """Takes a URL apart.

    Raises:
        UnusableImageError: it isn't one, or its scheme isn't allowed.
    """
    parts, port = _split(url)
    if parts.scheme not in schemes or parts.scheme not in _PORTS:
        raise UnusableImageError(
            f"the scheme {parts.scheme!r} isn't allowed", f"allowed: {', '.join(schemes)}; see `schemes`"
        )
    host = parts.hostname or ""
    try:
        host = host if ":" in host else host.encode("idna").decode()
    except UnicodeError as error:
        raise UnusableImageError(f"{host!r} is no name of a host") from error
    if not host:
        raise UnusableImageError("the URL names no host")
    path = quote(parts.path or "/", safe="%/:=&?~+!$,;'@()*[]")
    query = "?" + quote(parts.query, safe="%/:=&?~+!$,;'@()*[]") if parts.query else ""
    login = ""
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path + query, login)


def _split(url: str) -> tuple[SplitResult, int | None]:
    if any(c < " " or c == "\x7f" for c in url):
        raise UnusableImageError("the URL has control characters within")
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise UnusableImageError("the URL can't be taken apart") from error


def shown(url: str) -> str:
    """A URL as it may be logged: without user and password, and its query, which may hold a key, as `?…`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that can't be taken apart"
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}" + ("?…" if parts.query else "")


def without_secrets(name: str) -> str:
    """A path as it is, an address as it may be logged."""
    return shown(name) if "://" in name else name


def in_message(name: str) -> str:
    """`without_secrets` on one line."""
    return one_line(without_secrets(name))


def addresses_of(target: Target, allow_private: bool) -> list[tuple[int, str]]:
    """The addresses of a host that may be connected to, as pairs of family and address.

    Whoever connects has to take one of these and not the name, which may lead elsewhere a moment later.

    Raises:
        OSError: the name isn't known, for now.
        UnusableImageError: it leads to none but private or otherwise special addresses.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise
        raise UnusableImageError(f"there is no host named {target.host}") from error
    pairs = [(int(family), str(place[0])) for family, _, _, _, place in found]
    allowed = [pair for pair in pairs if may_connect(pair[1], allow_private)]
    if not allowed:
        raise UnusableImageError(
            f"{target.host} is at {pairs[0][1]}, which is a private or special address",
            "images from the own network need `remote: {allow_private: true}`",
        )
    return allowed


def may_connect(address: str, allow_private: bool) -> bool:
    """Whether an address may be asked.

    Public ones may. Private, loopback and link-local ones may where that is allowed; multicast, unspecified
    and reserved ones never. What carries an IPv4 address within (mapped, 6to4, Teredo, NAT64) has to pass
    with that one too.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    inner = _within(found) if isinstance(found, IPv6Address) else []
    return all(_may(each, allow_private) for each in (inner or (found,)))


def _within(address: IPv6Address) -> list[IPv4Address]:
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if IPv6Address(int(address)) in _TRANSLATED:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return []


def _may(address: IPv4Address | IPv6Address, allow_private: bool) -> bool:
    if address.is_multicast or address.is_unspecified:
        return False
    near = address.is_loopback or address.is_private or address.is_link_local
    if near or not address.is_global:
        return allow_private
    return not address.is_reserved
