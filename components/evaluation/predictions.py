"""Whether examples fit a model, and their raw rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, InvalidRequestError
from ..preprocessing.fitted import FittedTransform
from ..tfrecords.layout import Layout, StoredLabel


def require_split(examples: Examples, split: str) -> None:
    """Raises InvalidRequestError for a split that isn't there, and DataError for one without rows."""
    if split not in examples.splits:
        raise InvalidRequestError(
            f"the examples have no split {split!r}",
            argument="split",
            given=split,
            available=tuple(examples.splits),
        )
    if not examples.rows(split):
        raise DataError(
            f"the split {split!r} has no rows",
            argument="split",
            remedy="give it a greater share of the rows in the step that makes the examples",
        )


def require_same_transform(examples: Examples, fitted: FittedTransform) -> None:
    """Raises InvalidRequestError for transformed examples whose features or labels another Transform made."""
    if examples.properties["format"] != "tfrecord":
        return
    theirs = [(f["name"], f["dtype"], f["width"]) for f in examples.properties["features"]]
    ours = [(f.name, f.dtype, f.width) for f in fitted.features]
    if theirs != ours:
        departing = [name for name, *_ in set(theirs) ^ set(ours)] or [name for name, *_ in ours]
        raise _made_otherwise(f"{', '.join(sorted(set(departing))[:10])} differ")
    labels, own = Layout.from_json(examples.properties).labels, tuple(one.stored for one in fitted.labels)
    if labels != own:
        named = [", ".join(f"{one.column} ({_as(one)})" for one in each) for each in (labels, own)]
        raise _made_otherwise(f"they hold the label {named[0]}, and the transform makes {named[1]}")


def _as(label: StoredLabel) -> str:
    return "a value" if label.kind == "value" else f"{label.classes} classes"


def _made_otherwise(how: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"these examples were made by another transform: {how}",
        argument="examples",
        remedy="wire examples and transform of one and the same transform step",
    )


def raw_batches(examples: Examples, split: str, batch_size: int) -> Iterator[pa.RecordBatch]:
    """The raw rows of a split, in the order of its parts, at most `batch_size` at a time."""
    for part in examples.parts(split):
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(batch_size)
