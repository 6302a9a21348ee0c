"""What a runner needs, what of it there is, and how to get the rest; looked at before a run."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..context import RunnerSettings
from ..errors import InvalidRequestError, Problem
from .dataflow import option_problems
from .java import SERVERS, Found, beam_version, find_server, java_of
from .settings import MASTERS, distinct, is_dry_run, is_local

if TYPE_CHECKING:
    from ..store import Store

OLDEST_JAVA = 11
_SECONDS = 5.0
"""For which an address may not answer."""
PROCESS_REMEDY = (
    "--runner-option environment_type=PROCESS starts the program headrace-beam-worker on each host (another"
    ' one: environment_config=\'{"command": "/PATH"}\'); environment_type=EXTERNAL with'
    " environment_config=HOST:PORT takes the workers of a pool; environment_type=DOCKER with"
    " environment_config=IMAGE those of an image"
)


@dataclass(frozen=True)
class Need:
    """One thing that a runner needs.

    Attributes:
        what: it, as a noun.
        has: what was found; empty if nothing was.
        problem: why it won't do, and the remedy; None if it will.
    """

    what: str
    has: str = ""
    problem: Problem | None = None


def needs_of(settings: RunnerSettings) -> list[Need]:
    """What a runner with these options needs on this machine."""
    if settings.name == "direct":
        return []
    if settings.name == "dataflow":
        told = option_problems(settings.options)
        wrong = [Need("what Dataflow has to be told", problem=problem) for problem in told]
        return [_gcp(), *([] if is_dry_run(settings) else [_credentials()]), *wrong]
    if "job_endpoint" in settings.options:
        return [
            _answers("a job service", settings.options["job_endpoint"], "job_endpoint"),
            *_workers(settings),
        ]
    if settings.name == "portable":
        return [Need("Beam's job service", f"of Beam {beam_version()}")]
    return [_java(settings.options), *_job_server(settings), *_workers(settings)]


def preflight(settings: RunnerSettings, store: Store) -> list[Problem]:
    """What a run on a runner would fail of; looked at before anything starts."""
    problems = [need.problem for need in needs_of(settings) if need.problem is not None]
    return problems + _store_problems(settings, store)


def problems_before(wanted: Iterable[RunnerSettings], store: Store) -> list[Problem]:
    """What a run that needs these runners would fail of: options that don't exist, and what is missing."""
    from .options import check_options

    problems: list[Problem] = []
    for settings in distinct(wanted):  # `direct` needs nothing, and Beam isn't imported for it
        try:
            check_options(settings)
        except InvalidRequestError as error:
            problems += error.problems
        else:
            problems += preflight(settings, store)
    return problems


def _store_problems(settings: RunnerSettings, store: Store) -> list[Problem]:
    """What keeps workers from the store; whether a shared folder is there is for a probe to find."""
    if "://" in store.uri:
        return _artifacts_problems(settings)
    if settings.name != "dataflow" or is_dry_run(settings):
        return []
    return [
        Problem(
            f"Dataflow's workers can't reach the store {store.folder}, which is a folder of this machine",
            argument="--store",
            remedy="give a store that they reach: --store gs://BUCKET/FOLDER",
        )
    ]


def _artifacts_problems(settings: RunnerSettings) -> list[Problem]:
    """Whether a cluster's hosts reach what jobs bring with them, which the job server keeps in a folder."""
    options = settings.options
    option, default = MASTERS.get(settings.name, ("", ""))
    if not option or is_local(settings) or options.keys() & {"job_endpoint", "artifacts_dir"}:
        return []
    master = options.get(option, default)
    host = urlsplit(master if "://" in master else f"//{master}").hostname
    if host in ("localhost", "127.0.0.1", "::1"):
        return []
    return [
        Problem(
            f"the hosts of {master} can't reach what the jobs bring with them, which is kept on this machine",
            argument="--runner-option",
            remedy="name a folder that they all reach under one path: artifacts_dir=/FOLDER",
        )
    ]


def _java(options: Mapping[str, str]) -> Need:
    what = f"Java {OLDEST_JAVA} or newer"
    remedy = (
        "install a Java runtime, for example of https://adoptium.net, and put it on the PATH or name its"
        " folder by JAVA_HOME; --runner portable needs none"
    )
    java = java_of(options)
    if java is None:
        return Need(
            what, problem=Problem("there is no Java on this machine", argument="--runner", remedy=remedy)
        )
    version = java_version(java)
    if version < OLDEST_JAVA:
        told = f"is Java {version}" if version else "doesn't tell its version"
        return Need(what, java, Problem(f"{java} {told}", argument="--runner", remedy=remedy))
    return Need(what, f"{java} (Java {version})")


def java_version(java: str) -> int:
    """Java's major version; 0 if the program doesn't tell it."""
    with suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
        found = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
        return int(found[1]) if found else 0
    return 0


