"""From specs and raw examples to a fitted transform: one pass over the train split a depth of analyzers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError
from ..tfrecords.layout import Stored
from ..transforms import Analyzer, Identity, TargetMean, Transform, ZScore, coerced
from ..transforms.by_key import fit_by_key
from ..transforms.own import path_of, require_constants
from .analysis import Found, Request, analyze
from .features_grammar import RAW, FeatureSpec, LabelSpec
from .fitted import FittedTransform
from .fitted_features import Branch, FittedFeature, Stage, canonical
from .fitted_labels import Label
from .keyed_analysis import Target

TRAIN = "train"
MAX_INT_CLASSES = 20
"""An int label with at most this many distinct values is a class, unless a transform says else."""


@dataclass
class _Chain:
    """A chain that is being fitted: the stages that have their constants, and the transforms that don't."""

    column: str
    types: Mapping[str, str]
    pending: list[Transform]
    stages: list[Stage] = field(default_factory=list)
    defer_pixels: bool = False
    labels: dict[str, Label] = field(default_factory=dict)

    @property
    def branch(self) -> Branch:
        keys = dict.fromkeys(stage.transform.key for stage in self.stages if stage.transform.key)
        beside = tuple((key, self.types[key]) for key in keys)
        return Branch(self.column, self.types[self.column], tuple(self.stages), beside)

    @property
    def needs_label(self) -> bool:
        """Whether the label has to be fitted first."""
        return any(isinstance(transform, TargetMean) for transform in self.pending)

    def _request(self, transform: Transform, wanted: tuple[Analyzer, ...]) -> Request:
        by = (transform.key, self.types[transform.key]) if transform.key else None
        target = None
        if isinstance(transform, TargetMean):
            target = Target(self.labels[transform.target or ""], transform.folds, transform.seed)
        return Request(self.branch, wanted, transform.takes, by=by, target=target)

    def learn(self, labels: Sequence[Label]) -> None:
        """Tells the chain what the labels are; raises DataError where what comes out of one doesn't suit."""
        for place, transform in enumerate(self.pending):
            if not isinstance(transform, TargetMean):
                continue
            label = next(one for one in labels if transform.target in (None, one.column))
            classes = Target(label, transform.folds, transform.seed).classes
            self.labels[label.column] = label
            self.pending[place] = replace(transform, target=label.column, classes=classes)
            behind = self.pending[place + 1] if place + 1 < len(self.pending) else None
            if classes and behind is not None and "vector" not in behind.takes:
                raise DataError(
                    f"{transform.name} gives {classes} columns, one for each class of {label.column!r}, and"
                    f" {behind.name} takes one",
                    remedy=f"end the chain of {self.column!r} with {transform.name}",
                )

    def advance(self, found: Found | None = None) -> Request | None:
        """Fits what can be fitted; gives what has to be known next, None at the end of the chain."""
        while self.pending:
            transform = self.pending[0]
            kind = coerced(self.branch.end.kind, transform.takes)
            assert kind is not None, "the chain was checked against the columns' types"
            wanted = transform.analyzers(kind)
            if wanted == ("pixels",) and self.defer_pixels:
                self.stages.append(Stage(self.pending.pop(0), {}))
                continue
            if wanted and found is None:
                return self._request(transform, wanted)
            if found is not None:
                _require_values(found)
            if transform.key and found is not None:
                constants = canonical(fit_by_key(transform, found, found.groups, kind))
            else:
                made = transform.fit(found or _NOTHING, kind)
                if path_of(type(transform)):
                    require_constants(transform, made)
                constants = canonical(made)
            self.stages.append(Stage(transform, constants))
            self.pending.pop(0)
            found = None
        return None


_NOTHING = Found("")


Pass = Callable[[str, Sequence[Request]], list[Found]]
"""Answers requests by one pass over the train split; the string names the pass."""


def train_pass(ctx: Context, examples: Examples) -> Pass:
    """Passes over the split `train` of raw examples, in Beam."""
    return lambda stage, requests: analyze(ctx, stage, examples, [TRAIN], requests)


