"""A training that goes wrong ends with what to look at: a loss that is no number, and why it isn't.

The loss is looked at where it is on the host anyway: at live reports, before a checkpoint, at an epoch's end.
Why it is no number is then looked for in this order: in the examples; in what the network gives and the loss
makes of it with weights that are numbers still; in the numbers that the precision can hold; and what is left
is a training that diverged, of which the way of the loss is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras

from ...pipelines.errors import DataError, StepError
from .diagnosis import BadBatch, bad_batch, bad_values, bad_weights
from .feed import Feed
from .settings import Settings
from .stage_data import StageData
from .tasks import Task

if TYPE_CHECKING:
    from .steps import Stepper

RISE = 10.0
"""Times the loss that a stage begins with, beyond which the loss of an epoch is warned of."""
HUGE = 1e15
"""Labels beyond it overflow float32 when they are squared, or soon after."""
FLOAT16_MOST = 65_504.0
LARGE_RATE = 0.1
"""No remedy proposes a greater learning rate."""
TRIED = 64
"""Batches that are tried one by one at most."""


@dataclass(frozen=True)
class Subject:
    """What is trained, on what, for a diagnosis.

    Attributes:
        network: compiled.
        feed: how it is fed.
        tasks: what it learns.
        data: what it learns from.
        good_weights: gives weights that were numbers still, of a checkpoint or those of the beginning, and
            says which, as in "the weights of the checkpoint".
        kept: says which checkpoint is kept and where; empty if none is.
        batches: gives the batches of the stage after so many steps, as the network's `train_step` takes them.
        held_out: gives those of the validation split; none where there is none.
    """

    network: keras.Model
    feed: Feed
    tasks: Sequence[Task]
    data: StageData
    good_weights: Callable[[], tuple[Sequence[Any], str]]
    kept: Callable[[], str]
    batches: Callable[[int], Iterable[Any]] = lambda _: ()
    held_out: Callable[[], Iterable[Any]] = tuple


class Watch:
    """Looks at the loss of a training; a `Follower` of its course.

    Args:
        subject: what is trained.
        warn: takes a text that people should see.
    """

    name = "watch"

    def __init__(self, subject: Subject, warn: Callable[[str], None]) -> None:
        self._subject = subject
        self._warn = warn
        self._way: list[tuple[int, int, float]] = []
        self._first: float | None = None
        self._warned = False

    def learn_from(
        self,
        data: StageData,
        batches: Callable[[int], Iterable[Any]],
        held_out: Callable[[], Iterable[Any]],
    ) -> None:
        """What the stage that begins learns from; see `Subject`."""
        self._subject = replace(self._subject, data=data, batches=batches, held_out=held_out)

    def look(
        self,
        values: Mapping[str, float],
        settings: Settings,
        epoch: int,
        step: int,
        weights: Callable[[], Sequence[Any]] | None = None,
    ) -> None:
        """Looks at the loss.

        Args:
            values: `loss` and the metrics.
            settings: of the stage.
            epoch: from 1.
            step: how many steps of the stage were run.
            weights: gives copies of the network's; at an epoch's end they are looked at too, since a network
                can hide that they are no numbers: the ReLU of NaN is 0 where TensorFlow makes one operation
                of it and the layer before.

        Raises:
            DataError, StepError: it is no number; says why.
        """
        wrong = [key for key in ("loss", "val_loss") if not math.isfinite(values.get(key, 0.0))]
        at = f"in epoch {epoch}, at step {step:,}"
        if wrong:
            where = f"{wrong[0]} is {values[wrong[0]]} {at}"
        else:
            if "loss" in values:
                self._way.append((epoch, step, values["loss"]))
                self._first = abs(values["loss"]) if self._first is None else self._first
            lost = bad_weights(self._subject.network, weights()) if weights else []
            if not lost:
                return
            where = f"weights are NaN or infinite {at}, and the loss is {values.get('loss', math.nan):.4g}"
        raise diagnosed(self._subject, settings, where, "".join(wrong[:1]), self._way)

    def begin_stage(self, settings: Settings, stepper: Stepper) -> None:
        """A stage has a loss and a rate of its own."""
        self._way, self._first = [], None

    def after_epoch(self, row: Mapping[str, float], stepper: Stepper) -> None:
        """Warns, once, of a loss that rises over the epochs of a stage."""
        loss = row.get("loss", 0.0)
        if self._warned or self._first is None or not loss > RISE * self._first > 0:
            return
        self._warned = True
        self._warn(
            f"the loss was {self._first:.3g} at first, and is {loss:.3g} in epoch {row['epoch']:.0f}: the "
            "training diverges; take a smaller learning_rate"
        )

    def state(self) -> dict[str, Any]:
        """What it remembers: the loss that the stage began with, and whether it has warned."""
        return {"first": self._first, "warned": self._warned}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave."""
        self._first, self._warned = state["first"], state["warned"]


