"""Advisory locks on files, released by the system when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """An flock on a file. Each instance is a holder of its own, in threads as in processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Takes the lock; gives False if it is held elsewhere and `wait` is False."""
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, mode)
                # Between open and flock the file may have been removed by its last holder.
                if os.fstat(descriptor).st_ino == os.stat(self._path).st_ino:  # noqa: PTH116 - beside fstat
                    self._descriptor = descriptor
                    return True
            except BlockingIOError:
                os.close(descriptor)
                return False
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Gives the lock back; removes its file if asked."""
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


@contextmanager
def locked(path: Path, *, remove: bool = False) -> Iterator[None]:
    """Holds the lock on `path` for a block."""
    lock = Lock(path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release(remove=remove)
