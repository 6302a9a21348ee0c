"""Beam pipelines, made from a runner's name and options.

`direct` names the in-process FnApiRunner explicitly: a bare DirectRunner would first try to download
and start another binary. `direct_num_workers` alone does nothing in Beam; here it gives threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .context import RunnerSettings
from .errors import InvalidRequestError

if TYPE_CHECKING:
    import apache_beam as beam

RUNNERS = ("direct",)
OPTIONS = (
    "direct_num_workers",
    "direct_running_mode",
    "direct_runner_bundle_repeat",
    "default_sdk_harness_log_level",
    "experiments",
    "max_cache_memory_usage_mb",
)
"""Beam's options that take a value and mean something to the runner in this process.

Spelt out, since Beam takes a second to import; the rest are switches, or those of other runners.
"""
_NUMBERS = {
    "direct_num_workers": "a whole number from 0 (one a core)",
    "direct_runner_bundle_repeat": "a whole number from 0",
    "max_cache_memory_usage_mb": "a whole number from 0",
}
_FN_API = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def check_runner(settings: RunnerSettings) -> None:
    """Raises InvalidRequestError for a runner or option that doesn't exist; imports nothing heavy."""
    if settings.name not in RUNNERS:
        raise InvalidRequestError(
            f"there is no runner {settings.name!r}",
            given=settings.name,
            available=RUNNERS,
            argument="--runner",
        )
    for name, value in settings.options.items():
        if name not in OPTIONS:
            raise InvalidRequestError(
                f"the runner {settings.name!r} has no option {name!r}",
                given=name,
                available=OPTIONS,
                argument="--runner-option",
            )
        if name in _NUMBERS and not value.isdecimal():
            raise InvalidRequestError(
                f"{name} has to be {_NUMBERS[name]}, not {value!r}", argument="--runner-option"
            )
    mode = settings.options.get("direct_running_mode", "")
    modes = ("in_memory", "multi_threading", "multi_processing")
    if mode and mode not in modes:
        raise InvalidRequestError(
            f"there is no running mode {mode!r}", given=mode, available=modes, argument="--runner-option"
        )


def threads_of(settings: RunnerSettings) -> int:
    """How many units of work a bundle does at once: a thread a core, or `direct_num_workers`; 0: Beam's way.

    The work is NumPy and Arrow, which let other threads run. Beam's own threads start servers for every
    pass, and its processes start anew; they are taken where `direct_running_mode` asks for them.
    """
    if settings.name != "direct" or "direct_running_mode" in settings.options:
        return 0
    return int(settings.options.get("direct_num_workers", "0")) or cores()


def direct_options(options: Mapping[str, str]) -> dict[str, str]:
    """The options that Beam's direct runner gets; a number of workers without a mode is `threads_of`'s."""
    if "direct_running_mode" in options:
        return dict(options)
    return {**options, "direct_num_workers": "1", "direct_running_mode": "in_memory"}


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def beam_pipeline(settings: RunnerSettings) -> beam.Pipeline:
    """A Beam pipeline for `with`; the runner is set by `settings`.

    Raises:
        InvalidRequestError: the runner or an option doesn't exist.
    """
    import apache_beam as beam

    runner, options = runner_and_options(settings)
    return beam.Pipeline(runner=runner, options=options)


def runner_and_options(settings: RunnerSettings) -> tuple[str, Any]:
    """The runner's name and the PipelineOptions, for who makes the pipeline elsewhere, as TFDS does.

    Raises:
        InvalidRequestError: the runner or an option doesn't exist.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    check_runner(settings)
    flags = [f"--{key}={value}" for key, value in direct_options(settings.options).items()]
    return _FN_API, PipelineOptions(flags)
