"""The end of a process waits for the calls of its pipelines."""

from __future__ import annotations

import threading
import time

from headrace.components.input.calls import _Calls


def test_a_call_that_runs_and_the_one_behind_it_are_waited_for() -> None:
    calls, done = _Calls(), []

    def slow() -> None:
        time.sleep(0.1)
        done.append(1)

    def twice() -> None:
        calls.counted(slow)()
        calls.counted(slow)()

    thread = threading.Thread(target=twice)
    thread.start()
    while not calls._running:
        time.sleep(0.001)
    calls.rest()
    assert done == [1, 1]
    thread.join()
