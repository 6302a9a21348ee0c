"""`WriteExamples`: shuffled shards of tf.Examples out of anyone's Beam pipeline, as `transform`'s."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import apache_beam as beam

from ...pipelines.artifact import Draft, Examples, Transform, load_artifact
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError, Problem
from ..data_plane.spilled_batches import BatchFile, SpillBatches, publish_folder
from ..images.labelling import order_of_splits
from ..preprocessing.fitted import FittedTransform
from ..preprocessing.fitted_file import load_fitted, save_fitted
from ..preprocessing.fitting import TRAIN
from ..preprocessing.run import finish_examples, layout_of
from ..tfds.layout_notes import packed_problems, write_notes
from .encoding import Encoder, Fault
from .layout import APPLIED, Layout
from .shard_plan import Shard, ShardPlan, WrittenShard, load_encoder, shards_of, written_shards
from .shards import EncodeParts, MergeShard, Spilled, shard_count
from .tfrecord import FOOTER, HEADER


class WriteExamples(beam.PTransform):
    """PCollection of batches of raw rows → PCollection of one str: the folder of shards, `output`.

    The folder is an Examples artifact: `dataset` reads it, `headrace step train` takes it, and other
    readers find TFRecords, `train/train-00000-of-00004.tfrecord`. Rows have the places that `transform` gives
    them, by a hash of (seed, split, unit, row), so that equal batches give the very same files, whatever the
    runner, the workers and the bundles.

        shards = rows | WriteExamples(fitted, "/shared/examples", "/shared/work")

    Elements are RecordBatches, or pairs `(split, batch)`, `(unit, batch)`, `((split, unit), batch)`; the unit
    is the number of the part in which `transform` would find the rows, and without one a hash of the content.

    Args:
        fitted: a Transform artifact, its folder, what `load_fitted` gives, or what `AnalyzeColumns` gives in
            the same pipeline. One of images is for `transform` and `apply_transform`.
        output: a folder that isn't there; it is once it is whole.
        folder: an existing folder that every worker reaches, on the same disk or share; what is spilled there
            is left there.
        split: of batches without one.
        seed, shards, layout, compression: as in `transform`.
        fitted_on: the split that the transform was fitted on; None where it is none of these.

    Raises:
        InvalidRequestError: `output` is there, or an argument doesn't fit.
        DataError: a value is missing or infinite where a model would get it, or a label is unknown.
    """

    def __init__(
        self,
        fitted: Any,
        output: str | Path,
        folder: str | Path,
        *,
        split: str = TRAIN,
        seed: int = 0,
        shards: int | None = None,
        layout: Literal["packed", "columns"] = "packed",
        compression: Literal["none", "gzip"] = "none",
        fitted_on: str | None = TRAIN,
    ) -> None:
        super().__init__()
        packing: Literal["", "gzip"] = "gzip" if compression == "gzip" else ""
        problems = packed_problems(layout, packing)
        if Path(output).exists():
            remedy = "give a new folder, or remove this one"
            problems.append(Problem("the folder is there already", file=str(output), remedy=remedy))
        if problems:
            raise InvalidRequestError(problems)
        self._fitted = fitted
        self._split = split
        self._way = _Way(
            str(Path(output).absolute()),
            str(folder),
            seed,
            shards,
            layout,
            packing,
            fitted_on or "",
            uuid.uuid4().hex,
        )

    def expand(self, batches: Any) -> Any:
        """Spills the batches, encodes each, merges their records by shard."""
        way, fitted = self._way, fitted_input(self._fitted, self._way.folder)
        begin = batches.pipeline | "Begin" >> beam.Create([None], reshuffle=False)
        files = batches | "Spill" >> SpillBatches(way.folder, self._split)
        rows = beam.pvalue.AsDict(files | beam.Map(_rows) | "Count" >> beam.CombinePerKey(sum))
        encoded = files | "Encode" >> beam.ParDo(_Encode(way), fitted, rows)
        spilled = beam.pvalue.AsList(encoded)
        shards = begin | "Plan" >> beam.ParDo(_Plan(way), fitted, rows, spilled) | beam.Reshuffle()
        written = beam.pvalue.AsList(shards | "Merge" >> beam.ParDo(_Merge(way), fitted))
        return begin | "Finish" >> beam.ParDo(_Finish(way), fitted, rows, spilled, written)


def fitted_input(fitted: Any, folder: str) -> Any:
    """A fitted transform as an argument of a DoFn: the folder that holds it, now or once it is made.

    Raises:
        StoreError: there is none in the folder.
    """
    if isinstance(fitted, beam.pvalue.PCollection):
        return beam.pvalue.AsSingleton(fitted)
    if isinstance(fitted, FittedTransform):
        place = Path(folder) / f"fitted-{uuid.uuid4().hex}"
        place.mkdir()
        save_fitted(fitted, place)
        return str(place)
    place = fitted.path if isinstance(fitted, Transform) else Path(fitted)
    load_fitted(place)
    return str(place.absolute())


class _EncodedBatch(NamedTuple):
    split: str
    unit: int
    spilled: tuple[str, int]


class _Merged(NamedTuple):
    split: str
    number: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class _Way:
    """How the shards are written; see `WriteExamples`.

    Attributes:
        token: what this use of the transform calls its own files by.
    """

    output: str
    folder: str
    seed: int
    shards: int | None
    layout: Literal["packed", "columns"]
    compression: Literal["", "gzip"]
    fitted_on: str
    token: str

    @property
    def draft(self) -> Path:
        """The folder of shards while it isn't whole."""
        return Path(f"{self.output}.{self.token}.partly")

    @property
    def index(self) -> Path:
        """The file that says where the records of each batch lie."""
        return Path(self.folder) / f"index-{self.token}.json"

    def layout_in(self, fitted: str) -> Layout:
        """How the records are laid out."""
        return _layout(fitted, self.layout, self.compression)

    def encoder(self, fitted: str) -> Encoder:
        """What makes records."""
        return load_encoder(fitted, self.layout_in(fitted))

    def plans(self, fitted: str, rows: Mapping[str, int]) -> dict[str, ShardPlan]:
        """How the rows of each split are spread."""
        length = self.encoder(fitted).template.length
        counts = {split: min(self.shards or shard_count(rows[split], length), rows[split]) for split in rows}
        return {split: ShardPlan(split, counts[split], self.seed) for split in order_of_splits(list(rows))}