class Fitter:
    """Fits transforms, and asks each thing of the data once.

    Args:
        types: raw column → type (`float`, `int`, `bool`, `string`).
        look: see `Pass`.
        warn: takes a message that asks for attention.
    """

    def __init__(self, types: Mapping[str, str], look: Pass, warn: Callable[[str], None]) -> None:
        self.types = types
        self._look = look
        self._warn = warn
        self._known: dict[str, Found] = {}
        self._passes = 0

    def answer(self, requests: Sequence[Request]) -> list[Found]:
        """What was asked for, from one pass at most."""
        new = {request.key: request for request in requests if request.key not in self._known}
        if new:
            found = self._look(f"analyze-{self._passes}", list(new.values()))
            self._passes += 1
            for request, answer in zip(new.values(), found, strict=True):
                self._warn_inexact(answer)
                # Who asks for one of several things later needs no further pass.
                for analyzers in (request.analyzers, *((one,) for one in request.analyzers)):
                    self._known.setdefault(replace(request, analyzers=analyzers).key, answer)
        return [self._known[request.key] for request in requests]

    def _warn_inexact(self, found: Found) -> None:
        counts = [one.values for one in found.groups.values() if one.values is not None]
        error = max((one.relative_error for one in counts), default=0.0)
        if error:
            self._warn(
                f"{found.column}: there are too many different values to count exactly by key; quantiles"
                f" by key are within {error:.2g} of their values"
            )
        if found.strings is not None and not found.strings.exact:
            self._warn(
                f"{found.column}: about {found.strings.distinct:,} distinct values are too many to count"
                " exactly; the vocabulary is made of a sample of them. `hash` needs no vocabulary"
            )

    def fit(
        self,
        specs: Sequence[FeatureSpec],
        labels: Sequence[LabelSpec],
        scale_labels: bool = False,
        stored: Stored = "pixels",
        defer_pixels: bool = False,
    ) -> FittedTransform:
        """Fits features and labels.

        Args:
            specs: features, checked against the columns' types.
            labels: one at the least.
            scale_labels: whether a label given without a transform, if it is a value, gets `z_score`.
            stored: how images are stored.
            defer_pixels: whether what is fitted on all pixels is left to who encodes them, so that they
                aren't decoded twice; see `FittedFeature.deferred`.

        Raises:
            DataError: a column has no values, or is infinite where moments are needed; one class only.
        """
        chains = {
            s.name: [
                _Chain(c, self.types, list(own), defer_pixels=defer_pixels)
                for c, own in zip(s.columns, s.chains, strict=True)
            ]
            for s in specs
        }
        targets = [_LabelChain(spec, self.types, scale_labels, self._warn) for spec in labels]
        every = [chain for branches in chains.values() for chain in branches]
        later = [chain for chain in every if chain.needs_label]
        self._advance([*targets, *(chain for chain in every if chain not in later)])
        for chain in later:
            chain.learn([target.label for target in targets])
        self._advance(later)
        # What joins columns, and what stands behind it, needs nothing of the data.
        joined = {s.name: tuple(Stage(t, canonical(t.fit(_NOTHING, "ids"))) for t in s.joined) for s in specs}
        fitted = [
            FittedFeature(name, tuple(c.branch for c in branches), joined[name], stored)
            for name, branches in chains.items()
        ]
        return FittedTransform(tuple(fitted), tuple(target.label for target in targets))

    def _advance(self, chains: Sequence[_Chain | _LabelChain]) -> None:
        """Fits chains to their ends, with as few passes as their depth needs."""
        waiting: list[tuple[_Chain | _LabelChain, Request | None]] = [(c, c.advance()) for c in chains]
        while asked := [(chain, request) for chain, request in waiting if request is not None]:
            # Those whose answer is known go on first, so that a pass serves as many chains as it can.
            ready = [one for one in asked if one[1].key in self._known] or asked
            waiting = [one for one in asked if one[1].key not in self._known and ready is not asked]
            answers = self.answer([request for _, request in ready])
            waiting += [
                (chain, chain.advance(found)) for (chain, _), found in zip(ready, answers, strict=True)
            ]


