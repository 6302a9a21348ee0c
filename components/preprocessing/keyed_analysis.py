"""What transforms have to know of the data by key: the part of a pass that `analysis` hands over to here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.errors import DataError
from ...schemas.keyed_counts import KeyedCounts
from ...schemas.keyed_means import KeyedMeans
from ...schemas.keyed_moments import MOST_KEYS, KeyedMoments
from ...schemas.packing import Blob
from ...schemas.string_counts import StringCounts
from ..data_plane.row_hash import fold_of
from ..transforms import Analyzer
from ..transforms.namespace import NumpyNamespace
from .fitted_features import Places
from .fitted_labels import Label, label_column


@dataclass(frozen=True)
class Target:
    """The label as means of it are taken, in folds.

    Attributes:
        label: the fitted label.
        folds, seed: see `headrace.components.transforms.TargetMean`.
    """

    label: Label
    folds: int
    seed: int

    @property
    def numbers(self) -> int:
        """How many numbers a row has: 1 for a value and for two classes, else one a class."""
        classes = len(self.label.classes)
        return 1 if self.label.kind == "value" or (self.label.kind == "class" and classes == 2) else classes

    @property
    def classes(self) -> int:
        """The columns that come out where there are several, else 0."""
        return self.numbers if self.numbers > 1 else 0

    def values(self, columns: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Of cast columns, float64 [numbers, n]; NaN where the label is missing or unknown."""
        made, faults = label_column(self.label, columns[self.label.column])
        wrong = np.logical_or.reduce(list(faults.values()))
        if self.label.kind == "class":
            shares = made[None, :] == (np.arange(self.numbers)[:, None] + (self.numbers == 1))
        else:
            shares = made.reshape(len(made), -1).T
        return np.where(wrong, np.nan, shares.astype(np.float64))


def accumulate_keys(analyzers: Sequence[Analyzer], keys: pa.Array, column: Any) -> list[Any]:
    """The accumulators by key of a batch.

    Args:
        analyzers: what is wanted.
        keys: strings [n], the empty one where the key is missing.
        column: as the transform reads it, [n].
    """
    xp = NumpyNamespace()
    found: list[Any] = []
    if "moments" in analyzers:
        found.append(KeyedMoments.of(keys, xp.to_float(column).astype(np.float64)))
    if "values" in analyzers:
        whole = column.dtype == np.int64
        there = column != np.iinfo(np.int64).min if whole else ~np.isnan(column)
        kept = column[there] if whole else column[there].astype(np.float64)
        found.append(KeyedCounts.of(keys.filter(pa.array(there)), kept))
    if "strings" in analyzers:
        text = xp.to_string(column)
        found.append(StringCounts.of(_pairs(keys, text).filter(pc.not_equal(text, ""))))
    return found


def accumulate_label(target: Target, columns: Mapping[str, Any], column: Any, places: Places) -> KeyedMeans:
    """The means of the label in a batch, which is some parts of the train split."""
    texts = NumpyNamespace().to_string(column)
    folds = fold_of(places, target.folds, target.seed)
    return KeyedMeans.of(texts, folds, target.folds, target.values(columns))


def key_readers(analyzers: Sequence[Analyzer]) -> list[Callable[[Blob], Any]]:
    """What reads the accumulators of `accumulate_keys` from bytes."""
    readers: dict[str, Callable[[Blob], Any]] = {
        "moments": KeyedMoments.from_bytes, "values": KeyedCounts.from_bytes,
        "strings": StringCounts.from_bytes,
    }  # fmt: skip
    return [reader for name, reader in readers.items() if name in analyzers]


def group_facts(
    analyzers: Sequence[Analyzer], column: str, by: str, taken: Iterator[Any]
) -> dict[str, dict[str, Any]]:
    """By key, ascending, what was found in its rows, by the analyzer's name.

    Args:
        analyzers: what was wanted.
        column, by: for messages.
        taken: the accumulators of `accumulate_keys`.

    Raises:
        DataError: there are too many keys.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name in ("moments", "values", "strings"):
        if name not in analyzers:
            continue
        accumulator = next(taken)
        if isinstance(accumulator, StringCounts):
            if not accumulator.exact:
                raise _too_many(by, f"pairs of {by!r} and {column!r}")
            found = _unpaired(accumulator)
        else:
            require_keys(accumulator.keys, by)
            found = accumulator.compute()
        for key, facts in found:
            groups.setdefault(key, {})[name] = facts
    return dict(sorted(groups.items()))


def require_keys(keys: Any, column: str) -> None:
    """Raises DataError where there were more keys than an accumulator holds."""
    if keys is None:
        raise _too_many(column, f"values of {column!r}")


def _too_many(column: str, what: str) -> DataError:
    return DataError(
        f"there are more than {MOST_KEYS:,} different {what} in the train split, which is too many to know"
        " something of each",
        remedy=f"take a coarser column than {column!r}; for target_mean [{{hash: 10000}}, target_mean]",
    )


def _pairs(keys: pa.Array, text: pa.Array) -> pa.Array:
    """Key and text as one, behind the key's length in bytes."""
    lengths = pc.cast(pc.binary_length(keys), pa.string())
    return pc.binary_join_element_wise(pc.binary_join_element_wise(lengths, keys, ":"), text, "")


def _unpaired(counts: StringCounts) -> Iterator[tuple[str, StringCounts]]:
    """The counts of the texts of each key."""
    pairs = [value.encode() for value in counts.table["value"].to_pylist()]
    cuts = [(pair.index(b":") + 1, int(pair[: pair.index(b":")])) for pair in pairs]
    keys = pa.array([pair[at : at + size].decode() for pair, (at, size) in zip(pairs, cuts, strict=True)])
    texts = pa.array([pair[at + size :].decode() for pair, (at, size) in zip(pairs, cuts, strict=True)])
    numbers = counts.table["count"].combine_chunks()
    order = pc.sort_indices(keys)
    keys, texts, numbers = keys.take(order), texts.take(order), numbers.take(order)
    runs = pc.run_end_encode(keys)
    start = 0
    for key, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield key, StringCounts.of_counts(texts.slice(start, end - start), numbers.slice(start, end - start))
        start = end
