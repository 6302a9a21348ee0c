"""A cluster for all tests of a session, with environments for its workers; what is absent skips them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import environments
from .executions import HERE, Execution, lacks, on_cluster
from .flink import FlinkCluster, share

FLINK = "HEADRACE_FLINK"
"""The variable of the environment that names a Flink distribution."""


@pytest.fixture(scope="session")
def hall() -> Iterator[Path]:
    """A folder that all users may enter, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-cluster-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared(hall: Path) -> Path:
    """What cluster and driver share: the folder in which the stores are, and the data to be read."""
    share(hall / "shared")
    return hall / "shared"


@pytest.fixture(scope="session")
def cluster(hall: Path, shared: Path) -> Iterator[FlinkCluster]:
    """A standalone Flink cluster of two task managers with two slots each."""
    distribution = os.environ.get(FLINK, "")
    if not distribution:
        pytest.skip(f"needs a Flink distribution, named by {FLINK}: see tests/cluster/flink.py")
    if missing := lacks("flink"):
        pytest.skip(missing)
    cluster = FlinkCluster(hall / "flink")
    cluster.start(Path(distribution))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def tabular_python(hall: Path) -> Path:
    """Python for workers without TensorFlow and headrace; click and rich let a user submit by it too."""
    try:
        return environments.make_tabular(hall / "tabular", environments.SUBMITS)
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def whole_python(hall: Path) -> Path:
    """Python for workers that handle images, with all that is installed here."""
    try:
        return environments.make_whole(hall / "whole")
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture
def on_flink(cluster: FlinkCluster, hall: Path, tabular_python: Path) -> Execution:
    """The cluster, with workers of the tabular environment."""
    return on_cluster(cluster.address, environments.boot(hall, tabular_python))


@pytest.fixture
def execution(request: pytest.FixtureRequest) -> Execution:
    """An execution by name; skipped where what it needs is absent."""
    name: str = request.param
    if name == "flink, standalone":
        return request.getfixturevalue("on_flink")
    found = next(each for each in HERE if each.name == name)
    if missing := lacks(found.runner):
        pytest.skip(missing)
    return found
