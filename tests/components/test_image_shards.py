"""Images through real shards: what was made of them is what `dataset()` gives."""

from __future__ import annotations

import hashlib
import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.data_plane.parts import Parts
from headrace.components.dataset import dataset, shard_errors
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.tfrecords import image_encoding, image_shards
from headrace.components.tfrecords.image_shards import EncodeImages, SpilledImages, image_shard_count
from headrace.components.tfrecords.layout import Layout
from headrace.components.transform import transform
from headrace.pipelines.artifact import Examples, load_artifact
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.errors import DataError, StoreError

from .image_cases import encoded
from .raw_examples import make_raw_examples

ROWS, SHAPE = 60, (16, 12, 3)
FEATURES = {"photo": {"from": "image", "apply": ["decode", {"resize": [16, 12]}, {"scale": "zero_one"}]}}
NUMBERS = {"n": "identity"}


def photos(count: int) -> list[bytes]:
    """Smooth ones, so that JPEG loses little."""
    rng = np.random.default_rng(3)
    made = []
    for place in range(count):
        height, width = rng.integers(10, 40, 2)
        corners = rng.integers(0, 256, (2, 2, 3)).astype(float)
        down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
        top = corners[0, 0] * (1 - right) + corners[0, 1] * right
        bottom = corners[1, 0] * (1 - right) + corners[1, 1] * right
        pixels = (top * (1 - down) + bottom * down).astype(np.uint8)
        made.append(encoded(pixels, "JPEG" if place % 3 else "PNG"))
    return made


def table(rows: int = ROWS) -> pa.Table:
    numbers = np.arange(rows)
    images = pa.array(photos(rows), pa.binary())
    return pa.table({"image": images, "n": numbers * 1.0, "label": [f"c{i % 3}" for i in numbers]})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: Any) -> Examples:
    """Sixty rows in units of seven, and a test split."""
    folder: Path = tmp_path_factory.mktemp("raw")
    return make_raw_examples(folder / "raw", {"train": table(), "test": table(5)}, rows_per_part=7)


def made(raw: Examples, folder: Path, workers: int = 2, **arguments: Any) -> Any:
    folder.mkdir(exist_ok=True)
    settings = RunnerSettings("direct", {"direct_num_workers": str(workers)})
    ctx = Context("transform", folder, settings, lambda event: None)
    result = transform.function(ctx, raw, label="label", **{"features": {**FEATURES, **NUMBERS}, **arguments})
    assert not list((folder / "scratch" / "spill").glob("t*")), "spilled records are removed"
    return result


@pytest.fixture(scope="module")
def plain(raw: Examples, tmp_path_factory: Any) -> Any:
    """In three shards."""
    return made(raw, tmp_path_factory.mktemp("plain") / "made", shards=3)


def gathered(examples: Examples, **arguments: Any) -> dict[str, np.ndarray]:
    """All rows by `n`, and what the batches were."""
    batches = list(dataset(examples, **arguments).as_numpy_iterator())
    return {
        "photo": np.concatenate([features["photo"] for features, *_ in batches]),
        "n": np.concatenate([features["n"][:, 0] for features, *_ in batches]),
        "label": np.concatenate([label for _, label, *_ in batches]),
        "number": np.concatenate([rest[-1] if rest else np.zeros(0) for _, _, *rest in batches]),
    }


CASES = [
    ("uint8", "packed", "none"), ("uint8", "columns", "none"), ("png", "packed", "gzip"),
    ("jpeg", "columns", "none"), ("float32", "packed", "gzip"),
]  # fmt: skip


