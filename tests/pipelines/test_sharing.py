"""Stores that several users share: modes, and real users where the tests run as root."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.pipelines.sharing import is_shared

GROUP, WORKER, DRIVER = 64100, 64102, 64104
START = """
import os, sys
from pathlib import Path
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context
from headrace.pipelines.sharing import share_as
from headrace.pipelines.store import Store
import headrace.pipelines.index, headrace.pipelines.errors, json, sqlite3
folder, user, group = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if user:
    os.setgroups([group]); os.setgid(user); os.setuid(user)
os.umask(0o077)
"""


DRIVING = """
store = Store(folder)
with store.running('r') as staging:
    draft = Context('step', staging / 'step').output(Examples)
    print('made', flush=True)
    sys.stdin.readline()
    print(store.publish(draft.finish({'splits': {}})).digest)
"""


def started(user: int, code: str, folder: Path) -> subprocess.Popen[str]:
    """Starts code in a process with the umask 077, as another user if one is named.

    The modules are imported first: root's own Python is nothing that another user may read.
    """
    command = [sys.executable, "-c", START + code, str(folder), str(user), str(GROUP)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def run_as(user: int, code: str, folder: Path) -> str:
    """Runs code as `started` does, and gives what it printed."""
    process = started(user, code, folder)
    told, errors = process.communicate()
    assert process.returncode == 0, errors
    return told


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_a_marked_folder_is_shared(tmp_path):
    shared, plain, wide = (tmp_path / name for name in ("shared", "plain", "wide"))
    for folder, mode in ((shared, 0o2775), (plain, 0o755), (wide, 0o775)):
        folder.mkdir()
        folder.chmod(mode)
    assert is_shared(shared)
    assert is_shared(shared / "not" / "there")
    assert not is_shared(plain)
    assert not is_shared(wide)


def test_a_store_in_a_shared_folder_is_the_groups_whatever_the_umask(tmp_path):
    tmp_path.chmod(0o2775)
    run_as(0, "with Store(folder / 's').running('r') as staging: (staging / 'x').write_text('')", tmp_path)
    made = list((tmp_path / "s").rglob("*"))
    assert {"index.sqlite", "store.json", "staging", "locks"} <= {path.name for path in made}
    for path in made:
        wanted = 0o070 if path.is_dir() else 0o060
        assert mode_of(path) & wanted == wanted, path
        assert not mode_of(path) & 0o007, path  # the umask still counts for everybody else


def test_another_store_keeps_to_the_umask(tmp_path):
    run_as(0, "Store(folder / 's')", tmp_path)
    assert {mode_of(path) & 0o070 for path in (tmp_path / "s").iterdir()} - {0o040} == {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as other users")
def test_what_a_worker_made_is_published_and_cleared_by_a_driver_who_is_nobody_to_it(tmp_path):
    for folder in (tmp_path, *tmp_path.parents):  # pytest's own are closed to others
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    os.chown(tmp_path, -1, GROUP)
    tmp_path.chmod(0o2775)
    store = tmp_path / "s"
    driver = started(DRIVER, DRIVING, store)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "made\n", driver.communicate()[1]
    output = "train = folder / 'staging/r/step/outputs/output/train'\n"
    run_as(WORKER, f"share_as(folder)\n{output}train.mkdir()\n(train / 'part').write_bytes(b'rows')", store)
    told, errors = driver.communicate("go on\n")
    assert driver.returncode == 0, errors
    digest = told.strip()
    place = store / "artifacts" / "Examples" / digest
    assert (place / "train" / "part").read_bytes() == b"rows"
    assert (place / "train" / "part").stat().st_uid == WORKER
    assert not list((store / "staging").iterdir())
    found = run_as(WORKER, "print(Store(folder).artifact('Examples', '" + digest + "'))", store)
    assert found.startswith("Examples(")
