"""Google Cloud Dataflow: what a job has to be told, and dry runs.

A dry run (`--runner-option dry_run=true`) needs no credentials and sends nothing. Each job is translated as
it would be submitted and written, with the files that it would stage, below the run's folder; its work is
then done in this process, so that the steps behind it come to their jobs too.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Problem
from .settings import MASK, is_secret

if TYPE_CHECKING:
    import apache_beam as beam

FOLDER = "dataflow"
"""The folder of a dry run's jobs, in that of the run."""
JOB = "job.json"
_BUCKET = re.compile(r"gs://[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9](/.*)?")
_PROJECT = re.compile(r"([a-z][-a-z0-9.]*:)?[a-z][-a-z0-9]{4,28}[a-z0-9]")
_REQUIRED = {
    "project": "the id of the Google Cloud project that pays for the workers",
    "region": "where they are to be, for example europe-west1",
    "temp_location": "a place for the job's files, gs://BUCKET/FOLDER",
}
_WITHOUT_V2 = ("disable_runner_v2", "disable_portable_runner", "disable_prime_runner_v2")


def option_problems(options: Mapping[str, str]) -> list[Problem]:
    """What Dataflow has to be told and isn't, or is told wrongly; nothing is imported."""
    problems = [
        _problem(f"Dataflow has to be told {name}: {what}", f"--runner-option {name}=…")
        for name, what in _REQUIRED.items()
        if not options.get(name)
    ]
    for name in ("temp_location", "staging_location"):
        given = options.get(name)
        if given and not _BUCKET.fullmatch(given):
            problems.append(
                _problem(f"{name} can't be {given!r}", "give a folder of a bucket, gs://BUCKET/FOLDER")
            )
    project = options.get("project")
    if project and not _PROJECT.fullmatch(project):
        remedy = "give the project's id, which `gcloud projects list` shows; not its name or number"
        problems.append(_problem(f"project can't be {project!r}", remedy))
    for experiment in options.get("experiments", "").split(","):
        if experiment.strip().startswith(_WITHOUT_V2):
            what = f"the experiment {experiment.strip()!r} turns Runner v2 off, which Python jobs run on"
            problems.append(_problem(what, "leave it out; Runner v2 needs no option"))
    return problems


def _problem(what: str, remedy: str) -> Problem:
    return Problem(what, argument="--runner-option", remedy=remedy)


def dry_run_flags(run: Path) -> list[str]:
    """The flags by which a dry run's jobs are written below a run's folder."""
    return [f"--dataflow_job_file={run / FOLDER}"]


def dry_runner() -> Any:
    """The Beam runner of dry runs."""
    from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import EmbeddedPythonEnvironment

    class DryRunner(DataflowRunner):  # type: ignore[misc]
        """Writes a job as Dataflow would get it, and does its work in this process."""

        def run_pipeline(self, pipeline: beam.Pipeline, options: Any, pipeline_proto: Any = None) -> Any:
            """Translates and runs; the folder is that of `dry_run_flags`."""
            here = pipeline.to_runner_api(default_environment=EmbeddedPythonEnvironment.default())
            debug = options.view_as(DebugOptions)
            folder, debug.dataflow_job_file = Path(debug.dataflow_job_file), None
            write_job(pipeline, options, folder)
            return FnApiRunner().run_via_runner_api(here, PipelineOptions([]))

    return DryRunner()


def write_job(pipeline: beam.Pipeline, options: Any, folder: Path) -> Path:
    """Writes what would be sent to Dataflow for a pipeline: the job, its pipeline and its staged files.

    Args:
        pipeline: is changed by it, as by submitting.
        options: Beam's PipelineOptions.
        folder: gets a folder by the job's name.

    Returns:
        That folder: the job is `job.json`, as Dataflow's REST interface takes it; the files beside it would
        lie in the staging location.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions, TestOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    test = options.view_as(TestOptions)
    test.dry_run = True
    job = DataflowRunner().run_pipeline(pipeline, options).job
    test.dry_run = False  # no part of what would be sent
    target: Path = folder / job.proto.name
    target.mkdir(parents=True)
    cloud = options.view_as(GoogleCloudOptions)
    stated, cloud.no_auth = cloud.no_auth, True  # the client asks for credentials when it is made, if at all
    client = _client_of_folder(options, target)
    cloud.no_auth = stated
    client.create_job_description(job)
    told = masked(json.loads(job.json()))
    (target / JOB).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return target


def _client_of_folder(options: Any, folder: Path) -> Any:
    """Beam's client of Dataflow, with a folder in place of the bucket."""
    from apache_beam.runners.dataflow.internal import apiclient

    class FolderClient(apiclient.DataflowApplicationClient):  # type: ignore[misc]
        def stage_file(self, place: str, file_name: str, stream: Any, *args: Any, **kwargs: Any) -> None:
            (folder / file_name).write_bytes(stream.read())

        def _gcs_file_copy(self, from_path: str, to_path: str, sha256: str) -> None:
            shutil.copyfile(from_path, folder / Path(to_path).name)

    return FolderClient(options)


def masked(value: Any) -> Any:
    """JSON values of a job without the values of options whose names say that they are secret."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if {"key", "value"} <= value.keys():  # an option as Dataflow's pages show it
        return {**value, "value": MASK} if is_secret(str(value["key"]), value["value"]) else value
    return {
        key: MASK if isinstance(item, str) and is_secret(key, item) else masked(item)
        for key, item in value.items()
    }