@pytest.mark.parametrize(("store", "layout", "compression"), CASES)
def test_what_is_stored_is_read_again(
    raw: Examples, tmp_path: Path, store: str, layout: str, compression: str
) -> None:
    result = made(raw, tmp_path, store=store, layout=layout, compression=compression)
    fitted = load_fitted(result.transform.path)
    assert result.examples.splits["train"]["parts"] == [
        {"path": "train/train-00000-of-00001.tfrecord", "rows": ROWS}
    ]
    for split, rows in (("train", ROWS), ("test", 5)):
        batch = table(rows).combine_chunks().to_batches()[0]
        for expand in (True, False):
            found = gathered(result.examples, split=split, batch_size=17, expand=expand)
            wanted = fitted.apply_numpy(batch, expand=expand)["photo"]
            order = found["n"].astype(int)
            assert sorted(order) == list(range(rows)) and list(order) != list(range(rows))
            assert found["photo"].dtype == wanted.dtype and found["photo"].shape == (rows, *SHAPE)
            np.testing.assert_array_equal(found["label"], order % 3)
            if store == "jpeg":
                levels = 255 if expand else 1
                assert np.abs(levels * (found["photo"] * 1.0 - wanted[order])).max() < 24
                assert np.abs(levels * (found["photo"] * 1.0 - wanted[order])).mean() < 1.5
            else:
                np.testing.assert_array_equal(found["photo"], wanted[order])


def test_anybody_reads_the_layout_columns(raw: Examples, tmp_path: Path) -> None:
    import tensorflow as tf

    result = made(raw, tmp_path, store="png", layout="columns")
    records = tf.data.TFRecordDataset([str(path) for path in result.examples.parts("train")])
    features = tf.train.Example.FromString(next(records.as_numpy_iterator())).features.feature
    assert set(features) == {"photo", "n", "label"}
    assert tf.io.decode_png(features["photo"].bytes_list.value[0]).shape == SHAPE


def test_rows_lie_where_those_of_a_table_would(raw: Examples, plain: Any, tmp_path: Path) -> None:
    numbers = made(raw, tmp_path, features=NUMBERS, shards=3).examples
    batches = dataset(numbers, batch_size=8).as_numpy_iterator()
    order = [n for features, _ in batches for n in features["n"][:, 0]]
    assert list(gathered(plain.examples, batch_size=8)["n"]) == order
    rows = [part["rows"] for part in plain.examples.splits["train"]["parts"]]
    assert rows == [part["rows"] for part in numbers.splits["train"]["parts"]] and min(rows) > 0


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_bytes_do_not_depend_on_workers_or_slices(
    raw: Examples, tmp_path: Path, monkeypatch: Any, compression: str
) -> None:
    one = made(raw, tmp_path / "one", workers=1, compression=compression, shards=7)
    monkeypatch.setattr(image_encoding, "SLICE_BYTES", 2 * 16 * 12 * 3)
    monkeypatch.setattr(image_shards, "ENOUGH_GROUPS", 2)  # three shards by a unit of work
    monkeypatch.setattr(image_shards, "_OPEN_FILES", 2)
    two = made(raw, tmp_path / "two", workers=2, compression=compression, shards=7)
    assert one.examples.digest == two.examples.digest
    for entry in two.examples.files:  # hashed while they were written
        assert entry.size == (two.examples.path / entry.path).stat().st_size
        assert hashlib.sha256((two.examples.path / entry.path).read_bytes()).hexdigest() == entry.sha256


def test_a_shard_may_be_without_rows(raw: Examples, tmp_path: Path) -> None:
    examples = made(raw, tmp_path, shards=500, features=FEATURES).examples
    rows = [part["rows"] for part in examples.splits["train"]["parts"]]
    assert len(rows) == ROWS and sum(rows) == ROWS and 0 in rows
    numbers = [n for *_, own in dataset(examples, numbers=True, shuffle=True) for n in own.numpy()]
    assert sorted(numbers) == list(range(ROWS))


def test_numbers_are_places_in_the_shards(plain: Any) -> None:
    told = gathered(plain.examples, batch_size=7, numbers=True)
    assert list(told["number"]) == list(range(ROWS))
    shuffled = gathered(plain.examples, batch_size=7, numbers=True, shuffle=True, seed=5)
    assert list(shuffled["number"]) != list(range(ROWS))
    for name in ("n", "label", "photo"):
        np.testing.assert_array_equal(shuffled[name], told[name][shuffled["number"]])
    again = gathered(plain.examples, batch_size=20, numbers=True, shuffle=True, seed=5)
    np.testing.assert_array_equal(shuffled["number"], again["number"])
    (*_, numbers), *_ = dataset(plain.examples, numbers=True, drop_remainder=True, batch_size=50)
    assert numbers.dtype == "int64" and numbers.shape == (50,)


