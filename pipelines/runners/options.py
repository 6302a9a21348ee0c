"""Options of runners, checked against Beam's own classes of options, and as flags of its command line."""

from __future__ import annotations

import argparse
import difflib
import functools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..context import RunnerSettings
from ..errors import InvalidRequestError, Problem
from . import java_options
from .settings import check_runner

_LISTS_WITH_COMMAS = ("environment_options", "environment_option", "job_server_jvm_properties")
"""Options that may be given several times in Beam, and whose values may hold commas themselves."""


_OURS = (
    "artifact_port", "expansion_port", "flink_submit_uber_jar", "job_port", "job_server_jvm_property",
    "spark_rest_url", "spark_submit_uber_jar", "spark_version",
)  # fmt: skip
"""Options of how Beam's own FlinkRunner and SparkRunner start a job server, which here the run does."""


@dataclass(frozen=True)
class Known:
    """An option that Beam knows.

    Attributes:
        name: without dashes.
        kind: "switch", "list", "value", or "truth" for a value of which Beam takes any text for true.
        default: of a switch, whether it is on where nothing is said.
        choices: what it may be; anything if empty.
        convert: takes the text; raises ValueError or TypeError for one that isn't right.
    """

    name: str
    kind: str
    default: bool = False
    choices: tuple[str, ...] = ()
    convert: Any = None


class _Collector(argparse.ArgumentParser):
    """Takes what Beam's classes add, of which some come twice, and keeps it."""

    def __init__(self) -> None:
        super().__init__(add_help=False, conflict_handler="resolve")
        self.found: list[argparse.Action] = []

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Adds an argument as ever, and keeps it."""
        action = super().add_argument(*args, **kwargs)
        self.found.append(action)
        return action

    def add_value_provider_argument(self, *args: Any, **kwargs: Any) -> None:
        """Beam's own kind of argument, as a plain one."""
        self.add_argument(*args, **kwargs)


@functools.cache
def known_options() -> Mapping[str, Known]:
    """All options of the installed Beam and of its job servers, by name."""
    logging.disable(logging.WARNING)  # Beam says on import that Google's parts are not installed
    try:
        import apache_beam.options.pipeline_options as beam_options
    finally:
        logging.disable(logging.NOTSET)
    collector = _Collector()
    for kind in _below(beam_options.PipelineOptions):
        # Options that somebody else's package adds to Beam's are Beam's to read too.
        kind._add_argparse_args(collector)
    found: dict[str, Known] = {}
    for action in collector.found:
        for flag in action.option_strings:
            name = flag.lstrip("-")
            if flag.startswith("--") and "-" not in name:
                found[name] = _known(name, action)
    for name, default in java_options.SWITCHES.items():
        found.setdefault(name, Known(name, "switch", default))
    for name in java_options.NUMBERS:
        found.setdefault(name, Known(name, "value", convert=int))
    for name in java_options.TEXTS:
        found.setdefault(name, Known(name, "value"))
    return found


def _below(kind: Any) -> Iterator[Any]:
    for each in kind.__subclasses__():
        if "_add_argparse_args" in each.__dict__ and each.__module__.startswith("apache_beam."):
            yield each
        yield from _below(each)


def _known(name: str, action: argparse.Action) -> Known:
    if action.nargs == 0:
        return Known(name, "switch")
    if action.type is None and action.default is False:
        return Known(name, "truth")
    listed = isinstance(action, argparse._AppendAction)
    choices = tuple(str(choice) for choice in action.choices or ())
    return Known(name, "list" if listed else "value", choices=choices, convert=action.type)


def check_options(settings: RunnerSettings) -> None:
    """Checks a runner's options against Beam's own; imports Beam for a runner that isn't `direct`.

    Raises:
        InvalidRequestError: an option doesn't exist or has a wrong value; all such options are listed.
    """
    check_runner(settings)
    if settings.name == "direct":
        return
    known = known_options()
    problems = [
        problem
        for name, value in settings.options.items()
        if (problem := _problem(name, value, known)) is not None
    ]
    if problems:
        raise InvalidRequestError([problem.at(argument="--runner-option") for problem in problems])


def _problem(name: str, value: str, known: Mapping[str, Known]) -> Problem | None:
    option = known.get(name)
    if option is None:
        remedy = "see `headrace runners`, or Beam's documentation of the runner's options"
        near = tuple(difflib.get_close_matches(name, known, 5, 0.5))
        return Problem(f"Beam has no option {name!r}", given=name, available=near, remedy=remedy)
    if name in _OURS:
        return Problem(
            f"{name} has no effect here: the run starts the job server itself",
            remedy="leave it out; job_endpoint=HOST:PORT takes a server that you start",
        )
    if option.kind in ("switch", "truth"):
        if value.lower() not in ("true", "false"):
            return Problem(f"{name} has to be true or false, not {value!r}")
        return None
    for each in values_of(option, value):
        if option.choices and each not in option.choices:
            return Problem(f"{name} can't be {each!r}", given=each, available=option.choices)
        if option.convert is not None:
            try:
                option.convert(each)
            except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
                return Problem(f"{name} can't be {each!r}: {error}")
    return None


def values_of(option: Known, value: str) -> list[str]:
    """The values of an option: one, or what stands between the commas of a list."""
    if option.kind != "list" or option.name in _LISTS_WITH_COMMAS:
        return [value]
    return [part.strip() for part in value.split(",") if part.strip()]


def flags_of(options: Mapping[str, str]) -> list[str]:
    """Options as flags of Beam's command line."""
    known = known_options()
    flags = []
    for name, value in options.items():
        option = known.get(name, Known(name, "value"))
        if option.kind == "truth":
            flags += [f"--{name}=true"] if value.lower() == "true" else []
        elif option.kind == "switch":
            # A switch that is on by itself is turned off by naming it.
            flags += [f"--{name}"] if (value.lower() == "true") != option.default else []
        else:
            flags += [f"--{name}={each}" for each in values_of(option, value)]
    return flags
