"""A training goes on from any of its checkpoints, and ends with the weights of one that wasn't disturbed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from headrace.components import train
from headrace.pipelines.artifact import Model
from headrace.pipelines.context import Context
from headrace.pipelines.resumable import Resumables

from ..model_path import ODD_FEATURES, Paths, Prepared, odd_splits

TABLE = {name: ODD_FEATURES[name] for name in ("größe", "A")}
IMAGES = {"image": [{"decode": "grayscale"}, {"resize": [8, 8]}, {"scale": "zero_one"}]}


class Attempts(Paths):
    """Attempts of one training, each with the same folder to go on from."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "locks").mkdir()

    @property
    def kept(self) -> Path:
        (folder,) = (self._folder / "resumable").iterdir()
        return folder

    def ctx(self) -> Context:
        made = super().ctx()
        made.resumables = Resumables(self._folder, made.staging, "run", "rest", {})
        return made

    def train(self, path: Prepared, **parameters: Any) -> Model:
        ctx = self.ctx()
        try:
            return train.function(ctx, path.examples, path.transform, **parameters)
        finally:
            assert ctx.resumables is not None
            ctx.resumables.release()

    def said(self) -> list[str]:
        return [str(event["say"]) for event in self.events if "say" in event]


def require_equal_from_each(attempts: Attempts, prepared: Prepared, least: int, **told: Any) -> None:
    """Trains once, and then again from a few of the checkpoints, the first and the last among them."""
    whole = attempts.train(prepared, **told, checkpoints={"every_steps": 3, "keep": 1000})
    folder = attempts.kept
    files = folder.rename(attempts._folder / "files")
    names = sorted(path.name for path in files.glob("checkpoint-*"))
    assert len(names) >= least
    for name in [names[0], *names[1:-1:7], names[-1]]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(files, folder, ignore=lambda *_, one=name: set(names) - {one})
        again = attempts.train(prepared, **told, checkpoints={"every_steps": 4})
        assert any("goes on from epoch" in text for text in attempts.said()), name
        assert again.properties["weights"] == whole.properties["weights"], name
        assert again.digest == whole.digest, name
        assert again.read_json("model.json") == whole.read_json("model.json"), name
        assert len(list(attempts.kept.glob("checkpoint-*"))) <= 2


def test_a_table_in_stages_with_dropout_a_schedule_and_patience(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    prepared = attempts.prepare(odd_splits(), TABLE, "ok")
    stages = [
        {"epochs": 3, "learning_rate": 0.05, "patience": 2},
        {"epochs": 4, "freeze": 1, "learning_rate": 0.01},
        {"epochs": 6, "learning_rate": 0.2, "patience": 1, "learning_rate_schedule": "constant"},
    ]
    told = {"model_args": {"hidden_units": [8, 8], "dropout": 0.3}, "batch_size": 24, "metrics": ["auc"]}
    told |= {"stages": stages}
    require_equal_from_each(attempts, prepared, 10, **told)