@pytest.mark.parametrize("shuffle", [False, True])
def test_some_rows_only(plain: Any, shuffle: bool) -> None:
    whole = gathered(plain.examples, batch_size=7)
    only = np.arange(ROWS) % 4 == 1
    found = gathered(plain.examples, batch_size=4, only=only, numbers=True, shuffle=shuffle)
    assert sorted(found["number"]) == np.flatnonzero(only).tolist()
    np.testing.assert_array_equal(found["photo"], whole["photo"][found["number"]])


def test_shapes_are_static(plain: Any) -> None:
    for shuffle in (False, True):
        batches = dataset(plain.examples, batch_size=8, drop_remainder=True, shuffle=shuffle)
        features, label = batches.element_spec
        assert features["photo"].shape.as_list() == [8, *SHAPE] and label.shape.as_list() == [8]
        assert len(list(batches)) == len(batches) == ROWS // 8
    with pytest.raises(DataError, match="photo: an image is no row of numbers"):
        dataset(plain.examples, matrix=True)


def test_damage_is_told_with_the_shard(plain: Any, tmp_path: Path) -> None:
    shutil.copytree(plain.examples.path, tmp_path / "copy")
    copied = load_artifact(tmp_path / "copy")
    assert isinstance(copied, Examples)
    shard = copied.parts("train")[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StoreError, match="not what was written") as caught, shard_errors(copied, "train"):
        list(dataset(copied, shuffle=True))
    assert [problem.file for problem in caught.value.problems] == [str(shard)]


def test_a_row_without_an_image_is_told(tmp_path: Path) -> None:
    images = pa.array([*photos(8), None], pa.binary())
    data = pa.table({"image": images, "label": list("ababababa")})
    raw = make_raw_examples(tmp_path / "raw", {"train": data}, rows_per_part=4)
    with pytest.raises(DataError, match=r"has no image in 1 of 9 rows of train; .* train, part 2, row 1"):
        made(raw, tmp_path / "made", features=FEATURES)


def test_a_unit_holds_some_images_at_a_time(tmp_path: Path, monkeypatch: Any) -> None:
    """Three hundred files of some hundred bytes, which are 29 MB of pixels."""
    flat = [encoded(np.full((8, 8, 3), i % 256, np.uint8)) for i in range(300)]
    data = pa.table({"image": pa.array(flat, pa.binary()), "label": ["a", "b"] * 150})
    raw = make_raw_examples(tmp_path / "raw", {"train": data.slice(0, 20), "test": data})
    features = {"photo": {"from": "image", "apply": ["decode", {"resize": 180}]}}
    monkeypatch.setattr(image_encoding, "SLICE_BYTES", 2**20)
    fitted = made(raw, tmp_path / "made", features=features)
    work = EncodeImages(
        str(fitted.transform.path), Layout.from_json(fitted.examples.properties), str(tmp_path)
    )
    unit = Parts("test", (str(raw.parts("test")[0]),), 300, ((0, 300),))
    tracemalloc.start()
    try:
        spilled = SpilledImages(*json.loads(work(unit).payload)["spilled"])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert work.encoder.slice_rows == 2**20 // (180 * 180 * 3)
    assert spilled.size > 300 * 180 * 180 * 3 and spilled.rows == 300
    assert most < 4 * 2**20
    starts = spilled.starts()
    assert len(starts) == 301 and starts[-1] == spilled.size and (np.diff(starts) > 180 * 180 * 3).all()


@pytest.mark.parametrize(
    ("rows", "size", "shards"),
    [
        (1_797, 400_000, 1),  # small images, few
        (10_000, 2_000_000, 4),  # so many that several read them
        (1_000, 150_000_000, 4),
        (6_000, 900_000_000, 5),  # 180 MB each
        (1_281_167, 192_000_000_000, 960),
    ],
)
def test_the_number_of_shards(rows: int, size: int, shards: int) -> None:
    assert image_shard_count(rows, size) == shards
