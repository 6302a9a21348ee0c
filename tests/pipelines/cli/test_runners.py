"""`headrace runners`, and runners on the command line and in documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.pipelines.runners.settings import MASK, RUNNERS

FAIL_ONCE = """
from headrace.pipelines import Files, component


@component
def once(ctx, *, mark: str) -> Files:
    from pathlib import Path

    ctx.say(f"runner {ctx.runner.name} {sorted(ctx.runner.options.items())}")
    if not Path(mark).exists():
        Path(mark).touch()
        raise RuntimeError("the first time")
    return ctx.output(Files).finish()
"""


@pytest.fixture
def no_servers(tmp_path, monkeypatch):
    """A machine without job servers."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADRACE_JARS", str(tmp_path / "jars"))


def record_of(headrace, *more):
    return json.loads(headrace("runs", "show", "--json", *more).stdout)


def test_every_runner_is_listed_with_what_it_lacks(headrace, no_servers):
    told = json.loads(headrace("runners", "--json").stdout)
    assert set(told) == set(RUNNERS)
    assert told["direct"]["ready"] and told["portable"]["ready"]
    (lacks,) = [need for need in told["flink"]["needs"] if "job server" in need["what"]]
    assert "headrace runners get flink" in lacks["remedy"]
    text = headrace("runners").stdout
    assert all(name in text for name in RUNNERS)
    assert "headrace runners get spark" in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--runner", "flnk"], "did you mean 'flink'"),
        (["--runner", "portable", "--runner-option", "job_endpoint=nowhere"], "HOST:PORT"),
        (["--runner", "portable", "--runner-option", "job_endpont=a:1"], "did you mean 'job_endpoint'"),
        (["--runner", "flink"], "headrace runners get flink"),
        (["--runner-option", "direct_num_worker=1"], "did you mean 'direct_num_workers'"),
    ],
)
def test_what_a_runner_lacks_is_told_before_anything_starts(headrace, no_servers, options, told):
    result = headrace("run", "chain.yaml", "--store", "s", *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert headrace("runs", "list", "--store", "s").stdout.strip() in ("", "there are no runs")


def test_a_section_of_a_document_is_checked_where_it_stands(headrace, tmp_path):
    text = (tmp_path / "chain.yaml").read_text()
    (tmp_path / "chain.yaml").write_text(text + "runner: {name: flink, flink_master: nowhere}\n")
    result = headrace("validate", "chain.yaml")
    assert result.exit_code == 2
    assert "flink_master has to be HOST:PORT" in result.stderr


def test_a_run_without_work_for_beam_starts_nothing(headrace, tmp_path):
    assert headrace("run", "chain.yaml", "--runner", "portable").exit_code == 0
    record = record_of(headrace)
    assert record["request"]["runner"] == "portable"
    assert record["runners"] == []


def test_a_resumed_run_keeps_its_runner_and_asks_for_secrets_again(headrace, tmp_path):
    Path("own.py").write_text(FAIL_ONCE)
    Path("p.yaml").write_text(
        "pipeline: p\nrunner: {name: portable, user_agent: a}\nsteps:\n"
        f"  one: {{uses: 'own.py:once', with: {{mark: {tmp_path / 'mark'}}}}}\n"
    )
    secret = ["--runner-option", "dataflow_kms_key=swordfish", "--runner-option", "job_name=j"]
    assert headrace("run", "p.yaml", *secret).exit_code == 1
    (path,) = Path(".headrace/runs").glob("*/record.json")
    assert "swordfish" not in path.read_text()
    assert record_of(headrace)["request"]["runner_options"] == {"dataflow_kms_key": MASK, "job_name": "j"}
    result = headrace("resume")
    assert result.exit_code == 2
    assert "--runner-option dataflow_kms_key=VALUE" in result.stderr
    assert headrace("resume", "--runner-option", "dataflow_kms_key=swordfish").exit_code == 0
    said = [told["say"] for told in record_of(headrace)["steps"]["one"]["messages"] if "say" in told]
    assert "swordfish" in said[0], "the step has it"
    assert "('job_name', 'j')" in said[0] and "('user_agent', 'a')" in said[0] and "portable" in said[0]


def test_the_schema_knows_runners_and_their_options(headrace):
    import jsonschema

    from headrace.pipelines.runners.schema import runner_schema

    good = ["flink", None, {"name": "flink", "flink_master": "host:8081", "parallelism": 4}]
    good += [{"direct_num_workers": 2}, {"name": "spark", "spark_master_url": "local[2]", "any_option": True}]
    bad = ["flnik", {"name": "beam"}, {"name": "direct", "parallelism": 2}, {"--parallelism": 2}]
    bad += [{"name": "flink", "flink_master": "host"}, {"parallelism": [1]}]
    check = jsonschema.Draft202012Validator(runner_schema())
    assert [value for value in good if not check.is_valid(value)] == []
    assert [value for value in bad if check.is_valid(value)] == []
