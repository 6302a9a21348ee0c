"""The arguments of Keras' optimizers, to check them without Keras. Standard library only.

    optimizer: adam
    optimizer: {adamw: {weight_decay: 0.01, exclude_from_weight_decay: [bias, gamma, beta]}}
    optimizer: {sgd: {momentum: 0.9, nesterov: true, global_clipnorm: 1, gradient_accumulation_steps: 4}}

What Keras does: `weight_decay` makes every weight smaller by `rate · weight_decay` of itself each step (apart
from the gradient, as AdamW does, with any optimizer), biases and the scales of normalizations too, unless
`exclude_from_weight_decay` names them. `clipnorm` is a bound for the gradient of each weight by itself,
`global_clipnorm` for that of all together, `clipvalue` for each number. With `gradient_accumulation_steps`
weights change after so many batches, by the mean of their gradients, which is clipped; the learning-rate
schedule goes on with each batch. `use_ema` keeps a moving average of the weights, which is what is validated
and kept in the end; with `ema_overwrite_frequency` training goes on from it every so many changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ...pipelines.errors import Problem, closest
from .keras_names import bare

ARGUMENT = "optimizer"
EXCLUDE = "exclude_from_weight_decay"
"""Our own argument: Keras' method of this name is called with it, as `var_names`."""

_BETAS = {"beta_1": "share", "beta_2": "share", "epsilon": "number"}
OPTIMIZER_ARGUMENTS: dict[str, dict[str, str]] = {
    "adadelta": {"rho": "share", "epsilon": "number"},
    "adafactor": {
        "beta_2_decay": "real", "epsilon_1": "number", "epsilon_2": "number", "clip_threshold": "number",
        "relative_step": "switch",
    },
    "adagrad": {"initial_accumulator_value": "number", "epsilon": "number"},
    "adam": {**_BETAS, "amsgrad": "switch"},
    "adamax": _BETAS,
    "adamw": {**_BETAS, "amsgrad": "switch"},
    "ftrl": {
        "learning_rate_power": "real", "initial_accumulator_value": "number",
        "l1_regularization_strength": "number", "l2_regularization_strength": "number",
        "l2_shrinkage_regularization_strength": "number", "beta": "number",
    },
    "lion": {"beta_1": "share", "beta_2": "share"},
    "muon": {
        "adam_beta_1": "share", "adam_beta_2": "share", "adam_weight_decay": "number", "epsilon": "number",
        "exclude_layers": "names", "exclude_embeddings": "switch", "muon_a": "real", "muon_b": "real",
        "muon_c": "real", "adam_lr_ratio": "number", "momentum": "share", "ns_steps": "count",
        "nesterov": "switch", "rms_rate": "number",
    },
    "nadam": _BETAS,
    "rmsprop": {"rho": "share", "momentum": "number", "epsilon": "number", "centered": "switch"},
    "schedulefreeadamw": {**_BETAS, "warmup_steps": "count"},
    "sgd": {"momentum": "share", "nesterov": "switch"},
}  # fmt: skip
"""By the optimizer's name, which is its class in lower case, what each argument of its own is."""
COMMON_ARGUMENTS = {
    "weight_decay": "number", "clipnorm": "positive", "clipvalue": "positive", "global_clipnorm": "positive",
    "use_ema": "switch", "ema_momentum": "share", "ema_overwrite_frequency": "count",
    "loss_scale_factor": "positive", "gradient_accumulation_steps": "count",
}  # fmt: skip
"""Those that each of them takes; `learning_rate` is a parameter of the step, and `name` of no use."""
_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "real": ("a number", _is_real),
    "number": ("a number from 0 on", lambda value: _is_real(value) and value >= 0),
    "positive": ("a number above 0", lambda value: _is_real(value) and value > 0),
    "share": ("a number from 0 to 1", lambda value: _is_real(value) and 0 <= value <= 1),
    "count": (
        "a whole number from 0 on",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    ),
    "switch": ("true or false", lambda value: isinstance(value, bool)),
    "names": (
        "a list of texts",
        lambda value: isinstance(value, list | tuple) and all(isinstance(one, str) for one in value),
    ),
}


