"""Fixtures that every part's tests use."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.context import Context, RunnerSettings

SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Lets Ctrl-C reach the processes that tests start, also where pytest runs in the background.

    A shell starts background jobs with SIGINT ignored, and that is handed down.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


class RecordingContext(Context):
    """A context that keeps what it was told in `events`."""

    events: list[dict[str, Any]]


@pytest.fixture
def new_ctx(tmp_path: Path) -> Callable[..., RecordingContext]:
    """Makes contexts, each with a staging folder of its own; keyword arguments are runner options."""
    made: list[RecordingContext] = []

    def make(**options: str) -> RecordingContext:
        events: list[dict[str, Any]] = []
        staging = tmp_path / f"attempt-{len(made)}"
        staging.mkdir()
        ctx = RecordingContext(
            "step", staging, RunnerSettings("direct", options), lambda e: events.append(dict(e))
        )
        ctx.events = events
        made.append(ctx)
        return ctx

    return make


@pytest.fixture
def ctx(new_ctx: Callable[..., RecordingContext]) -> RecordingContext:
    """A context in a temporary folder."""
    return new_ctx()


@pytest.fixture
def housing_csv() -> Path:
    """The California housing table, which is not part of the project."""
    path = SHARED / "housing.csv"
    if not path.exists():
        pytest.skip("the shared data folder is not here (a clone of the project doesn't have it)")
    return path
