"""`ReadCsv`: CSV files as a PCollection of RecordBatches, in any Beam pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from ...pipelines.errors import InvalidRequestError
from ..data_plane import record_batch_coder
from ..ingestion.split_options import SplitOptions
from .cutting import cut_file
from .inference import Profile
from .options import Options
from .prepare import needs_copy, open_files, write_plain
from .reading import Unit
from .sources import resolve
from .work import Table, read_unit

assert record_batch_coder  # importing it has registered the coder


class ReadCsv(beam.PTransform):
    """Reads CSV files: `pipeline | ReadCsv("data/*.csv", types={"price": "float"})`.

    The output is a PCollection of `pyarrow.RecordBatch`, in no order, with columns of int64, float64, string
    and bool, null where a value is missing; a batch holds the rows of about `block_bytes` of text. Files are
    cut at true row ends, so cells may hold newlines; blank lines and rows of empty cells alone are no rows.
    The pipeline reads the data once if `types` states every column, and twice otherwise, first
    to infer the types over all rows by the rules of `csv_examples`.

    Args:
        path: a file, a glob or a list of them, which every worker has to reach.
        types: columns whose type is stated: `int`, `float`, `string` or `bool`.
        scratch: a folder that every worker reaches, for plain copies of files that are gzip or not UTF-8;
            the caller removes it. Without it such files are refused.
        block_bytes: the size of a unit of work; 4 to 32 MiB, by the number of columns, if not given.
        options: delimiter, quote, header, columns, encoding and missing_values, as in `csv_examples`.

    Raises:
        DataError: a row or value can't be read; names file, line, column and value.
        InvalidRequestError: an argument doesn't fit.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        *,
        types: Mapping[str, str] | None = None,
        scratch: str | Path | None = None,
        block_bytes: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._options = Options(
            SplitOptions({"all": 1.0}), types=dict(types or {}), block_bytes=block_bytes, **options
        )
        problems = self._options.problems()
        if problems:
            raise InvalidRequestError(problems)
        self._paths = resolve(path)
        self._scratch = Path(scratch) if scratch else None

    def expand(self, begin: Any) -> Any:
        """PBegin → PCollection of RecordBatch."""
        plain = [self._plain(path) for path in self._paths]
        files, columns, dialect = open_files(self._paths, plain, self._options)
        table = Table(columns, dialect, self._options.encoding, dict(self._options.types or {}))
        units = (
            begin
            | "Files" >> beam.Create(files, reshuffle=False)
            | "Cut" >> beam.FlatMap(cut_file, dialect, self._options.unit_bytes(len(columns)))
            | "Spread" >> beam.Reshuffle()
        )
        types: Any = dict(table.types)
        if any(name not in types for name in columns):
            profiles = units | "Profile" >> beam.ParDo(_Profile(table))
            types = beam.pvalue.AsSingleton(profiles | "Decide" >> beam.CombineGlobally(_Decide(table)))
        return units | "Read" >> beam.ParDo(_Read(table), types).with_output_types(pa.RecordBatch)

    def _plain(self, path: Path) -> Path:
        if not needs_copy(path, self._options.encoding):
            return path
        if self._scratch is None:
            raise InvalidRequestError(
                "a file that is gzip or not UTF-8 can't be cut as it is",
                file=str(path),
                remedy="give ReadCsv a scratch folder that every worker reaches",
            )
        return write_plain(path, self._options.encoding, self._scratch)


class _Profile(beam.DoFn):
    def __init__(self, table: Table) -> None:
        self._table = table

    def process(self, unit: Unit) -> Iterator[dict[str, Profile]]:
        yield read_unit(unit, self._table).profiles


class _Decide(beam.CombineFn):
    """Merges profiles (counts and minima, so in any order) and decides the types."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create_accumulator(self) -> dict[str, Profile]:
        return {}

    def add_input(self, profiles: dict[str, Profile], other: dict[str, Profile]) -> dict[str, Profile]:
        return self.merge_accumulators([profiles, other])

    def merge_accumulators(self, accumulators: Iterable[dict[str, Profile]]) -> dict[str, Profile]:
        merged: dict[str, Profile] = {}
        for profiles in accumulators:
            for name, seen in profiles.items():
                merged[name] = merged[name].merge(seen) if name in merged else seen
        return merged

    def extract_output(self, profiles: dict[str, Profile]) -> dict[str, str]:
        own = self._table.types
        return {name: own.get(name) or profiles.get(name, Profile()).kind for name in self._table.columns}


class _Read(beam.DoFn):
    def __init__(self, table: Table) -> None:
        self._table = table

    def process(self, unit: Unit, types: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        # A stray word in a column decided to be one of numbers is refused here, with its place.
        yield from read_unit(unit, replace(self._table, types=types)).rows.combine_chunks().to_batches()
