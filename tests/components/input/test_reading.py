"""`dataset()`, `iterate()` and `mix()` over real shards with many small blocks."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components import Position, dataset, iterate, mix, shard_errors, train
from headrace.components.input import order
from headrace.components.tfrecords import layout
from headrace.components.tfrecords.layout import Layout
from headrace.components.tfrecords.shard_blocks import ShardBlocks, sidecar
from headrace.components.training.feed import Feed
from headrace.components.training.stream import Stream
from headrace.components.transform import transform
from headrace.pipelines.artifact import Examples, load_artifact
from headrace.pipelines.component import Known
from headrace.pipelines.context import Context
from headrace.pipelines.errors import DataError, StoreError

from ..raw_examples import make_raw_examples
from ..test_image_shards import photos

ROWS, PHOTOS = 1000, 50
KINDS = ("packed", "columns", "gzip", "png")


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Blocks of 16 examples and windows of four blocks, so that small splits have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BLOCK_ROWS", 16)
        patch.setattr(order, "WINDOW_BLOCKS", 4)
        yield


def made(folder: Path, kind: str, first: int = 0, rows: int = ROWS, **more: Any) -> Examples:
    """Examples whose feature `x` counts from `first`; of the kind `png` with images."""
    folder.mkdir(parents=True)
    places = np.arange(rows) + first
    labels = np.where(places % 10 < 7, "many", np.where(places % 10 < 9, "some", "few"))
    data = {"x": places * 1.0, "c": [f"c{i % 70}" for i in places], "y": labels}
    features: dict[str, Any] = {"x": "identity", "c": "one_hot", "id": {"from": "c", "apply": "vocabulary"}}
    arguments = {"gzip": {"compression": "gzip"}, "columns": {"layout": "columns"}, "png": {"store": "png"}}
    if kind == "png":
        data["photo"] = pa.array(photos(rows), pa.binary())
        features["photo"] = ["decode", {"resize": [8, 6]}]
    ctx = Context("transform", folder, listener=lambda event: None)
    raw = make_raw_examples(folder / "raw", {"train": pa.table(data)}, rows_per_part=200)
    given: dict[str, Any] = {"shards": 3, "features": features, **arguments.get(kind, {}), **more}
    return transform.function(ctx, raw, label="y", **given).examples


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examples]:
    """The same examples, stored in each of the ways; fewer with images."""
    folder = tmp_path_factory.mktemp("reading")
    return {kind: made(folder / kind, kind, rows=PHOTOS if kind == "png" else ROWS) for kind in KINDS}


@pytest.fixture
def examples(every: dict[str, Examples]) -> Examples:
    return every["packed"]


@pytest.fixture
def copy(examples: Examples, tmp_path: Path) -> Examples:
    """The examples again, to be damaged."""
    shutil.copytree(examples.path, tmp_path / "copy")
    copied = load_artifact(tmp_path / "copy")
    assert isinstance(copied, Examples)
    return copied


def xs(batches: Any) -> list[float]:
    return [x for features, *_ in batches for x in np.asarray(features["x"])[:, 0].tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_one_order_however_it_is_read(every: dict[str, Examples], kind: str) -> None:
    examples, rows = every[kind], every[kind].rows("train")
    asked: dict[str, Any] = {"shuffle": True, "seed": 4, "epochs": 2, "remainder": "carry"}
    wanted = xs(dataset(examples, batch_size=10, **asked))
    assert sorted(wanted[:rows]) == sorted(wanted[rows:]) == list(range(rows))
    if kind in ("columns", "gzip"):
        assert wanted == xs(dataset(every["packed"], batch_size=10, **asked))
        return
    for cache, size in (("none", 7), ("memory", 25), ("disk", 10)):
        found = xs(dataset(examples, batch_size=size, cache=cache, **asked))
        assert found == wanted[: len(found)] and len(found) > 2 * rows - size
    for start in (Position(0, rows - 1), Position(1, 17)):
        begin = start.epoch * rows + start.examples
        epochs = 2 - start.epoch
        found = xs(dataset(examples, batch_size=1, start=start, **{**asked, "epochs": epochs}))
        assert found == wanted[begin:]


def test_what_is_cut_is_what_tensorflow_parses(every: dict[str, Examples]) -> None:
    import tensorflow as tf

    from headrace.components.tfrecords.reading import cut_fields, parser

    for kind in ("packed", "columns", "gzip"):
        told = Layout.from_json(every[kind].properties)
        files = [str(path) for path in every[kind].parts("train")]
        (records,) = tf.data.TFRecordDataset(files, told.compression.upper()).batch(ROWS)
        wanted, label = cut_fields(told, parser(tf, told)(records))
        ((features, labels),) = dataset(every[kind], batch_size=ROWS, expand=False)
        np.testing.assert_array_equal(labels, label)
        for name, values in wanted.items():
            np.testing.assert_array_equal(features[name], values)


def test_a_stream_of_images_has_the_same_order(every: dict[str, Examples]) -> None:
    feed = Feed.of("features", Layout.from_json(every["png"].properties).features)
    start = Position(0, 30)
    wanted = xs(dataset(every["png"], shuffle=True, seed=4, epochs=2, start=start, batch_size=10))
    ((features, _),) = dataset(every["png"], batch_size=PHOTOS)
    for cache in ("none", "disk"):
        source = Stream(
            every["png"], "train", feed, 20, lambda t, y: (feed.network_input(t), y), 4, cache=cache
        )
        assert xs(source.batches(start).take(3)) == wanted[:60]
        again = np.concatenate([x["photo"] for x, _ in source.once()])
        np.testing.assert_array_equal(again, features["photo"])


@pytest.mark.parametrize("kind", ["packed", "gzip"])
def test_seeking_reads_only_the_blocks_that_are_open_then(
    every: dict[str, Examples], kind: str, tmp_path: Path
) -> None:
    """Every block that comes before the window of that position is overwritten, and nobody notices."""
    shutil.copytree(every[kind].path, tmp_path / "copy")
    copied = load_artifact(tmp_path / "copy")
    assert isinstance(copied, Examples)
    start, told = Position(2, 900), Layout.from_json(copied.properties)
    shards = [part["rows"] for part in copied.splits["train"]["parts"]]
    found = order.Order(shards, told.block_rows, 4)
    before = [block for number in range(found.find(start)) for block in found.window(2, number).blocks]
    passed = {(block.shard, block.place) for block in before}
    assert len(passed) > 50
    for shard, path in enumerate(copied.parts("train")):
        content, blocks = bytearray(path.read_bytes()), ShardBlocks.load(path, shards[shard])
        for place, (begin, end) in enumerate(itertools.pairwise(blocks.offsets)):
            if (shard, place) in passed:
                content[begin:end] = bytes(end - begin)
        path.write_bytes(content)
    asked: dict[str, Any] = {"shuffle": True, "seed": 4, "start": start, "batch_size": 5}
    assert xs(dataset(copied, **asked)) == xs(dataset(every[kind], **asked))
    with pytest.raises(StoreError, match="not what was written"), shard_errors(copied, "train"):
        list(dataset(copied, **asked, epochs=2))


def test_a_damaged_sidecar_file_is_named(copy: Examples) -> None:
    path = sidecar(copy.parts("train")[1])
    told = json.loads(path.read_text("utf-8"))
    told["offsets"][2] += 1
    path.write_text(json.dumps(told, separators=(",", ":")) + "\n", "utf-8")
    with pytest.raises(StoreError, match="not what was written") as caught, shard_errors(copy, "train"):
        list(dataset(copy))
    assert [problem.file for problem in caught.value.problems] == [str(path)]
    path.write_text("{", "utf-8")
    with pytest.raises(StoreError, match="the shard's sidecar file is damaged: it has 1 bytes"):
        dataset(copy)
    with pytest.raises(StoreError, match="the shard's sidecar file is damaged"):
        ShardBlocks.load(copy.parts("train")[1], 300)
    path.unlink()
    with pytest.raises(StoreError, match="the shard's sidecar file is gone"):
        dataset(replace(copy, files=()))


def test_padding_weighs_nothing(examples: Examples) -> None:
    batches = list(dataset(examples, batch_size=64, remainder="pad", numbers=True))
    assert {tuple(label.shape) for _, label, *_ in batches} == {(64,)}
    weight = np.concatenate([weight for *_, weight, _ in batches])
    numbers = np.concatenate([numbers for *_, numbers in batches])
    assert weight.sum() == ROWS and len(weight) == 1024 and weight.dtype == np.float32
    np.testing.assert_array_equal(numbers, np.where(weight > 0, np.arange(1024), -1))
    spec = dataset(examples, batch_size=64, remainder="pad").element_spec
    assert spec[1].shape == [64] and spec[2].shape == [64]


@pytest.mark.parametrize("remainder", ["drop", "pad", "carry"])
def test_the_slices_of_hosts_are_the_global_batch(examples: Examples, remainder: Any) -> None:
    asked: dict[str, Any] = {
        "batch_size": 60, "shuffle": True, "epochs": 2, "remainder": remainder, "start": Position(1, 333),
    }  # fmt: skip
    whole = [np.asarray(features["x"])[:, 0] for features, *_ in dataset(examples, **asked)]
    assert len(whole) == {"drop": 11 + 16, "pad": 12 + 17, "carry": 27}[remainder]
    hosts = [dataset(examples, **asked, shard=(host, 3)) for host in range(3)]
    for batch, *own in zip(whole, *hosts, strict=True):
        np.testing.assert_array_equal(np.concatenate([f["x"] for f, *_ in own])[:, 0], batch)
    with pytest.raises(DataError, match="batch_size is 60, of all hosts together, and 7 can't"):
        dataset(examples, **asked, shard=(0, 7))
    with pytest.raises(DataError, match="a smaller batch at the end"):
        dataset(examples, batch_size=60, shard=(0, 3))


def test_a_cache_on_disk_is_gone_with_a_killed_process(
    examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = dataset(examples, batch_size=100, cache="disk")
    assert not list(tmp_path.glob("headrace-cache-*")), "its files have no names"
    assert xs(kept) == xs(dataset(examples, batch_size=100))


def test_every_class_equally_often(examples: Examples) -> None:
    asked: dict[str, Any] = {"sampling": "balanced", "shuffle": True, "batch_size": 100}
    labels = np.concatenate([label for _, label in dataset(examples, **asked)])
    assert sorted(np.bincount(labels)) == [333, 333, 334]
    feed = Feed.of("features", Layout.from_json(examples.properties).features)
    source = Stream(examples, "train", feed, 100, lambda t, y: (t, y), 0, sampling="balanced")
    found = np.concatenate([y for _, y in source.batches().take(10)])
    np.testing.assert_array_equal(found, labels)
    assert sum(len(y) for _, y in source.once()) == ROWS


@pytest.mark.parametrize("remainder", ["keep", "drop", "pad", "carry"])
def test_a_state_goes_on_with_the_very_next_example(examples: Examples, remainder: Any) -> None:
    def begin(**more: Any) -> Any:
        return iterate(examples, batch_size=300, seed=4, remainder=remainder, epochs=3, **more)

    whole, states = [], []
    batches = begin()
    for features, *_ in batches:
        whole.append(xs([(features,)]))
        states.append(json.loads(json.dumps(batches.state())))
    assert len(whole) == {"keep": 12, "drop": 9, "pad": 12, "carry": 10}[remainder]
    for place, state in list(enumerate(states))[2::4]:
        again = begin(cache="memory")
        again.restore(state)
        assert [xs([batch]) for batch in again] == whole[place + 1 :]
    other = iterate(examples, seed=5)
    with pytest.raises(DataError, match="the state is of other batches: seed 4 and not 5"):
        other.restore(states[0])
    half = np.arange(ROWS) % 2 == 0
    with pytest.raises(DataError, match="the state is of other batches: only None and not"):
        iterate(examples, seed=4, only=half).restore(states[0])
    with pytest.raises(DataError, match="there is no example 1000000 in epoch 0"):
        other.restore({**other.state(), "examples": 10**6})


@pytest.mark.parametrize(
    "told",
    [{"remainder": "crop"}, {"cache": "memry"}, {"sampling": "balance"}],
    ids=lambda told: next(iter(told)),
)
def test_a_misspelt_choice_is_an_error_and_no_other_choice(examples, told):
    with pytest.raises(DataError, match="can't be '") as refused:
        iterate(examples, **told)
    assert refused.value.problems[0].argument == next(iter(told))


def test_the_documented_loop_is_ended_and_goes_on(tmp_path: Path) -> None:
    assert iterate.__doc__ is not None
    (block,) = re.findall(r"```python\n(.*?)```", iterate.__doc__, re.DOTALL)
    loop: dict[str, Any] = {}
    exec(textwrap.dedent(block), loop)
    plain = made(tmp_path / "plain", "packed", features={"c": "one_hot"})
    asked = plain, Layout.from_json(plain.properties).features[0].width
    wanted = loop["train"](*asked, 50, tmp_path / "undisturbed.json")
    for steps in (13, 31, 32):
        loop["train"](*asked, steps, tmp_path / "killed.json")
    np.testing.assert_array_equal(loop["train"](*asked, 50, tmp_path / "killed.json"), wanted)
    assert np.ptp(wanted) > 0


def test_a_mixture_has_the_shares_that_were_asked_for(
    examples: Examples, tmp_path: Path, every: dict[str, Examples]
) -> None:
    other = made(tmp_path / "other", "packed", first=2000, rows=400)
    both = mix([examples, other], [3, 1])
    asked: dict[str, Any] = {"batch_size": 100, "shuffle": True, "seed": 2, "remainder": "carry"}
    found = np.array(xs(dataset(both, **asked, epochs=3)))
    assert len(found) == 3 * 1400
    for begin in range(0, 4000, 1000):
        assert (found[begin : begin + 1000] >= 2000).sum() == 250
    numbers, times = np.unique(found[:4000], return_counts=True)
    assert set(times[numbers < 2000]) == {3}, "every example thrice before any comes a fourth time"
    assert set(times[numbers >= 2000]) == {2, 3}
    np.testing.assert_array_equal(found, xs(dataset(both, **{**asked, "batch_size": 50}, epochs=3)))
    batches = iterate(both, batch_size=70, seed=2)
    before = xs(next(batches) for _ in range(21))
    assert before == found[: 21 * 70].tolist()
    again = iterate(both, batch_size=70, seed=2)
    again.restore(batches.state())
    assert xs([next(again)]) == xs([next(batches)]) == found[21 * 70 : 22 * 70].tolist()
    hosts = [dataset(both, **asked, shard=(host, 2)).take(3) for host in range(2)]
    for place, (first_half, second_half) in enumerate(zip(*hosts, strict=True)):
        assert xs([first_half, second_half]) == found[place * 100 : (place + 1) * 100].tolist()
    once = dataset(mix([examples, other], [3, 1], repeat=False), batch_size=300)
    assert len(xs(once)) == 1000 == len(set(xs(once)))
    with pytest.raises(DataError, match="artifact 2 has other features"):
        mix([examples, every["png"]])
    with pytest.raises(DataError, match="a weight is a number above 0"):
        mix([examples, other], [1, 0])


def test_batches_are_sent_to_a_device(examples: Examples) -> None:
    sent = dataset(examples, batch_size=100, shuffle=True, device="/cpu:0")
    assert xs(sent) == xs(dataset(examples, batch_size=100, shuffle=True))


def test_classes_that_cannot_be_balanced(tmp_path: Path) -> None:
    for labels, said in (({"x": "value"}, "of x none is"), ({"a": "class", "b": "class"}, "more than one")):
        known = {"transform": Known(facts={"labels": labels})}
        (problem,) = train.checker({"sampling": "balanced"}, known)[0]
        assert problem.argument == "sampling" and said in problem.what
    ctx = Context("transform", tmp_path, listener=lambda event: None)
    raw = make_raw_examples(ctx, {"train": pa.table({"x": [1.0, 2.0], "y": [0.5, 1.5]})})
    values = transform.function(ctx, raw, label="y", features={"x": "identity"}).examples
    with pytest.raises(DataError, match="sampling: balanced needs one label"):
        dataset(values, sampling="balanced")
