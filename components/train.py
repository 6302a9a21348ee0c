"""Train a Keras model on transformed examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from msgspec import Meta

from ..pipelines.artifact import Examples, Model, Transform
from ..pipelines.component import Known, Marker, component
from ..pipelines.context import Context
from ..pipelines.errors import Problem
from .models import ModelName
from .strategies.asking import execution_problems, process_of
from .strategies.batches import rate_factor
from .training.argument_checks import known_tasks, training_problems
from .training.own_code import ARGUMENTS as OWN_CODE
from .training.own_code import LossNames, MetricNames, own_paths
from .training.schedules import Name as ScheduleName

MAY_CHANGE = (
    "strategy", "virtual_devices", "strategy_args", "xla", "batch_size", "replica_batch_size",
    "scale_learning_rate",
)  # fmt: skip
"""Parameters that a killed training may have others of when it goes on, if the global batches stay as they
were, and what the learning rate is multiplied with."""


@component(process="tensorflow")
def train(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    *,
    model: ModelName = "mlp",
    model_args: dict[str, Any] | None = None,
    task: Literal["auto", "regression", "binary", "multiclass", "multilabel"] = "auto",
    epochs: Annotated[int, Meta(ge=1)] = 20,
    batch_size: Annotated[int, Meta(ge=1)] | None = None,
    optimizer: str | dict[str, dict[str, Any]] = "adam",
    learning_rate: Annotated[float, Meta(gt=0)] | None = None,
    learning_rate_schedule: ScheduleName | dict[str, Any] = "cosine",
    loss: LossNames | None = None,
    loss_weights: dict[str, Annotated[float, Meta(ge=0)]] | None = None,
    class_weights: str | dict[str, float | str | dict[str, float]] | None = None,
    metrics: MetricNames | None = None,
    patience: Annotated[int, Meta(ge=1)] | None = None,
    train_split: str = "train",
    validation_split: str = "validation",
    augment: list[Any] | None = None,
    weights: Model | Annotated[str, Marker("file", ("imagenet",))] | None = None,
    stages: list[dict[str, Any]] | None = None,
    pretraining: Examples | None = None,
    sampling: Literal["natural", "balanced"] = "natural",
    strategy: Literal["auto", "one", "mirrored", "tpu", "jax"] = "auto",
    virtual_devices: Annotated[int, Meta(ge=1)] | None = None,
    strategy_args: dict[str, Any] | None = None,
    replica_batch_size: Annotated[int, Meta(ge=1)] | None = None,
    scale_learning_rate: Literal["none", "linear", "sqrt"] = "none",
    precision: Literal["float32", "float16", "bfloat16"] = "float32",
    xla: bool = False,
    steps_per_execution: Annotated[int, Meta(ge=1), Marker("operational")] = 1,
    checkpoints: Annotated[dict[str, Any], Marker("operational")] | None = None,
    cache: Annotated[Literal["auto", "memory", "disk", "none"], Marker("operational")] = "auto",
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0,
) -> Model:
    """Trains a network and keeps the weights of the epoch with the least validation loss.

    The task follows the label: a value makes a regression, two classes a binary task, more a multi-class
    one, any number of classes a row a multi-label one. Several labels make a network with several outputs,
    whose losses are added. Row weights, where the transform step names a column of them, multiply the loss of
    each row in training and validation, and so do class weights; the sum is divided by the number of rows,
    as Keras does. Equal arguments give equal weights, bit by bit, on a CPU; the artifact is known by their
    digest.

    The examples of all epochs of a stage are one stream, which is cut into full batches: what fills none at
    the end of an epoch opens the first batch of the next, and an epoch ends with the step in which its last
    example was learned from. What fills no batch at the end of a stage, fewer than `batch_size`, is left out.

    A training that was killed or interrupted goes on from its last checkpoint with the next example, when
    the pipeline is resumed or run again, and ends with the weights of one that wasn't disturbed, bit by bit
    where equal arguments give those. It may go on on other devices, with the same global batch.

    The Model holds `learning_curves.png` to look at, `history.csv` with a row an epoch, and in `tensorboard/`
    the same and some points within epochs; a training of more than a minute says where TensorBoard can follow
    it. At the end the examples a second are told, and what part of the time was spent waiting for them.

    Args:
        examples: transformed examples.
        transform: the Transform that made them; the Model carries a copy.
        model: `mlp`, `linear`, `wide_deep`; for images `cnn`, `vgg16`, `vgg19`, `resnet34`, `resnet50` or
            `keras.applications.NAME`; or the import path of a function that returns a Keras model; see
            `headrace.components.models`.
        model_args: more keyword arguments of the model function, for example `{hidden_units: [64, 32]}`.
        task: overrules the rule above, where there is one label.
        epochs: how often the training split is gone through at most.
        batch_size: examples a step; by default 64, or fewer where an epoch would have less than 16 steps.
        optimizer: by its Keras name, or `{name: {argument: value}}` with Keras' own arguments, as in
            `{adam: {beta_1: 0.8, global_clipnorm: 1, gradient_accumulation_steps: 4, use_ema: true}}`; see
            `headrace.components.training.optimizers`. Optimizer, loss and metrics of a model that comes
            compiled stay.
        learning_rate: the optimizer's own default if not given.
        learning_rate_schedule: `cosine` lets the rate sink to 0 over all epochs, `constant` keeps it; others
            are `time`, `step`, `exponential`, `cosine_restarts`, `polynomial`, `one_cycle` and `plateau`,
            each a name or `{name: {argument: value}}`, and before any of them `warmup`, a number of epochs:
            `{step: {at: [30, 60], factor: 0.1}, warmup: 5}`. Lengths are epochs, from the end of the warm-up;
            see `headrace.components.training.schedules`.
        loss: by its Keras name, or that of your own as `losses.py:name` (see
            `headrace.components.training.own_code`), or by label; the default is the squared error or the
            cross-entropy.
        loss_weights: by label what its loss is multiplied with before all are added; 1 where nothing is said.
        class_weights: `balanced` for rows / (classes · rows of the class), or a weight for some classes, 1
            for the others; or by label one of these, `{sold: {yes: 5}, kind: balanced}`. Classes are named as
            in the data, a bool's `true` and `false`.
        metrics: what else is shown during training, of each output, or by label: Keras names, and those of
            your own as for the loss; `accuracy` for classes by default.
        patience: stop after so many epochs without a better validation loss.
        train_split: the split to learn from.
        validation_split: the split that chooses the epoch; without rows in it, or with `none`, the last epoch
            is kept.
        augment: what is done to the images of the train split, anew in each epoch: a list of `flip`,
            `rotate90`, `rotate`, `shift`, `zoom`, `shear`, `affine`, `random_crop`, `brightness`, `contrast`,
            `noise` and `cutout`, each a name, `{name: value}` or `{name: {argument: value}}`, as in
            `[{flip: horizontal}, {rotate: 15}, {shift: 0.1}]`; see `headrace.components.augmentation`.
            `augmentation.png` in the Model shows some images before and after.
        weights: what the network begins with in place of random weights: a Model, a Model's folder, a file
            (`.keras`, `.weights.h5`, an `.h5` that Keras publishes, or the checkpoint `.npz` of an equal
            network), or `imagenet` for those of Keras. Layers are found by name; heads may differ and then
            begin at random, all other layers of a built-in image model have to fit. The Model of another
            step, `${steps.other}`, is a warm start.
        stages: one training behind the other, each a mapping of what it says otherwise: `epochs`,
            `batch_size`, `optimizer`, `learning_rate`, `learning_rate_schedule`, `patience`; from what it
            learns: `examples: pretraining`, `train_split`, `validation_split`; and which layers don't learn:
            `freeze`, a pattern of names, a list of them, or a number of layers from the input on;
            `freeze_before`, a pattern of the first layer that learns. As in
            `[{examples: pretraining, epochs: 9}, {epochs: 3, freeze: learner}, {learning_rate: 1e-5}]`. A
            stage begins with the best weights so far and a new optimizer; what is best begins anew where it
            is measured on other examples. Frozen batch normalization is used as in inference.
        pretraining: other transformed examples, for stages that say `examples: pretraining`; made of raw ones
            by `apply_transform` with the same Transform.
        sampling: "balanced" draws every class equally often, "natural" as often as it is there.
        strategy: what computes: `one` device, all GPUs of the machine (`mirrored`), a `tpu`, or `jax`; `auto`
            takes what is there, and says what it took.
        virtual_devices: splits the CPU into so many devices, to try a strategy without its hardware.
        strategy_args: the strategy's own arguments: `{devices: ["GPU:0", "GPU:1"]}` of mirrored,
            `{tpu: NAME, zone: …, project: …}` of a TPU.
        replica_batch_size: examples a step on each replica, in place of `batch_size`, which is that of all
            and has to be divided by their number. Batch normalization sees the rows of one replica, and its
            moving averages are means over all; each replica draws dropout masks of its own.
        scale_learning_rate: by the number of replicas: `linear`, `sqrt`, or not.
        precision: what layers compute in; weights and outputs stay float32, and float16 scales the loss.
        xla: whether XLA compiles the step: on one device. It is as repeatable as without, but draws other
            dropout masks.
        steps_per_execution: how many steps TensorFlow runs in one go; no part of the result.
        checkpoints: how often what a killed training needs to go on is kept: `{every_steps: n}` or
            `{every_minutes: m}`, and `keep: k` for how many of them; every minute and 2 by default, and never
            oftener than takes 3 % of the time. No part of the result.
        cache: where examples are kept once they are read: in `memory`, on `disk` or not at all (`none`).
        seed: of the initial weights, the dropout, the order of the examples and their augmentation. An equal
            one gives equal weights on a CPU; to networks with convolutions where it has as many cores, or
            `TF_NUM_INTRAOP_THREADS` is the same.

    Raises:
        InvalidRequestError: the task doesn't fit the label, a weight is of an unknown class or label, or
            Keras refuses model, optimizer or loss.
        DataError: too few examples, negative row weights, features of ids for a model that takes a matrix, an
            image that is too small for the model, or weights that don't fit or can't be fetched.
        StepError: the loss is NaN or infinite.
    """
    from .dataset import shard_errors
    from .strategies.batches import default_batch_size, global_batch_size
    from .strategies.choosing import choose
    from .strategies.jax_devices import host_errors
    from .training.checkpoint_rule import CheckpointRule
    from .training.checkpoints import checkpoints_of
    from .training.logs.log import TrainingLog
    from .training.logs.pace import pace_text
    from .training.loop import input_of, train_network
    from .training.memory import memory_errors
    from .training.model_artifact import write_model
    from .training.preparing import prepare
    from .training.settings import Execution, InitialWeights, Settings
    from .training.stage_data import data_of_stages, with_batch_sizes
    from .training.stages import stages_of

    told = {
        "task": task, "model": model, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
        "class_weights": class_weights, "patience": patience, "train_split": train_split,
        "validation_split": validation_split,
    }  # fmt: skip
    execution = Execution(
        strategy, virtual_devices, strategy_args or {}, replica_batch_size, scale_learning_rate, precision,
        xla, steps_per_execution, checkpoints, cache,
    )  # fmt: skip
    chosen = choose(execution)
    ctx.say(f"trains on {chosen.why}")
    prepared = prepare(ctx, examples, transform, told)
    batch = global_batch_size(batch_size, replica_batch_size, examples.rows(train_split), chosen.replicas)
    course = stages_of(stages)
    data = data_of_stages(ctx, course, prepared, examples, transform, pretraining, told)
    if not (batch_size or replica_batch_size):
        course = with_batch_sizes(course, data, partial(default_batch_size, replicas=chosen.replicas))
    settings = Settings(
        model, model_args or {}, epochs, batch, optimizer, learning_rate, learning_rate_schedule,
        loss, loss_weights or {}, metrics or [], patience, seed, augment or [], course,
        InitialWeights.of(weights), sampling, execution,
    )  # fmt: skip
    facts = facts_that_stay(batch, [s.batch_size for s in course], scale_learning_rate, chosen.replicas)
    folder = ctx.resumable(facts, without=MAY_CHANGE)
    log = TrainingLog(folder / "tensorboard" if folder else None, ctx.say)
    rule = CheckpointRule.of(checkpoints)
    kept = checkpoints_of(folder, rule, ctx, chosen.why, several_hosts=chosen.share is not None)
    with (
        shard_errors(examples, train_split),
        memory_errors(batch, train_split, kept),
        host_errors(chosen.share),
    ):
        trained = train_network(
            examples, train_split, prepared.validation, prepared.fitted.features, prepared.tasks,
            prepared.class_weights, settings, ctx.progress, warn=ctx.warn, data=data, checkpoints=kept,
            chosen=chosen, log=log,
        )  # fmt: skip
        pictures = {}
        if trained.augmentation is not None:
            from .training.augmentation_sheet import FILE, augmentation_sheet

            drawn = augmentation_sheet(
                examples, train_split, trained.feed, prepared.tasks, trained.augmentation
            )
            pictures[FILE] = drawn
    if told_pace := pace_text(trained.pace, input_of(examples, train_split, settings, trained)):
        ctx.say(told_pace)
    with host_errors(chosen.share):
        return write_model(ctx, transform, prepared, settings, trained, log, pictures)


def facts_that_stay(batch: int, of_stages: Sequence[int | None], rule: str, replicas: int) -> list[Any]:
    """What parameters that may change come down to, which has to stay when a killed training goes on.

    Args:
        batch: examples of a global batch.
        of_stages: the same of each stage, where it says so.
        rule: `scale_learning_rate`.
        replicas: how many there are.
    """
    return [batch, rate_factor(rule, replicas), list(of_stages)]


@train.code_of
def _code_of(name: str, value: Any) -> tuple[str, ...]:
    """The code of losses and metrics of one's own."""
    return own_paths(value) if name in OWN_CODE else ()


@train.check
def _check(
    arguments: Mapping[str, Any], known: Mapping[str, Known]
) -> tuple[list[Problem], dict[str, Known]]:
    tasks = known_tasks(arguments, known)
    facts: dict[str, Any] = {} if tasks is None else {"tasks": tasks}
    if inputs := known.get("transform", Known()).facts.get("inputs"):
        facts["inputs"] = inputs
    problems = training_problems(arguments, known) + execution_problems(arguments)
    return problems, {"output": Known(facts=facts)}


train.process_of(process_of)
