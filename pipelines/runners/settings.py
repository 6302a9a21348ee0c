"""Runners by name, the shape of their options, and which runner a step gets; nothing heavy is imported.

`direct` names the in-process FnApiRunner explicitly: a bare DirectRunner would first try to download
and start another binary. `direct_num_workers` alone does nothing in Beam; here it gives threads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..context import RunnerSettings
from ..errors import InvalidRequestError

if TYPE_CHECKING:
    from ..bound import BoundPipeline

RUNNERS = ("direct", "flink", "spark", "dataflow", "portable")
DIRECT_OPTIONS = (
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
NUMBERS = {
    "direct_num_workers": "a whole number from 0 (one a core)",
    "direct_runner_bundle_repeat": "a whole number from 0",
    "max_cache_memory_usage_mb": "a whole number from 0",
}
MODES = ("in_memory", "multi_threading", "multi_processing")
_OPTION = re.compile(r"[A-Za-z]\w*")
_ENDPOINT = re.compile(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
MASTERS: Mapping[str, tuple[str, str]] = {
    "flink": ("flink_master", "[local]"),
    "spark": ("spark_master_url", "local[*]"),
}
"""The option that names a cluster, and its value for one of the job server's own."""
_LOCAL_MASTERS = {"flink": re.compile(r"\[(local|auto)\]"), "spark": re.compile(r"local(\[.*\])?")}
_SECRET = re.compile(
    r"password|passwd|passphrase|token|secret|credential|(^|_)(api_?)?key($|_)", re.IGNORECASE
)
_NAMED_WITHIN = re.compile(r"""([\w.-]+)=|["']([\w.-]+)["']\s*:""")
"""Names in a value: of variables (`NAME=…`), of Java's properties (`-DNAME=…`), of JSON (`"NAME": …`)."""
MASK = "***"
"""What a record shows in place of a secret."""


def check_runner(settings: RunnerSettings) -> None:
    """Raises InvalidRequestError for a runner that doesn't exist, or an option of the wrong shape.

    Whether Beam knows an option of another runner than `direct` is for `options.check_options` to say.
    """
    if settings.name not in RUNNERS:
        raise InvalidRequestError(
            f"there is no runner {settings.name!r}",
            given=settings.name,
            available=RUNNERS,
            argument="--runner",
        )
    if settings.name == "direct":
        _check_direct(settings.options)
        return
    for name, value in settings.options.items():
        if not _OPTION.fullmatch(name):
            raise _wrong(f"{name!r} can't be an option of Beam", remedy="give its name without dashes")
        if name == "runner":
            raise _wrong("the runner is named by --runner, or by `name` in the section `runner`")
        if value == MASK:
            raise _wrong(
                f"the run's record doesn't hold the value of {name}, since it is a secret",
                remedy=f"give it again: --runner-option {name}=VALUE",
            )
        _check_address(name, value)


def _check_direct(options: Mapping[str, str]) -> None:
    for name, value in options.items():
        if name not in DIRECT_OPTIONS:
            raise _wrong(f"the runner 'direct' has no option {name!r}", given=name, available=DIRECT_OPTIONS)
        if name in NUMBERS and not value.isdecimal():
            raise _wrong(f"{name} has to be {NUMBERS[name]}, not {value!r}")
    mode = options.get("direct_running_mode", "")
    if mode and mode not in MODES:
        raise _wrong(f"there is no running mode {mode!r}", given=mode, available=MODES)


def _check_address(name: str, value: str) -> None:
    """Whether an option that is an address looks like one."""
    if name in ("job_endpoint", "artifact_endpoint") and not _is_endpoint(value):
        raise _wrong(f"{name} has to be of the form HOST:PORT, not {value!r}")
    if name == "flink_master" and not _LOCAL_MASTERS["flink"].fullmatch(value):
        address = re.sub(r"^https?://", "", value).rstrip("/")
        if not _is_endpoint(address):
            raise _wrong(f"flink_master has to be HOST:PORT or [local], not {value!r}")
    if name == "spark_master_url" and not re.match(
        r"local(\[(\*|\d+)\])?$|(spark|k8s|mesos)://|yarn$", value
    ):
        raise _wrong(f"spark_master_url has to be spark://HOST:PORT or local[N], not {value!r}")


def _is_endpoint(text: str) -> bool:
    return bool(_ENDPOINT.fullmatch(text)) and int(text.rpartition(":")[2]) < 2**16


def _wrong(what: str, **details: Any) -> InvalidRequestError:
    return InvalidRequestError(what, argument="--runner-option", **details)


def settings_of(
    pipeline: Mapping[str, Any] | None, step: Mapping[str, Any] | None, asked: RunnerSettings
) -> RunnerSettings:
    """The runner of a step.

    The runner that the command names takes the place of the pipeline's; a step that names one keeps it.
    Options of the pipeline, the step and the command are put together, the last one counts, and options
    are left behind where another runner takes over.

    Args:
        pipeline: the pipeline's section `runner`: its `name` and its options.
        step: the step's section.
        asked: what the command asks for; an empty name where it names none.
    """
    name, options = "direct", dict[str, str]()
    sections = (pipeline or {}, {"name": asked.name, **asked.options}, step or {})
    for section in sections:
        stated = {key: str(value) for key, value in section.items() if key != "name"}
        named = str(section.get("name") or name)
        if named != name:
            options = {}
        name, options = named, {**options, **stated}
    if not asked.name or asked.name == name:
        options |= asked.options
    return RunnerSettings(name, options)


def settings_by_step(bound: BoundPipeline, asked: RunnerSettings) -> dict[str, RunnerSettings]:
    """The runner of each step, checked as far as that needs nothing heavy.

    Raises:
        InvalidRequestError: a runner or an option isn't right.
    """
    found = {name: settings_of(bound.runner, step.runner, asked) for name, step in bound.steps.items()}
    for settings in distinct(found.values()):
        check_runner(settings)
    return found


def distinct(many: Iterable[RunnerSettings]) -> list[RunnerSettings]:
    """Each runner with its options once, in order."""
    return list({key_of(settings): settings for settings in many}.values())


def key_of(settings: RunnerSettings) -> tuple[Any, ...]:
    """What two steps have in common that share a runner."""
    return settings.name, tuple(sorted(settings.options.items()))


def is_local(settings: RunnerSettings) -> bool:
    """Whether a run starts the runner's cluster itself, on this machine."""
    options = settings.options
    if settings.name in ("direct", "dataflow"):
        return settings.name == "direct"
    if "job_endpoint" in options:
        return False
    if settings.name == "portable":
        return True
    option, default = MASTERS[settings.name]
    return bool(_LOCAL_MASTERS[settings.name].fullmatch(options.get(option, default)))


def is_dry_run(settings: RunnerSettings) -> bool:
    """Whether jobs are translated for Dataflow, and done in this process."""
    return settings.name == "dataflow" and settings.options.get("dry_run", "").lower() == "true"


def is_remote(settings: RunnerSettings) -> bool:
    """Whether the work is a job that somebody else does, a cluster on this machine included."""
    return settings.name != "direct" and not is_dry_run(settings)


def is_secret(option: str, value: Any = "") -> bool:
    """Whether an option's name, or one within its text, says that the value is nobody else's business.

    Such as the worker's variables: `environment_config='{"command": …, "env": {"MY_TOKEN": …}}'`.
    """
    within = _NAMED_WITHIN.findall(value) if isinstance(value, str) else ()
    return any(_SECRET.search(name) for name in (option, *(first or second for first, second in within)))


def shown_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a record or a log may show them."""
    return {name: MASK if is_secret(name, value) else value for name, value in options.items()}


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
