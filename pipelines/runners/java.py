"""Java, and the jars of Beam's job servers: where they are looked for, and how a server is started.

A job server is one jar with everything in it, as Beam publishes it, or a folder of jars: the runner's own
with all that it depends on, which is what `headrace runners get` makes where the former can't be had.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..errors import Problem

JARS = "HEADRACE_JARS"
"""The variable of the environment that names a folder with job servers."""
OPENED = (
    "java.io",
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)
"""Packages of Java that Flink and Spark look into, which Java 17 has to be told to allow."""
_VERSION = re.compile(r"-(\d+\.\d+\.\d+(?:[.-]\w+)*?)(?:\.jar)?$")


@dataclass(frozen=True)
class JobServer:
    """What there is to know of a runner's job server.

    Attributes:
        runner: its name.
        option: Beam's option that names its jar.
        main: the class that starts it from a folder of jars.
        artifact: the pattern of the runner's own jar in such a folder.
        engine: the pattern of the engine's jar, which the folder has to hold too.
        shaded: the name of the one jar with everything, without its version.
    """

    runner: str
    option: str
    main: str
    artifact: str
    engine: str
    shaded: str

    def is_whole(self, folder: Path) -> bool:
        """Whether a folder holds the runner's jar and its engine's."""
        return folder.is_dir() and any(folder.glob(self.artifact)) and any(folder.glob(self.engine))


SERVERS: Mapping[str, JobServer] = {
    "flink": JobServer(
        "flink",
        "flink_job_server_jar",
        "org.apache.beam.runners.flink.FlinkJobServerDriver",
        "beam-runners-flink-*.jar",
        "flink-runtime-*.jar",
        "beam-runners-flink-{version}-job-server",
    ),
    "spark": JobServer(
        "spark",
        "spark_job_server_jar",
        "org.apache.beam.runners.spark.SparkJobServerDriver",
        "beam-runners-spark-3-*.jar",
        "spark-core_*.jar",
        "beam-runners-spark-3-job-server",
    ),
}
FLINK_VERSION = "1.20"
"""The Flink that a job server is taken for where nothing else is said."""


@dataclass(frozen=True)
class Found:
    """A job server on this machine.

    Attributes:
        path: its jar, or the folder of its jars.
        beam: the version of Beam that it is of, as its file's name tells it; empty if it doesn't.
        flink: the version of Flink that it speaks to, likewise.
    """

    path: Path
    beam: str
    flink: str


def beam_version() -> str:
    """The version of the installed Beam; Beam is not imported."""
    return metadata.version("apache-beam")


def java_of(options: Mapping[str, str]) -> str | None:
    """The program `java`: Beam's option, JAVA_HOME, or the PATH; None if there is none."""
    stated = options.get("job_server_java_launcher")
    if stated:
        return shutil.which(stated)
    home = os.environ.get("JAVA_HOME")
    if home and (found := shutil.which(str(Path(home) / "bin" / "java"))):
        return found
    return shutil.which("java")


def cache_folder() -> Path:
    """Where `headrace runners get` puts what it fetches."""
    base = os.environ.get("HEADRACE_CACHE") or str(Path.home() / ".cache" / "headrace")
    return Path(base).expanduser().absolute() / "jars"


def find_server(server: JobServer, options: Mapping[str, str]) -> Found | Problem:
    """The job server that a run would start, or what is wrong.

    Looked for in Beam's option, then in the folders of `HEADRACE_JARS`, of headrace's cache and of
    Beam's own; in a folder the installed Beam's version comes first, and then the newest.
    """
    stated = options.get(server.option)
    if stated:
        path = Path(stated).expanduser().absolute()
        if path.is_file() or server.is_whole(path):
            return _told(path, server)
        what = f"{server.option}: there is no job server at {stated}"
        remedy = f"name a jar, or a folder of jars that holds {server.artifact} and {server.engine}"
        return Problem(what, argument="--runner-option", remedy=remedy)
    version = options.get("flink_version", "")
    for folder in _places():
        found = [each for each in _servers_in(folder, server) if version in ("", each.flink)]
        if found:
            return max(found, key=lambda each: (each.beam == beam_version(), _number(each.beam), each.flink))
    speaks = f" for Flink {version}" if version else ""
    return Problem(
        f"there is no job server of Beam's {server.runner} runner{speaks} on this machine",
        argument="--runner",
        remedy=(
            f"get it by `headrace runners get {server.runner}`, or name its jar or the folder of its jars by"
            f" --runner-option {server.option}=PATH"
        ),
    )


def _places() -> Iterator[Path]:
    stated = os.environ.get(JARS)
    if stated:
        yield Path(stated).expanduser().absolute()
    yield cache_folder()
    yield Path.home() / ".apache_beam" / "cache" / "jars"


def _servers_in(folder: Path, server: JobServer) -> list[Found]:
    """The job servers in a folder: single jars, folders of jars, and the folder itself if it is one."""
    if not folder.is_dir():
        return []
    shaded = folder.glob(server.shaded.format(version="*") + "-*.jar")
    folders = [path for path in (folder, *sorted(folder.iterdir())) if server.is_whole(path)]
    return [_told(path, server) for path in (*shaded, *folders)]


def _told(path: Path, server: JobServer) -> Found:
    """What the names of a job server's files tell of it."""
    jar = path if path.is_file() else min(path.glob(server.artifact))
    version = _VERSION.search(jar.name)
    flink = re.match(r"beam-runners-flink-(\d+\.\d+)-", jar.name)
    return Found(path, version[1] if version else "", flink[1] if flink else "")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def server_command(
    java: str, server: JobServer, found: Path, properties: Mapping[str, str], words: Sequence[str] = ()
) -> list[str]:
    """The command that starts a job server, without the server's own arguments; `words` are Java's."""
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    stated = [f"-D{name}={value}" for name, value in properties.items()]
    jars = ["-jar", str(found)] if found.is_file() else ["-cp", f"{found}{os.sep}*", server.main]
    return [java, *opened, *stated, *words, *jars]
