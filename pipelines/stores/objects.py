"""The objects below one URI, by fsspec: read, written, listed, with patience for a service that falters.

An object is there whole or not at all, and what was written is seen by everybody at once (S3, GCS and
fsspec's memory promise both). There is no renaming and there are no locks; `create` writes only what isn't
there yet, which is the one way in which two writers can find out who was first.

Credentials come from the environment, as the service's own tools find them (AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL, a role; GOOGLE_APPLICATION_CREDENTIALS), and nothing here keeps or prints them.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..errors import InvalidRequestError, StoreError, disk_error
from .failures import is_condition, is_passing, lacks_bucket, told

T = TypeVar("T")
R = TypeVar("R")

TRIES = 7
"""How often something is tried that the service failed to do."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 15.0
_AT_ONCE = 8
"""Objects that are sent or fetched at once."""
_OPTIONS: dict[str, dict[str, Any]] = {
    # Who waits and tries again is `Objects`.
    "s3": {
        "config_kwargs": {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
        }
    },
}


def checked_uri(uri: str) -> str:
    """A store's URI without a slash at its end.

    Raises:
        InvalidRequestError: it holds credentials, names no bucket, or is a chain of fsspec's.
    """
    parts = urlsplit(uri)
    if "::" in uri.partition("://")[0]:  # what stands behind may hold credentials, too
        raise InvalidRequestError(
            "a store's URI has one scheme", argument="--store", remedy="give s3://BUCKET/FOLDER or the like"
        )
    if "@" in parts.netloc or parts.query:
        raise InvalidRequestError(
            f"a store's URI on {parts.scheme}:// holds credentials or options, and is written down",
            argument="--store",
            remedy=f"give {parts.scheme}://BUCKET/FOLDER, and credentials by the environment",
        )
    if not (parts.netloc or parts.path.strip("/")):
        raise InvalidRequestError(
            f"{uri!r} names no bucket", argument="--store", remedy=f"give {parts.scheme}://BUCKET/FOLDER"
        )
    return uri.rstrip("/")


class Objects:
    """The objects below a URI. Keys have slashes and don't begin with one.

    Raises:
        StoreError: the service can't be used; every method raises it, with the remedy.
    """

    def __init__(self, uri: str) -> None:
        self.uri = checked_uri(uri)
        self._fs, self._root = self._opened()

    def _opened(self) -> tuple[Any, str]:
        scheme = urlsplit(self.uri).scheme
        try:
            import fsspec

            if scheme not in fsspec.available_protocols():
                raise InvalidRequestError(
                    f"a store at {scheme}:// is not supported",
                    argument="--store",
                    remedy="give a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
                )
            options = _OPTIONS.get(scheme, {})
            fs, root = fsspec.url_to_fs(
                self.uri, use_listings_cache=False, skip_instance_cache=True, **options
            )
        except InvalidRequestError:
            raise
        except Exception as error:
            raise told(error, self.uri) from error
        return fs, str(root).rstrip("/")

    def read(self, key: str) -> bytes:
        """An object's content; raises FileNotFoundError if it isn't there."""
        content: bytes = self._tried(key, lambda: self._fs.cat_file(self._path(key)))
        return content

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The contents of those objects that are there."""

        def content(key: str) -> bytes | None:
            try:
                return self.read(key)
            except FileNotFoundError:
                return None

        wanted = list(keys)
        return {k: c for k, c in zip(wanted, side_by_side(content, wanted), strict=True) if c is not None}

    def write(self, key: str, content: bytes) -> None:
        """Writes an object, in the place of an earlier one."""
        self._tried(key, lambda: self._fs.pipe_file(self._path(key), content), writes=True)

    def create(self, key: str, content: bytes) -> bool:
        """Writes an object unless there is one; says whether it holds this content now."""
        try:
            self._tried(key, lambda: self._fs.pipe_file(self._path(key), content, mode="create"), writes=True)
            return True
        except (FileExistsError, StoreError) as error:
            if isinstance(error, StoreError) and not is_condition(error.__cause__):
                raise
            # It was written by somebody else, or by a try of our own whose answer was lost, or the service
            # knows no conditions.
            there = self.read_all([key])
            if not there:
                self.write(key, content)
            return there.get(key, content) == content

    def sizes(self, folder: str) -> dict[str, int]:
        """The size of every object below a folder, at any depth, by key."""
        found = self._tried(folder, lambda: self._fs.find(self._path(folder), detail=True))
        start = len(self._root) + 1
        return {str(path)[start:]: int(info["size"] or 0) for path, info in found.items() if path}

    def names(self, folder: str) -> list[str]:
        """The names of the folders and objects right in a folder, sorted."""
        try:
            infos = self._tried(folder, lambda: self._fs.ls(self._path(folder), detail=True))
        except FileNotFoundError:
            return []
        names = {str(info["name"]).rstrip("/").rpartition("/")[2] for info in infos}
        return sorted(names - {""})

    def modified(self, key: str) -> datetime:
        """When an object was written, by the service's clock; raises FileNotFoundError."""
        when: datetime = self._tried(key, lambda: self._fs.modified(self._path(key)))
        return when

    def upload(self, files: Iterable[tuple[Path, str]]) -> None:
        """Writes files as objects: pairs of a path and a key."""

        def send(file: tuple[Path, str]) -> None:
            path, key = file
            self._tried(key, lambda: self._fs.put_file(str(path), self._path(key)), writes=True)

        side_by_side(send, files)

    def download(self, key: str, path: Path) -> None:
        """Fetches an object into a new file; raises FileNotFoundError if it isn't there."""
        self._tried(key, lambda: self._fs.get_file(self._path(key), str(path)))

    def remove(self, keys: Iterable[str]) -> None:
        """Removes objects; those that aren't there are no error."""

        def forget(key: str) -> None:
            with contextlib.suppress(FileNotFoundError):
                self._tried(key, lambda: self._fs.rm_file(self._path(key)))

        side_by_side(forget, keys)

    def remove_folder(self, folder: str) -> None:
        """Removes every object below a folder."""
        self.remove(self.sizes(folder))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def _tried(self, key: str, call: Callable[[], T], writes: bool = False) -> T:
        """Calls until it is done, with longer and longer pauses; what won't pass is raised at once."""
        pause = _FIRST_PAUSE
        for left in range(TRIES - 1, -1, -1):
            try:
                return call()
            except (FileNotFoundError, FileExistsError) as error:
                if lacks_bucket(error) or (writes and isinstance(error, FileNotFoundError)):
                    raise told(error, self.uri) from error
                raise
            except Exception as error:
                if isinstance(error, OSError) and (full := disk_error(error, "")) and error.filename:
                    raise full from error
                if not left or not is_passing(error):
                    raise told(error, f"{self.uri}/{key}", TRIES - left) from error
            # Chance, so that workers that failed together don't come back together.
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError("unreachable")


def side_by_side(work: Callable[[R], T], items: Iterable[R]) -> list[T]:
    """Does work on several items at once, and gives the results in their order; the first error ends it."""
    todo = list(items)
    if len(todo) < 2:
        return [work(item) for item in todo]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [pool.submit(work, item) for item in todo]
        try:
            return [future.result() for future in asked]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


__all__ = ["Objects", "StoreError", "checked_uri", "side_by_side"]
