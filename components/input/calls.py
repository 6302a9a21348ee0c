"""Calls of Python by a pipeline, which have to be over before the interpreter ends.

At its end, the interpreter ends threads that wait to run Python. If one of them is tf.data's, TensorFlow
waits for it for ever when the pipeline is destroyed: a script whose iterator is still there would hang
instead of ending. A pipeline that nobody takes batches from comes to rest as soon as its buffers are full.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

QUIET = 0.2
"""Seconds without a call after which a pipeline is taken to be at rest."""
PATIENCE = 10.0
"""Seconds that are waited for it at most."""


class _Calls:
    """Which calls there are just now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = -QUIET

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose calls are counted."""

        def call(*arguments: Any) -> Any:
            with self._lock:
                self._running += 1
            try:
                return function(*arguments)
            finally:
                with self._lock:
                    self._running -= 1
                    self._last = time.monotonic()

        return call

    def rest(self) -> None:
        """Waits until there was none for a moment."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and (self._running or time.monotonic() - self._last < QUIET):
            time.sleep(0.01)


_CALLS = _Calls()
atexit.register(_CALLS.rest)


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def numpy_call(function: Callable[..., Any], inputs: Sequence[Any], dtypes: Any) -> Any:
    """`tf.numpy_function` of a function without state, for pipelines."""
    # Without state, since tf.data runs what has some one at a time where operations are deterministic.
    return tf.numpy_function(_CALLS.counted(function), inputs, dtypes, stateful=False)
