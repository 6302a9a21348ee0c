"""The runners of a run at its end."""

from __future__ import annotations

from contextlib import closing

import pytest

from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import StepError
from headrace.pipelines.runners.opened import OpenRunners

ELSEWHERE = RunnerSettings("portable", {"job_endpoint": "localhost:9", "environment_type": "LOOPBACK"})


def test_an_ended_run_opens_nothing_more_and_knows_where_its_jobs_are(tmp_path):
    with closing(OpenRunners(BoundPipeline("p", {}, {}), tmp_path, tmp_path / "log.txt")) as runners:
        opened = runners.open(ELSEWHERE)
        runners.end()
        assert runners.open(ELSEWHERE) == opened  # what is left there is cancelled through it
        with pytest.raises(StepError, match="interrupted"):
            runners.open(RunnerSettings("portable"))
