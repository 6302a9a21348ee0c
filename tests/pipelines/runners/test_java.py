"""Where job servers and Java are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import Problem, StepError
from headrace.pipelines.runners.java import SERVERS, beam_version, find_server, java_of, server_command
from headrace.pipelines.runners.services import open_runner

FLINK, SPARK = SERVERS["flink"], SERVERS["spark"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No job server of this machine is found."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADRACE_JARS", raising=False)


def jars(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.jar").touch()
    return folder


def test_what_is_missing_is_told_with_the_remedy():
    problem = find_server(FLINK, {})
    assert isinstance(problem, Problem)
    assert "headrace runners get flink" in problem.remedy
    assert "flink_job_server_jar=PATH" in problem.remedy


def test_a_stated_path_has_to_be_a_job_server(tmp_path):
    jars(tmp_path / "half", "beam-runners-flink-1.19-2.62.0")
    whole = jars(tmp_path / "whole", "beam-runners-flink-1.19-2.62.0", "flink-runtime-1.19.0")
    jar = jars(tmp_path / "one", "any") / "any.jar"
    for place in ("half", "none"):
        problem = find_server(FLINK, {"flink_job_server_jar": str(tmp_path / place)})
        assert isinstance(problem, Problem)
        assert "flink-runtime-*.jar" in problem.remedy
    found = find_server(FLINK, {"flink_job_server_jar": str(whole)})
    assert (found.path, found.beam, found.flink) == (whole, "2.62.0", "1.19")
    assert find_server(FLINK, {"flink_job_server_jar": str(jar)}).path == jar


def test_the_installed_version_comes_first_then_the_newest(tmp_path):
    cache = tmp_path / "cache" / "jars"
    for version in ("2.9.0", "2.62.0"):
        jars(cache / f"r-{version}", f"beam-runners-flink-1.19-{version}", "flink-runtime-1.19.0")
    assert find_server(FLINK, {}).beam == "2.62.0"
    jars(cache, f"beam-runners-flink-1.20-job-server-{beam_version()}")
    found = find_server(FLINK, {})
    assert (found.beam, found.flink) == (beam_version(), "1.20")
    assert find_server(FLINK, {"flink_version": "1.19"}).beam == "2.62.0"
    assert isinstance(find_server(FLINK, {"flink_version": "2.0"}), Problem)


def test_a_folder_of_ones_own_comes_before_the_cache_and_beams(tmp_path, monkeypatch):
    jars(tmp_path / "home/.apache_beam/cache/jars", "beam-runners-spark-3-job-server-2.77.0")
    assert find_server(SPARK, {}).beam == "2.77.0"
    jars(tmp_path / "cache/jars", "beam-runners-spark-3-job-server-2.70.0")
    assert find_server(SPARK, {}).beam == "2.70.0"
    own = jars(tmp_path / "own", "beam-runners-spark-3-2.62.0", "spark-core_2.12-3.5.0")
    monkeypatch.setenv("HEADRACE_JARS", str(own))
    assert find_server(SPARK, {}).path == own


def test_java_is_beams_option_then_java_home_then_the_path(tmp_path, monkeypatch):
    for place in ("path", "home/bin", "own"):
        program = jars(tmp_path / place) / "java"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert java_of({}) == str(tmp_path / "path/java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java_of({}) == str(tmp_path / "home/bin/java")
    assert java_of({"job_server_java_launcher": str(tmp_path / "own/java")}) == str(tmp_path / "own/java")
    assert java_of({"job_server_java_launcher": "/nowhere/java"}) is None


def test_a_jar_starts_by_itself_and_a_folder_by_its_class(tmp_path):
    jar = jars(tmp_path, "one") / "one.jar"
    assert server_command("java", FLINK, jar, {})[-2:] == ["-jar", str(jar)]
    command = server_command("java", FLINK, tmp_path, {"a": "b"})
    assert command[-3:] == ["-cp", f"{tmp_path}/*", FLINK.main]
    assert "-Da=b" in command


def test_the_users_words_reach_the_job_server(tmp_path):
    server = jars(tmp_path / "server", "beam-runners-flink-1.19-2.62.0", "flink-runtime-1.19.0")
    java = tmp_path / "java"
    java.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/said\nexit 1\n')
    java.chmod(0o755)
    options = {
        "job_server_java_launcher": str(java),
        "flink_job_server_jar": str(server),
        "job_server_jvm_properties": "-Xmx3g -Da=b",
        "artifacts_dir": "/where/all/hosts/see/it",
    }
    opening = open_runner(RunnerSettings("flink", options), tmp_path / "run", tmp_path / "log.txt")
    with pytest.raises(StepError, match="ended with code 1"), opening:
        raise AssertionError("it was started")
    said = (tmp_path / "said").read_text().split()
    assert said.index("-Xmx3g") < said.index("-cp")
    assert {"-Da=b", "--artifacts-dir=/where/all/hosts/see/it"} <= set(said)
