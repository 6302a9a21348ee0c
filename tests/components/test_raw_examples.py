from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .raw_examples import make_raw_examples


def test_parts_hold_the_rows_in_order(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([1, None, 3, 4, 5]), "b": pa.array(["x", "y", None, "x", "z"])})
    examples = make_raw_examples(
        tmp_path / "raw", {"train": table, "test": table.slice(0, 0)}, rows_per_part=2
    )
    assert examples.properties["columns"] == {"a": "int", "b": "string"}
    assert [p["rows"] for p in examples.splits["train"]["parts"]] == [2, 2, 1]
    assert pa.concat_tables(pq.read_table(p) for p in examples.parts("train")).equals(table)
    assert examples.rows("test") == 0 and examples.parts("test") == []
