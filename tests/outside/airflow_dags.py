"""Airflow DAGs of headrace's steps. Airflow and headrace stay in environments of their own.

Airflow's workers need headrace's command, the Python of its environment, and the store that HEADRACE_STORE
names; nothing else is shared. What goes from task to task is an artifact's folder in that store, a line of
text. A task that Airflow tries again, or another DAG run repeats, is a hit where nothing changed.

    headrace step …         a Bash operator for each component
    @task.external_python   a function that calls components: for several outputs, or what you compute between
    headrace run …          a whole pipeline as one task, in headrace's own order, with steps side by side
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

HEADRACE = os.environ.get("HEADRACE_COMMAND", "/opt/headrace/bin/headrace")
"""The command of the environment that holds headrace."""
PYTHON = os.environ.get("HEADRACE_PYTHON", "/opt/headrace/bin/python")
"""The Python of that environment."""
FIRST = datetime(2026, 1, 1)


def step(name: str, component: str, **arguments: object) -> BashOperator:
    """A component as a task; an argument is a value as YAML, or the output of another task.

    They go by environment variables, so that no shell reads what stands in them. The last line on standard
    output is the artifact's folder, which Airflow keeps as the task's XCom.
    """
    told = " ".join(f'--arg "{key}=${{{key}}}"' for key in arguments)
    return BashOperator(
        task_id=name,
        bash_command=f"{HEADRACE} step {component} {told}",
        env={key: getattr(value, "output", value) for key, value in arguments.items()},
        append_env=True,
    )


@task.external_python(python=PYTHON, expect_airflow=False, multiple_outputs=True)
def transform(examples: str) -> dict[str, str]:
    """Transforms examples; gives the folder of each output."""
    from pathlib import Path

    from headrace import components
    from headrace.pipelines.artifact import load_artifact

    features = {"alcohol": "z_score", "hue": "z_score", "proline": ["log1p", "z_score"]}
    made = components.transform(load_artifact(Path(examples)), label="cultivar", features=features)
    return {"examples": str(made.examples.path), "transform": str(made.transform.path)}


with DAG(
    "headrace_wine", schedule="@daily", start_date=FIRST, catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1)},
):  # fmt: skip
    source = step("source", "wine_csv")
    examples = step("examples", "csv_examples", path=source, splits="{train: 6, validation: 2, test: 2}")
    made = transform(examples.output)
    train = step(
        "train", "train", examples=made["examples"], transform=made["transform"], model="linear", epochs="5"
    )
    step("evaluate", "evaluate", model=train, examples=made["examples"])

with DAG("headrace_whole", schedule=None, start_date=FIRST, params={"pipeline": "wine", "to": "export"}):
    BashOperator(
        task_id="run",
        bash_command=f'{HEADRACE} run "$pipeline" --to "$to"',
        env={"pipeline": "{{ params.pipeline }}", "to": "{{ params.to }}"},
        append_env=True,
    )
