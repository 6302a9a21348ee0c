"""A step that reads some files again takes over their parts, and gives what a first run gives."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from headrace.components.csv_examples import csv_examples
from headrace.components.ingestion.source_lines import read_lines
from headrace.components.parquet_examples import parquet_examples
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.errors import DataError
from headrace.pipelines.reuse import Reuse, keep_notes
from headrace.pipelines.store import Store

SHARES = {"train": 3, "test": 1}
ONE = RunnerSettings("direct", {"direct_num_workers": "1"})


both = pytest.mark.parametrize("component", [csv_examples, parquet_examples], ids=["csv", "parquet"])


class Attempt(NamedTuple):
    """What an attempt gave: the artifact, what was said and warned of, and how the work was done."""

    examples: Examples
    told: list[str]
    work: dict[str, Any]

    @property
    def reused(self) -> Any:
        return self.examples.summary.get("reused")


class Days:
    """A folder of files, one a day, and a store for what is made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.store = Store(folder / "store")
        self.attempts = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def write(self, day: int, rows: int = 40, seed: int = 0, **columns: Any) -> Path:
        draw = random.Random(f"{day}.{seed}")
        made: dict[str, list[Any]] = {
            "id": [draw.randrange(1000) for _ in range(rows)],
            "city": [draw.choice(["Oslo", 'the "old"\ntown', "Tromsø, north"]) for _ in range(rows)],
            "day": [day] * rows,
            "size": [round(draw.random(), 3) for _ in range(rows)],
            "when": [f"2024-01-{day + 1:02d}T{draw.randrange(24):02d}:00" for _ in range(rows)],
        }
        made |= {name: [value(row) for row in range(rows)] for name, value in columns.items()}
        path = self.data / f"day-{day}.csv"
        pyarrow.csv.write_csv(pa.table(made), path)
        return path

    def parquet(self) -> str:
        for path in self.data.glob("*.csv"):
            pq.write_table(pyarrow.csv.read_csv(path), path.with_suffix(".parquet"), row_group_size=30)
        for path in self.data.glob("*.parquet"):
            if not path.with_suffix(".csv").exists():
                path.unlink()
        return str(self.data / "*.parquet")

    def ingest(self, component: Any = csv_examples, reuse: bool = True, **arguments: Any) -> Attempt:
        """Ingests the folder as it is, with a block of some rows."""
        path = str(self.data / "*.csv*") if component is csv_examples else self.parquet()
        small = {"block_bytes": 1000} if component is csv_examples else {"block_rows": 25}
        arguments = {"path": path, "splits": SHARES, **small, **arguments}
        if isinstance(arguments["path"], dict):
            del arguments["splits"]
        self.attempts += 1
        staging = self.folder / "store" / "staging" / str(self.attempts)
        staging.mkdir(parents=True)
        events: list[Any] = []

        def listen(event: Mapping[str, Any]) -> None:
            events.append(dict(event))
            if "progress" in event:
                self.meanwhile()

        ctx = Context("step", staging, ONE, listen)
        if reuse:
            ctx.reuse = Reuse(self.store.folder, "code", staging)
        made = component.function(ctx, **arguments)
        if reuse:
            made = self.store.publish(made)
            keep_notes(self.store.folder, staging)
        told = [text for event in events for kind, text in event.items() if kind in ("say", "warn")]
        return Attempt(made, told, {e["work"]["stage"]: e["work"] for e in events if "work" in e})

    def fresh(self, component: Any = csv_examples, **arguments: Any) -> Attempt:
        """The same without a store."""
        return self.ingest(component, reuse=False, **arguments)

    def check(self, expected: int | None, component: Any = csv_examples, **arguments: Any) -> Attempt:
        """Ingests the folder; what comes of it has to be what comes of it in an empty store."""
        attempt = self.ingest(component, **arguments)
        assert attempt.reused == expected
        fresh = self.fresh(component, **arguments)
        assert fresh.reused is None
        assert attempt.examples.digest == fresh.examples.digest
        assert lines_of(attempt.examples) == lines_of(fresh.examples)
        assert [t for t in attempt.told if "reused" not in t] == fresh.told
        return attempt


def lines_of(examples: Examples) -> list[Any]:
    """The record of lines of every part."""
    parts = [part for split in examples.splits for part in examples.parts(split)]
    found = [read_lines(part) for part in parts]
    assert None not in found
    return [(name, lines.tolist()) for name, lines in found]  # type: ignore[misc]


@pytest.fixture
def days(tmp_path: Path) -> Days:
    made = Days(tmp_path)
    for day in range(3):
        made.write(day)
    return made


