"""Trains a model with a step of its own on two virtual devices, whole and from its checkpoints.

A process of its own, since logical devices can only be set up before TensorFlow is used; prints what the
model counted, and the best epoch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from headrace.pipelines.worker_kinds import configure
from tests.components.model_path import odd_splits
from tests.components.training.test_resume import TABLE, Attempts, require_equal_from_some


def main(folder: Path, models: str) -> None:
    configure()
    attempts = Attempts(folder)
    path = attempts.prepare(odd_splits(), TABLE, "ok")
    told: dict[str, Any] = {
        "model": f"{models}:counting", "loss": f"{models}:cubed", "metrics": ["auc", f"{models}:Sure"],
        "epochs": 3, "batch_size": 24, "learning_rate": 0.01, "strategy": "mirrored", "virtual_devices": 2,
    }  # fmt: skip
    require_equal_from_some(attempts, path, [0], **told)
    model = attempts.train(path, **told)
    about = model.read_json("model.json")
    rows = [row["rows"] for row in about["history"]]
    print(json.dumps({"best_epoch": about["best_epoch"], "rows": rows, "history": about["history"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
