"""Options against Beam's own classes, and as flags of its command line."""

from __future__ import annotations

import pytest

from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.runners import java_options
from headrace.pipelines.runners.beam import pipeline_options
from headrace.pipelines.runners.options import check_options, flags_of, known_options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"paralelism": "2"}, "did you mean 'parallelism'"),
        ({"parallelism": "two"}, "parallelism can't be 'two'"),
        ({"flink_version": "9.9"}, "flink_version can't be '9.9'"),
        ({"object_reuse": "yes"}, "object_reuse has to be true or false"),
        ({"job_port": "8099"}, "job_port has no effect here"),
        ({"checkpointing_interval": "soon"}, "checkpointing_interval can't be 'soon'"),
    ],
)
def test_a_wrong_option_is_refused(options, told):
    with pytest.raises(InvalidRequestError, match=told):
        check_options(RunnerSettings("flink", options))


def test_all_wrong_options_are_told_at_once():
    with pytest.raises(InvalidRequestError) as caught:
        check_options(RunnerSettings("flink", {"paralelism": "2", "parallelism": "two", "job_name": "x"}))
    assert len(caught.value.problems) == 2


def test_options_reach_beam_as_they_were_meant():
    options = {
        "parallelism": "3",
        "experiments": "one,two",
        "no_use_public_ips": "true",
        "dry_run": "false",
        "environment_config": '{"command": "/a,b"}',
        "machine_type": "n2-standard-4",
        "labels": "a=1,b=2",
    }
    found = pipeline_options(
        RunnerSettings("flink", options, ("--job_endpoint=localhost:8",))
    ).get_all_options()
    assert found["parallelism"] == 3
    assert found["experiments"] == ["one", "two"]
    assert found["use_public_ips"] is False
    assert not found["dry_run"]
    assert found["environment_config"] == '{"command": "/a,b"}'
    assert found["machine_type"] == "n2-standard-4"
    assert found["labels"] == ["a=1", "b=2"]
    assert found["job_endpoint"] == "localhost:8"


def test_a_switch_of_a_job_server_is_named_where_it_changes_something():
    assert flags_of({"object_reuse": "true", "operator_chaining": "true"}) == ["--object_reuse"]
    assert flags_of({"object_reuse": "false", "operator_chaining": "false"}) == ["--operator_chaining"]


def test_what_job_servers_know_is_not_beams_own():
    from apache_beam.options.pipeline_options import PipelineOptions

    named = [f"--{name}=1" for name in (*java_options.NUMBERS, *java_options.TEXTS)]
    known = PipelineOptions(named).get_all_options()
    for name in (*java_options.SWITCHES, *java_options.NUMBERS, *java_options.TEXTS):
        assert name not in known, f"Beam knows {name} by now"
        assert name in known_options()
