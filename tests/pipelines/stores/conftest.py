"""A real S3 server on loopback, moto's, and a proxy in front of it that falters when it is told to."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SECRET = "hunter2-is-nobody-elses-business"
KEY = "AKIDTESTING12345"
Fault = Callable[[str, str], Any]
"""Of a request's method and path: None to let it through, or one of
a number: answered with this status, or with a content besides, (number, bytes);
"cut": the connection is closed before it reaches the server;
"lost": it reaches the server, and the answer doesn't come back; "half": the answer is cut in its middle;
("slow", seconds): it comes late."""


@dataclass
class S3:
    """A server, its proxy, and what the tests of one module ask of them."""

    port: int
    proxy: ThreadingHTTPServer
    fault: Fault | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.proxy.server_address[1]}"

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Asks the server itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(
            method,
            path,
            body,
            {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"},
        )
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def bucket(self, name: str) -> str:
        assert self.request("PUT", f"/{name}")[0] == 200
        return f"s3://{name}/a/store"

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Every object below `a/store/` with its content."""
        text = self.request("GET", f"/{bucket}?list-type=2&max-keys=1000")[1].decode()
        keys = re.findall("<Key>([^<]*)</Key>", text)
        assert "<IsTruncated>true" not in text
        return {key.removeprefix("a/store/"): self.request("GET", f"/{bucket}/{key}")[1] for key in keys}


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: S3

    def _pass(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        self.s3.seen.append((self.command, path))
        fault = self.s3.fault(self.command, path) if self.s3.fault else None
        if isinstance(fault, tuple) and fault[0] == "slow":
            time.sleep(fault[1])
        elif isinstance(fault, tuple):
            self._answer(fault[0], [("Content-Type", "application/xml")], fault[1])
            return
        if isinstance(fault, int):
            code = "SlowDown" if fault == 503 else "InternalError"
            text = f"<Error><Code>{code}</Code><Message>Please reduce your request rate.</Message></Error>"
            self._answer(fault, [("Content-Type", "application/xml")], text.encode())
        elif fault == "cut":
            self._cut()
        else:
            self._ask(body, fault)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _ask(self, body: bytes, fault: Any) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.s3.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "expect")}
        connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "lost":
            self._cut()
            return
        drop = ("content-length", "transfer-encoding", "connection", "server", "date")
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in drop]
        if self.command == "HEAD":
            kept.append(("Content-Length", answer.getheader("Content-Length") or "0"))
        self._answer(answer.status, kept, content, half=fault == "half")

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, half: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self._cut()

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        pass


for _method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
    setattr(_Proxy, f"do_{_method}", _Proxy._pass)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no error of the server."""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    pytest.importorskip("s3fs", reason="pip install 'headrace[s3]'")
    pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    proxy = _Server(("127.0.0.1", 0), _Proxy)
    s3 = _Proxy.s3 = S3(port, proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        for _ in range(600):
            try:
                s3.request("GET", "/")
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield s3
    finally:
        proxy.shutdown()
        proxy.server_close()
        process.kill()
        process.wait()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """The server, with credentials in the environment and a cache of the test's own."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HEADRACE_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    s3_server.fault = None
    s3_server.seen.clear()
    yield s3_server
    s3_server.fault = None


@pytest.fixture
def uri(s3: S3, request: pytest.FixtureRequest) -> str:
    """A store in a bucket of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-50:].strip("-")
    return s3.bucket(f"b-{name}-{os.urandom(3).hex()}")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Goes on as another machine: with another cache."""
    return lambda name: monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / name))