def diagnosed(
    subject: Subject, settings: Settings, where: str, key: str, way: Sequence[tuple[int, int, float]]
) -> StepError:
    """Why a loss is no number, as an error to be raised. The network's weights are lost.

    Args:
        subject: what is trained.
        settings: of the stage.
        where: what was seen, and when, as the beginning of a sentence.
        key: "loss", "val_loss", or "" if it is the weights.
        way: epoch, step and loss of each report before.
    """
    data = subject.data
    split = data.validation if key == "val_loss" and data.validation else data.train
    only = data.only if split == data.train else None
    bad = bad_values(data.examples, split, subject.feed, subject.tasks, only)
    if bad:
        found = "; ".join(one.told(data.examples, split) for one in bad[:5])
        return DataError(
            f"{where}: {found}",
            argument="examples",
            remedy="look at these rows; impute or clip the column in the transform step, or leave them out",
        )
    lost = bad_weights(subject.network, subject.network.get_weights())
    # The loss of a step is that before its change of the weights, so that its batch may be the bad one.
    since = way[-1][1] - 1 if len(way) > 1 else 0
    validated = key == "val_loss" and not lost
    finding = _learned_nothing(subject, settings, since, validated=validated)
    finding = finding or _diverged(subject, settings, key, lost, way)
    what, argument, remedy = finding
    kept = subject.kept()
    return StepError(f"{where}: {what}", argument=argument, remedy=f"{remedy}{'; ' if kept else ''}{kept}")


Finding = tuple[str, str, str]
"""What was found, the argument that it is about, and what to do."""


def _learned_nothing(subject: Subject, settings: Settings, since: int, *, validated: bool) -> Finding | None:
    """Whether the loss is no number with weights that are some, so that no learning rate is to blame.

    The batches that are tried are those since the loss was seen to be a number, or of the validation.
    """
    try:
        weights, whose = subject.good_weights()
        subject.network.set_weights(weights)
        batches = subject.held_out() if validated else subject.batches(since)
        batch = bad_batch(subject.network, batches, TRIED, slopes=not validated)
    except Exception:  # a network that can't be tried so: what went wrong is told without it
        return None
    return None if batch is None else _of_batch(batch, settings, whose)


def _of_batch(batch: BadBatch, settings: Settings, whose: str) -> Finding:
    if batch.outputs is None:
        layer = f"the layer {batch.layer!r}" if batch.layer else "the network"
        return (
            f"already with {whose} {layer} gives NaN or infinity for finite features",
            "model",
            f"look for a logarithm, a root or a division in {layer}, or features of great values"
            f"{_of_precision(settings)}",
        )
    low, high = batch.outputs
    span = f"from {low:.4g} to {high:.4g}"
    loss = _name_of_loss(settings)
    if batch.gradient:
        return (
            f"already with {whose} the gradient of {batch.gradient} is NaN or infinite, though the loss is "
            f"{batch.loss:.4g} and the network gives numbers {span}",
            "loss",
            "look for a root, a norm or a division at 0 in your loss or layers, whose slope is infinite; "
            f"add a small number first, as in sqrt(x + 1e-7){_of_precision(settings)}",
        )
    if max(map(abs, batch.targets)) > HUGE:
        return (
            f"the labels run from {batch.targets[0]:.4g} to {batch.targets[1]:.4g}, and {loss} of these is "
            "beyond float32 (3.4e38)",
            "loss",
            "give the label a transform: [{clip: [low, high]}, z_score], log1p or robust; or mend the data",
        )
    what = f"already with {whose} {loss} of a batch is {batch.loss}, though the network gives numbers {span}"
    remedy = (
        f"{loss} takes the logarithm of what the network gives: let an own model end with the activation "
        "softplus, or take another loss, such as mean_squared_error of a label with log1p"
        if loss in ("poisson", "kl_divergence")
        else "look for a logarithm, a root or a division in the loss: ops.log(ops.maximum(x, 1e-7)) is a "
        f"number for x = 0{_of_precision(settings)}"
    )
    return what, "loss", remedy


def _diverged(
    subject: Subject,
    settings: Settings,
    key: str,
    lost: Sequence[str],
    way: Sequence[tuple[int, int, float]],
) -> Finding:
    of = f"{len(lost):,} of {len(subject.network.weights):,} weights, first {lost[0]}, " if lost else ""
    what = "the training has diverged"
    if way:
        (_, start, low), (_, step, high) = min(way, key=lambda one: one[2]), way[-1]
        if high > low:
            what += f": the loss rose from {low:.3g} at step {start:,} to {high:.3g} at step {step:,}"
        else:
            what += f" since step {step:,}, when the loss was {high:.3g}"
    if of:
        what += f", and {of}are NaN or infinite"
    elif key == "val_loss":
        what += ", and the weights, which are numbers still, give no such loss on the validation split"
    rate = settings.learning_rate
    instead = f", {min(rate / 10, LARGE_RATE):g} in place of {rate:g}" if rate else ""
    clipped = f"optimizer: {{{_optimizer(settings)}: {{global_clipnorm: 1}}}}"
    remedy = f"take a smaller learning_rate{instead}, limit the gradients by {clipped}, or begin slowly with"
    return what, "learning_rate", f"{remedy} a warmup{_of_precision(settings)}"


def _of_precision(settings: Settings) -> str:
    if settings.execution.precision != "float16":
        return ""
    return f"; float16 ends at {FLOAT16_MOST:,.0f}: precision: bfloat16 has float32's range"


def _optimizer(settings: Settings) -> str:
    told: Any = settings.optimizer
    return told if isinstance(told, str) else next(iter(told))


def _name_of_loss(settings: Settings) -> str:
    told = settings.loss
    return told if isinstance(told, str) else "the loss"