@lru_cache(maxsize=4)
def _layout(fitted: str, layout: Literal["packed", "columns"], compression: Literal["", "gzip"]) -> Layout:
    found = layout_of(load_fitted(Path(fitted)), layout, compression)
    if found.images:
        raise InvalidRequestError(
            f"{', '.join(one.name for one in found.images)}: WriteExamples writes no images",
            remedy="read them by image_examples, and write them by transform or apply_transform",
        )
    return found


def _rows(file: BatchFile) -> tuple[str, int]:
    return file.split, file.rows


class _Encode(beam.DoFn):
    """A batch → where its records lie, sorted by shard."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def process(self, file: BatchFile, fitted: str, rows: Mapping[str, int]) -> Iterator[_EncodedBatch]:
        way = self._way
        work = EncodeParts(fitted, way.layout_in(fitted), way.plans(fitted, rows), way.folder, way.fitted_on)
        batch = file.read(way.encoder(fitted).columns)
        told = json.loads(work.encoded(batch, file.split, [(file.unit, file.rows)]).payload)
        if "faults" in told:
            raise _refused(file, [Fault(*fault) for fault in told["faults"]])
        yield _EncodedBatch(file.split, file.unit, tuple(told["spilled"]))


def _refused(file: BatchFile, faults: Sequence[Fault]) -> DataError:
    """What is wrong with a batch."""
    problems = []
    for fault in faults:
        value = f", with {fault.value!r}" if fault.value else ""
        what = f"{fault.what} in {fault.rows} of {file.rows} rows of a batch of {file.split}; the first is"
        what += f" row {fault.first + 1}{value}"
        problems.append(Problem(what, argument=fault.where, remedy=fault.remedy))
    return DataError(problems)


class _Plan(beam.DoFn):
    """Where all records lie → the shards to be written."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def process(
        self, _: None, fitted: str, rows: Mapping[str, int], encoded: Sequence[_EncodedBatch]
    ) -> Iterator[Shard]:
        way = self._way
        if not encoded:
            raise DataError("there are no rows to write", remedy="look at what comes into WriteExamples")
        plans = way.plans(fitted, rows)
        index = {split: [one.spilled for one in sorted(encoded) if one.split == split] for split in plans}
        partly = way.index.with_name(f"{way.index.name}.{uuid.uuid4().hex}")
        partly.write_text(json.dumps(index), "utf-8")
        partly.replace(way.index)
        for split in plans:
            (way.draft / split).mkdir(parents=True, exist_ok=True)
        yield from shards_of(plans, way.draft)


class _Merge(beam.DoFn):
    """A shard → its rows and digest, once it is written."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def process(self, shard: Shard, fitted: str) -> Iterator[_Merged]:
        layout = self._way.layout_in(fitted)
        record = self._way.encoder(fitted).template.length + HEADER + FOOTER
        merge = MergeShard(str(self._way.index), record, layout.compression, layout.block_rows)
        yield _Merged(shard.split, shard.number, *json.loads(merge(shard).payload))


class _Finish(beam.DoFn):
    """All shards → the folder, whole and under its own name."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def process(
        self,
        _: None,
        fitted: str,
        rows: Mapping[str, int],
        encoded: Sequence[_EncodedBatch],
        written: Sequence[_Merged],
    ) -> Iterator[str]:
        way, plans = self._way, self._way.plans(fitted, rows)
        if (Path(way.output) / "manifest.json").is_file():  # an earlier attempt of this bundle did it all
            yield way.output
            return
        shards = shards_of(plans, way.draft)
        told = {(one.split, one.number): WrittenShard(one.rows, one.sha256) for one in written}
        made = written_shards(rows, plans, shards, [told[shard.split, shard.number] for shard in shards])
        layout = way.layout_in(fitted)
        if layout.layout == "columns":
            classes = {label.column: label.classes for label in load_fitted(Path(fitted)).labels}
            write_notes(Context("WriteExamples", way.draft), way.draft, layout, made.splits, classes)
        more = {} if way.fitted_on else _applied(Path(fitted))
        finish_examples(Draft(Examples, way.draft, filled=True), layout, made.splits, made.digests, more)
        publish_folder(way.draft, Path(way.output))
        for one in encoded:
            Path(Spilled(*one.spilled).path).unlink(missing_ok=True)
        yield way.output


def _applied(fitted: Path) -> dict[str, str]:
    """What shards tell of a transform that was fitted on other rows; nothing where it is no artifact."""
    return {APPLIED: load_artifact(fitted).digest} if (fitted / "manifest.json").is_file() else {}
