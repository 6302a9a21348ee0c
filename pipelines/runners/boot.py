#!/usr/bin/env python3
"""A Beam worker that runs what a job brought with it: `headrace-beam-worker`.

A runner starts it wherever a worker is wanted (`environment_type=PROCESS`, or Beam's worker pool with this
as its executable). It asks the runner for the job's options and staged files, puts the wheels among them on
Python's path in a temporary folder of its own, and then is an ordinary Beam worker. It ends with whoever
started it, and removes its folder.

It needs apache_beam and nothing else, headrace neither: this one file, copied to a host of a cluster, will
do. Its first line has to name the Python that the worker shall be; `write_boot` writes it that way.
"""

import argparse
import fcntl
import functools
import importlib.util
import json
import os
import shutil
import signal
import site
import stat
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ENDPOINTS = ("logging", "artifact", "provision", "control")
NEEDS = "headrace_needs.json"
"""The file in the `.dist-info` of headrace's staged wheel that says what a worker has to have installed."""
PREFIX = "headrace-worker-"
_LOCK = "lock"
_LOOKS = 1.0
"""Seconds between two looks at whether the process that started this one still lives."""
_YOUNG = 60.0
"""Seconds in which a worker's folder may not be locked yet."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a worker to its end; the exit code is the worker's."""
    given = _parsed(arguments)
    # Beam's worker pool opens a pipe for standard output that nobody reads.
    os.dup2(2, 1)
    parent = os.getppid()
    remove_left(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ours, theirs = os.pipe()
    worker = os.fork()  # before gRPC is imported, which doesn't survive it
    if not worker:
        os.close(theirs)
        _end_with_pipe(ours, folder)
        _work(given, folder)
    os.close(ours)
    code = _watch(worker, parent)
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def write_boot(file: Path, python: str = "") -> Path:
    """Writes this program where a runner starts it from, for a Python that has apache_beam.

    Args:
        file: what is written, executable by all.
        python: the interpreter; the one that runs this if empty.
    """
    text = Path(__file__).read_text(encoding="utf-8").partition("\n")[2]
    # A shell line that is a string to Python: the kernel takes no long path in a first line, and no spaces.
    quoted = "'" + (python or sys.executable).replace("'", "'\"'\"'") + "'"
    file.write_text(f'#!/bin/sh\n"exec" {quoted} "-P" "$0" "$@"\n{text}', encoding="utf-8")
    file.chmod(0o755)
    return file


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="headrace-beam-worker", description="A Beam worker that runs what a job brought with it."
    )
    parser.add_argument("--id", required=True, help="the worker's name; the runner gives it")
    for name in ENDPOINTS:
        # Newer runners tell the others by the provision service.
        parser.add_argument(
            f"--{name}_endpoint", required=name == "provision", default="", metavar="HOST:PORT"
        )
    return parser.parse_known_args(arguments)[0]


def remove_left(folder: Path) -> None:
    """Removes what workers left that were killed together with their watcher: folders that nobody locks."""
    for left in folder.glob(f"{PREFIX}*"):
        try:
            if time.time() - left.stat().st_mtime < _YOUNG:
                continue
            lock = os.open(left / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # another user's, or gone
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(lock)


def _watch(worker: int, parent: int) -> int:
    """Waits for the worker, which ends as soon as it is told to or this process has lost its parent."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOKS):
            if os.getppid() != parent:
                os.kill(worker, signal.SIGKILL)

    def stop(number: int, frame: Any) -> None:
        os.kill(worker, signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    threading.Thread(target=look, daemon=True).start()
    _, status = os.waitpid(worker, 0)
    ended.set()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _end_with_pipe(pipe: int, folder: Path) -> None:
    """Ends this process when the other end of a pipe is closed, by whatever end its holder came to."""

    def wait() -> None:
        os.read(pipe, 1)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _work(given: argparse.Namespace, folder: Path) -> None:
    """Everything that the worker does; never returns."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        try:
            import apache_beam  # noqa: F401
        except ImportError as error:
            sys.stderr.write(f"headrace-beam-worker: {sys.executable} can't import apache_beam: {error}\n")
            return
        info = provision(given)
        staged, temporary = folder / "staged", folder / "tmp"
        staged.mkdir()
        temporary.mkdir()
        # What the work leaves there goes with the worker, however that ends.
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        wheels = [file for file in fetch(given, info, staged) if file.suffix == ".whl"]
        missing = place(wheels, folder)
        _run(given, info, folder, missing)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def provision(given: argparse.Namespace) -> Any:
    """What the runner tells a worker: the job's options, its staged files, where to fetch them."""
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with _channel(given.provision_endpoint) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        return stub.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(), timeout=60, metadata=_caller(given)
        ).info


