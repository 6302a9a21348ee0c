"""What headrace writes opens with TFDS: features, splits, classes and counts."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headrace.components import tfds_examples, to_tfds, transform
from headrace.components.ingestion.writing import write_parquet
from headrace.pipelines.artifact import Examples
from headrace.pipelines.errors import DataError, InvalidRequestError

NAMES = ("four", "one", "two")


def png(pixels: np.ndarray) -> bytes:
    """Pixels as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def digits(count: int) -> list[bytes]:
    """The first digits as gray PNG files of 8 by 8."""
    return [png((image * 15).astype(np.uint8)) for image in load_digits().images[:count]]


def raw(ctx: Any, tables: Mapping[str, list[pa.Table]], columns: Mapping[str, str], **more: Any) -> Examples:
    """Raw examples of some parts."""
    draft = ctx.output(Examples, "raw")
    splits: dict[str, Any] = {}
    for split, parts in tables.items():
        (draft.path / split).mkdir()
        told = []
        for number, table in enumerate(parts):
            name = f"{split}/part-{number:05d}.parquet"
            write_parquet(table, draft.path / name)
            told.append({"path": name, "rows": table.num_rows})
        splits[split] = {"rows": sum(part["rows"] for part in told), "parts": told}
    return draft.finish({"format": "parquet", "columns": dict(columns), "splits": splits, **more})


COLUMNS = {
    "image": "image", "label": "string", "tags": "strings", "size": "float", "count": "int", "ok": "bool",
    "when": "timestamp", "od280/od315": "float", "scores": "floats", "ids": "ints", "note": "string",
}  # fmt: skip


def table(count: int, first: int = 0) -> pa.Table:
    """Rows of every type; `count` tells them apart."""
    n = range(first, first + count)
    return pa.table(
        {
            "image": pa.array(digits(first + count)[first:], pa.binary()),
            "label": pa.array([NAMES[i % 3] if i % 5 else None for i in n]),
            "tags": pa.array([[NAMES[k] for k in range(i % 3)] or None for i in n]),
            "size": pa.array([i / 8 if i % 4 else None for i in n], pa.float64()),
            "count": pa.array([-i for i in n], pa.int64()),
            "ok": pa.array([i % 2 == 0 for i in n]),
            "when": pa.array([i * 10**6 for i in n], pa.timestamp("us", "UTC")),
            "od280/od315": pa.array([i * 1.5 for i in n], pa.float64()),
            "scores": pa.array(
                [[i + k / 2 for k in range(i % 2)] or None for i in n], pa.list_(pa.float64())
            ),
            "ids": pa.array([[i, -i] for i in n], pa.list_(pa.int64())),
            "note": pa.array([f"größe {i}\n" if i % 3 else None for i in n]),
        }
    )


def opened(examples: Examples) -> Any:
    """The folder as TFDS opens it."""
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(examples.path)


def read(builder: Any, split: str, **given: Any) -> list[Any]:
    """All rows of a split as NumPy values."""
    import tensorflow_datasets as tfds

    return list(tfds.as_numpy(builder.as_dataset(split=split, **given)))


def test_every_row_opens(new_ctx: Callable[..., Any]) -> None:
    parts = {"train": [table(30), table(20, 30)], "test": [table(10, 50)]}
    made = to_tfds.function(
        ctx := new_ctx(),
        raw(ctx, parts, COLUMNS),
        name="figures",
        version="2.1.0",
        label=["label", "tags"],
        shards=3,
    )
    names = sorted(path.name for path in made.path.glob("figures-*"))
    assert names[:4] == [f"figures-test.tfrecord-{i:05d}-of-00003" for i in range(3)] + [
        "figures-train.tfrecord-00000-of-00003"
    ]
    builder = opened(made)
    assert (builder.info.full_name, builder.info.supervised_keys) == ("figures/2.1.0", ("image", "label"))
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 50,
        "test": 10,
    }
    assert builder.info.splits["train"].num_shards == 3
    features = builder.info.features
    assert (features["image"].shape, features["label"].names) == ((8, 8, 1), list(NAMES))
    assert features["tags"].feature.names == list(NAMES[:2])
    wanted = {row["count"]: row for split in parts.values() for own in split for row in own.to_pylist()}
    train, test = read(builder, "train"), read(builder, "test")
    order = [-int(row["count"]) for row in train]
    assert sorted(order) == list(range(50)) != order  # shuffled over all parts
    for row in (*train, *test):
        told = wanted[int(row["count"])]
        pixels = np.asarray(Image.open(io.BytesIO(told["image"])))
        np.testing.assert_array_equal(row["image"][..., 0], pixels)
        assert row["label"] == (NAMES.index(told["label"]) if told["label"] else -1)
        assert row["tags"].tolist() == [NAMES.index(name) for name in told["tags"] or []]
        np.testing.assert_equal(row["size"], np.float32("nan" if told["size"] is None else told["size"]))
        assert row["ok"] is np.bool_(told["ok"]) or row["ok"] == told["ok"]
        assert row["when"] == told["when"].timestamp() * 10**6
        assert row["od280"]["od315"] == told["od280/od315"]
        assert row["scores"].tolist() == (told["scores"] or [])
        assert row["ids"].tolist() == told["ids"]
        assert row["note"].decode() == (told["note"] or "")
    image, label = read(builder, "test[:1]", as_supervised=True)[0]
    assert (image.shape, image.dtype, label.dtype) == ((8, 8, 1), np.uint8, np.int64)