RULES: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "hash": lambda data, end: {},
    "column": lambda data, end: {"split_by": "city"},
    "files": lambda data, end: {
        "path": {"old": str(data / f"day-[02]{end}"), "new": str(data / f"day-[13]{end}")}
    },
    "values": lambda data, end: {
        "split_by_value": "day", "splits": {"a": [0, 1], "b": [2]}, "rest": "drop"
    },
    "time": lambda data, end: {
        "split_by_time": "when", "rest": "drop",
        "splits": {"a": {"before": "2024-01-02T12:00"}, "b": {"from": "2024-01-02T13:00"}},
    },
}  # fmt: skip


@both
@pytest.mark.parametrize("rule", list(RULES))
def test_an_appended_file_is_the_only_one_that_is_read(days: Days, rule: str, component: Any) -> None:
    end = ".csv" if component is csv_examples else ".parquet"
    asked = RULES[rule](days.data, end)
    first = days.ingest(component, **asked)
    assert first.reused is None and "reused" not in " ".join(first.told)
    days.write(3)
    attempt = days.check(3, component, **asked)
    assert attempt.examples.summary["files"] == 4
    assert "3 of 4 files reused" in attempt.told
    assert attempt.work["read"]["workers"] == ["here"], "Beam is not started for so little"
    again = days.ingest(component, **asked)
    assert again.reused == 4 and not again.work
    assert again.examples.digest == attempt.examples.digest


@both
def test_changed_removed_and_renamed_files(days: Days, component: Any) -> None:
    days.ingest(component)
    days.write(1, seed=1)
    days.check(2, component)
    (days.data / "day-0.csv").unlink()
    (days.data / "day-2.csv").rename(days.data / "renamed.csv")
    shutil.copy(days.data / "day-1.csv", days.data / "day-3.csv")
    days.check(1, component)


def test_a_new_file_that_changes_a_type_makes_all_be_read_again(days: Days) -> None:
    days.ingest()
    days.write(3, id=lambda row: row + 0.5)
    changed = days.check(0)
    assert changed.examples.properties["columns"]["id"] == "float"
    assert changed.work["read_again"]["units"] == 6, "the known files, and not the new one"
    assert "0 of 4 files reused" in changed.told
    days.write(4)
    assert days.check(4).examples.properties["columns"]["id"] == "float"
    (days.data / "day-3.csv").unlink()
    assert days.check(0).examples.properties["columns"]["id"] == "int"


def test_a_type_that_is_stated_is_not_inferred_anew(days: Days) -> None:
    asked = {"types": {"id": "float"}}
    days.ingest(**asked)
    days.write(3, id=lambda row: row + 0.5)
    days.check(3, **asked)


def test_an_empty_column_of_an_earlier_day_becomes_what_a_later_day_says(days: Days) -> None:
    for day in range(3):
        days.write(day, note=lambda row: None)
    assert days.ingest().examples.properties["columns"]["note"] == "float"
    days.write(3, note=lambda row: "words")
    days.check(0)
    days.write(4, note=lambda row: None)
    days.check(4)


def test_other_options_are_other_pieces(days: Days) -> None:
    days.ingest()
    for asked in ({"seed": 1}, {"splits": {"test": 1, "train": 3}}, {"missing_values": ["", "Oslo"]}):
        days.check(None, **asked)
    days.check(None, parquet_examples)
    days.check(None, parquet_examples, columns=["id", "size"])
    days.check(3)


@pytest.mark.parametrize("asked", [{"stratify": "city"}, {"split_by_time": "when"}, {"sample": 50}], ids=str)
def test_what_depends_on_all_rows_is_read_again(days: Days, asked: dict[str, Any]) -> None:
    days.ingest(**asked)
    assert not (days.store.folder / "reuse").exists()
    days.check(None, **asked)


def test_rejects_come_with_their_reasons(days: Days) -> None:
    (days.data / "day-1.csv").write_text("id,city,day,size,when\n1,x,1,0.5,now\n2,y\n3,z,1,inf,now\n")
    days.write(2, rows=200, size=lambda row: "oops" if row == 150 else str(row / 7))
    attempt = days.ingest(max_rejects=3)
    assert attempt.examples.properties["rejects"] == 3
    days.write(3)
    days.check(3, max_rejects=3)
    moved = days.folder / "moved"
    days.data = days.data.rename(moved)
    attempt = days.check(4, max_rejects=3)
    told = [json.loads(line) for line in attempt.examples.file("rejects.jsonl").read_text().splitlines()]
    assert [(each["file"], each["line"]) for each in told][:2] == [("day-1.csv", 3), ("day-1.csv", 4)]
    assert "oops" in told[2]["reason"]


