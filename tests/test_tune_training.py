"""A search over a real training."""

from __future__ import annotations

import pytest

from headrace.pipelines import tune
from headrace.pipelines.store import Store
from headrace.pipelines.tuning.tune import Tuned


def searched(store: Store, **given) -> Tuned:
    over = {"train.learning_rate": "1e-4..3e-1:log", "train.model_args.hidden_units": [[8], [32]]}
    return tune(
        "wine",
        over,
        "evaluate.accuracy",
        params={"epochs": 9},
        store=store,
        listen=lambda event: None,
        **given,
    )


@pytest.mark.slow
def test_hyperband_over_wine_trains_on_as_if_nothing_had_been_pruned(tmp_path):
    """A training in a process in which others were ended half-way gives the weights of a random search's."""
    store = Store(tmp_path / "store")
    tuned = searched(store, method="hyperband", trials=7, seed=1)
    assert {trial.state for trial in tuned.trials} == {"done", "pruned"}
    assert list((store.folder / "resumable").glob("*")) == [], "nobody goes on with a pruned training"
    ran = [
        r
        for r in map(store.run_record, store.runs())
        if r["steps"].get("examples", {}).get("status") == "ran"
    ]
    assert len(ran) == 1
    other = searched(Store(tmp_path / "other"), trials=7, seed=1, parallel=2)
    assert [trial.values for trial in other.trials] == [trial.values for trial in tuned.trials]
    whole = {trial.number: trial for trial in other.trials}
    for trial in tuned.trials:
        if trial.state == "done":
            assert trial.metric == whole[trial.number].metric
            assert trial.inputs == whole[trial.number].inputs, "bit by bit"
    worst = min(trial.metric for trial in other.trials)
    assert other.best.metric > worst + 0.1
    assert other.result.status == "done"