def test_there_and_back(new_ctx: Callable[..., Any]) -> None:
    ctx = new_ctx()
    columns = {name: kind for name, kind in COLUMNS.items() if kind != "timestamp"}
    given = raw(ctx, {"train": [table(12).select(list(columns))]}, columns)
    made = to_tfds.function(new_ctx(), given, name="figures", label="label")
    back = tfds_examples.function(new_ctx(), path=str(made.path))
    assert back.properties["columns"] == dict(sorted(columns.items()))
    rows = [row for part in back.parts("train") for row in pq.read_table(part).to_pylist()]
    before = table(12).select(sorted(columns)).to_pylist()
    assert sorted(rows, key=lambda row: -row["count"]) == before
    again = to_tfds.function(new_ctx(), back, name="figures")
    assert opened(again).info.features["label"].names == list(NAMES)


def test_the_result_does_not_depend_on_the_execution(new_ctx: Callable[..., Any]) -> None:
    given = raw(new_ctx(), {"train": [table(9), table(9, 9), table(2, 18)]}, COLUMNS)
    digests = {
        to_tfds.function(new_ctx(direct_num_workers=workers), given, name="figures", label="label").digest
        for workers in ("1", "2")
    }
    assert len(digests) == 1
    assert to_tfds.function(new_ctx(), given, name="figures", label="label", seed=1).digest not in digests


def test_images_of_many_kinds_open_in_colour(new_ctx: Callable[..., Any]) -> None:
    gray, alpha = png(np.full((4, 5), 7, np.uint8)), png(np.full((6, 5, 4), 9, np.uint8))
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), 200, np.uint8)).save(stream, "JPEG")
    photo = stream.getvalue()
    kinds = {
        "mixed": [gray, alpha, photo],
        "clear": [gray, alpha, gray],
        "photos": [photo] * 3,
        "gray": [gray] * 3,
    }
    rows = pa.table({name: pa.array(files, pa.binary()) for name, files in kinds.items()})
    given = raw(ctx := new_ctx(), {"train": [rows]}, dict.fromkeys(kinds, "image"))
    builder = opened(to_tfds.function(ctx, given, name="pictures"))
    shapes = {"mixed": (None, None, 3), "clear": (None, None, 4), "photos": (4, 5, 3), "gray": (4, 5, 1)}
    assert {name: feature.shape for name, feature in builder.info.features.items()} == shapes
    for row in read(builder, "train"):
        assert {name: pixels.shape[2] for name, pixels in row.items()} == {n: s[2] for n, s in shapes.items()}


