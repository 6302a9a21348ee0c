"""One HTTP request for an image, by the standard library's client over a socket that is connected here.

The socket goes to an address that has been looked at, never to a name: what a name leads to may change
between the look and the connection. Host header and certificate are the name's all the same. Proxies named
in the environment aren't used, since they would connect for us.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache

from .addresses import Target, addresses_of
from .unusable import UnusableImageError

CHUNK = 1 << 16
_KEPT_BY = ("etag", "last-modified")


class TransientError(Exception):
    """This attempt failed and another may not; `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True)
class Bounds:
    """Limits on one request.

    Attributes:
        connect_timeout, read_timeout: seconds to connect, and between two pieces of an answer.
        max_bytes: of the body.
        allow_private: whether addresses of the own network may be asked.
    """

    connect_timeout: float
    read_timeout: float
    max_bytes: int
    allow_private: bool


@dataclass(frozen=True)
class Answer:
    """What a server said; `body` is empty unless the status is 200."""

    status: int
    headers: Message
    body: bytes

    @property
    def validators(self) -> dict[str, str]:
        """The headers by which the server knows this version again."""
        return {name: self.headers[name] for name in _KEPT_BY if self.headers[name]}


class WebClient:
    """Sends requests, one at a time, and keeps the last connection for the next; belongs to one thread."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._kept: tuple[tuple[str, str, int], http.client.HTTPConnection] | None = None
        self._at_work: socket.socket | None = None
        self._closed = False

    def get(self, target: Target, headers: Mapping[str, str], deadline: float) -> Answer:
        """Asks for a target.

        Args:
            target: where to.
            headers: beside those that every request has.
            deadline: of `time.monotonic`, for the whole answer, however slowly it drips.

        Raises:
            TransientError: the network or the time; worth another attempt.
            UnusableImageError: the address, the certificate, or what is sent won't do.
        """
        try:
            if (kept := self._take(target)) is not None:
                # The server may have closed it meanwhile, which says nothing about this request.
                with suppress(ConnectionError, ssl.SSLError, http.client.BadStatusLine):
                    return self._ask(kept, target, headers, deadline)
            return self._ask(self._connect(target, deadline), target, headers, deadline)
        except ssl.SSLCertVerificationError as error:
            raise UnusableImageError(
                f"the certificate of {target.host} isn't trusted: {error.verify_message}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(_told(error, deadline)) from error

    def close(self) -> None:
        """Ends it, also from another thread than the one that it works for."""
        self._closed = True
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None
        if self._at_work is not None:
            _cut(self._at_work)

    def _take(self, target: Target) -> http.client.HTTPConnection | None:
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        if kept[0] == (target.scheme, target.host, target.port):
            return kept[1]
        kept[1].close()
        return None

    def _connect(self, target: Target, deadline: float) -> http.client.HTTPConnection:
        last: OSError | None = None
        for family, address in addresses_of(target, self._bounds.allow_private)[:4]:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(0.001, min(self._bounds.connect_timeout, deadline - time.monotonic())))
                sock.connect((address, target.port))
                if target.scheme == "https":
                    sock = _tls(sock, target, deadline)
                sock.settimeout(self._bounds.read_timeout)
                connection = http.client.HTTPConnection(target.host, target.port)
                connection.sock = sock
                return connection
            except OSError as error:
                sock.close()
                last = error
        assert last is not None
        raise last

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        target: Target,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Answer:
        whole = False
        self._at_work = connection.sock
        try:
            if self._closed:
                raise http.client.NotConnected("it was no longer wanted")
            with _cut_at(connection.sock, deadline):
                connection.auto_open = 0  # never by name
                connection.request("GET", target.path, headers=_headers(target, headers))
                response = connection.getresponse()
                body = _body(response, self._bounds.max_bytes) if response.status == 200 else b""
            whole = response.status in (200, 304) and not response.will_close
            response.close()
            return Answer(response.status, response.headers, body)
        finally:
            self._at_work = None
            if whole and not self._closed:
                self._kept = ((target.scheme, target.host, target.port), connection)
            else:
                connection.close()


def _headers(target: Target, more: Mapping[str, str]) -> dict[str, str]:
    told = {
        "Host": _host_header(target),
        "Accept": "image/jpeg, image/png, image/*;q=0.8, */*;q=0.5",
        "Accept-Encoding": "identity",
        "User-Agent": "headrace",
        **more,
    }
    if target.login:
        told["Authorization"] = "Basic " + base64.b64encode(target.login.encode()).decode()
    return told


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == (443 if target.scheme == "https" else 80) else f"{host}:{target.port}"


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """The body, read piece by piece so that neither size nor time is believed in beforehand."""
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise UnusableImageError(f"the server sent a page ({kind}), not an image", "look at it in a browser")
    encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise UnusableImageError(f"the server sent it compressed ({encoding}), which wasn't asked for")
    if (response.length or 0) > max_bytes:
        raise _too_large(max_bytes)
    pieces, size = [], 0
    while piece := response.read1(CHUNK):
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _too_large(max_bytes: int) -> UnusableImageError:
    return UnusableImageError(
        f"it has more than the {max_bytes:,} bytes that one image may have", "raise max_bytes"
    )


def _tls(plain: socket.socket, target: Target, deadline: float) -> ssl.SSLSocket:
    secure = _tls_context().wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)
    try:
        with _cut_at(secure, deadline):
            secure.do_handshake()
    except BaseException:
        secure.close()  # the plain one has gone over into it
        raise
    return secure


@lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def _cut_at(sock: socket.socket, deadline: float) -> Iterator[None]:
    """Ends whatever the socket does at the deadline; timeouts of a socket count from piece to piece only."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    timer = threading.Timer(left, _cut, [sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if time.monotonic() >= deadline:
        raise TimeoutError


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _told(error: Exception, deadline: float) -> str:
    if time.monotonic() >= deadline:
        return "it took too long"
    if isinstance(error, TimeoutError):
        return "the server didn't answer in time"
    if isinstance(error, socket.gaierror):
        return "the name of the host isn't known"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off before the end"
    told = error.strerror if isinstance(error, OSError) else str(error)
    return f"the connection failed: {told or type(error).__name__}"
