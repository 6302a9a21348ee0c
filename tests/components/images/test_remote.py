"""Fetching against a real HTTP server, on loopback only."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace.components.images import web_client
from headrace.components.images.addresses import in_message, may_connect, shown, target_of
from headrace.components.images.admit import Refused
from headrace.components.images.remote import RemoteOptions, _Fetcher, _seconds, fetch_all
from headrace.components.images.remote_cache import RemoteCache
from headrace.components.images.unusable import UnusableImageError

BODY = b"\xff\xd8" + bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    """Answers by the path; what it was asked is kept by the server."""

    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, dict(self.headers)))
            times = sum(path == self.path for path, _ in self.server.asked)
        name, _, argument = self.path[1:].partition("/")
        getattr(self, f"a_{name.partition('?')[0]}")(argument, times)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def a_image(self, argument: str, times: int) -> None:
        self.answer(200, BODY + argument.encode(), Content_Type="image/jpeg", ETag='"one"')

    def a_tagged(self, argument: str, times: int) -> None:
        if self.headers["If-None-Match"] == '"one"':
            self.answer(304)
        else:
            self.answer(200, BODY, ETag='"one"')

    def a_status(self, argument: str, times: int) -> None:
        self.answer(int(argument), b"no")

    def a_failing(self, argument: str, times: int) -> None:
        if times <= int(argument):
            self.answer(503, b"later", Retry_After="0")
        else:
            self.answer(200, BODY)

    def a_breaking(self, argument: str, times: int) -> None:
        if times <= int(argument):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:100])
            self.close_connection = True
        else:
            self.answer(200, BODY)

    def a_to(self, argument: str, times: int) -> None:
        self.answer(302, Location=argument)

    def a_loop(self, argument: str, times: int) -> None:
        self.answer(301, Location=f"/loop/{int(argument) + 1}")

    def a_page(self, argument: str, times: int) -> None:
        self.answer(200, b"<html>log in</html>", Content_Type="text/html; charset=utf-8")

    def a_gzip(self, argument: str, times: int) -> None:
        self.answer(200, gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")

    def a_chunked(self, argument: str, times: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (BODY[:5000], BODY[5000:]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def a_endless(self, argument: str, times: int) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(bytes(1 << 16))

    def a_drip(self, argument: str, times: int) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            self.wfile.write(b"X-%d: y\r\n" % number if argument == "headers" else b"")
            if argument == "body":
                self.wfile.write(b"Content-Length: 100000\r\n\r\n" if number == 0 else b"x")
            self.wfile.flush()
            if self.server.closing.wait(0.05):
                return
        self.server.ended.append(self.path)

    def a_silent(self, argument: str, times: int) -> None:
        self.close_connection = True
        if not self.server.closing.wait(20):
            self.server.ended.append(self.path)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.ended: list[str] = []  # answers that were given slowly and to their end

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up on purpose

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(made: Server) -> Iterator[Server]:
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.closing.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as made:
        yield made


NEAR = RemoteOptions(allow_private=True, backoff=0.001, parallel=3, total_timeout=20, read_timeout=5)


def one(url: str, options: RemoteOptions = NEAR) -> bytes | Refused:
    (found,) = fetch_all([url], options)
    return found


def reason(url: str, options: RemoteOptions = NEAR) -> str:
    found = one(url, options)
    assert isinstance(found, Refused)
    return found.reason


def test_images_come_in_the_order_of_the_urls(server):
    urls = [f"{server.url}/image/{n}" for n in range(40)]
    assert list(fetch_all(urls, NEAR)) == [BODY + str(n).encode() for n in range(40)]
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in server.asked)


def test_failures_that_pass_are_tried_again(server):
    assert one(f"{server.url}/failing/2") == BODY
    assert one(f"{server.url}/breaking/1") == BODY
    assert len(server.asked) == 5


def test_failures_that_stay_are_told(server):
    assert reason(f"{server.url}/failing/9") == "the server answered 503 (4 attempts)"
    assert reason(f"{server.url}/status/404") == "the server answered 404"
    assert [path for path, _ in server.asked].count("/status/404") == 1


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = reason(f"http://127.0.0.1:{taken.getsockname()[1]}/a.png", replace(NEAR, retries=1))
    assert found == "the connection failed: Connection refused (2 attempts)"


@pytest.mark.parametrize("path", ["/image/x", "/chunked", "/endless"])
def test_too_large_is_found_while_reading(server, path):
    assert "more than the 9,000 bytes" in reason(server.url + path, replace(NEAR, max_bytes=9000))


def test_a_chunked_answer(server):
    assert one(f"{server.url}/chunked") == BODY


@pytest.mark.parametrize("path", ["/drip/headers", "/drip/body", "/silent"])
def test_the_whole_time_is_bounded(server, path):
    assert reason(server.url + path, replace(NEAR, total_timeout=0.4)).startswith("it took too long")
    assert not server.ended


def test_a_pause_is_bounded(server):
    told = reason(f"{server.url}/silent", replace(NEAR, read_timeout=0.1, retries=1))
    assert told == "the server didn't answer in time (2 attempts)"


def test_pages_and_compressed_answers_are_no_images(server):
    assert "a page (text/html)" in reason(f"{server.url}/page")
    assert "compressed (gzip)" in reason(f"{server.url}/gzip")


def test_redirects_are_followed_within_bounds(server):
    assert one(f"{server.url}/to//to//image/z") == BODY + b"z"
    assert reason(f"{server.url}/loop/0") == "it is redirected more than 5 times"
    assert sum(path.startswith("/loop") for path, _ in server.asked) == 6


def test_a_redirect_is_checked_like_a_url(server, monkeypatch):
    # The server's own address passes for a public one; where it leads to is judged as it is.
    from headrace.components.images import addresses

    judge = addresses.may_connect
    monkeypatch.setattr(addresses, "may_connect", lambda a, p: a == "127.0.0.1" or judge(a, p))
    strict = replace(NEAR, allow_private=False)
    assert one(f"{server.url}/to//image/", strict) == BODY
    for inner in ("127.0.0.2", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]"):
        told = reason(f"{server.url}/to/http://{inner}:{server.server_port}/image/", strict)
        assert "private or special address" in told
    assert "scheme 'file'" in reason(f"{server.url}/to/file:///etc/passwd", strict)
    assert "scheme 'ftp'" in reason("ftp://127.0.0.1/a.png", strict)


def test_private_addresses_are_not_asked_unless_allowed(server):
    strict = replace(NEAR, allow_private=False)
    for host in ("127.0.0.1", "localhost", "0x7f.1", "2130706433"):
        assert "private or special address" in reason(f"http://{host}:{server.server_port}/image/", strict)
    assert not server.asked


def test_a_name_is_looked_up_once_and_its_address_is_what_is_connected_to(server, monkeypatch):
    """A name that leads elsewhere the second time (DNS rebinding) doesn't get a second look."""
    looks: list[str] = []
    ask = socket.getaddrinfo

    def rebinding(host, port, *args, **more):
        looks.append(host)
        return ask("127.0.0.1" if len(looks) == 1 else "127.0.0.9", port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert one(f"http://pictures.example:{server.server_port}/image/") == BODY
    assert looks == ["pictures.example"]
    assert server.asked[0][1]["Host"] == f"pictures.example:{server.server_port}"


SPECIAL = """
10.1.2.3 172.16.0.1 192.168.1.1 127.0.0.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255
240.0.0.1 192.0.2.1 198.18.0.1 :: ::1 fe80::1 fc00::1 ff02::1 ::ffff:127.0.0.1 2002:7f00:1:: 64:ff9b::7f00:1
64:ff9b::a9fe:a9fe fe80::1%eth0
"""


def test_public_addresses():
    for address in SPECIAL.split():
        assert not may_connect(address, allow_private=False), address
    for address in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"):
        assert may_connect(address, allow_private=False), address


@pytest.mark.parametrize("address", ["224.0.0.1", "0.0.0.0", "::", "ff02::1", "no address"])
def test_addresses_that_are_never_asked(address):
    assert not may_connect(address, allow_private=True)


def test_login_goes_to_its_host_only_and_is_not_shown(server):
    host = f"me:p%40ss@127.0.0.1:{server.server_port}"
    assert one(f"http://{host}/to/http://localhost:{server.server_port}/image/") == BODY
    first, second = server.asked
    assert first[1]["Authorization"] == "Basic bWU6cEBzcw=="
    assert "Authorization" not in second[1]
    assert shown("https://me:secret@example.org:8/a b.png?sig=key#x") == "https://example.org:8/a b.png?…"
    assert "secret" not in shown("http://[me:secret@a/b")


def test_urls_are_sent_quoted():
    target = target_of("http://bücher.example/größe b.png?q=ä b", ("http",))
    assert target.host == "xn--bcher-kva.example"
    assert target.path == "/gr%C3%B6%C3%9Fe%20b.png?q=%C3%A4%20b"
    for wrong in ("http://a/b\r\nX: y", "http:///a.png", "http://[a", "http://a:99999/"):
        with pytest.raises(UnusableImageError):
            target_of(wrong, ("http",))


def test_what_is_cached_is_not_asked_for_again(server, tmp_path):
    cached = replace(NEAR, cache=tmp_path / "cache")
    urls = [f"{server.url}/image/{n}" for n in range(5)]
    assert list(fetch_all(urls, cached)) == list(fetch_all(urls, cached))
    assert len(server.asked) == 5
    assert not any(b"127.0.0.1" in p.read_bytes() for p in (tmp_path / "cache").glob("*/*"))


def test_what_is_cached_is_asked_about_where_told(server, tmp_path):
    cached = replace(NEAR, cache=tmp_path, revalidate=True)
    assert one(f"{server.url}/tagged", cached) == one(f"{server.url}/tagged", cached) == BODY
    assert server.asked[1][1]["If-None-Match"] == '"one"'


def test_a_damaged_entry_is_fetched_again(server, tmp_path):
    cached = replace(NEAR, cache=tmp_path)
    one(f"{server.url}/image/", cached)
    (entry,) = tmp_path.glob("*/*")
    entry.write_bytes(entry.read_bytes()[:-1])
    assert one(f"{server.url}/image/", cached) == BODY
    assert len(server.asked) == 2


def test_the_cache_is_bounded(tmp_path: Path):
    cache = RemoteCache(tmp_path, 10_000)
    for number in range(40):
        cache.put(f"http://a/{number}", bytes(900), {})
        cache.get("http://a/0")
    cache.prune()
    assert sum(p.stat().st_size for p in tmp_path.glob("*/*")) <= 10_000
    assert cache.get("http://a/39")
    assert not cache.get("http://a/1")


def test_the_cache_is_bounded_over_runs_that_add_little(tmp_path: Path):
    def size() -> int:
        return sum(p.stat().st_size for p in tmp_path.glob("*/*"))

    for number in range(40):
        run = RemoteCache(tmp_path, 10_000)
        run.put(f"http://a/{number}", bytes(500), {})
    assert size() > 20_000
    run.tidy()
    assert 5_000 < size() <= 10_000
    for number in range(10):
        run = RemoteCache(tmp_path, 10_000)
        run.put(f"http://b/{number}", bytes(500), {})
    run.tidy()  # a moment later, which is too soon
    assert size() > 10_000


def test_leaving_early_ends_what_is_under_way(server):
    found = fetch_all([f"{server.url}/image/", *[f"{server.url}/silent"] * 20], replace(NEAR, parallel=2))
    assert next(found) == BODY
    found.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("fetch"):
            thread.join(10)
            assert not thread.is_alive()
    assert len(server.asked) <= 5


def test_no_secret_is_in_a_message():
    assert in_message("https://me:key@host/a\nb.png?token=key") == "https://host/ab.png?…"
    assert in_message("a\nb?c@d.png") == "a\\nb?c@d.png"


def test_who_comes_when_all_is_closed_asks_nobody(server):
    stop = threading.Event()
    fetcher = _Fetcher(NEAR, None, stop)
    stop.set()
    fetcher.close()
    assert fetcher.fetch(f"{server.url}/image/").reason == "it was no longer wanted"
    assert not server.asked


def test_what_a_server_asks_to_wait():
    from datetime import UTC, datetime

    def now() -> datetime:
        return datetime(2020, 1, 1, 0, 0, 10, tzinfo=UTC)

    assert _seconds("7") == 7
    assert _seconds("Wed, 01 Jan 2020 00:00:30 GMT", now) == 20
    assert _seconds("soon") is None


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` with its key in the same file, made anew."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not here")
    made = tmp_path / "localhost.pem"
    asked = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(made), "-out", str(made) + ".crt"]
    subprocess.run(["openssl", *asked.split(), *names], check=True, capture_output=True)
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


def test_https_and_its_certificates(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = Server()
    made.socket = context.wrap_socket(made.socket, server_side=True)
    with serving(made) as server:
        port = server.server_port
        web_client._tls_context.cache_clear()
        assert "localhost isn't trusted" in reason(f"https://localhost:{port}/image/")
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        web_client._tls_context.cache_clear()
        urls = [f"https://localhost:{port}/image/{n}" for n in range(6)]
        assert list(fetch_all(urls, NEAR)) == [BODY + str(n).encode() for n in range(6)]
        # The certificate has to be the name's that was asked for, not only a good one.
        assert "127.0.0.1 isn't trusted" in reason(f"https://127.0.0.1:{port}/image/")
        web_client._tls_context.cache_clear()


def test_a_handshake_that_never_comes(monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/a.png"
        assert reason(url, replace(NEAR, total_timeout=0.3)) == "it took too long"