def _job_server(settings: RunnerSettings) -> Iterator[Need]:
    """The job server, and the cluster that it is to give the jobs to."""
    what = f"the job server of Beam's {settings.name} runner"
    found = find_server(SERVERS[settings.name], settings.options)
    if isinstance(found, Problem):
        yield Need(what, problem=found)
        return
    speaks = f", for Flink {found.flink}" if found.flink else ""
    yield Need(what, f"{found.path} (Beam {found.beam or 'of an unknown version'}{speaks})")
    if not is_local(settings):
        option, default = MASTERS[settings.name]
        need = _answers(f"{settings.name}'s master", settings.options.get(option, default), option)
        yield need
        if settings.name == "flink" and need.problem is None:
            yield _same_flink(settings.options["flink_master"], found)


def _same_flink(master: str, found: Found) -> Need:
    """Whether a cluster's Flink is the one that a job server speaks to; one that doesn't tell is taken."""
    what, version = "a cluster of the job server's Flink", flink_of(master)
    if not version:
        return Need(what, "it doesn't tell its version")
    if not found.flink or version.startswith(f"{found.flink}."):
        return Need(what, f"Flink {version}")
    short = ".".join(version.split(".")[:2])
    problem = Problem(
        f"the cluster at {master} is Flink {version}, and the job server {found.path} is for {found.flink}",
        argument="--runner-option",
        remedy=(
            f"get the other job server by `headrace runners get flink --flink-version {short}`, and name it"
            f" by --runner-option flink_version={short}"
        ),
    )
    return Need(what, f"Flink {version}", problem)


def flink_of(master: str) -> str:
    """The version that a Flink cluster tells of itself; empty if it doesn't."""
    address = urlsplit(master if "://" in master else f"http://{master}")
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.netloc, timeout=_SECONDS)
    with suppress(OSError, ValueError, HTTPException), closing(connection):
        connection.request("GET", "/config")
        return str(json.load(connection.getresponse()).get("flink-version", ""))
    return ""


def _workers(settings: RunnerSettings) -> Iterator[Need]:
    """How the hosts of somebody else's cluster start Python; Beam would take containers that don't fit."""
    if is_local(settings) or "environment_type" in settings.options:
        return
    yield Need(
        "Python workers",
        problem=Problem(
            "it isn't said how the cluster's hosts start Python workers",
            argument="--runner-option",
            remedy=PROCESS_REMEDY,
        ),
    )


def _answers(what: str, address: str, option: str) -> Need:
    """Whether somebody listens at an address."""
    told = f"{what} at {address}"
    parts = urlsplit(address if "://" in address else f"//{address}")
    port = None
    with suppress(ValueError):  # of several, as Spark takes them: spark://HOST:7077,HOST:7077
        port = parts.port
    if port is None or parts.scheme in ("k8s", "mesos"):
        return Need(told, "not looked for")
    try:
        with socket.create_connection((parts.hostname or "", port), _SECONDS):
            return Need(told, "answers")
    except OSError as error:
        problem = Problem(
            f"{told} doesn't answer: {error.strerror or error}",
            argument="--runner-option",
            remedy=f"start it, or correct {option}",
        )
        return Need(told, problem=problem)


def _gcp() -> Need:
    what = "Beam's parts for Google Cloud"
    if not _is_installed("google-cloud-dataflow-client"):
        remedy = "pip install 'headrace[gcp]'"
        return Need(what, problem=Problem(f"{what} are not installed", argument="--runner", remedy=remedy))
    return Need(what, f"of Beam {beam_version()}")


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _credentials() -> Need:
    """Google's application default credentials, looked for where its library does, without a network."""
    what, variable = "Google's credentials", "GOOGLE_APPLICATION_CREDENTIALS"
    remedy = (
        f"`gcloud auth application-default login`, or name a service account's key by {variable}; none is"
        " needed on a machine of Google's, nor for a dry run (--runner-option dry_run=true)"
    )
    stated = os.environ.get(variable)
    if stated:
        if Path(stated).is_file():
            return Need(what, f"by {variable}")
        return Need(what, problem=Problem(f"{variable} names no file", argument="--runner", remedy=remedy))
    config = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    if (config / "application_default_credentials.json").is_file():
        return Need(what, "of `gcloud auth application-default login`")
    if on_google_cloud():
        return Need(what, "of this machine's service account")
    lacking = "there are no credentials of Google's on this machine"
    return Need(what, problem=Problem(lacking, argument="--runner", remedy=remedy))


def on_google_cloud() -> bool:
    """Whether this is a machine of Google's, as its firmware says."""
    with suppress(OSError):
        return "Google" in Path("/sys/class/dmi/id/product_name").read_text("utf-8")
    return False