def test_what_cant_be_written_is_told(new_ctx: Callable[..., Any]) -> None:
    files = pa.array([*digits(1), None, b"text"], pa.binary())
    columns = {"image": "image", "n": "int", "x": "float"}
    rows = pa.table({"image": files, "n": pa.array([1, None, 3]), "x": pa.array([1.0, 2.0, 3.0])})
    ctx = new_ctx()
    given = raw(ctx, {"train": [rows]}, columns)
    with pytest.raises(
        DataError, match=r"(?s)has no image in 1 of 3 rows of train.*row 2.*not an image.*row 3"
    ):
        to_tfds.function(new_ctx(), given, name="few")
    ctx = new_ctx()
    made = to_tfds.function(ctx, given, name="few", columns=["n"])
    assert sorted(row["n"] for row in read(opened(made), "train")) == [-(2**63), 1, 3]
    assert any("n: 1 missing values" in event.get("warn", "") for event in ctx.events)
    for asked, what in (
        ({"name": "My Set"}, "can't be called 'My Set'"),
        ({"name": "few", "version": "1"}, "'1' is no version"),
        ({"name": "few", "label": "m"}, "there is no column 'm'"),
        ({"name": "few", "label": "x"}, "column 'x' is float"),
        ({"name": "few", "columns": ["nn"]}, "did you mean 'n'"),
    ):
        with pytest.raises(InvalidRequestError, match=what):
            to_tfds.function(new_ctx(), given, **asked)
    assert to_tfds.checker is not None
    arguments = {name: one.default for name, one in to_tfds.arguments.items()} | {"name": "few"}
    from headrace.pipelines.component import Known

    found, _ = to_tfds.checker(arguments | {"label": "z"}, {"examples": Known(("image", "n"), ("all",))})
    assert ["TFDS reads no split called 'all'" in str(found[0]), "no column 'z'" in str(found[1])] == [
        True,
        True,
    ]


@pytest.mark.parametrize("store", ["uint8", "jpeg", "float32"])
def test_transformed_shards_open(new_ctx: Callable[..., Any], store: Any) -> None:
    from headrace.components import dataset

    columns = {name: COLUMNS[name] for name in ("image", "label", "size", "count")}
    rows = table(40).select(list(columns)).filter(pa.array([bool(i % 5) for i in range(40)]))
    given = raw(ctx := new_ctx(), {"train": [rows], "test": [rows.slice(0, 8)]}, columns)
    made = transform.function(
        ctx, given, label="label", layout="columns", store=store, shards=2,
        features={
            "image": [{"decode": "grayscale"}, {"resize": [8, 8]}, {"scale": "zero_one"}],
            "size": [{"impute": "mean"}, "z_score"], "count": [{"bucketize": 3}],
        },
    )  # fmt: skip
    builder = opened(made.examples)
    told = builder.info.features
    assert told["label"].names == sorted(NAMES)
    assert [builder.info.splits[split].num_examples for split in ("train", "test")] == [32, 8]
    assert (told["image"].shape, told["image"].np_dtype) == (
        (8, 8, 1), np.float32 if store == "float32" else np.uint8
    )  # fmt: skip
    ours, labels = next(iter(dataset(made.examples, "test", batch_size=8, expand=False).as_numpy_iterator()))
    theirs = read(builder, "test", read_config=_in_order())
    # TFDS decodes JPEG by the faster of the two integer transforms.
    np.testing.assert_allclose([row["image"] for row in theirs], ours["image"], atol=12 * (store == "jpeg"))
    np.testing.assert_array_equal([row["size"] for row in theirs], ours["size"].ravel())
    np.testing.assert_array_equal([row["label"] for row in theirs], labels.ravel())


def test_names_that_cant_be_nested(new_ctx: Callable[..., Any]) -> None:
    columns = {"a": "float", "a/b": "float", "y": "string"}
    rows = pa.table({"a": [1.0, 2.0], "a/b": [3.0, 5.0], "y": ["m", "n"]})
    given = raw(new_ctx(), {"train": [rows]}, columns)
    with pytest.raises(InvalidRequestError, match="called like its group"):
        to_tfds.function(new_ctx(), given, name="few")
    ctx = new_ctx()
    features = {"a": "z_score", "a/b": "z_score"}
    made = transform.function(ctx, given, label="y", features=features, layout="columns")
    assert not (made.examples.path / "dataset_info.json").exists()
    assert any("can't open the shards" in event.get("warn", "") for event in ctx.events)


def _in_order() -> Any:
    import tensorflow_datasets as tfds

    return tfds.ReadConfig(interleave_cycle_length=1)


def test_tfds_reads_no_compressed_shards(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    columns = {name: COLUMNS[name] for name in ("count", "label")}
    given = raw(ctx := new_ctx(), {"train": [table(10).select(list(columns))]}, columns)
    with pytest.raises(DataError, match="reads none that are compressed"):
        transform.function(
            ctx, given, label="label", features={"count": "z_score"}, layout="columns", compression="gzip"
        )