def test_a_stray_word_of_an_earlier_file_is_refused_with_its_line(days: Days) -> None:
    days.data.joinpath("day-0.csv").unlink()
    words = {"size": lambda row: "oops" if row == 3 else str(row)}
    days.write(1, rows=20, **words)
    days.write(2, rows=20)
    asked = {"block_bytes": 20_000}
    assert days.ingest(**asked).examples.properties["columns"]["size"] == "string"
    days.write(3, rows=2000)
    with pytest.raises(DataError, match="oops") as here:
        days.ingest(**asked)
    with pytest.raises(DataError, match="oops") as fresh:
        days.fresh(**asked)
    assert str(here.value) == str(fresh.value)
    assert "day-1.csv" in str(here.value)


def test_compressed_and_encoded_files_are_unpacked_only_if_they_are_read(days: Days) -> None:
    for path in list(days.data.glob("*.csv")):
        text = path.read_text().encode("utf-16")
        path.with_suffix(".csv.gz").write_bytes(gzip.compress(text, mtime=0))
        path.unlink()
    asked = {"encoding": "utf-16"}
    assert days.ingest(**asked).work["unpack"]["units"] == 3
    (days.data / "day-3.csv").write_text("id,city,day,size,when\n5,x,3,0.5,now\n", "utf-16")
    assert days.check(3, **asked).work["unpack"]["units"] == 1
    (days.data / "day-4.csv").write_text("id,city,day,size,when\n5.5,x,3,0.5,now\n", "utf-16")
    changed = days.check(0, **asked)
    assert changed.work["unpack"]["units"] == 1
    assert changed.work["unpack_again"]["units"] == 4


def test_a_delimiter_that_is_chosen_is_part_of_what_is_known(days: Days) -> None:
    days.check(None, delimiter="auto")
    days.check(3, delimiter="auto")
    first = days.data / "day-0.csv"
    first.write_text(first.read_text().replace(",", ";"))
    with pytest.raises(DataError, match=r"day-1\.csv"):
        days.ingest(delimiter="auto")


def part_of(attempt: Attempt, file: str) -> Path:
    """A part with rows of a file."""
    parts = attempt.examples.parts("train")
    return next(part for part in parts if (read_lines(part) or ("", 0))[0] == file)


@both
def test_what_is_damaged_is_read_again(days: Days, component: Any) -> None:
    end = ".csv" if component is csv_examples else ".parquet"
    damages: list[Callable[[Path], object]] = [
        lambda part: part.write_bytes(part.read_bytes()[:-1] + b"x"),
        lambda part: part.unlink(),
        lambda part: part.with_suffix(".lines").write_bytes(b"{}"),
        lambda part: part.with_suffix(".lines").unlink(),
        lambda part: part.write_bytes(b""),
    ]
    for day in range(len(damages) + 1):
        days.write(day)
    attempt = days.ingest(component)
    for day, damage in enumerate(damages):
        part = part_of(attempt, f"day-{day}{end}")
        for file in (part, part.with_suffix(".lines")):
            file.chmod(0o644)
        damage(part)
    days.write(9)
    days.check(1, component)


def test_notes_are_no_more_than_a_help(days: Days) -> None:
    attempt = days.ingest()
    notes = sorted((days.folder / "store" / "reuse").iterdir())
    assert len(notes) == 3
    notes[0].write_bytes(b"{")
    told = json.loads(notes[1].read_bytes())
    told["value"]["rows"] += 1
    notes[1].write_text(json.dumps(told))
    days.check(1)
    for note in notes:
        told = json.loads(note.read_bytes())
        assert set(told) == {"type", "digest", "sha256", "value"}
        note.write_text(json.dumps({**told, "type": "../../data"}))
    days.check(None)
    shutil.rmtree(days.folder / "store" / "reuse")
    days.check(None)
    shutil.rmtree(attempt.examples.path)
    days.check(0)


def test_paths_in_notes_lead_nowhere_else(days: Days) -> None:
    expected = days.ingest().examples.digest
    outside = days.folder / "outside.parquet"
    outside.write_bytes(b"x")
    notes = sorted((days.folder / "store" / "reuse").iterdir())
    for bad in (str(outside), "../../../../outside.parquet", "train", "", "a\0b", "train/none"):
        for note in notes:
            told = json.loads(note.read_bytes())
            for cut in told["value"]["cuts"]:
                for part in cut["parts"].values():
                    part |= {"path": bad, "sha256": hashlib.sha256(b"x").hexdigest(), "lines": ""}
            text = json.dumps(told["value"]).encode()
            told |= {"sha256": hashlib.sha256(text).hexdigest(), "value": "VALUE"}
            note.write_bytes(json.dumps(told).encode().replace(b'"VALUE"', text))
        attempt = days.ingest()
        assert attempt.reused == 0
        assert attempt.examples.digest == expected


