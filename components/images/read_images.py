"""`ReadImages`: images in folders as a PCollection of RecordBatches, in any Beam pipeline."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from ...pipelines.context import Context
from ...pipelines.errors import InvalidRequestError
from ..data_plane import record_batch_coder
from ..ingestion.rejects import Reject
from ..ingestion.split_options import SplitOptions
from .admit import Admitted, Limits, Refused, admit
from .listing import FILE, Source, folder_source
from .names import one_line
from .options import Given, ImageOptions, given
from .units import spans
from .work import images_table, read_file

assert record_batch_coder  # importing it has registered the coder

_LOG = logging.getLogger(__name__)


class ReadImages(beam.PTransform):
    """Reads images: `pipeline | ReadImages("photos")`, where `photos/cat/1.jpg` has the label `cat`.

    The output is a PCollection of `pyarrow.RecordBatch`, in no order, with the columns `image` (binary: an
    upright JPEG or PNG of 8 bits, as `image_examples` makes it of any file), the labels (string), `path`
    (string, below the folder that is given), `height` and `width` (int64). A batch holds about 16 MB of
    files. Folders are listed when the pipeline runs, by one worker, and only names cross from there.

    Args:
        path: a folder, an image, a glob or a list of them, which every worker has to reach.
        labels: the column that gets the uppermost folder's name, or a list with one for each level; `[]` for
            images without labels.
        join: puts all levels into one label, with this between them.
        label_pattern: a regular expression over the path, whose groups are the labels.
        limits: bounds on each file.
        allow_outside: whether links may lead out of the folder.
        skip_bad: leave images out that can't be used; they are counted by the Beam metric
            `headrace/images_refused`, and logged as warnings.

    Raises:
        DataError: there is no image, or one can't be used; names the file.
        InvalidRequestError: an argument doesn't fit.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str],
        *,
        labels: str | Sequence[str] = "label",
        join: str | None = None,
        label_pattern: str | None = None,
        limits: Limits | None = None,
        allow_outside: bool = False,
        skip_bad: bool = False,
    ) -> None:
        super().__init__()
        self._given = given(str(path) if isinstance(path, Path) else path)
        self._options = ImageOptions(
            SplitOptions({"all": 1.0}), labels=labels, join=join, label_pattern=label_pattern,
            allow_outside=allow_outside,
        )  # fmt: skip
        if self._given.manifests:
            remedy = "read a manifest by image_examples, or its rows by ReadCsv"
            raise InvalidRequestError("ReadImages reads folders and images", argument="path", remedy=remedy)
        if problems := self._options.problems() or self._options.folder_problems():
            raise InvalidRequestError(problems)
        self._limits = limits or Limits()
        self._skip = skip_bad

    def expand(self, begin: Any) -> Any:
        """PBegin → PCollection of RecordBatch."""
        return (
            begin
            | "Paths" >> beam.Create([None], reshuffle=False)
            | "List"
            >> beam.ParDo(_List(self._given, self._options, self._skip)).with_output_types(pa.RecordBatch)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_Read(self._limits, self._skip)).with_output_types(pa.RecordBatch)
        )


class _Bad:
    """What is done with images that can't be used."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self._count = beam.metrics.Metrics.counter("headrace", "images_refused")

    def __call__(self, reject: Reject) -> None:
        if not self._skip:
            raise reject.error().at(remedy="skip_bad=True leaves such images out")
        self._count.inc()
        _LOG.warning("%s: %s", reject.file, reject.reason)


class _List(beam.DoFn):
    """Nothing → the names and labels of images, a batch for each unit of work."""

    def __init__(self, named: Given, options: ImageOptions, skip: bool) -> None:
        self._given = named
        self._options = options
        self._bad = _Bad(skip)

    def process(self, _: None) -> Iterator[pa.RecordBatch]:
        source: Source = folder_source(
            Context("ReadImages", Path(), listener=_told), self._given, self._options
        )
        for reject in source.rejects:
            self._bad(reject)
        for block in source.blocks():
            for first, end in spans(block.sizes):
                yield block.rows.slice(first, end - first).combine_chunks().to_batches()[0]


def _told(event: Mapping[str, Any]) -> None:
    for kind in ("say", "warn"):
        if kind in event:
            _LOG.warning("%s", event[kind])


class _Read(beam.DoFn):
    """The names of some images → the images."""

    def __init__(self, limits: Limits, skip: bool) -> None:
        self._limits = limits
        self._bad = _Bad(skip)

    def process(self, names: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        rows: list[int] = []
        images: list[Admitted] = []
        for row, file in enumerate(names.column(FILE).to_pylist()):
            found = self._image(file)
            if isinstance(found, Refused):
                place = one_line(file.decode("utf-8", "backslashreplace"))
                self._bad(Reject(place, 0, found.reason, found.remedy))
                continue
            rows.append(row)
            images.append(found)
        if rows:
            columns = [name for name in names.schema.names if not name.startswith("\0") and name != "path"]
            table = images_table(pa.Table.from_batches([names]), rows, images, columns)
            yield table.combine_chunks().to_batches()[0]

    def _image(self, file: bytes) -> Admitted | Refused:
        content = read_file(file, self._limits)
        if isinstance(content, Refused):
            return content
        claimed = file.rpartition(b"/")[2].decode("utf-8", "surrogateescape")
        found = admit(content, claimed, self._limits)
        return found if isinstance(found, Refused) else found[0]
