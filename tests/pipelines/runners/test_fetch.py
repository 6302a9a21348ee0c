"""Job servers from a repository on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace.pipelines.errors import InvalidRequestError, StepError
from headrace.pipelines.runners.fetch import get_server
from headrace.pipelines.runners.java import SERVERS, beam_version, find_server

JAR = b"not really a jar " * 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """A repository's URL and its folder for Beam; an empty cache, and no Maven."""
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("HEADRACE_JARS", raising=False)
    folder = tmp_path / "repository" / "org" / "apache" / "beam"
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "repository")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def publish(folder: Path, flink: str, content: bytes = JAR) -> str:
    artifact, version = f"beam-runners-flink-{flink}-job-server", beam_version()
    place = folder / artifact / version
    place.mkdir(parents=True)
    name = f"{artifact}-{version}.jar"
    (place / name).write_bytes(content)
    (place / f"{name}.sha1").write_text(hashlib.sha1(JAR).hexdigest())
    return name


def test_the_jar_of_the_installed_beam_is_fetched_once_and_found(repository, tmp_path):
    url, folder = repository
    name = publish(folder, "1.19")
    said: list[str] = []
    jar = get_server("flink", said.append, repository=url)
    assert jar == tmp_path / "cache" / "jars" / name
    assert jar.read_bytes() == JAR
    assert find_server(SERVERS["flink"], {}).path == jar
    assert get_server("flink", said.append, "1.19", "http://127.0.0.1:1") == jar
    assert said[-1] == f"{jar} is there already"


def test_a_damaged_jar_is_not_kept(repository, tmp_path):
    url, folder = repository
    publish(folder, "1.20", JAR[:-1])
    with pytest.raises(StepError, match="came damaged"):
        get_server("flink", str, repository=url)
    assert list((tmp_path / "cache" / "jars").iterdir()) == []


def test_half_a_jar_is_not_kept_where_nobody_tells_its_digest(repository, tmp_path, monkeypatch):
    url, folder = repository
    name = publish(folder, "1.20")
    monkeypatch.setattr(Quiet, "do_GET", half)
    (found,) = folder.rglob(f"{name}.sha1")
    found.unlink()
    with pytest.raises(StepError, match="came damaged"):
        get_server("flink", str, repository=url)
    assert list((tmp_path / "cache" / "jars").iterdir()) == []


def half(self: SimpleHTTPRequestHandler) -> None:
    """Sends half of a file and ends the connection."""
    if (file := self.send_head()) is not None:
        with file:
            self.wfile.write(file.read()[: len(JAR) // 2])


def test_what_no_repository_has_is_told_with_the_remedy(repository):
    url, _ = repository
    with pytest.raises(StepError, match="install Maven"):
        get_server("spark", str, repository=url)
    with pytest.raises(StepError, match="can't be reached"):
        get_server("spark", str, repository="http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError, match="isn't the URL"):
        get_server("spark", str, repository="file:///etc")
    with pytest.raises(InvalidRequestError, match="needs no job server"):
        get_server("portable", str, repository=url)
