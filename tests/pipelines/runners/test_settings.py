"""Which runner a step gets, and the shapes of its options."""

from __future__ import annotations

import os
import re

import pytest

from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.runners.beam import beam_pipeline
from headrace.pipelines.runners.jobs import name_job
from headrace.pipelines.runners.settings import (
    DIRECT_OPTIONS,
    MASK,
    check_runner,
    direct_options,
    distinct,
    is_local,
    settings_of,
    shown_options,
    threads_of,
)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("dirct", {}, "did you mean 'direct'"),
        ("flnik", {}, "did you mean 'flink'"),
        ("direct", {"direct_num_workers": "two"}, "whole number"),
        ("direct", {"direct_running_mode": "multi_thread"}, "did you mean 'multi_threading'"),
        ("direct", {"direct_num_worker": "2"}, "did you mean 'direct_num_workers'"),
        ("direct", {"direct_runner_bundle_repeat": "-1"}, "whole number"),
        ("direct", {"foo": "1"}, "has no option 'foo'"),
        ("flink", {"--parallelism": "2"}, "without dashes"),
        ("flink", {"runner": "FlinkRunner"}, "named by --runner"),
        ("flink", {"flink_master": "somewhere"}, "HOST:PORT"),
        ("flink", {"flink_master": "http://"}, "HOST:PORT"),
        ("flink", {"flink_master": "localhost:80811"}, "HOST:PORT"),
        ("portable", {"job_endpoint": "localhost:80999"}, "HOST:PORT"),
        ("spark", {"spark_master_url": "cluster:7077"}, "spark://HOST:PORT"),
        ("portable", {"job_endpoint": "http://localhost:8099"}, "HOST:PORT"),
        ("dataflow", {"my_token": MASK}, "give it again: --runner-option my_token=VALUE"),
    ],
)
def test_what_does_not_exist_is_refused(name, options, told):
    with pytest.raises(InvalidRequestError, match=told):
        check_runner(RunnerSettings(name, options))


@pytest.mark.parametrize(
    ("name", "options", "local"),
    [
        ("direct", {}, True),
        ("portable", {}, True),
        ("portable", {"job_endpoint": "host:1"}, False),
        ("flink", {}, True),
        ("flink", {"flink_master": "[local]"}, True),
        ("flink", {"flink_master": "host:8081"}, False),
        ("flink", {"flink_master": "localhost:8081"}, False),
        ("flink", {"flink_master": "https://host:8081/"}, False),
        ("flink", {"job_endpoint": "[::1]:8099"}, False),
        ("spark", {"spark_master_url": "local"}, True),
        ("spark", {"spark_master_url": "local[3]"}, True),
        ("spark", {"spark_master_url": "spark://host:7077"}, False),
        ("dataflow", {"project": "p"}, False),
    ],
)
def test_an_address_is_somebody_elses_cluster(name, options, local):
    check_runner(RunnerSettings(name, options))
    assert is_local(RunnerSettings(name, options)) is local


NOTHING = RunnerSettings("")
FLINK = {"name": "flink", "parallelism": 2}


@pytest.mark.parametrize(
    ("pipeline", "step", "asked", "name", "options"),
    [
        (None, None, NOTHING, "direct", {}),
        (FLINK, None, NOTHING, "flink", {"parallelism": "2"}),
        (FLINK, {"parallelism": 4}, NOTHING, "flink", {"parallelism": "4"}),
        (FLINK, None, RunnerSettings("", {"parallelism": "8"}), "flink", {"parallelism": "8"}),
        (FLINK, {"parallelism": 4}, RunnerSettings("", {"parallelism": "8"}), "flink", {"parallelism": "8"}),
        # The command's runner takes the place of the pipeline's, whose options mean nothing to it.
        (FLINK, None, RunnerSettings("direct"), "direct", {}),
        (FLINK, None, RunnerSettings("spark", {"a": "1"}), "spark", {"a": "1"}),
        (FLINK, {"parallelism": 4}, RunnerSettings("flink"), "flink", {"parallelism": "4"}),
        # A step that names its runner keeps it.
        (None, {"name": "direct"}, RunnerSettings("flink", {"a": "1"}), "direct", {}),
        (FLINK, {"name": "direct", "direct_num_workers": 1}, NOTHING, "direct", {"direct_num_workers": "1"}),
        ({"name": "flink"}, {"name": "flink", "b": 2}, RunnerSettings("spark"), "flink", {"b": "2"}),
    ],
)
def test_the_runner_of_a_step(pipeline, step, asked, name, options):
    assert settings_of(pipeline, step, asked) == RunnerSettings(name, options)