def fetch(given: argparse.Namespace, info: Any, folder: Path) -> list[Path]:
    """Fetches the staged files into a folder and gives them in the order of the job."""
    from apache_beam.portability.api import beam_artifact_api_pb2, beam_artifact_api_pb2_grpc

    if not info.dependencies:
        return []
    address = info.artifact_endpoint.url or given.artifact_endpoint
    with _channel(address) as channel:
        stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        asked = beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=info.dependencies)
        files = []
        for artifact in stub.ResolveArtifacts(asked, timeout=60, metadata=_caller(given)).replacements:
            file = folder / _staged_name(artifact)
            request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
            with file.open("wb") as stream:
                for part in stub.GetArtifact(request, timeout=600, metadata=_caller(given)):
                    stream.write(part.data)
            files.append(file)
        return files


def _staged_name(artifact: Any) -> str:
    """The name of a staged file, without whatever folders it was given."""
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2

    if artifact.role_urn == common_urns.artifact_roles.STAGING_TO.urn:
        role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
        name = Path(role.staged_name).name
        if name and name != "..":
            return name
    raise ValueError(f"a staged file has no usable name: role {artifact.role_urn}")


def place(wheels: Sequence[Path], folder: Path) -> list[str]:
    """Puts wheels on Python's path and says what is missing that they need.

    Modules of the standard library stay before them, and what is installed comes after.
    """
    missing: list[str] = []
    before = list(sys.path)
    for number, wheel in enumerate(wheels):
        target = folder / f"wheel{number}"
        unpack(wheel, target)
        site.addsitedir(str(target))  # with the folders that its .pth files name, as where pip installs it
        for needs in target.glob(f"*.dist-info/{NEEDS}"):
            missing += missing_of(json.loads(needs.read_text(encoding="utf-8")))
    installed = {os.path.realpath(entry) for entry in (*site.getsitepackages(), site.getusersitepackages())}
    found = (n for n, entry in enumerate(before) if os.path.realpath(entry) in installed)
    places = [entry for entry in sys.path if entry not in before]
    # headrace is a namespace: where it is installed too, or on PYTHONPATH, the staged one goes first.
    first = [entry for entry in places if (Path(entry) / "headrace").is_dir()]
    at = next(found, len(before))
    sys.path[:] = [*first, *before[:at], *(entry for entry in places if entry not in first), *before[at:]]
    for name in [name for name in sys.modules if name == "headrace" or name.startswith("headrace.")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return missing


def unpack(wheel: Path, folder: Path) -> None:
    """Unpacks a wheel.

    Raises:
        ValueError: a name in it leads out of the folder, or is a link.
    """
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            inside = (folder / member.filename).resolve().is_relative_to(folder.resolve())
            if not inside or stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{wheel.name} holds {member.filename!r}, which isn't a file inside it")
        archive.extractall(folder)


def missing_of(needs: dict[str, Any]) -> list[str]:
    """What a worker lacks of what a wheel needs: modules by the name of their packages, Python's version."""
    lacks = [
        f"{package} isn't installed (`{sys.executable} -m pip install '{needs['versions'][package]}'`)"
        for package, module in needs["modules"].items()
        if importlib.util.find_spec(module) is None
    ]
    own = "{}.{}".format(*sys.version_info)
    if needs["python"] != own:
        lacks.append(
            f"its Python is {own}, and that of the run {needs['python']}: what is pickled can't be read"
        )
    return lacks


def _run(given: argparse.Namespace, info: Any, folder: Path, missing: Sequence[str]) -> None:
    """Is a Beam worker until the job has no more need of it."""
    from apache_beam.runners.worker import sdk_worker_main

    variables = _variables(given, info, folder)
    os.environ.update(variables)
    handler, harness, _ = sdk_worker_main.create_harness(variables)
    if missing:
        # What a bundle fails with is told to whoever runs the job; why a worker doesn't come is not.
        harness.create_worker = functools.partial(_refuse, missing)
    try:
        harness.run()
    finally:
        if handler is not None:
            handler.close()


def _refuse(missing: Sequence[str]) -> None:
    host = os.uname().nodename
    raise RuntimeError(f"the worker on {host} ({sys.executable}) can't do the job: {'; '.join(missing)}")


def _variables(given: argparse.Namespace, info: Any, folder: Path) -> dict[str, str]:
    """What Beam's worker reads from its environment, as Beam's own boot sets it."""
    from apache_beam.portability.api import endpoints_pb2
    from google.protobuf import json_format, text_format

    options = folder / "options.json"
    options.write_text(json_format.MessageToJson(info.pipeline_options), encoding="utf-8")
    found = {
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS_FILE": str(options),
        "SEMI_PERSISTENT_DIRECTORY": str(folder),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    for name, told in (
        ("LOGGING", info.logging_endpoint.url or given.logging_endpoint),
        ("CONTROL", info.control_endpoint.url or given.control_endpoint),
        ("STATUS", info.status_endpoint.url),
    ):
        if told:
            service = endpoints_pb2.ApiServiceDescriptor(url=told)
            found[f"{name}_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(service)
    return found


def _caller(given: argparse.Namespace) -> list[tuple[str, str]]:
    """What every call says of where it comes from."""
    return [("worker_id", given.id)]


def _channel(address: str) -> Any:
    import grpc

    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    return grpc.insecure_channel(address, options=unlimited)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the folder of this file has nothing to do with the job
    main()
