"""Prepared datasets become raw examples; what TFDS itself reads is what is compared with."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headrace.components import tfds_examples
from headrace.components.tfds.prepare import Recipe, prepare
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.errors import DataError, HeadraceError, InvalidRequestError, StepError

BUILDERS = Path(__file__).parent / "builders.py"
ALL = (
    "box", "cloud", "count", "deep", "flag", "grade", "image", "label", "marks", "matrix", "note",
    "objects/kind", "objects/size", "packed", "photo", "weight", "where/field", "where/place/name", "words",
)  # fmt: skip
LEFT_OUT = ("clip", "nested")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sets, in which `insects` is prepared."""
    folder = tmp_path_factory.mktemp("tfds")
    ctx = Context("step", folder / "staging", RunnerSettings(), lambda _: None)
    recipe = Recipe(None, f"{BUILDERS}:Insects", {}, str(folder / "data"), None)
    assert prepare(ctx, recipe) == folder / "data" / "insects" / "1.2.0"
    return folder / "data"


def rows(examples: Examples, split: str) -> list[dict[str, Any]]:
    """All rows of a split, in order."""
    return [row for part in examples.parts(split) for row in pq.read_table(part).to_pylist()]


def theirs(data_dir: Path, split: str) -> list[dict[str, Any]]:
    """The same as TFDS reads them."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(data_dir / "insects" / "1.2.0")
    config = tfds.ReadConfig(interleave_cycle_length=1)
    return list(tfds.as_numpy(builder.as_dataset(split=split, read_config=config)))


def decoded(content: bytes) -> np.ndarray:
    """An image file's pixels, uint8 [height, width, channels]."""
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def test_every_row_is_what_tfds_reads(ctx: Any, data_dir: Path) -> None:
    made = tfds_examples.function(
        ctx, name="insects", data_dir=str(data_dir), columns=list(ALL),
        splits={"train": "train[:75%]", "validation": "train[75%:]", "test": "test"},
    )  # fmt: skip
    assert made.properties["columns"] == {
        "box": "floats", "cloud": "floats", "count": "int", "deep": "image", "flag": "bool",
        "grade": "string", "image": "image", "label": "string", "marks": "strings", "matrix": "ints",
        "note": "string", "objects/kind": "strings", "objects/size": "floats", "packed": "ints",
        "photo": "image", "weight": "float", "where/field": "int", "where/place/name": "string",
        "words": "strings",
    }  # fmt: skip
    assert (made.properties["label"], made.properties["tfds"]) == ("label", "insects/1.2.0")
    names = made.properties["classes"]["label"]
    assert names == ["bee", "Ölkäfer", "red ant"]
    for split, spec, count in (
        ("train", "train[:75%]", 45),
        ("validation", "train[75%:]", 15),
        ("test", "test", 20),
    ):
        ours, told = rows(made, split), theirs(data_dir, spec)
        assert len(ours) == len(told) == count
        for row, one in zip(ours, told, strict=True):
            assert row["label"] == (None if one["label"] < 0 else names[one["label"]])
            assert row["grade"] == str(one["grade"])
            assert row["note"] == (one["note"].decode() or None)
            assert (row["count"], row["flag"]) == (one["count"], one["flag"])
            assert row["weight"] == (None if np.isnan(one["weight"]) else one["weight"])
            for name in ("matrix", "packed", "cloud", "box"):
                assert (row[name] or []) == one[name].ravel().tolist()
            assert (row["words"] or []) == [word.decode() for word in one["words"]]
            assert (row["marks"] or []) == [names[number] for number in one["marks"]]
            assert row["where/field"] == one["where"]["field"]
            assert row["where/place/name"] == one["where"]["place"]["name"].decode()
            assert (row["objects/size"] or []) == one["objects"]["size"].tolist()
            assert (row["objects/kind"] or []) == ["ab"[number] for number in one["objects"]["kind"]]
            np.testing.assert_array_equal(decoded(row["image"]), one["image"])
            np.testing.assert_array_equal(decoded(row["deep"]), one["deep"] // 257)
            assert Image.open(io.BytesIO(row["photo"])).format == "JPEG"


def test_image_files_are_kept_byte_for_byte(ctx: Any, data_dir: Path) -> None:
    import tensorflow_datasets as tfds

    made = tfds_examples.function(ctx, path=str(data_dir / "insects" / "1.2.0"), columns=["image", "photo"])
    builder = tfds.builder_from_directory(data_dir / "insects" / "1.2.0")
    raw = dict.fromkeys(("image", "photo"), tfds.decode.SkipDecoding())
    for row, one in zip(
        rows(made, "test"), tfds.as_numpy(builder.as_dataset("test", decoders=raw)), strict=True
    ):
        assert row == {"image": one["image"], "photo": one["photo"]}


def test_the_result_does_not_depend_on_the_execution(new_ctx: Callable[..., Any], data_dir: Path) -> None:
    digests = set()
    for workers in ("1", "2"):
        made = tfds_examples.function(
            new_ctx(direct_num_workers=workers), name="insects:1.*.*", data_dir=str(data_dir),
            columns=["image", "label"], block_rows=5,
        )  # fmt: skip
        assert len(made.parts("train")) == 12
        digests.add(made.digest)
    assert len(digests) == 1


def test_a_sample_is_taken_of_each_split(ctx: Any, data_dir: Path) -> None:
    asked = {"name": "insects", "data_dir": str(data_dir), "columns": ["count"]}
    made = tfds_examples.function(ctx, sample=7, block_rows=5, **asked)
    assert {split: made.rows(split) for split in made.splits} == {"train": 7, "test": 7}


def test_array_records_are_read_too(
    ctx: Any, new_ctx: Callable[..., Any], data_dir: Path, tmp_path: Path
) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow import data

    folder = copied(data_dir, tmp_path)
    for shard in folder.glob("*.tfrecord-*"):
        writer = ArrayRecordWriter(str(shard).replace(".tfrecord", ".array_record"), "group_size:1")
        for record in data.TFRecordDataset(str(shard)).as_numpy_iterator():
            writer.write(record)
        writer.close()
        shard.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"fileFormat": "tfrecord"', '"fileFormat": "array_record"'))
    asked = {"columns": ["image", "count"], "splits": {"train": "train[10:-5]"}, "block_rows": 8}
    one = tfds_examples.function(ctx, name="insects", data_dir=str(tmp_path), **asked)
    two = tfds_examples.function(new_ctx(), name="insects", data_dir=str(data_dir), **asked)
    assert rows(one, "train") == rows(two, "train")
    assert one.rows("train") == 45
    next(folder.glob("*train*")).write_bytes(b"no records, and long enough to be some" * 4000)
    with pytest.raises(DataError, match="no array_record, or damaged"):
        tfds_examples.function(new_ctx(), name="insects", data_dir=str(tmp_path), **asked)


def test_nothing_heavy_is_imported_for_what_is_prepared(data_dir: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from headrace.components import tfds_examples
from headrace.pipelines.context import Context
given = {{"name": "insects", "data_dir": {str(data_dir)!r}, "columns": ["image", "label"]}}
arguments = {{n: a.default for n, a in tfds_examples.arguments.items()}} | given
problems, known = tfds_examples.checker(arguments, {{}})
assert not problems and known["output"].facts["types"] == {{"image": "image", "label": "string"}}
assert known["output"].splits == ("train", "test")
assert not {{"numpy", "pyarrow", "tensorflow", "apache_beam"}} & set(sys.modules)
assert tfds_examples.process_for(arguments) == ""
tfds_examples.function(Context("step", Path({str(tmp_path)!r})), **given)
assert not {{"tensorflow", "tensorflow_datasets"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def problem(**given: Any) -> str:
    """What the static check says."""
    arguments = {name: one.default for name, one in tfds_examples.arguments.items()} | given
    assert tfds_examples.checker is not None
    return "\n".join(map(str, tfds_examples.checker(arguments, {})[0]))


def test_the_check_says_what_there_is(data_dir: Path) -> None:
    here = {"data_dir": str(data_dir)}
    assert "did you mean 'insects'?" in problem(name="insect", **here)
    assert "download: true" in problem(name="insect", **here)
    assert problem(name="insect", download=True, **here) == ""
    assert "version 2.0.0 of 'insects' isn't prepared" in problem(name="insects:2.0.0", **here)
    assert "available: 1.2.0" in problem(name="Insects:2.*.*", **here)
    assert "the config 'big' of 'insects'" in problem(name="insects/big", **here)
    assert "on the network" in problem(name="kaggle:insects", **here)
    assert "names no dataset" in problem(name="in sects", **here)
    assert "give name, path or builder" in problem(**here)
    assert "leave one out" in problem(name="insects", path="x", **here)
    assert "no builder class to take builder_args" in problem(name="insects", builder_args={"a": 1}, **here)
    told = problem(name="insects", **here)
    assert "feature 'clip' is of the type Video" in told
    assert "'nested' is a sequence of sequences" in told
    assert f"columns: [{', '.join(ALL)}]" in told
    assert "did you mean 'image'?" in problem(name="insects", columns=["imag"], **here)
    assert "splits.train: the dataset has no split 'trian'" in problem(
        name="insects", columns=["image"], splits={"train": "trian"}, **here
    )
    assert "it names a folder" in problem(
        name="insects", columns=["image"], splits={"../up": "train"}, **here
    )
    assert "the list of columns is empty" in problem(name="insects", columns=[], **here)
    assert str(data_dir / "insects" / "1.2.0") in problem(path=str(data_dir / "insects"))
    assert "there is no function 'Insect'" in problem(builder=f"{BUILDERS}:Insect")


def test_of_several_versions_and_configs_the_right_one(ctx: Any, data_dir: Path, tmp_path: Path) -> None:
    for place in ("insects/1.2.0", "insects/1.10.0", "plants/red/1.0.0", "plants/blue/1.0.0"):
        shutil.copytree(data_dir / "insects" / "1.2.0", tmp_path / place)
    here = {"data_dir": str(tmp_path), "columns": ["count"]}
    from headrace.components.tfds.naming import find_prepared, parse_name

    assert find_prepared(parse_name("insects"), tmp_path) == tmp_path / "insects" / "1.10.0"
    assert find_prepared(parse_name("insects:1.2.*"), tmp_path) == tmp_path / "insects" / "1.2.0"
    assert "several configs of 'plants' are prepared" in problem(name="plants", **here)
    (tmp_path / "plants" / ".config").mkdir()
    (tmp_path / "plants" / ".config" / "metadata.json").write_text('{"default_config_name": "red"}')
    assert find_prepared(parse_name("plants"), tmp_path) == tmp_path / "plants" / "red" / "1.0.0"


def test_what_is_prepared_counts_by_its_content(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_STORE", str(tmp_path / "store"))
    elsewhere = copied(data_dir, tmp_path)
    one = tfds_examples(name="insects", data_dir=str(data_dir), columns=["count"])
    two = tfds_examples(name="insects", data_dir=str(tmp_path), download=True, columns=["count"])
    assert one.path == two.path
    assert len(list((tmp_path / "store" / "runs").iterdir())) == 1
    next(elsewhere.glob("*train*")).write_bytes(b"")
    with pytest.raises(DataError, match="holds 0 records"):
        tfds_examples(name="insects", data_dir=str(tmp_path), columns=["count"])


def copied(data_dir: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return shutil.copytree(data_dir / "insects" / "1.2.0", tmp_path / "insects" / "1.2.0")


def test_damage_is_told(new_ctx: Callable[..., Any], data_dir: Path, tmp_path: Path) -> None:
    folder = copied(data_dir, tmp_path)
    shard = next(folder.glob("*train*"))

    def told() -> str:
        with pytest.raises(HeadraceError) as caught:
            tfds_examples.function(new_ctx(), path=str(folder), columns=["count"])
        return str(caught.value)

    whole, info = shard.read_bytes(), (folder / "dataset_info.json").read_text()
    shard.write_bytes(whole[:-3])
    assert "cut short" in told()
    shard.write_bytes(whole[:40] + b"\xff" + whole[41:])
    assert "checksum of the data of record 1" in told()
    shard.unlink()
    assert "a shard of the prepared set is missing" in told()
    shard.write_bytes(whole)
    (folder / "dataset_info.json").write_text(info.replace('"60"', '"61"'))
    assert "the shard holds 60 records, and dataset_info.json says 61" in told()
    (folder / "dataset_info.json").write_text(info.replace("{DATASET}-", "../{DATASET}-"))
    assert "leads out of the folder" in told()
    (folder / "dataset_info.json").write_text(
        info.replace('"fileFormat": "tfrecord"', '"fileFormat": "riegeli"')
    )
    assert "the shards are in the format 'riegeli'" in told()
    (folder / "dataset_info.json").write_text("[]")
    assert "doesn't say what TFDS writes" in told()
    (folder / "dataset_info.json").write_text(info)
    features = json.loads((folder / "features.json").read_text())
    features["featuresDict"]["features"]["count"] = {
        "tensor": {"dtype": "int32", "shape": {"dimensions": ["x"]}}
    }
    (folder / "features.json").write_text(json.dumps(features))
    assert "features.json: it doesn't say what TFDS writes" in told()
    features["featuresDict"]["features"]["count"] = {"classLabel": {"numClasses": "999999999"}}
    (folder / "features.json").write_text(json.dumps(features))
    assert "feature 'count' has 999,999,999 classes and no names for them" in told()
    (folder / "features.json").unlink()
    assert "before 4.0" in told()


def test_bad_records_are_rejected(
    ctx: Any, new_ctx: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.components.tfds.work.MOST_BYTES", 1000)
    from headrace.components.tfds.metadata import Notes, class_label, image, tensor
    from headrace.components.tfrecords.tfrecord import framed

    record = pytest.importorskip("tensorflow").train
    good = io.BytesIO()
    Image.new("L", (2, 2)).save(good, "PNG")

    def example(label: int, content: bytes, packed: bytes) -> bytes:
        values = {
            "label": record.Feature(int64_list=record.Int64List(value=[label])),
            "image": record.Feature(bytes_list=record.BytesList(value=[content])),
            "packed": record.Feature(bytes_list=record.BytesList(value=[packed])),
        }
        return bytes(record.Example(features=record.Features(feature=values)).SerializeToString())

    fine, zipped = good.getvalue(), zlib.compress(bytes([1, 2]))
    records = [
        example(0, fine, zipped), example(5, fine, zipped), example(1, b"no image", zipped),
        example(1, fine, b"no zlib"), example(-1, b"", zipped), b"\xff\xff",
        example(1, fine, zlib.compress(bytes(2000))),
    ]  # fmt: skip
    (tmp_path / "odd-train.tfrecord-00000-of-00001").write_bytes(
        b"".join(p for r in records for p in framed(r))
    )
    features = {"label": class_label(2), "image": image((2, 2, 1)), "packed": tensor("uint8", (2,), "zlib")}
    Notes("odd", "1.0.0", features, {"train": [7]}).write(tmp_path)
    with pytest.raises(DataError, match=r"record 2: column 'label': '5' is none of the 2 classes"):
        tfds_examples.function(ctx, path=str(tmp_path))
    made = tfds_examples.function(new_ctx(), path=str(tmp_path), max_rejects=5)
    assert rows(made, "train") == [
        {"image": fine, "label": "0", "packed": [1, 2]}, {"image": None, "label": None, "packed": [1, 2]}
    ]  # fmt: skip
    told = [json.loads(line) for line in (made.path / "rejects.jsonl").read_text().splitlines()]
    assert [one["line"] for one in told] == [2, 3, 4, 6, 7]
    assert "not an image that can be read" in told[1]["reason"]
    assert "is no tensor of uint8" in told[2]["reason"]


def test_beam_prepares_by_our_runner(new_ctx: Callable[..., Any]) -> None:
    made = tfds_examples.function(
        new_ctx(), builder=f"{BUILDERS}:BeamDigits", builder_args={"config": "more"}
    )
    assert made.rows("train") == 24
    assert made.properties["tfds"] == "beam_digits/more/1.0.0"
    with pytest.raises(InvalidRequestError, match="did you mean 'more'") as caught:
        tfds_examples.function(new_ctx(), builder=f"{BUILDERS}:BeamDigits", builder_args={"config": "mor"})
    assert "few" in str(caught.value)


def test_a_builder_in_a_file_of_the_new_layout(ctx: Any) -> None:
    path = BUILDERS.with_name("spots_dataset_builder.py")
    made = tfds_examples.function(ctx, builder=f"{path}:Builder")
    assert sorted(row["n"] for row in rows(made, "train")) == [0, 1, 2]
    assert made.properties["tfds"] == "spots/0.1.0"


def test_files_that_everyone_has_to_fetch(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"(?s)everyone to fetch.*pages\.txt.*manual_dir"):
        tfds_examples.function(new_ctx(), builder=f"{BUILDERS}:Homework")
    (tmp_path / "pages.txt").write_text("one\ntwo\n")
    made = tfds_examples.function(new_ctx(), builder=f"{BUILDERS}:Homework", manual_dir=str(tmp_path))
    assert sorted(row["page"] for row in rows(made, "train")) == ["one", "two"]
    arguments = {name: one.default for name, one in tfds_examples.arguments.items()}
    given = arguments | {"builder": f"{BUILDERS}:Homework", "manual_dir": str(tmp_path)}
    assert tfds_examples.source_finder is not None
    assert tfds_examples.source_finder(given) == [str(tmp_path)]  # its content decides what comes out
    assert tfds_examples.process_for(given) == "tensorflow"


REMOTE = """
import tensorflow_datasets as tfds

class Remote(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"line": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.download("URL"))}

    def _generate_examples(self, path):
        yield from ((n, {"line": line}) for n, line in enumerate(path.read_text().splitlines()))
"""


def test_files_are_downloaded_where_they_can_be(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    content = b"one\ntwo\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keeps quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/lines.txt"
        (tmp_path / "remote.py").write_text(REMOTE.replace("URL", url))
        told = f"{url}\t{len(content)}\t{hashlib.sha256(content).hexdigest()}\tlines.txt\n"
        (tmp_path / "checksums.tsv").write_text(told)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = tfds_examples.function(new_ctx(), builder=f"{tmp_path / 'remote.py'}:Remote")
        server.shutdown()
    assert sorted(row["line"] for row in rows(made, "train")) == ["one", "two"]
    with pytest.raises(StepError, match=r"(?s)127\.0\.0\.1 can't be reached.*give its folder"):
        tfds_examples.function(new_ctx(), builder=f"{tmp_path / 'remote.py'}:Remote")


def test_an_unknown_set_is_told_without_the_network(ctx: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="did you mean 'mnist'"):
        tfds_examples.function(ctx, name="mnst", data_dir=str(tmp_path), download=True)
    with pytest.raises(InvalidRequestError, match=r"only: 3\.0\.1"):
        tfds_examples.function(ctx, name="mnist:1.0.0", data_dir=str(tmp_path), download=True)
    with pytest.raises(InvalidRequestError, match="did you mean 'fog_5'"):
        tfds_examples.function(ctx, name="cifar10_corrupted/fog5", data_dir=str(tmp_path), download=True)
    with pytest.raises(InvalidRequestError, match="no builder class of TFDS"):
        tfds_examples.function(ctx, builder=f"{BUILDERS}:pixels")


def test_the_digits_are_those_of_the_image_files(
    new_ctx: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.components import digits_images
    from headrace.components.tfds import prepare as preparing

    monkeypatch.setattr(preparing, "_LOOK_SECONDS", 0.01)

    files = digits_images.function(new_ctx())
    ctx = new_ctx()
    made = tfds_examples.function(ctx, builder="headrace.components.tfds.digits_builder:HandwrittenDigits")
    assert any("prepared_mb" in event.get("progress", {}) for event in ctx.events)
    ours = sorted((decoded(row["image"]).tobytes(), row["label"]) for row in rows(made, "train"))
    theirs = [
        (decoded(files.file(f.path).read_bytes()).tobytes(), f.path.partition("/")[0]) for f in files.files
    ]
    assert ours == sorted(theirs)
    assert len(ours) == 1797
