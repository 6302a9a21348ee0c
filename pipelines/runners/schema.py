"""The JSON Schema of the section `runner` of a pipeline's document and of a step."""

from __future__ import annotations

from typing import Any

from .settings import DIRECT_OPTIONS, MODES, NUMBERS, RUNNERS

_OPTION = {"type": ["string", "number", "boolean"]}
_ENDPOINT = r"^[^\s/]+:\d{1,5}$"
_ABOUT = {
    "direct": "In the process of the step.",
    "flink": "A Flink that the run starts, or a cluster by flink_master.",
    "spark": "A Spark that the run starts, or a cluster by spark_master_url.",
    "dataflow": "Google Cloud Dataflow.",
    "portable": "Beam's own job service, or any other by job_endpoint.",
}
_TEXTS = {
    "environment_type": "How workers run: PROCESS, EXTERNAL, DOCKER or LOOPBACK.",
    "environment_config": "What it takes: a command as JSON, the address of a pool, or an image.",
    "flink_job_server_jar": "The jar of Beam's job server for Flink, or the folder of its jars.",
    "flink_version": "The Flink that the job server speaks to, such as 1.20.",
    "spark_job_server_jar": "The jar of Beam's job server for Spark, or the folder of its jars.",
    "project": "Google Cloud's project.",
    "region": "Google Cloud's region.",
    "temp_location": "Where Dataflow keeps temporary files: gs://…",
    "staging_location": "Where Dataflow keeps what jobs bring with them: gs://…",
    "service_account_email": "As whom Dataflow's workers act.",
    "machine_type": "The machines of Dataflow's workers.",
    "sdk_container_image": "The image of Dataflow's workers.",
}


def runner_schema() -> dict[str, Any]:
    """The schema: a runner's name, or its name and options; Beam's other options are not listed."""
    names = [{"const": name, "description": _ABOUT[name]} for name in RUNNERS]
    direct = {
        "if": {"properties": {"name": {"const": "direct"}}, "required": ["name"]},
        "then": {"propertyNames": {"enum": ["name", *DIRECT_OPTIONS]}},
    }
    return {
        "description": "The Beam runner: its name, or its name and options.",
        "anyOf": [
            {"anyOf": names},
            {"type": "null"},
            {
                "type": "object",
                "propertyNames": {"pattern": r"^[A-Za-z]\w*$"},
                "properties": {"name": {"anyOf": names}, **_options()},
                "additionalProperties": _OPTION,
                "allOf": [direct],
            },
        ],
    }


def _options() -> dict[str, Any]:
    """The options that people need most."""
    found: dict[str, Any] = {name: {"type": "integer", "minimum": 0} for name in NUMBERS}
    found["direct_running_mode"] = {"enum": list(MODES)}
    found["parallelism"] = {"type": "integer", "description": "How many parts of a job Flink does at once."}
    found["sdk_worker_parallelism"] = {"type": "integer", "description": "Python workers a host."}
    found["job_endpoint"] = {
        "type": "string",
        "pattern": _ENDPOINT,
        "description": "The address of a job service: HOST:PORT.",
    }
    found["flink_master"] = {
        "description": "The address of Flink's job manager: HOST:PORT.",
        "anyOf": [{"enum": ["[local]", "[auto]"]}, {"type": "string", "pattern": r":\d{1,5}/?$"}],
    }
    found["spark_master_url"] = {
        "type": "string",
        "pattern": r"^(local(\[(\*|\d+)\])?|(spark|k8s|mesos)://.+|yarn)$",
        "description": "The address of Spark's master: spark://HOST:PORT.",
    }
    return found | {name: {**_OPTION, "description": text} for name, text in _TEXTS.items()}
