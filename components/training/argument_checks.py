"""What is wrong with the arguments of `train` and `cross_validate`, before anything runs. Nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...pipelines.component import Known
from ...pipelines.entry_points import offers
from ...pipelines.errors import Problem, closest
from ...pipelines.import_path import find_problem
from ..augmentation.grammar import parse_augmentation
from ..input.balance_check import balance_problems
from ..models import BUILT_IN, IMAGE_MODELS, arguments_of
from ..models.applications import ARCHITECTURES, PREFIX, architecture_of, nothing_published, published
from ..models.user import call_problem
from ..transforms.images import Shape
from .checkpoint_rule import checkpoint_problems
from .keras_names import LOSSES, METRICS, bare
from .loss_fit import fit_problems
from .optimizers import optimizer_problems
from .own_code import ARGUMENTS, is_own, own_problems
from .schedule_grammar import schedule_problems
from .settings import IMAGENET
from .stages import OWN, PRETRAINING, stage_problems

TASK_OF_KIND = {"value": "regression", "class": "classification", "multi": "multilabel", "": ""}
"""What a label of a kind is for; "classification" is binary or multi-class, "" isn't known yet."""
Arguments = Mapping[str, Any]
NO_VALIDATION = ("validation", "none")
"""Splits to validate on that need not be there: the default, and a word for none."""


def training_problems(arguments: Arguments, known: Mapping[str, Known]) -> list[Problem]:
    """Everything that can be told without the data.

    Args:
        arguments: those of the step.
        known: of `examples` and `transform`; the latter's facts tell the labels.
    """
    problems = model_problems(arguments)
    problems += optimizer_problems(arguments.get("optimizer"))
    problems += schedule_problems(arguments.get("learning_rate_schedule"))
    for loss in _each(arguments.get("loss")):
        problems += own_problems("loss", loss) if is_own(loss) else _name_problems("loss", loss, LOSSES)
    for names in _each(arguments.get("metrics")):
        for metric in [names] if isinstance(names, str) else names or []:
            own = is_own(metric)
            problems += own_problems("metrics", metric) if own else _name_problems("metrics", metric, METRICS)
    problems += fit_problems(
        known_tasks(arguments, known) or {}, arguments.get("loss"), arguments.get("metrics"),
        own_model=":" in str(arguments.get("model")),
    )  # fmt: skip
    problems += _weight_problems(arguments.get("class_weights"))
    problems += _initial_weight_problems(arguments)
    problems += stage_problems(arguments.get("stages")) + _stage_data_problems(arguments, known)
    problems += checkpoint_problems(arguments.get("checkpoints"))
    problems += _image_problems(arguments, known.get("transform", Known()).facts.get("images"))
    problems += _label_problems(arguments, known.get("transform", Known()).facts.get("labels"))
    splits = known["examples"].splits if "examples" in known else None
    split = arguments.get("train_split")
    if splits and isinstance(split, str) and split not in splits:
        what = f"the examples have no split {split!r}"
        problems.append(Problem(what, argument="train_split", given=split, available=splits))
    held_out = arguments.get("validation_split")
    if splits and isinstance(held_out, str) and held_out not in (*splits, *NO_VALIDATION):
        what = f"the examples have no split {held_out!r}"
        fix = "none trains without validation, and keeps the last epoch"
        problems.append(Problem(what, "", "validation_split", given=held_out, available=splits, remedy=fix))
    return problems


def _stage_data_problems(arguments: Arguments, known: Mapping[str, Known]) -> list[Problem]:
    """What is wrong with the examples and splits that stages name."""
    told = arguments.get("stages")
    stages = told if isinstance(told, list | tuple) else []
    problems, used = [], False
    for number, stage in enumerate(stages, start=1):
        if not isinstance(stage, Mapping):
            continue
        source = PRETRAINING if stage.get("examples") == PRETRAINING else OWN
        used |= source == PRETRAINING
        if source == PRETRAINING and PRETRAINING not in known:
            what = f"stage {number} learns from examples: {PRETRAINING}, and the step has none"
            remedy = (
                f"give the step {PRETRAINING}: ${{steps.other.examples}}, or take examples out of the stage"
            )
            problems.append(Problem(what, argument="stages", remedy=remedy))
        split, splits = stage.get("train_split"), known[source].splits if source in known else None
        if splits and isinstance(split, str) and not split.startswith("${") and split not in splits:
            what = f"stage {number}: the examples have no split {split!r}"
            problems.append(Problem(what, argument="stages", given=split, available=splits))
    if PRETRAINING in known and not used:
        what = f"no stage says examples: {PRETRAINING}, so that nothing is learned from them"
        remedy = f"write stages: [{{examples: {PRETRAINING}, epochs: 10}}, {{epochs: 20}}]"
        problems.append(Problem(what, argument=PRETRAINING, remedy=remedy))
    return problems


