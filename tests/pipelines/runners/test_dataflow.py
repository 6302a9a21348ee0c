"""Dataflow: what has to be said before anything starts, and the jobs of a dry run, read field by field."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.executor import Request, RunResult, run_pipeline
from headrace.pipelines.planning import Selection
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.runners.dataflow import dry_run_flags, masked, option_problems
from headrace.pipelines.runners.needs import on_google_cloud, preflight
from headrace.pipelines.store import Store

from .google_stand_in import google

OPTIONS = {
    "dry_run": "true",
    "project": "my-project",
    "region": "europe-west1",
    "temp_location": "gs://my-bucket/temp",
    "staging_location": "gs://my-bucket/staging",
    "service_account_email": "worker@my-project.iam.gserviceaccount.com",
    "worker_machine_type": "n2-standard-4",
    "disk_size_gb": "60",
    "worker_disk_type": "compute.googleapis.com/projects//zones//diskTypes/pd-ssd",
    "num_workers": "2",
    "max_num_workers": "7",
    "autoscaling_algorithm": "THROUGHPUT_BASED",
    "network": "my-network",
    "subnetwork": "regions/europe-west1/subnetworks/my-subnetwork",
    "no_use_public_ips": "true",
    "sdk_container_image": "europe-docker.pkg.dev/my-project/workers/headrace:1",
    "number_of_worker_harness_threads": "4",
    "experiments": "use_runner_v2,shuffle_mode=service",
    "dataflow_service_options": "enable_secure_boot",
    "labels": "team=wine",
}
PLAIN = {name: OPTIONS[name] for name in ("dry_run", "project", "region", "temp_location")}
STAGES = {
    "examples-read", "examples-place", "statistics-statistics", "transform-auto", "transform-analyze-0",
    "transform-analyze-1", "transform-encode", "transform-write",
}  # fmt: skip
"""The passes over the data that `wine` makes, by step."""


def require_dataflow() -> None:
    for package in ("google-cloud-dataflow-client", "scikit-learn"):
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} isn't installed: pip install 'headrace[gcp,examples]'")


def run(store: Store, settings: RunnerSettings) -> RunResult:
    bound = bind(load_pipeline("wine"))
    done = run_pipeline(bound, store, Request(Selection(end="transform"), settings), lambda event: None)
    assert done.status == "done", {name: str(error) for name, error in done.errors.items()}
    return done


@dataclass(frozen=True)
class Job:
    """A job that was written."""

    stage: str
    folder: Path
    told: dict[str, Any]

    @property
    def pool(self) -> dict[str, Any]:
        (pool,) = self.told["environment"]["workerPools"]
        return pool

    @property
    def pipeline(self) -> Any:
        from apache_beam.portability.api import beam_runner_api_pb2

        return beam_runner_api_pb2.Pipeline.FromString((self.folder / "pipeline.pb").read_bytes())


def jobs_in(store: Store) -> list[Job]:
    found = []
    for file in sorted(store.folder.glob("runs/*/dataflow/*/job.json")):
        stage = re.fullmatch(r"headrace-(.*)-[0-9a-f]{6}", file.parent.name)
        assert stage is not None, file
        found.append(Job(stage[1], file.parent, json.loads(file.read_text())))
    return found


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, RunResult]]:
    """A dry run of `wine`, with what people say."""
    require_dataflow()
    with pytest.MonkeyPatch.context() as patch:
        # Neither credentials nor a network: what looks for either fails.
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        store = Store(tmp_path_factory.mktemp("dry") / "store")
        yield store, run(store, RunnerSettings("dataflow", OPTIONS))


@pytest.fixture(scope="module")
def jobs(dry: tuple[Store, RunResult]) -> list[Job]:
    return jobs_in(dry[0])


@pytest.mark.slow
def test_every_pass_of_wine_is_a_job(jobs: list[Job]) -> None:
    assert {job.stage for job in jobs} == STAGES
    for job in jobs:
        assert job.told["name"] == job.folder.name
        assert job.told["type"] == "JOB_TYPE_BATCH"
        assert job.told["labels"] == {"team": "wine"}


@pytest.mark.slow
def test_the_environment_of_each_job(jobs: list[Job]) -> None:
    from apache_beam import version

    for job in jobs:
        environment = job.told["environment"]
        assert environment["serviceAccountEmail"] == OPTIONS["service_account_email"]
        assert environment["version"] == {"job_type": "FNAPI_BATCH", "major": "8"}
        assert environment["userAgent"]["version"] == version.__version__
        assert {"use_runner_v2", "use_portable_job_submission", "shuffle_mode=service"} <= set(
            environment["experiments"]
        )
        assert environment["serviceOptions"] == ["enable_secure_boot"]
        assert environment["tempStoragePrefix"].startswith("storage.googleapis.com/my-bucket/temp/")


@pytest.mark.slow
def test_the_workers_of_each_job(jobs: list[Job]) -> None:
    for job in jobs:
        pool = job.pool
        assert pool["machineType"] == "n2-standard-4"
        assert pool["diskSizeGb"] == 60
        assert pool["diskType"] == OPTIONS["worker_disk_type"]
        assert pool["numWorkers"] == 2
        assert pool["autoscalingSettings"] == {
            "algorithm": "AUTOSCALING_ALGORITHM_BASIC",
            "maxNumWorkers": 7,
        }
        assert pool["network"] == "my-network"
        assert pool["subnetwork"] == OPTIONS["subnetwork"]
        assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
        assert pool["numThreadsPerWorker"] == 4
        assert pool["workerHarnessContainerImage"] == OPTIONS["sdk_container_image"]
        (image,) = pool["sdkHarnessContainerImages"]
        assert image["containerImage"] == OPTIONS["sdk_container_image"]
        assert image["environmentId"] in job.pipeline.components.environments


@pytest.mark.slow
def test_what_each_job_stages(jobs: list[Job]) -> None:
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2 as api

    wheels = set()
    for job in jobs:
        options = job.told["environment"]["sdkPipelineOptions"]["options"]
        staging = options["staging_location"]
        assert re.fullmatch(rf"gs://my-bucket/staging/{job.told['name']}\.[\d.]+", staging)
        packages = {package["name"]: package["location"] for package in job.pool["packages"]}
        assert packages == {
            name: f"{staging}/{name}".replace("gs:/", "storage.googleapis.com") for name in packages
        }
        assert {file.name for file in job.folder.iterdir()} == {*packages, "job.json", "pipeline.pb"}
        (environment,) = job.pipeline.components.environments.values()
        docker = api.DockerPayload.FromString(environment.payload)
        assert docker.container_image == OPTIONS["sdk_container_image"]
        staged = {}
        for dependency in environment.dependencies:
            assert dependency.type_urn == common_urns.artifact_types.URL.urn
            file = api.ArtifactUrlPayload.FromString(dependency.type_payload)
            name = api.ArtifactStagingToRolePayload.FromString(dependency.role_payload).staged_name
            assert file.url == f"{staging}/{name}"
            assert file.sha256 == hashlib.sha256((job.folder / name).read_bytes()).hexdigest()
            staged[name] = file.sha256
        assert set(staged) == set(packages)
        assert (job.folder / "extra_packages.txt").read_text().split() == [
            name for name in staged if name.endswith(".whl")
        ]
        wheels |= {(name, digest) for name, digest in staged.items() if name.endswith(".whl")}
    # One wheel for the whole run, which pip can install on the workers.
    ((name, _),) = wheels
    with zipfile.ZipFile(jobs[0].folder / name) as wheel:
        assert {"headrace/components/data_plane/work.py", "headrace/pipelines/worker.py"} <= set(
            wheel.namelist()
        )
        assert wheel.testzip() is None


@pytest.mark.slow
def test_the_options_of_each_job(jobs: list[Job]) -> None:
    for job in jobs:
        environment = job.told["environment"]
        options = environment["sdkPipelineOptions"]["options"]
        assert {name: options[name] for name in ("project", "region", "job_name")} == {
            "project": "my-project",
            "region": "europe-west1",
            "job_name": job.told["name"],
        }
        assert options["temp_location"].startswith(f"gs://my-bucket/temp/{job.told['name']}.")
        assert options["sdk_container_image"] == OPTIONS["sdk_container_image"]
        assert options["machine_type"] == "n2-standard-4"
        assert not options["save_main_session"]
        assert not options["dry_run"]  # what is written is what would be sent
        content = (job.folder / "pipeline.pb").read_bytes()
        assert options["pipelineUrl"] == f"{options['staging_location']}/pipeline.pb"
        assert options["pipelineProtoHash"] == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_the_pipeline_of_each_job(jobs: list[Job]) -> None:
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2 as api

    group, par_do = common_urns.primitives.GROUP_BY_KEY.urn, common_urns.primitives.PAR_DO.urn
    for job in jobs:
        components = job.pipeline.components
        by_name = {each.unique_name: each for each in components.transforms.values()}
        stage = job.stage.partition("-")[2]
        assert any(name.startswith("Units") for name in by_name)
        assert any(name.startswith(f"{stage}/") or name == stage for name in by_name)
        assert any(each.spec.urn == group and name.startswith("Gather/") for name, each in by_name.items())
        used = [each for each in by_name.values() if each.spec.urn == par_do]
        assert used
        for each in used:
            assert each.environment_id in components.environments
            assert api.ParDoPayload.FromString(each.spec.payload).do_fn.payload
        assert {each.is_bounded for each in components.pcollections.values()} == {api.IsBounded.BOUNDED}
        # Nothing is pickled by value that an import on the worker gives.
        for each in used:
            assert b"__main__" not in api.ParDoPayload.FromString(each.spec.payload).do_fn.payload


@pytest.mark.slow
def test_a_dry_run_gives_the_artifacts_of_a_run(dry: tuple[Store, RunResult], tmp_path: Path) -> None:
    near = run(Store(tmp_path / "near"), RunnerSettings())
    for step, outputs in near.artifacts.items():
        far = dry[1].artifacts[step]
        assert {name: one.digest for name, one in outputs.items()} == {
            name: one.digest for name, one in far.items()
        }


@pytest.mark.slow
def test_without_a_container_the_workers_are_beams_own(dry: tuple[Store, RunResult], tmp_path: Path) -> None:
    from apache_beam import version

    store = Store(tmp_path / "plain")
    bound = bind(load_pipeline("wine"))
    settings = RunnerSettings("dataflow", PLAIN)
    run_pipeline(bound, store, Request(Selection(end="examples"), settings), lambda event: None)
    image = f"beam_python{sys.version_info[0]}.{sys.version_info[1]}_sdk:{version.__version__}"
    found = jobs_in(store)
    assert found
    for job in found:
        assert job.pool["workerHarnessContainerImage"].endswith(f"/{image}")
        options = job.told["environment"]["sdkPipelineOptions"]["options"]
        assert options["staging_location"].startswith("gs://my-bucket/temp/")  # where none is named
        assert "use_runner_v2" in job.told["environment"]["experiments"]


def test_what_dataflow_has_to_be_told_is_asked_for_at_once() -> None:
    told = [problem.what for problem in option_problems({})]
    assert [what.partition(":")[0].rpartition(" ")[2] for what in told] == [
        "project",
        "region",
        "temp_location",
    ]
    assert option_problems(OPTIONS) == []


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("temp_location", "/tmp/here", "can't be '/tmp/here'"),
        ("staging_location", "s3://bucket/a", "can't be 's3://bucket/a'"),
        ("project", "My Project", "can't be 'My Project'"),
        ("project", "123456789012", "can't be '123456789012'"),
        ("experiments", "shuffle_mode=service,disable_runner_v2", "'disable_runner_v2' turns Runner v2 off"),
    ],
)
def test_what_dataflow_is_told_wrongly(option: str, value: str, part: str) -> None:
    (problem,) = option_problems({**PLAIN, option: value})
    assert part in problem.what
    assert problem.remedy


def test_credentials_and_a_store_that_workers_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    if on_google_cloud():
        pytest.skip("a machine of Google's has credentials of its own")
    store = Store(tmp_path / "store")
    real = {name: value for name, value in PLAIN.items() if name != "dry_run"}
    told = " ".join(str(problem) for problem in preflight(RunnerSettings("dataflow", real), store))
    assert "gcloud auth application-default login" in told
    assert "--store gs://BUCKET/FOLDER" in told
    dry = " ".join(str(problem) for problem in preflight(RunnerSettings("dataflow", PLAIN), store))
    assert "gcloud" not in dry
    assert "--store" not in dry


def test_secrets_are_not_written() -> None:
    job = {
        "options": {"api_token": "x1", "project": "p", "nested": [{"password": "x2"}]},
        "display_data": [{"key": "api_token", "value": "x3"}, {"key": "project", "value": "p"}],
    }
    text = json.dumps(masked(job))
    assert not re.search(r"x\d", text)
    assert text.count('"p"') == 2
    assert text.count('"api_token"') == 2


@pytest.mark.slow
def test_a_dry_run_writes_what_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pipeline, sent over HTTP to a stand-in of Google's services, and written by a dry run."""
    require_dataflow()
    from headrace.pipelines.runners.beam import beam_pipeline
    from headrace.pipelines.runners.packages import build_packages

    packages = build_packages(bind(load_pipeline("wine")), tmp_path / "wheels")
    with google() as there:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", there.address)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        real = {name: value for name, value in OPTIONS.items() if name != "dry_run"}
        real |= {"no_auth": "true", "dataflow_endpoint": there.address, "job_name": "headrace-one"}
        settings = RunnerSettings("dataflow", real, packages.flags)
        sent = beam_pipeline(settings)
        numbers(sent)
        sent.run()
        dry = RunnerSettings(
            "dataflow", {**real, "dry_run": "true"}, (*packages.flags, *dry_run_flags(tmp_path))
        )
        written = beam_pipeline(dry)
        numbers(written)
        written.run()
        ((path, posted),) = there.jobs.items()
        objects = {name.rpartition("/")[2]: content for (_, name), content in there.objects.items()}
    assert path == "v1b3/projects/my-project/locations/europe-west1/jobs"
    folder = tmp_path / "dataflow" / "headrace-one"
    told = json.loads((folder / "job.json").read_text())
    sent_alone, written_alone = leaves(same(posted)), leaves(same(told))
    assert sent_alone - written_alone == set()
    assert written_alone - sent_alone == set()
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "job.json"}
    assert objects.keys() == files.keys()
    for name in files.keys() - {"pipeline.pb"}:  # which holds the staging location with its time
        assert objects[name] == files[name]


