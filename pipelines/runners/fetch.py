"""Job servers from a Maven repository: the installed Beam's one jar, or the newest runner that is whole.

Beam publishes each job server as one jar with everything in it. Where a repository doesn't have it, Maven
finds the runner's own jar and all that it depends on, which do as well in one folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import IO

from ..errors import InvalidRequestError, StepError
from .java import SERVERS, JobServer, beam_version, cache_folder

FLINKS = ("1.20", "1.19")
"""The versions of Flink that are looked for where none is asked for, the first that is found counts."""
SPARK = "3.5.0"
SPARK_PARTS = ("core", "streaming", "sql")
"""What Beam's Spark runner expects to be there."""
_GROUP = "org/apache/beam"
_SECONDS = 60.0
_TRIES = 6
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>headrace</groupId><artifactId>job-server</artifactId><version>1</version>
<dependencies>
{dependencies}
</dependencies></project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
_MVN_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

Say = Callable[[str], None]


def get_server(name: str, say: Say, flink: str = "", repository: str = "") -> Path:
    """Fetches a job server into headrace's cache, unless it is there.

    Args:
        name: "flink" or "spark".
        say: is told what is looked for and found.
        flink: the version of Flink that the server has to speak to, such as "1.20"; `FLINKS` if empty.
        repository: the URL of a Maven repository, Maven Central if empty; Maven itself looks where its
            settings say.

    Raises:
        InvalidRequestError: there is no such server to be fetched.
        StepError: no repository has it, or it came damaged.
    """
    if name not in SERVERS:
        raise InvalidRequestError(
            f"the runner {name!r} needs no job server", given=name, available=tuple(SERVERS)
        )
    repository = repository or _central()
    if not re.match(r"https?://", repository):
        raise InvalidRequestError(f"{repository!r} isn't the URL of a repository", argument="--repository")
    server, folder = SERVERS[name], cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    flinks = ((flink,) if flink else FLINKS) if name == "flink" else ("",)
    for version in flinks:
        made = _jar(server, version, folder, repository.rstrip("/"), say)
        if made is not None:
            return made
    say(f"no jar of Beam {beam_version()}'s own is there; Maven looks for the parts")
    return _folder(server, flinks, folder, repository.rstrip("/"), say)


def _central() -> str:
    """Maven Central, where Beam looks for its job servers too."""
    from apache_beam.utils.subprocess_server import JavaJarServer

    return str(JavaJarServer.MAVEN_CENTRAL_REPOSITORY)


def _jar(server: JobServer, flink: str, folder: Path, repository: str, say: Say) -> Path | None:
    """Beam's one jar; None if the repository doesn't have it."""
    artifact, version = server.shaded.format(version=flink), beam_version()
    jar = folder / f"{artifact}-{version}.jar"
    if jar.exists():
        say(f"{jar} is there already")
        return jar
    url = f"{repository}/{_GROUP}/{artifact}/{version}/{jar.name}"
    say(f"looking for {url}")
    with _opened(url) as stream, _opened(f"{url}.sha1") as told:
        if stream is None:
            return None
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".partly", delete=False) as partly:
            try:
                if not _copied(stream, partly, told):
                    raise StepError(f"{url} came damaged", remedy="fetch it again")
                partly.close()
                Path(partly.name).rename(jar)
            except BaseException:
                Path(partly.name).unlink(missing_ok=True)
                raise
    say(f"{jar} is ready")
    return jar


def _copied(stream: HTTPResponse, to: IO[bytes], told: HTTPResponse | None) -> bool:
    """Copies an answer, and gives whether it is whole and has the SHA-1 that is told, if one is."""
    sha = hashlib.sha1(usedforsecurity=False)
    while block := stream.read(2**20):
        sha.update(block)
        to.write(block)
    if stream.length:  # a connection that ended early looks like the end
        return False
    return told is None or told.read().split()[:1] == [sha.hexdigest().encode()]


@contextmanager
def _opened(url: str) -> Iterator[HTTPResponse | None]:
    """A file on the web; None if it isn't there.

    Raises:
        StepError: the server can't be reached.
    """
    try:
        answer = urllib.request.urlopen(url, timeout=_SECONDS)  # noqa: S310 - its scheme was checked
    except urllib.error.HTTPError as error:
        error.close()
        if error.code not in (403, 404, 410):
            raise StepError(f"{url} answers {error.code} {error.reason}") from error
        yield None
    except OSError as error:
        raise StepError(
            f"{url} can't be reached: {error}", remedy="look at the connection, or name a --repository"
        ) from error
    else:
        with answer:
            yield answer


def _folder(server: JobServer, flinks: tuple[str, ...], folder: Path, repository: str, say: Say) -> Path:
    """The newest runner of which Maven finds all parts, as a folder of jars."""
    maven = shutil.which("mvn")
    if maven is None:
        raise StepError(
            f"{repository} doesn't have the job server of Beam {beam_version()}'s {server.runner} runner",
            remedy="install Maven (mvn), which finds its parts; or name another --repository",
        )
    failed = []
    for artifact, version in _published(server, flinks, repository)[:_TRIES]:
        made = folder / f"{artifact}-{version}"
        if server.is_whole(made):
            say(f"{made} is there already")
            return made
        say(f"{artifact} {version} and what it depends on")
        trouble = _resolved(maven, server, artifact, version, made)
        if not trouble:
            say(f"{made} is ready")
            return made
        say(f"{version} is not there whole; another one is looked for")
        failed.append(f"{version}: {trouble}")
    told = "; ".join(failed) or "it has no version of it"
    raise StepError(f"{repository} has no whole {server.runner} runner of Beam: {told}")


def _published(server: JobServer, flinks: tuple[str, ...], repository: str) -> list[tuple[str, str]]:
    """The runner's artifacts and versions, the best first; none is newer than the installed Beam."""
    found = []
    for flink in flinks:
        artifact = f"beam-runners-flink-{flink}" if flink else "beam-runners-spark-3"
        with _opened(f"{repository}/{_GROUP}/{artifact}/maven-metadata.xml") as stream:
            told = stream.read().decode("utf-8") if stream is not None else ""
        for version in re.findall(r"<version>(\d+\.\d+\.\d+)</version>", told):
            number = tuple(int(part) for part in version.split("."))
            if number <= tuple(int(part) for part in beam_version().split(".")[:3]):
                found.append((number, artifact, version))
    return [(artifact, version) for _, artifact, version in sorted(found, reverse=True)]


def _resolved(maven: str, server: JobServer, artifact: str, version: str, made: Path) -> str:
    """Lets Maven collect the jars; gives what went wrong, in Maven's words."""
    parts = [("org.apache.beam", artifact, version)]
    if server.runner == "spark":
        parts += [("org.apache.spark", f"spark-{part}_2.12", SPARK) for part in SPARK_PARTS]
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".maven-") as temporary:
        pom, jars = Path(temporary) / "pom.xml", Path(temporary) / "jars"
        pom.write_text(_POM.format(dependencies="\n".join(_DEPENDENCY.format(*part) for part in parts)))
        wanted = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(pom), *wanted, _MVN_GOAL],
            capture_output=True,
            text=True,
            env={**os.environ, "MAVEN_OPTS": os.environ.get("MAVEN_OPTS", "")},
            check=False,
        )
        if done.returncode:
            told = re.search(r"\[ERROR\] (.*)", re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))
            return told[1].partition(" -> ")[0] if told else f"mvn ended with code {done.returncode}"
        if not server.is_whole(jars):
            return f"Maven found no {server.engine}"
        jars.rename(made)
    return ""
