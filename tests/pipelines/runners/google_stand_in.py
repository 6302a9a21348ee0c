"""Google Cloud Storage and Dataflow on loopback, as far as submitting a job talks to them over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c


@dataclass
class Google:
    """What was sent.

    Attributes:
        address: of the service.
        objects: content by bucket and name.
        jobs: what was posted to Dataflow, by the path of the request.
    """

    address: str = ""
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    uploads: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def google() -> Iterator[Google]:
    """Serves until the block ends."""
    told = Google()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"google": told}))
    told.address = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    google: Google
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = self.parts()
        if parts[:2] == ["storage", "v1"] and len(parts) == 4:
            self.answer({"kind": "storage#bucket", "id": parts[3], "name": parts[3]})
        elif parts[:2] == ["storage", "v1"] and parts[4:5] == ["o"] and len(parts) > 5:
            name = (parts[3], parts[5])
            self.answer(self.object(*name) if name in self.google.objects else None)
        else:
            self.answer(None)

    def do_POST(self) -> None:
        parts, body = self.parts(), self.body()
        if parts[0] == "upload":
            asked = json.loads(body or b"{}")
            query = parse_qs(urlsplit(self.path).query)
            self.google.uploads.append((parts[4], asked.get("name") or query["name"][0]))
            self.answer({}, Location=f"{self.google.address}/session/{len(self.google.uploads) - 1}")
        elif parts[0] == "v1b3":
            job = json.loads(body)
            self.google.jobs["/".join(parts)] = job
            self.answer({**job, "id": "2026-01-01_job", "currentState": "JOB_STATE_PENDING"})
        else:
            self.answer(None)

    def do_PUT(self) -> None:
        bucket, name = self.google.uploads[int(self.parts()[1])]
        self.google.objects[bucket, name] = self.body()  # each file is one piece
        self.answer(self.object(bucket, name))

    def object(self, bucket: str, name: str) -> dict[str, Any]:
        content = self.google.objects[bucket, name]
        checksum = google_crc32c.value(content).to_bytes(4, "big")
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": name,
            "size": str(len(content)),
            "generation": "1",
            "crc32c": base64.b64encode(checksum).decode(),
            "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
        }

    def parts(self) -> list[str]:
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def answer(self, value: Any, **headers: str) -> None:
        content = json.dumps(value if value is not None else {"error": {"code": 404}}).encode()
        self.send_response(200 if value is not None else 404)
        for name, text in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""