def test_notes_that_cannot_be_taken_are_no_error(days: Days) -> None:
    blocked = days.folder / "store" / "staging" / "1" / "reuse"
    blocked.parent.mkdir()
    blocked.write_text("no folder")
    days.attempts = 1
    staging = blocked.parent
    ctx = Context("step", staging, ONE, lambda event: None, reuse=Reuse(days.store.folder, "code", staging))
    made = csv_examples.function(ctx, path=str(days.data / "*.csv"), splits=SHARES, block_bytes=1000)
    assert made.digest == days.fresh().examples.digest


def test_columns_in_the_order_of_a_file_that_is_gone(days: Days) -> None:
    days.parquet()
    path = days.data / "day-1.parquet"
    table = pq.read_table(path)
    pq.write_table(table.select(table.column_names[::-1]), path)
    days.parquet = lambda: str(days.data / "*.parquet")  # type: ignore[method-assign]
    days.ingest(parquet_examples)
    (days.data / "day-0.parquet").unlink()
    days.check(0, parquet_examples)
    (days.data / "day-1.parquet").unlink()
    days.check(0, parquet_examples)


def test_a_file_without_rows_is_known_too(days: Days) -> None:
    days.parquet()
    pq.write_table(pq.read_table(days.data / "day-1.parquet").slice(0, 0), days.data / "empty.parquet")
    days.parquet = lambda: str(days.data / "*.parquet")  # type: ignore[method-assign]
    days.ingest(parquet_examples)
    days.check(3, parquet_examples)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_a_name_that_is_not_unicode(days: Days) -> None:
    name = os.fsdecode(b"day-\xff.csv")
    (days.data / name).write_text("id,city,day,size,when\n1,x,1,0.5,now\n2,y\n3,z,1,1,now\n")
    days.ingest(max_rejects=1)
    attempt = days.check(4, max_rejects=1)
    told = [json.loads(line) for line in attempt.examples.file("rejects.jsonl").read_text().splitlines()]
    assert [each["file"] for each in told] == [name]


def test_a_file_that_is_touched_while_it_is_read_is_not_noted(days: Days) -> None:
    days.meanwhile = lambda: (days.data / "day-1.csv").touch()
    days.ingest()
    days.meanwhile = lambda: None
    days.check(2)
    days.write(3)
    days.meanwhile = lambda: (days.data / "day-0.csv").unlink(missing_ok=True)
    assert days.ingest().reused == 3, "a known file isn't read"
    days.meanwhile = lambda: None
    days.check(3)


def test_columns_of_folders_are_part_of_what_a_file_gives(days: Days) -> None:
    days.parquet()
    hive = days.folder / "hive"
    for month in ("05", "06"):
        (hive / f"month={month}").mkdir(parents=True)
        shutil.copy(days.data / "day-0.parquet", hive / f"month={month}" / "part.parquet")
    shutil.copy(days.data / "day-1.parquet", hive / "month=05" / "more.parquet")
    asked = {"path": str(hive)}
    assert days.ingest(parquet_examples, **asked).examples.properties["columns"]["month"] == "int"
    (hive / "month=06").rename(hive / "month=07")
    days.check(2, parquet_examples, **asked)
    (hive / "month=07").rename(hive / "month=may")
    changed = days.check(0, parquet_examples, **asked)
    assert changed.examples.properties["columns"]["month"] == "string"


def test_any_sequence_of_changes_gives_what_a_first_run_gives(days: Days) -> None:
    draw = random.Random(0)
    kinds: list[Callable[[int], Any]] = [str, float, int, lambda row: row % 2 == 0, lambda row: None]
    for step in range(6):
        for _ in range(draw.randrange(1, 3)):
            day = draw.randrange(6)
            if draw.random() < 0.25 and len(list(days.data.glob("*.csv"))) > 2:
                (days.data / f"day-{day}.csv").unlink(missing_ok=True)
            else:
                mixed = {"id": draw.choice(kinds)} if draw.random() < 0.3 else {}
                days.write(day, draw.randrange(1, 60), step, **mixed)
        attempt = days.ingest(max_rejects=5)
        assert attempt.examples.digest == days.fresh(max_rejects=5).examples.digest
