"""Runners and their options."""

from __future__ import annotations

import os

import pytest

from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.runners.beam import beam_pipeline
from headrace.pipelines.runners.settings import DIRECT_OPTIONS, check_runner, direct_options, threads_of


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("dirct", {}, "did you mean 'direct'"),
        ("direct", {"direct_num_workers": "two"}, "whole number"),
        ("direct", {"direct_running_mode": "multi_thread"}, "did you mean 'multi_threading'"),
        ("direct", {"direct_num_worker": "2"}, "did you mean 'direct_num_workers'"),
        ("direct", {"direct_runner_bundle_repeat": "-1"}, "whole number"),
        ("direct", {"foo": "1"}, "has no option 'foo'"),
    ],
)
def test_what_does_not_exist_is_refused(name, options, told):
    with pytest.raises(InvalidRequestError, match=told):
        check_runner(RunnerSettings(name, options))


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


def test_every_option_is_one_of_beams():
    from apache_beam.options.pipeline_options import PipelineOptions

    for name in DIRECT_OPTIONS:
        value = "multi_threading" if name == "direct_running_mode" else "2"
        options = PipelineOptions([f"--{name}={value}"])
        assert options.get_all_options(drop_default=True)[name], name


def test_the_runner_is_the_one_in_this_process():
    with beam_pipeline(RunnerSettings()) as pipeline:
        assert type(pipeline.runner).__name__ == "FnApiRunner"
