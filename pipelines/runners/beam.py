"""Beam pipelines, made from a runner's settings; Beam is imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..context import RunnerSettings
from .dataflow import dry_runner
from .settings import check_runner, direct_options, is_dry_run

if TYPE_CHECKING:
    import apache_beam as beam

BEAM_RUNNERS = {
    "direct": "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "flink": "apache_beam.runners.portability.portable_runner.PortableRunner",
    "spark": "apache_beam.runners.portability.portable_runner.PortableRunner",
    "portable": "apache_beam.runners.portability.portable_runner.PortableRunner",
    "dataflow": "apache_beam.runners.dataflow.dataflow_runner.DataflowRunner",
}
"""Beam's class of each runner. The local clusters are started by `services`, which gives their endpoint, so
that Beam's own FlinkRunner and SparkRunner, which would start and fetch things of their own, have no part."""


def beam_pipeline(settings: RunnerSettings) -> beam.Pipeline:
    """A Beam pipeline for `with`; the runner is set by `settings`.

    Raises:
        InvalidRequestError: the runner or an option doesn't exist.
    """
    import apache_beam as beam

    runner, options = runner_and_options(settings)
    return beam.Pipeline(runner=runner, options=options)


def runner_and_options(settings: RunnerSettings) -> tuple[Any, Any]:
    """The runner, or its name, and the PipelineOptions, for who makes the pipeline elsewhere, as TFDS does.

    Raises:
        InvalidRequestError: the runner or an option doesn't exist.
    """
    options = pipeline_options(settings)
    return (dry_runner() if is_dry_run(settings) else BEAM_RUNNERS[settings.name]), options


def pipeline_options(settings: RunnerSettings) -> Any:
    """Beam's PipelineOptions: the user's options, and after them the flags that the run added.

    Raises:
        InvalidRequestError: the runner or an option doesn't exist.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    from .options import flags_of

    check_runner(settings)
    if settings.name == "direct":
        return PipelineOptions(
            [f"--{key}={value}" for key, value in direct_options(settings.options).items()]
        )
    return PipelineOptions([*flags_of(settings.options), *settings.flags])
