"""The process that stands between a run and a service: `python guard.py COMMAND…`.

It starts the service in a process group of its own and ends that group when its standard input ends, which
happens when the run closes it, and also when the run is killed. Nothing but the standard library is imported:
the file is run by its path.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

GRACE = 5.0
"""Seconds that a service has to end by itself."""
_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    """Runs a command until it ends or standard input does; gives its exit code."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # the run decides when the service ends
        signal.signal(number, signal.SIG_IGN)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def begin() -> None:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if prctl is not None:  # Linux ends it with this process, if somebody kills that
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    service = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=begin)
    threading.Thread(target=_end_with_input, args=(service.pid,), daemon=True).start()
    if hasattr(os, "waitid"):  # its number is not given to another process until `wait`
        os.waitid(os.P_PID, service.pid, os.WEXITED | os.WNOWAIT)
    else:
        service.wait()
    _signal(service.pid, signal.SIGKILL)
    return service.wait()


def _end_with_input(group: int) -> None:
    while os.read(0, 4096):
        pass
    _signal(group, signal.SIGTERM)
    time.sleep(GRACE)
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
