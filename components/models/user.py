"""A model of one's own: how it is written, and what its function is called with, without importing it.

A function that is named as `model: steady.py:steady` gives a network, which may be of a class of one's own
with a `train_step` of its own:

    # steady.py
    import keras

    LAST = {"regression": None, "binary": "sigmoid", "multiclass": "softmax", "multilabel": "sigmoid"}

    @keras.saving.register_keras_serializable("steady")
    class Steady(keras.Model):
        # Learns from rows with a little noise on them, so that it answers alike for rows that are alike.

        def __init__(self, outputs, last, noise, **kwargs):
            super().__init__(**kwargs)
            self.told = {"outputs": outputs, "last": last, "noise": noise}
            self.hidden = keras.layers.Dense(16, activation="relu")
            self.answer = keras.layers.Dense(outputs, activation=last)
            self.noise, self.draws = noise, keras.random.SeedGenerator()

        def call(self, rows, training=False):
            return self.answer(self.hidden(rows))

        def train_step(self, data):
            rows, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
            noise = keras.random.normal(keras.ops.shape(rows), stddev=self.noise, seed=self.draws)
            return super().train_step((rows + noise, labels, weights))

        def get_config(self):
            return {**super().get_config(), **self.told}

    def steady(inputs, outputs, task, noise=0.1):
        return Steady(outputs, LAST[task], noise)

- It is registered and has a `get_config`, so that evaluate, export and later trainings can load it.
- Random numbers are drawn by `keras.random` with a `SeedGenerator` that the model has as an attribute: its
  state is in the checkpoints, and a training that was killed goes on with the very next number. Whatever
  else changes in training has to be a weight, a metric or the optimizer of the model, for the same reason.
- `train_step` and `test_step` give a dict of numbers with `loss` in it; the least `val_loss` chooses the
  epoch. A loss that is added in `call` by `self.add_loss`, or in `compute_loss`, needs neither.
- A `train_step` is written for one backend; with `strategy: jax` it takes `(state, data)`, and gives both
  the logs and the state, as in Keras' guide to training with JAX.
- A model that comes compiled keeps its optimizer, loss and metrics.

Losses and metrics of one's own are named in the step; see `headrace.components.training.own_code`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ...pipelines.errors import Problem
from ...pipelines.import_path import plain_definition, split_path

CALLED_WITH = ("outputs", "task")
"""The keywords of every call of a model function; one of `FED_BY` and `model_args` come on top."""
FED_BY = ("inputs", "features", "packed")
"""How a model function gets to know its features, and its network the rows; by the first that it names."""


def fed_by(accepted: Iterable[str]) -> str:
    """Which keyword of `FED_BY` a function is called with that accepts these; "inputs" if it names none."""
    named = set(accepted)
    return next((keyword for keyword in FED_BY if keyword in named), "inputs")


_HINTS = {
    "inputs": "inputs: int",
    "features": "features: tuple[FeatureInput, ...]",
    "packed": "packed: Packed",
}


def call_problem(path: str, model_args: Iterable[str]) -> Problem | None:
    """Why a model function can't be called as train calls it, as far as its source says.

    Nothing is said of what isn't a plain function of its file: imported names, classes, decorated functions.

    Args:
        path: an import path in which `find_problem` finds nothing wrong.
        model_args: the names of further keyword arguments.
    """
    found = plain_definition(path)
    if found is None or not isinstance(found[0], ast.FunctionDef):
        return None
    return _signature_problem(split_path(path)[1], found[0], tuple(model_args), str(found[1]))


def _signature_problem(
    name: str, function: ast.FunctionDef, model_args: tuple[str, ...], file: str
) -> Problem | None:
    told = function.args
    positional = [*told.posonlyargs, *told.args]
    needed = [one.arg for one in positional[: len(positional) - len(told.defaults)]]
    needed += [one.arg for one, value in zip(told.kwonlyargs, told.kw_defaults, strict=True) if value is None]
    accepted = [one.arg for one in (*told.args, *told.kwonlyargs)]
    keyword = fed_by(accepted)
    given = (keyword, *CALLED_WITH, *model_args)
    refused = [] if told.kwarg else [key for key in given if key not in accepted]
    for_nothing = [key for key in needed if key not in given or key not in accepted]
    if refused:
        also = " (nor 'features')" if refused[0] == "inputs" else ""
        what, first = f"the model function {name} takes no keyword {refused[0]!r}{also}", refused[0]
    elif for_nothing:
        what, first = f"the model function {name} needs {for_nothing[0]!r}, which nothing gives", ""
    else:
        return None
    return Problem(
        what,
        argument="model_args" if first in model_args else "model",
        file=file,
        line=function.lineno,
        given=first if first in model_args else "",
        available=tuple(accepted),
        remedy=f"write def {name}({_HINTS[keyword]}, outputs, task, **model_args)",
    )
