"""The command line as a process of its own: what it imports, how it is stopped, and terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"tensorflow", "keras", "apache_beam", "numpy", "pyarrow", "google.protobuf", "pydantic", "rich"}
CALL = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()"]
SPY = """
import sys
from headrace.pipelines.cli import cli
try:
    cli.main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("\\nIMPORTED", *sys.modules)
"""
SLOW = """
pipeline: slow
steps:
  one: {{uses: '{0}:number'}}
  two: {{uses: '{0}:slow', with: {{files: '${{steps.one}}', seconds: {1}}}}}
"""


@pytest.fixture
def folder(headrace, tmp_path):
    """The folder of the fixture `headrace`, with `slow.yaml`, whose step `two` takes 30 s."""
    small = Path(__file__).parents[1] / "small_components.py"
    (tmp_path / "slow.yaml").write_text(SLOW.format(small, 30))
    (tmp_path / "quick.yaml").write_text(SLOW.format(small, 0.3))
    return tmp_path


def started(*args):
    """A run as a process, as soon as its step `two` is at work."""
    process = subprocess.Popen([*CALL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("two  running"):
            time.sleep(0.3)
            return process
    raise AssertionError("".join(lines))


def workers_of(process):
    """The ids of the processes that a process has started."""
    return [int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["validate", "chain.yaml"],
        ["plan", "chain.yaml"],
        ["graph", "chain.yaml"],
        ["run", "chain.yaml"],
        ["run", "chain.yaml", "--json"],
        ["explain", "joined"],
        ["runs", "list"],
        ["artifacts", "show", "joined"],
        ["validate", "wine"],
        ["plan", "wine"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(headrace, args):
    headrace("run", "chain.yaml")
    told = subprocess.run([sys.executable, "-c", SPY, *args], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    imported = set(told.stdout.rpartition("IMPORTED ")[2].split())
    assert "headrace.pipelines.cli" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_run_in_order(folder, headrace, number):
    process = started("run", "slow.yaml", "--json")
    workers = workers_of(process)
    assert workers
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    told = json.loads(stdout)
    assert told["status"] == "interrupted"
    assert {name: step["status"] for name, step in told["steps"].items()} == {
        "one": "ran",
        "two": "not reached",
    }
    assert f"headrace resume {told['run']}" in stderr
    assert "Traceback" not in stderr
    assert not any(alive(pid) for pid in workers)
    assert not list(Path(".headrace/staging").iterdir())
    assert headrace("runs", "list").stdout.splitlines()[1].split()[2] == "interrupted"


def test_a_killed_run_is_resumed_and_leaves_no_litter(folder, headrace):
    process = started("run", "slow.yaml", "--set", "two.seconds=2")
    workers = workers_of(process)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert list(Path(".headrace/staging").iterdir())
    assert json.loads(headrace("runs", "list", "--json").stdout)[0]["status"] == "killed"
    told = json.loads(headrace("resume", "--json").stdout)
    assert told["status"] == "done"
    assert {name: step["status"] for name, step in told["steps"].items()} == {"one": "cached", "two": "ran"}
    assert not list(Path(".headrace/staging").iterdir())
    assert [path.name for path in Path(".headrace/locks").iterdir()] == ["using"]


def test_two_runs_at_once_compute_each_step_once(folder, headrace):
    ends = [
        subprocess.Popen(
            [*CALL, "run", "quick.yaml", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in ends]
    assert [process.returncode for process in ends] == [0, 0]
    for step in ("one", "two"):
        assert sorted(run["steps"][step]["status"] for run in told) == ["cached", "ran"]
        assert len({run["steps"][step]["outputs"]["output"]["digest"] for run in told}) == 1
    assert not list(Path(".headrace/staging").iterdir())


def test_gc_waits_for_no_run(folder, headrace):
    process = started("run", "slow.yaml")
    try:
        result = headrace("gc")
        assert (result.exit_code, "a run is using the store" in result.stderr) == (1, True)
        assert (
            "still running"
            in headrace("resume", json.loads(headrace("runs", "list", "--json").stdout)[0]["run"]).stderr
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_stores_that_cannot_be_used(folder, headrace):
    Path("file").write_text("")
    newer, garbled = Path("newer"), Path("garbled")
    for store, stamp in ((newer, '{"layout": 99}'), (garbled, "garbage")):
        store.mkdir()
        (store / "store.json").write_text(stamp)
    for store, told in (
        ("file", "can't be used as a store"),
        (newer, "layout 99"),
        (garbled, "can't be read"),
    ):
        result = headrace("run", "chain.yaml", "--store", store)
        assert result.exit_code == 1
        assert told in result.stderr
        assert "--store" in result.stderr
    assert headrace("runs", "list", "--store", newer).exit_code == 1
    assert [path.name for path in newer.glob("*/*")] == []


def test_a_store_that_cannot_be_written(folder, headrace):
    root = os.geteuid() == 0
    if root and not shutil.which("setpriv"):
        pytest.skip("the superuser may write everywhere, and there is no setpriv to take that from it")
    humble = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if root else []
    store = folder / "store"
    headrace("run", "chain.yaml", "--store", store)
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    args = [*humble, *CALL, "run", "chain.yaml", "--store", str(store), "--set", "joined.glue=x"]
    try:
        told = subprocess.run(args, capture_output=True, text=True, check=False)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert told.returncode == 1, told.stdout
    assert "can't write: Permission denied" in told.stderr
    assert "--store" in told.stderr


def test_on_a_terminal_there_is_a_live_tree(folder):
    shown, code = on_terminal(["run", "quick.yaml"])
    text = plain(shown)
    assert code == 0, text
    assert "▸ two" in text
    assert "✓ two" in text
    assert "done in" in text


def test_a_live_tree_is_stopped_by_ctrl_c(folder):
    shown, code = on_terminal(["run", "slow.yaml"], stop_at="▸ two")
    text = plain(shown)
    assert code == 130, text
    assert "✗ two  stopped" in text
    assert "interrupted; to go on: headrace resume" in text
    assert "Traceback" not in text
    assert shown.rpartition("\x1b[?25")[2].startswith("h"), "the cursor is hidden still"


def plain(shown):
    """A terminal's output without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def on_terminal(args, stop_at=""):
    """What a command shows on a terminal, and its exit code; Ctrl-C is typed once `stop_at` is there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(CALL[0], [*CALL, *args])
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        shown += some
        if stop_at and stop_at in plain(shown.decode("utf-8", "replace")):
            os.write(terminal, b"\x03")
            stop_at = ""
    os.close(terminal)
    return shown.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