def known_tasks(arguments: Arguments, known: Mapping[str, Known]) -> dict[str, str] | None:
    """The tasks by output, "" for a single one, as far as they can be told; see `TASK_OF_KIND`."""
    task = arguments.get("task")
    labels = known.get("transform", Known()).facts.get("labels")
    if isinstance(task, str) and task != "auto" and not (labels and len(labels) > 1):
        return {"": task}
    if not labels:
        return None
    tasks = {label: TASK_OF_KIND[kind] for label, kind in labels.items()}
    return tasks if len(tasks) > 1 else {"": next(iter(tasks.values()))}


def _each(told: Any) -> Iterator[Any]:
    """What is said of every label, or of each."""
    yield from told.values() if isinstance(told, Mapping) else [told]


def _label_problems(arguments: Arguments, labels: Mapping[str, str] | None) -> list[Problem]:
    """What is said of labels that the transform step doesn't have, or that can't be said of them."""
    if not labels:
        return []
    problems = []
    for argument in ("loss", "loss_weights", "metrics", "class_weights"):
        told = arguments.get(argument)
        if not isinstance(told, Mapping) or (argument == "class_weights" and len(labels) == 1):
            continue
        remedy = "with several labels, class weights stand under their label: {label: {class: 2.0}}"
        for name in told:
            if name not in labels:
                what = f"{name!r} is no label"
                problems.append(
                    Problem(
                        what, argument=argument, given=str(name), available=tuple(labels),
                        remedy=remedy if argument == "class_weights" else "",
                    )
                )  # fmt: skip
    if len(labels) > 1 and arguments.get("task", "auto") != "auto":
        what = f"there are {len(labels)} labels, and one task {arguments['task']!r}"
        problems.append(Problem(what, argument="task", remedy="leave task out: each label makes its own"))
    if arguments.get("sampling") == "balanced":
        problems += balance_problems(labels)
    return problems + _weighted_label_problems(arguments.get("class_weights"), labels)


def _weighted_label_problems(told: Any, labels: Mapping[str, str]) -> list[Problem]:
    """Class weights of labels that have none, since a row isn't of one class of theirs."""
    if told is None or (isinstance(told, str) and (told.startswith("${") or "" in labels.values())):
        return []
    if isinstance(told, str):
        asked = [] if "class" in labels.values() else list(labels)[:1]
    else:
        asked = list(labels) if len(labels) == 1 else [name for name in told if name in labels]
    return [
        no_classes(name, TASK_OF_KIND[labels[name]]) for name in asked if labels[name] in ("value", "multi")
    ]


def no_classes(label: str, task: str) -> Problem:
    """The problem of class weights for a label whose rows aren't of one class each."""
    return Problem(
        f"class weights are for labels of one class a row, and the task of the label {label!r} is {task}",
        argument="class_weights",
        remedy="weigh the rows: name a column as weight in the transform step",
    )


def model_problems(arguments: Arguments) -> list[Problem]:
    """What is wrong with `model` and `model_args`."""
    model, model_args = arguments.get("model"), arguments.get("model_args") or {}
    if not isinstance(model, str):
        return []
    accepted = arguments_of(model)
    if accepted is not None and isinstance(model_args, Mapping):
        return [
            Problem(
                f"{model} has no argument {name!r}", argument="model_args", given=name, available=accepted
            )
            for name in model_args
            if name not in accepted
        ] + _regularization_problems(model, model_args)
    if ":" not in model:
        of_keras = model.startswith("keras.") or model in ARCHITECTURES
        keras_own = tuple(f"{PREFIX}{name}" for name in ARCHITECTURES)
        remedy = (
            "for a network of Keras write keras.applications.NAME, for a function of your own "
            "module:function or file.py:function"
        )
        return [
            Problem(
                f"there is no model {model!r}",
                argument="model",
                given=f"{PREFIX}{model}" if model in ARCHITECTURES else model,
                available=keras_own if of_keras else (*BUILT_IN, *offers("models")),
                remedy=remedy,
            )
        ]
    names = model_args if isinstance(model_args, Mapping) else ()
    problem = find_problem(model) or call_problem(model, names)
    return [problem if problem.argument else problem.at(argument="model")] if problem else []


