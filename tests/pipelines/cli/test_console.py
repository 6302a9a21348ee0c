"""What is shown of a run's progress."""

from __future__ import annotations

import io

import pytest
from rich.console import Console as Terminal

from headrace.pipelines.cli.common import duration
from headrace.pipelines.cli.console import Console, message_lines, status_line
from headrace.pipelines.cli.live import LiveConsole
from headrace.pipelines.cli.progress import Progress


def test_progress_tells_the_rate_and_the_time_left():
    progress = Progress()
    progress.update({"done": 0, "total": 10, "rows": 0}, 100.0)
    progress.update({"done": 4, "total": 10, "rows": 80_000}, 102.0)
    assert progress.share == 0.4
    assert progress.rate == 40_000
    assert progress.left == pytest.approx(3.0)
    assert progress.parts() == ["4/10", "3.0 s left", "40k rows/s"]


def test_a_count_that_goes_down_begins_a_new_pass():
    progress = Progress()
    progress.update({"done": 0, "total": 10, "rows": 0}, 0.0)
    progress.update({"done": 10, "total": 10, "rows": 1000}, 1.0)
    progress.update({"done": 0, "total": 10, "rows": 0}, 50.0)
    progress.update({"done": 5, "total": 10, "rows": 500}, 51.0)
    assert progress.rate == 500
    assert progress.left == pytest.approx(1.0)


def test_training_tells_epoch_loss_and_the_rest():
    progress = Progress()
    progress.update({"epoch": 1, "epochs": 4, "rows": 100, "loss": 0.5}, 0.0)
    progress.update({"epoch": 3, "epochs": 4, "rows": 5100, "loss": 0.123456, "val_loss": 0.2}, 10.0)
    assert progress.parts() == ["epoch 3/4", "loss 0.1235", "val_loss 0.2", "10.0 s left", "500 examples/s"]


def test_progress_without_a_total_makes_nothing_up():
    progress = Progress()
    progress.update({"rows": 7}, 0.0)
    progress.update({"rows": 7}, 0.0)
    assert (progress.share, progress.left, progress.rate) == (0.0, 0.0, 0.0)
    assert progress.parts() == ["7 rows"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (1.25, "1.2 s"),
        (59.9, "59.9 s"),
        (59.97, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3780, "1 h 3 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_lines():
    event = {"step": "transform", "status": "ran", "seconds": 1.2, "reason": "first run"}
    assert status_line(event) == "transform  ran            1.2 s"  # the line that it runs told why
    running = {"step": "transform", "status": "running", "reason": "first run"}
    assert status_line(running) == "transform  running               first run"
    assert len(status_line({**running, "reason": "r" * 300})) < 160
    failed = {**event, "status": "failed", "error": "a.csv:3: transform: a stray word\n    remedy: mend it"}
    assert status_line(failed) == "transform  failed         1.2 s  a stray word"
    assert message_lines({"step": "a", "say": "one\ntwo\n"}) == "a: one\n    two"
    assert message_lines({"step": "a", "warn": "odd"}) == "a: warning: odd"
    assert message_lines({"step": "a", "work": {}}) == ""


def test_plain_lines_of_progress_are_rare(monkeypatch):
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    console = Console(stream)
    console({"run": "r", "pipeline": "p", "steps": ["train"]})
    for second in range(25):
        now[0] = float(second)
        console({"step": "train", "progress": {"done": second, "total": 100}})
    lines = stream.getvalue().splitlines()
    assert lines == ["run r of p", "train  10/100 · 1 min 30 s left", "train  20/100 · 1 min 20 s left"]


def drawn(width, height, steps, events):
    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=True, width=width, height=height, color_system=None)
    with LiveConsole(terminal) as console:
        console({"run": "r", "pipeline": "p", "steps": steps})
        for event in events:
            console(event)
        return ["".join(part.text for part in line) for line in terminal.render_lines(console)]


def test_the_tree_fits_into_a_narrow_and_low_terminal():
    steps = [f"a_step_with_a_long_name_{i}" for i in range(20)]
    events = [{"step": steps[i], "status": "ran", "seconds": 1.0, "reason": "r" * 80} for i in range(15)]
    events.append({"step": steps[16], "status": "running", "reason": "first run"})
    events.append({"step": steps[16], "progress": {"done": 1, "total": 3}})
    for width in (20, 40, 71, 72, 200):
        lines = drawn(width, 10, steps, events)
        assert len(lines) <= 10
        assert all(len(line) <= width for line in lines)
        assert any(line.startswith("▸ a_") for line in lines)
    assert "▸ a_step_with_a_long_name_16  running" in "\n".join(lines)
    assert "and 13 more steps" in lines[-1]
