"""Our components as ops of a Dagster job, over one store with the command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Headrace
from .environments import make_environment

JOB = Path(__file__).with_name("dagster_job.py")
RUN = """
import json, os, sys
import dagster
from dagster_job import wine

if __name__ == "__main__":
    folder, way, epochs = sys.argv[1:]
    config = {"resources": {"io_manager": {"config": {"folder": folder}}}}
    config["ops"] = {"train": {"config": {"epochs": int(epochs)}}}
    if way == "here":
        done = wine.execute_in_process(run_config={**config, "execution": {"config": {}}})
    else:
        config["execution"] = {"config": {"multiprocess": {"max_concurrent": 2}}}
        with dagster.DagsterInstance.local_temp() as instance:
            done = dagster.execute_job(dagster.reconstructable(wine), instance=instance, run_config=config)
    digests = {}
    for event in done.all_events:
        if event.is_successful_output or event.event_type_value == "HANDLED_OUTPUT":
            metadata = event.event_specific_data.metadata
            if "digest" in metadata:
                name = f"{event.step_key}.{event.event_specific_data.output_name}"
                digests[name] = metadata["digest"].value
    json.dump({"success": done.success, "digests": digests}, open("told.json", "w"))
"""


SAME = """
pipeline: same
steps:
  source: {uses: wine_csv}
  examples: {uses: csv_examples, with: {path: "${steps.source}", splits: {train: 6, validation: 2, test: 2}}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      label: cultivar
      features: {alcohol: z_score, hue: z_score, proline: [log1p, z_score]}
  train:
    uses: train
    with:
      examples: ${steps.transform.examples}
      transform: ${steps.transform.transform}
      model: linear
      epochs: 4
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_dagster_job_shares_store_cache_and_lineage(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, headrace: Headrace
):
    python = make_environment(tmp_path_factory.mktemp("dagster") / "v", "dagster>=1.13,<2", beside=True)
    store, work = tmp_path / "store", tmp_path / "work"
    (work / "run_job.py").write_text(RUN)

    def run(way: str, epochs: int) -> dict[str, str]:
        places = [str(JOB.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "HEADRACE_STORE": str(store),
            "DAGSTER_HOME": "",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        environment |= {"PYTHONPATH": os.pathsep.join(places), "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= {"DAGSTER_DISABLE_TELEMETRY": "yes"}
        done = subprocess.run(
            [str(python), "run_job.py", str(tmp_path / "notes" / way), way, str(epochs)],
            capture_output=True, text=True, cwd=work, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads((work / "told.json").read_text())
        assert told["success"], done.stderr
        return told["digests"]

    def runs() -> list[Any]:
        done = headrace("runs", "list", "--store", str(store), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first = run("here", 3)
    assert set(first) == {
        "source.result", "examples.result", "transform.examples", "transform.transform", "train.result",
        "evaluate.result",
    }  # fmt: skip
    assert len(runs()) == 5
    assert run("processes", 3) == first
    assert len(runs()) == 5, "each op of the second run was a hit, in a process of its own"

    other = run("here", 4)
    assert {name for name in first if first[name] != other[name]} == {"train.result", "evaluate.result"}
    assert len(runs()) == 7

    (work / "same.yaml").write_text(SAME)
    planned = headrace("plan", "same.yaml", "--store", str(store), "--json")
    assert planned.returncode == 0, planned.stderr
    assert [step["action"] for step in json.loads(planned.stdout)["steps"].values()] == ["cached"] * 4

    lineage = headrace("lineage", first["train.result"][:12], "--store", str(store), "--json")
    assert lineage.returncode == 0, lineage.stderr
    for name in ("examples.result", "transform.examples", "transform.transform"):
        assert first[name] in lineage.stdout, name
