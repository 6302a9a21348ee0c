"""Optuna behind a search: what is tried, and what is given up early. Pure but for Optuna's memory.

The setting of a trial is a function of the seed and the trial's number, whatever became of the others, so
an interrupted search goes on with the very settings that it would have tried. Whether a trial is pruned
depends on what the others had told by then: with one trial at a time that is a function of the seed too,
with several at once it depends on which of them is faster.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ..errors import InvalidRequestError
from .settings import TuneSettings
from .space import Choices, Range, grid, size

REDUCTION = 3
"""Of the trials that reach a rung of Hyperband, one in so many goes on; Optuna's default, and the paper's."""
_ATTEMPTS = 200
"""How often a setting is drawn anew that was tried already, where there are only so many."""


def require_optuna() -> Any:
    """Optuna, quiet.

    Raises:
        InvalidRequestError: it isn't installed.
    """
    try:
        import optuna
    except ImportError:
        raise InvalidRequestError(
            "a search needs Optuna, which isn't installed", remedy="pip install 'headrace[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Study:
    """The settings of a search by number, and its pruning."""

    def __init__(self, settings: TuneSettings) -> None:
        self._optuna = require_optuna()
        self._settings = settings
        self._distributions = {name: self._distribution(axis) for name, axis in settings.over.items()}
        self._params: list[dict[str, Any]] = []
        self._values: list[dict[str, Any]] = []
        self._trials: list[Any] = []
        self._last: dict[int, int] = {}
        self._resource = 0
        # The name is part of what Optuna sorts trials into brackets by.
        self._study = self._optuna.create_study(
            direction=settings.direction,
            study_name=f"headrace-{settings.seed}",
            pruner=self._optuna.pruners.NopPruner(),
        )

    def _distribution(self, axis: Range | Choices) -> Any:
        kinds = self._optuna.distributions
        if isinstance(axis, Choices):
            return kinds.CategoricalDistribution(tuple(range(len(axis.values))))
        if axis.whole:
            return kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        return kinds.FloatDistribution(float(axis.low), float(axis.high), log=axis.log)

    def values(self, number: int) -> dict[str, Any]:
        """The setting of a trial, by `step.argument`."""
        while len(self._values) <= number:
            params, values = self._next(len(self._values))
            self._study.enqueue_trial(params)
            self._trials.append(self._study.ask(self._distributions))
            self._params.append(params)
            self._values.append(values)
        return self._values[number]

    def _next(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Optuna's parameters of a trial, and what they stand for."""
        over = self._settings.over
        if self._settings.method == "grid":
            values = grid(over)[number]
            return {name: _place(over[name], value) for name, value in values.items()}, values
        for attempt in range(_ATTEMPTS):
            params = self._drawn(number, attempt)
            if size(over) is None or params not in self._params:  # of values, 1 and true would be equal
                break
        return params, {name: _value(over[name], drawn) for name, drawn in params.items()}

    def _drawn(self, number: int, attempt: int) -> dict[str, Any]:
        """A random setting, by Optuna's sampler with a seed of its own."""
        text = f"{self._settings.seed}/{number}/{attempt}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        sampler = self._optuna.samplers.RandomSampler(seed=seed)
        return dict(self._optuna.create_study(sampler=sampler).ask(self._distributions).params)

    def report(self, number: int, epoch: int, value: float, of: int) -> bool:
        """Takes what a trial tells at the end of an epoch; says whether to give it up.

        Args:
            number: of the trial.
            epoch: from 1; one that was told already is passed over.
            value: better the way the objective is.
            of: how many epochs there are; the first report decides for all.
        """
        self.values(number)
        if epoch <= self._last.get(number, 0):
            return False
        self._last[number] = epoch
        if self._settings.method != "hyperband":
            return False
        if not self._resource:
            self._resource = max(of, epoch)
            self._study.pruner = self._optuna.pruners.HyperbandPruner(1, self._resource, REDUCTION)
        trial = self._trials[number]
        trial.report(value, epoch)
        return bool(trial.should_prune())

    def watched(self, number: int) -> int:
        """The last epoch that a trial has told of; 0 for none."""
        return self._last.get(number, 0)

    def end(self, number: int, state: str, metric: float | None) -> None:
        """Takes what became of a trial."""
        self.values(number)
        states = self._optuna.trial.TrialState
        told = {"pruned": states.PRUNED, "failed": states.FAIL}.get(state)
        if told is None:
            self._study.tell(self._trials[number], metric)
        elif told == states.PRUNED and not self._last.get(number):
            self._study.tell(self._trials[number], state=states.FAIL)
        else:
            self._study.tell(self._trials[number], state=told)


def _place(axis: Range | Choices, value: Any) -> Any:
    return axis.values.index(value) if isinstance(axis, Choices) else value


def _value(axis: Range | Choices, drawn: Any) -> Any:
    return axis.values[drawn] if isinstance(axis, Choices) else axis.value(drawn)
