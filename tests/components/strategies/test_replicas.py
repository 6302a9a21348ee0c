"""Steps on several replicas: what they see, that they are those of one device, and that they go on exactly.

What is compared was computed by `replicas_tried.py`, in a process with eight logical devices.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("replicas_tried.py")
TOLERANCE = 1e-6
"""Between sums over rows that were added up in another order, of weights around 1."""


def _tried(*arguments: str) -> Any:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def quick() -> Any:
    return _tried()


def test_replicas_have_the_rows_of_a_batch_in_their_order(quick):
    rows = [[list(range(6 * r + start, 6 * r + start + 6)) for r in range(4)] for start in (0, 24)]
    assert quick["cuts"] == rows


@pytest.mark.parametrize("name", ["global_clipnorm", "accumulated"])
def test_two_replicas_clip_and_accumulate_as_one_device(quick, name):
    assert quick["optimizers"][name] < TOLERANCE


def test_metrics_of_an_uneven_pass_and_of_training_are_those_of_one_device(quick):
    one = quick["metrics"]["1"]
    for count in ("2", "3"):
        for found, expected in zip(quick["metrics"][count], one, strict=True):
            assert found == pytest.approx(expected, rel=TOLERANCE)


def test_a_stop_and_a_restore_give_the_same_bits_with_dropout_and_batch_normalization(quick):
    assert quick["resumed"] == {"bits": True, "metrics": True, "copies": True}


def test_what_one_replica_began_two_go_on_with_and_the_other_way_round(quick):
    assert set(quick["moved"]) == {"1 to 2", "2 to 1"}
    assert max(quick["moved"].values()) < TOLERANCE


def test_replicas_draw_their_own_dropout_masks_in_each_step_and_the_same_again(quick):
    masks = quick["masks"]
    drawn = [mask for step in masks["first"] for mask in step]
    assert len(set(drawn)) == 4
    assert masks["again"] == masks["first"]
    assert [step[0] for step in masks["first"]] == masks["one"], "the first replica's are those of one device"


def test_an_overflow_on_one_replica_skips_the_step_of_all(quick):
    before, after = quick["overflow"]["scale"]
    assert after == before / 2
    assert quick["overflow"]["changed"] == 0


@pytest.mark.slow
def test_more_of_the_same():
    found = _tried("slow")
    assert len(found["more_optimizers"]) == 5
    assert max(found["more_optimizers"].values()) < TOLERANCE
    assert max(found["replicas"].values()) < TOLERANCE
    assert found["together"], "several steps in one go are the bits of single ones"
    for precision, optimizer in (("float16", "LossScaleOptimizer"), ("bfloat16", "Adam")):
        assert found[precision]["bits"]
        assert found[precision]["optimizer"] == optimizer
    assert found["compiled"] == {"xla": True, "bits": True}
    assert found["float16"]["scales"] == 1
    assert found["float16"]["loss"] == pytest.approx(found["bfloat16"]["loss"], rel=0.1)