def parse_optimizer(told: Any) -> tuple[str, dict[str, Any], list[Problem]]:
    """The name of an optimizer and its arguments, and what is wrong with them.

    Args:
        told: a name, or `{name: {argument: value}}`.

    Returns:
        The name as in `OPTIMIZER_ARGUMENTS`, the arguments that aren't null, and problems.
    """
    name, given = told, None
    if isinstance(told, Mapping):
        if len(told) != 1:
            listed = ", ".join(map(str, told)) or "none"
            what = f"an optimizer is one name with its arguments, and the names here are: {listed}"
            remedy = "write {adam: {beta_1: 0.8}}, the arguments below the name"
            return "", {}, [Problem(what, argument=ARGUMENT, remedy=remedy)]
        name, given = next(iter(told.items()))
    known = {bare(one): one for one in OPTIMIZER_ARGUMENTS}
    if not isinstance(name, str) or bare(name) not in known:
        remedy = "" if closest(str(name), tuple(known)) else "the names are those of Keras"
        what = f"Keras has no optimizer {name!r}"
        wrong = Problem(
            what, argument=ARGUMENT, given=str(name), available=tuple(OPTIMIZER_ARGUMENTS), remedy=remedy
        )
        return "", {}, [wrong]
    name = known[bare(name)]
    if given is not None and not isinstance(given, Mapping):
        what = f"the arguments of {name} stand below it by name, and here is {given!r}"
        remedy = f"write {{{name}: {{argument: value}}}}; the rate is the step's learning_rate"
        return name, {}, [Problem(what, argument=ARGUMENT, remedy=remedy)]
    arguments = {key: value for key, value in (given or {}).items() if value is not None}
    return name, arguments, _argument_problems(name, arguments)


def optimizer_problems(told: Any) -> list[Problem]:
    """What is wrong with the argument `optimizer`; nothing of references."""
    if told is None or _is_reference(told):
        return []
    return parse_optimizer(told)[2]


def _argument_problems(name: str, arguments: Mapping[str, Any]) -> list[Problem]:
    kinds = {**OPTIMIZER_ARGUMENTS[name], **COMMON_ARGUMENTS, EXCLUDE: "names"}
    problems: list[Problem] = []
    for key, value in arguments.items():
        if key in ("learning_rate", "name"):
            remedy = "give it to the step: learning_rate: 1e-3" if key == "learning_rate" else "leave it out"
            what = f"{key} is no argument of the optimizer here"
            problems.append(Problem(what, argument=ARGUMENT, remedy=remedy))
        elif key not in kinds:
            what = f"{name} has no argument {key!r}"
            problems.append(Problem(what, argument=ARGUMENT, given=str(key), available=tuple(kinds)))
        elif not _is_reference(value) and not _KINDS[kinds[key]][1](value):
            what = f"{name}.{key} has to be {_KINDS[kinds[key]][0]}, not {value!r}"
            problems.append(Problem(what, argument=ARGUMENT))
    return problems + _together(name, arguments)


def _together(name: str, arguments: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with arguments beside each other."""
    wrong = []
    clips = [key for key in _CLIPS if key in arguments]
    if len(clips) > 1:
        wrong.append(f"only one of {', '.join(clips)} can be given")
    if arguments.get("gradient_accumulation_steps") in (0, 1):
        wrong.append("gradient_accumulation_steps is a number of batches from 2 on; leave it out for none")
    if arguments.get("ema_overwrite_frequency") == 0:
        wrong.append("ema_overwrite_frequency is a number of changes from 1 on; leave it out for never")
    ema = [key for key in ("ema_momentum", "ema_overwrite_frequency") if key in arguments]
    if ema and not arguments.get("use_ema"):
        wrong.append(f"{' and '.join(ema)} says nothing without use_ema: true")
    if EXCLUDE in arguments and "weight_decay" not in arguments and name not in ("adamw", "muon"):
        wrong.append(f"{EXCLUDE} says nothing without weight_decay")
    return [Problem(f"{name}: {text}", argument=ARGUMENT) for text in wrong]


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${")
