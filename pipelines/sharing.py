"""Folders that several users share: what is made in them is for all of the group.

A cluster's workers have users of their own, and so may people who use one store. A folder that is marked as
shared (of a group, writable to it, with the set-group-id bit: `chgrp GROUP F && chmod 2775 F`) is treated
so whatever the umask of a process is, which otherwise would leave folders that only their makers can clear.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_SHARED = stat.S_ISGID | stat.S_IWGRP
_GROUP = 0o070


def is_shared(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, is marked as shared by its group."""
    for place in (folder, *folder.parents):
        try:
            return place.stat().st_mode & _SHARED == _SHARED
        except FileNotFoundError:
            continue
    return False


def share_as(folder: Path) -> bool:
    """Lets what this process makes be its group's too, if a folder is shared; gives whether it is."""
    if not is_shared(folder):
        return False
    # The umask can't be read without being set, and other threads make files meanwhile.
    os.umask(os.umask(0o022 & ~_GROUP) & ~_GROUP)
    return True
