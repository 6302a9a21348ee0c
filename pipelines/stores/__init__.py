"""Stores by URI: a local folder, or an object store behind a cache on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from ..store import Store

DEFAULT = ".headrace"


def store_name(uri: str = "") -> str:
    """The URI or absolute path that is meant: by `uri`, HEADRACE_STORE, or `.headrace`."""
    text = uri or os.environ.get("HEADRACE_STORE", "") or DEFAULT
    scheme, mark, rest = text.partition("://")
    if mark and scheme != "file":
        from .objects import checked_uri

        return checked_uri(text)
    return str(Path(rest if mark else text).expanduser().absolute())


def open_store(uri: str = "") -> Store:
    """The store that was asked for, made if it isn't there.

    Args:
        uri: a folder, `file://…`, or what fsspec knows (`s3://BUCKET/FOLDER`, `gs://…`, `memory://…`);
            by default HEADRACE_STORE, or `.headrace` in the current folder.

    Raises:
        InvalidRequestError: it can't be a store's URI.
        StoreError: the store can't be used.
    """
    name = store_name(uri)
    if "://" not in name:
        return Store(Path(name))
    from .remote import RemoteStore

    return RemoteStore(name)


def find_store(uri: str = "") -> Store | None:
    """The store that was asked for, or None if there is none; see `open_store`."""
    name = store_name(uri)
    if "://" not in name:
        return Store(Path(name)) if (Path(name) / "store.json").is_file() else None
    from .objects import Objects
    from .remote import RemoteStore, stamp_of

    return RemoteStore(name) if stamp_of(Objects(name)) else None


__all__ = ["find_store", "open_store", "store_name"]