def numbers(pipeline: Any) -> None:
    import apache_beam as beam

    pipeline | "Units" >> beam.Create([1, 2]) | "Work" >> beam.Map(abs)


def leaves(value: Any, path: str = "") -> set[str]:
    """Every value of a job by its place, so that what differs is shown and nothing else."""
    if isinstance(value, dict):
        return {leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}")}
    if isinstance(value, list):
        return {leaf for number, item in enumerate(value) for leaf in leaves(item, f"{path}[{number}]")}
    return {f"{path} = {value!r}"}


def same(told: Any) -> Any:
    """A job without what differs each time: times, its request's number, the digest over them."""
    from google.cloud import dataflow

    text = re.sub(r"headrace-one\.[\d.]+", "headrace-one.TIME", json.dumps(told))
    text = re.sub(r"ref_Environment_default_environment_\d", "ENVIRONMENT", text)  # a running number
    text = re.sub(r'("clientRequestId"|"pipelineProtoHash"): "[^"]*"', r'\1: ""', text)
    plain = json.loads(text)
    options = plain["environment"]["sdkPipelineOptions"]
    options["display_data"] = {shown["key"]: shown for shown in options["display_data"]}
    job = dataflow.Job.from_json(json.dumps(plain))  # enumerations come by number or by word
    return json.loads(dataflow.Job.to_json(job, sort_keys=True))