class _LabelChain:
    """A label's chain; decides first whether it is a value or a class."""

    def __init__(
        self, spec: LabelSpec, types: Mapping[str, str], scale: bool, warn: Callable[[str], None]
    ) -> None:
        kind = types[spec.column]
        self._spec = spec
        self._warn = warn
        self._type = kind
        self._scale = scale
        self._classes: tuple[str, ...] = ()
        self._given = bool(spec.chain)
        as_class = spec.chain[0].label == "class" if spec.chain else kind in ("string", "bool")
        self._several = spec.chain[-1] if spec.chain and spec.chain[-1].label == "multi" else None
        as_class = as_class or self._several is not None
        self._as_class = as_class
        self._asks_for_distinct = not self._given and kind == "int"
        self._asks_for_spread = not as_class
        self._chain = _Chain(spec.column, types, [] if as_class else list(spec.chain or self._default))

    @property
    def _default(self) -> tuple[Transform, ...]:
        return (ZScore(),) if self._scale else (Identity(),)

    def advance(self, found: Found | None = None) -> Request | None:
        """See `_Chain.advance`."""
        bare = Branch(self._spec.column, self._type, ())
        if found is not None:
            _require_values(found, "label")
        if self._asks_for_distinct:
            if found is None:
                return Request(bare, ("values",), ("int",))
            assert found.values is not None
            self._asks_for_distinct = False
            if not found.values.exact or found.values.distinct > MAX_INT_CLASSES:
                return self.advance()
            numbers = sorted(int(value) for value in found.values.compute()[0])
            self._close([str(number) for number in numbers])
            return None
        if self._several is not None:
            if found is None:
                return Request(self._lists, ("strings",), self._several.takes)
            self._close(sorted(self._several.fit(found, "strings")["keys"]), least=1)
            return None
        if self._as_class:
            if found is None:
                return Request(bare, ("strings",), (RAW[self._type],), names=True)
            given = self._spec.chain[0].fit(found, "string")["keys"] if self._given else None
            self._close(given or sorted(found.vocabulary(None, 1)))
            return None
        if self._asks_for_spread:
            if found is None:
                looks = self._type == "float" and not self._given
                return Request(bare, ("moments", "values") if looks else ("moments",), ("float",))
            self._asks_for_spread = False
            self._check_spread(found)
            return self._chain.advance()
        return self._chain.advance(found)

    def _check_spread(self, found: Found) -> None:
        """Refuses a value that is the same in all rows; says so of one that looks like a class."""
        assert found.moments is not None
        if not found.moments.infinite and found.moments.min == found.moments.max:
            only = f"{found.moments.min:.8g}"
            raise DataError(
                f"the label {self._spec.column!r} has only one value in the train split, {only}",
                argument="label",
                remedy="there is nothing to learn: take another label or more data; where its values differ "
                "past the seventh digit only, which float32 doesn't hold, take an offset off beforehand",
            )
        values = found.values
        if values is not None and values.exact and values.distinct <= MAX_INT_CLASSES:
            numbers = values.compute()[0]
            if (numbers == numbers.round()).all():
                self._warn(
                    f"the label {self._spec.column!r} is taken for a value, and has only the"
                    f" {values.distinct} values {', '.join(f'{n:g}' for n in numbers[:5])}"
                    f"{' …' if values.distinct > 5 else ''}. If these are classes, state its type where it is"
                    f" read: types: {{{self._spec.column}: int}}"
                )

    @property
    def _lists(self) -> Branch:
        """The chain up to the names of several classes; its transforms need nothing of the data."""
        stages = tuple(
            Stage(transform, canonical(transform.fit(_NOTHING, "string")))
            for transform in self._spec.chain[:-1]
        )
        return Branch(self._spec.column, self._type, stages)

    @property
    def _partial(self) -> bool:
        """Whether classes may be left out."""
        named = self._spec.chain[-1] if self._spec.chain else None
        return getattr(named, "top_k", None) is not None or getattr(named, "min_count", 1) > 1

    def _close(self, classes: list[str], least: int = 2) -> None:
        if len(classes) < least:
            only = f", {classes[0]!r}" if classes else ""
            raise DataError(
                f"the label {self._spec.column!r} has only one class in the train split{only}",
                argument="label",
                remedy="there is nothing to learn: take another label or more data",
            )
        self._classes = tuple(classes)
        self._as_class = True

    @property
    def label(self) -> Label:
        """The fitted label."""
        if self._several is not None:
            stages = self._lists.stages
            return Label(self._spec.column, self._type, "multi", self._classes, stages, self._partial)
        if self._classes:
            return Label(self._spec.column, self._type, "class", self._classes, partial=self._partial)
        return Label(self._spec.column, self._type, "value", (), tuple(self._chain.stages))


def _require_values(found: Found, what: str = "column") -> None:
    if not found.count:
        leave = "leave it out, or put {impute: a value of your own} before"
        raise DataError(
            f"the {what} {found.column!r} has no value in the train split",
            remedy=leave if what == "column" else "take another label",
        )
