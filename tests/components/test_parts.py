"""Raw examples as units of work: small parts together, splits apart, every row once and in its place."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components.data_plane import parts
from headrace.components.data_plane.parts import parts_of, units_of
from headrace.pipelines import Examples
from headrace.pipelines.errors import StoreError


def examples(ctx: Any, sizes: dict[str, list[int]]) -> Examples:
    """Raw examples whose only column counts all rows, cut into parts of the given sizes."""
    draft = ctx.output(Examples)
    splits: dict[str, Any] = {}
    row = 0
    for split, own in sizes.items():
        (draft.path / split).mkdir()
        splits[split] = {"rows": sum(own), "parts": []}
        for number, size in enumerate(own):
            name = f"{split}/part-{number:05d}.parquet"
            pq.write_table(pa.table({"x": pa.array(range(row, row + size), pa.int64())}), draft.path / name)
            splits[split]["parts"].append({"path": name, "rows": size})
            row += size
    return draft.finish({"format": "parquet", "columns": {"x": "int"}, "splits": splits})


def test_small_parts_make_one_unit_and_splits_stay_apart(ctx: Any) -> None:
    made = examples(ctx, {"train": [3, 0, 4], "test": [2]})
    units = units_of(made, ["train", "test"])
    assert [(unit.split, unit.rows, len(unit.paths)) for unit in units] == [("train", 7, 2), ("test", 2, 1)]
    assert [unit.read(["x"]).column("x").to_pylist() for unit in units] == [[*range(7)], [7, 8]]
    places = [units[0].place(row) for row in range(7)]
    assert [(number, row) for _, number, row in places] == [
        (0, 0),
        (0, 1),
        (0, 2),
        *((2, r) for r in range(4)),
    ]
    assert {path.rpartition("/")[2] for path, *_ in places} == {"part-00000.parquet", "part-00002.parquet"}
    with pytest.raises(IndexError):
        units[1].place(2)


@pytest.mark.parametrize(
    ("bound", "value", "cut"),
    [
        ("UNIT_ROWS", 5, [3, 5, 9, 1]),
        ("UNIT_CELLS", 5, [3, 5, 9, 1]),
        ("UNIT_PARTS", 2, [6, 11, 1]),
        ("UNIT_BYTES", 1, [3, 3, 2, 9, 1]),
    ],
)
def test_a_unit_is_bounded(ctx: Any, monkeypatch: Any, bound: str, value: int, cut: list[int]) -> None:
    made = examples(ctx, {"train": [3, 3, 2, 9, 1]})
    monkeypatch.setattr(parts, bound, value)
    units = units_of(made, ["train"])
    assert [unit.rows for unit in units] == cut
    rows = [row for unit in units for row in unit.read(["x"]).column("x").to_pylist()]
    assert rows == list(range(18)) and sum(part.rows for part in parts_of(made, ["train"])) == 18


def test_a_damaged_part_is_named(ctx: Any) -> None:
    made = examples(ctx, {"train": [3, 3]})
    made.file("train/part-00001.parquet").write_bytes(b"no Parquet")
    with pytest.raises(StoreError, match=r"part-00001.parquet.*can't be read"):
        units_of(made, ["train"])[0].read(["x"])