def _regularization_problems(model: str, model_args: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with penalties, bounds and the dropout of a built-in model."""
    problems = []
    for name in ("dropout", "l1", "l2", "max_norm", "wide_l1", "wide_l2"):
        value = model_args.get(name, 0.0)
        if isinstance(value, str) and value.startswith("${"):
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value < (1 if name == "dropout" else float("inf"))):
            wanted = "from 0 to below 1" if name == "dropout" else "from 0 on"
            what = f"{model}: {name} has to be a number {wanted}, not {value!r}"
            problems.append(Problem(what, argument="model_args"))
    return problems


def _image_problems(arguments: Arguments, images: Mapping[str, Shape] | None) -> list[Problem]:
    """What is wrong with `model` and `augment` beside the features that are images, None if unknown."""
    model, augment = arguments.get("model"), arguments.get("augment")
    shapes = set((images or {}).values())
    problems = parse_augmentation(augment, shapes.pop() if len(shapes) == 1 else None)[1]
    if images is None or not isinstance(model, str):
        return problems
    for_images = model in IMAGE_MODELS or bool(architecture_of(model))
    if for_images and not images:
        tables = tuple(name for name in BUILT_IN if name not in IMAGE_MODELS)
        what = f"{model} is a model of images, and no feature is one"
        problems.append(Problem(what, argument="model", available=tables))
    if images and model in BUILT_IN and not for_images:
        what = f"{model} takes rows of numbers, and the feature {next(iter(images))!r} is an image"
        problems.append(Problem(what, argument="model", available=IMAGE_MODELS))
    if augment and not images:
        what = "there is no image to augment among the features"
        problems.append(Problem(what, argument="augment", remedy="leave augment out"))
    return problems


def _initial_weight_problems(arguments: Arguments) -> list[Problem]:
    """What is wrong with `weights: imagenet`."""
    model, model_args = arguments.get("model"), arguments.get("model_args") or {}
    if arguments.get("weights") != IMAGENET or not isinstance(model, str) or model.startswith("${"):
        return []
    if not isinstance(model_args, Mapping) or published(model, model_args):
        return []
    return [nothing_published(model, model_args)]


def _weight_problems(told: Any) -> list[Problem]:
    """What is wrong with class weights as far as it can be told without the labels."""
    if isinstance(told, Mapping):
        return [problem for value in told.values() for problem in _weight_problems(value)]
    if told is None or (isinstance(told, str) and (told == "balanced" or told.startswith("${"))):
        return []
    number = isinstance(told, int | float) and not isinstance(told, bool)
    if number and 0 < told < float("inf"):
        return []
    what = f"a class weight is a number above 0, or all of them are balanced, and this is {told!r}"
    given = told if isinstance(told, str) else ""
    return [Problem(what, argument="class_weights", given=given, available=("balanced",))]


def _name_problems(argument: str, given: Any, available: tuple[str, ...]) -> list[Problem]:
    """What is wrong with a name of Keras; case and underscores are left aside."""
    if not isinstance(given, str) or bare(given) in {bare(name) for name in available}:
        return []
    what = argument.removesuffix("s") if argument == "metrics" else argument
    available = (*available, *offers("metrics" if argument == "metrics" else "losses"))
    own = ", and file.py:name stands for one of your own" if argument in ARGUMENTS else ""
    remedy = "" if closest(given, available) else f"the names are those of Keras{own}"
    return [
        Problem(
            f"Keras has no {what} {given!r}",
            argument=argument,
            given=given,
            available=available,
            remedy=remedy,
        )
    ]