def test_two_steps_share_a_runner_with_equal_options():
    one, same = RunnerSettings("flink", {"a": "1", "b": "2"}), RunnerSettings("flink", {"b": "2", "a": "1"})
    other = RunnerSettings("flink", {"a": "2"})
    assert distinct([one, other, same, RunnerSettings()]) == [same, other, RunnerSettings()]


def test_secrets_are_masked():
    secrets = (
        "password",
        "jdbc_password",
        "access_token",
        "api_key",
        "key",
        "client_secret",
        "s3_credentials",
    )
    plain = ("project", "parallelism", "keyboard", "monkey", "max_key_groups_count")
    shown = shown_options(dict.fromkeys((*secrets, *plain), "xyz"))
    assert {name for name, value in shown.items() if value == MASK} == {*secrets, "max_key_groups_count"}


def test_settings_survive_the_way_to_another_process():
    settings = RunnerSettings("flink", {"a": "1"}, ("--job_endpoint=localhost:1",))
    assert RunnerSettings.from_json(settings.to_json()) == settings


def test_a_number_of_workers_is_one_of_threads_unless_a_mode_is_stated():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads_of(RunnerSettings("direct", {})) == cores
    assert threads_of(RunnerSettings("direct", {"direct_num_workers": "0"})) == cores
    assert threads_of(RunnerSettings("direct", {"direct_num_workers": "3"})) == 3
    in_memory = {"direct_num_workers": "1", "direct_running_mode": "in_memory"}
    assert direct_options({"direct_num_workers": "3"}) == in_memory
    stated = {"direct_num_workers": "3", "direct_running_mode": "multi_processing"}
    assert direct_options(stated) == stated
    assert threads_of(RunnerSettings("direct", stated)) == 0


def test_every_direct_option_is_one_of_beams():
    from apache_beam.options.pipeline_options import PipelineOptions

    for name in DIRECT_OPTIONS:
        value = "multi_threading" if name == "direct_running_mode" else "2"
        options = PipelineOptions([f"--{name}={value}"])
        assert options.get_all_options(drop_default=True)[name], name


def test_the_runner_is_the_one_in_this_process():
    with beam_pipeline(RunnerSettings()) as pipeline:
        assert type(pipeline.runner).__name__ == "FnApiRunner"


@pytest.mark.parametrize(("stated", "begins"), [({}, "headrace"), ({"job_name": "mine"}, "mine")])
def test_no_two_jobs_have_one_name(stated, begins):
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    names = set()
    for _ in range(2):
        pipeline = beam_pipeline(RunnerSettings("portable", {"job_endpoint": "localhost:9", **stated}))
        name_job(pipeline, "train[de]-write")
        names.add(pipeline.options.view_as(GoogleCloudOptions).job_name)
    assert len(names) == 2
    assert all(re.fullmatch(rf"{begins}-train-de-write-[0-9a-f]{{6}}", name) for name in names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("environment_config", '{"command": "/b", "env": {"AWS_SECRET_ACCESS_KEY": "xyz"}}'),
        ("environment_options", "process_variables=MY_TOKEN=xyz"),
        ("job_server_jvm_properties", "-Xmx2g -Djavax.net.ssl.trustStorePassword=xyz"),
    ],
)
def test_a_secret_within_a_value_is_not_shown(name, value):
    assert shown_options({name: value}) == {name: MASK}


def test_a_value_that_only_reads_like_a_secret_is_shown():
    plain = {"temp_location": "gs://my-secret-bucket/key", "environment_config": '{"command": "/token/b"}'}
    assert shown_options(plain) == plain
