"""What a person sees of an error in their own code, and the surroundings of the processes that run it."""

from __future__ import annotations

import pytest

from headrace.pipelines.executor import run_pipeline
from headrace.pipelines.processes import ALLOCATOR, worker_environment

OWN = """\
import json
from headrace.pipelines import Context, Files, component

def parse(text):
    return json.loads(text)

@component
def broken(ctx: Context) -> Files:
    return parse("{")

@component
def refused(ctx: Context) -> Files:
    return ctx.output(Files).finish(summary={1, 2})
"""


@pytest.mark.parametrize("name", ["broken", "refused"])
def test_a_traceback_begins_in_the_users_code_and_is_whole_from_there(name, bound, store, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(OWN)
    result = run_pipeline(bound(file=own, a=(name, {})), store, listen=lambda event: None)
    lines = "".join(result.errors["a"].__notes__).splitlines()
    frames = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    assert lines[0] == "Traceback (most recent call last):"
    assert frames[0].startswith(f'File "{own}", line ')
    assert frames[0].endswith(f"in {name}")
    assert "worker.py" not in "".join(lines)
    # What the user's code called is still there, to where it was raised.
    assert not frames[-1].startswith(f'File "{own}"')
    assert len(frames) >= (4 if name == "broken" else 2)


def test_the_allocator_is_told_for_tensorflow_alone(monkeypatch):
    assert not ALLOCATOR.keys() & worker_environment("").keys()
    name = next(iter(ALLOCATOR))
    monkeypatch.delenv(name, raising=False)
    assert worker_environment("tensorflow")[name] == ALLOCATOR[name]
    monkeypatch.setenv(name, "4096")
    assert worker_environment("tensorflow")[name] == "4096", "what the user has set stays"
