"""From image files to an export that takes their bytes, and the gate in front of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image

from headrace.components import dataset, export, train, transform
from headrace.components.exporting.parity import ParityGate
from headrace.components.exporting.saved_model import graph_digest, serving_inputs, write_saved_model
from headrace.components.preprocessing.fitted import FittedTransform
from headrace.components.preprocessing.fitted_features import Stage
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.tfrecords.layout import Layout
from headrace.components.training.feed import Feed
from headrace.components.training.networks import feed_of, forward, load_network
from headrace.components.training.tasks import tasks_from_json
from headrace.components.transforms import Resize
from headrace.pipelines.artifact import Examples, ExportedModel, Model, Transform
from headrace.pipelines.errors import DataError, GateError

from .image_cases import encoded
from .model_path import Paths
from .raw_examples import make_raw_examples

FEATURES = {"image": ["decode", {"resize": [8, 10]}, {"scale": "zero_one"}], "size": "z_score"}


def table(rows: int, seed: int) -> pa.Table:
    """Reddish and bluish images of several sizes and kinds."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for row in range(rows):
        label = row % 2
        shades = rng.integers(40, 70, (4 + row % 9, 12 - row % 5, 3))
        shades[..., 2 * label] += 150
        kind = ("PNG", "JPEG")[row % 3 == 0]
        images.append(encoded(np.kron(shades, np.ones((2, 2, 1))).astype(np.uint8), kind))
        labels.append(("red", "blue")[label])
    names = pa.array([f"{label}/{row}.png" for row, label in enumerate(labels)])
    return pa.table(
        {
            "image": pa.array(images, pa.binary()),
            "label": labels,
            "size": rng.normal(size=rows),
            "path": names,
        }
    )


@dataclasses.dataclass
class Made:
    raw: Examples
    fitted_in: Transform
    model: Model
    exported: ExportedModel

    @property
    def fitted(self) -> FittedTransform:
        return load_fitted(self.model.path / "transform")

    @property
    def loaded(self) -> Any:
        return tf.saved_model.load(str(self.exported.path / "1"))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def made(paths: Paths) -> Made:
    splits = {"train": table(64, 0), "validation": table(8, 1), "test": table(20, 2)}
    raw = make_raw_examples(paths.ctx(), splits, rows_per_part=20)
    examples, fitted = transform.function(
        paths.ctx(), raw, label="label", features=FEATURES, store="jpeg", jpeg_quality=90
    )
    told = {"width": 0.25, "dropout": 0.0}
    model = train.function(
        paths.ctx(), examples, fitted, model="cnn", model_args=told, epochs=2, batch_size=16
    )
    return Made(raw, fitted, model, export.function(paths.ctx(), model, raw))


def test_what_jpeg_in_the_shards_changed_is_told(made: Made) -> None:
    told = made.exported.read_json("export.json")
    assert told["image_formats"] == ["JPEG", "PNG", "GIF"]
    assert told["inputs"][0] == {"name": "image", "column": "image", "dtype": "string", "type": "image"}
    jpeg = told["parity"]["jpeg"]
    assert (jpeg["quality"], jpeg["images"]) == (90, 20)
    assert 0.1 < jpeg["mean_levels"] <= jpeg["worst_levels"]
    assert jpeg["mean_levels"] < jpeg["tolerance_levels"]
    assert jpeg["worst_output"] > 0


def test_a_contact_sheet_shows_classes_and_splits(made: Made) -> None:
    assert made.fitted_in.summary["pictures"] == ["contact_sheet.png"]
    with Image.open(made.fitted_in.path / "contact_sheet.png") as sheet:
        colors = {color for _, color in sheet.convert("RGB").getcolors(sheet.width * sheet.height)}
    assert any(red > 150 > 100 > blue for red, _, blue in colors)
    assert any(blue > 150 > 100 > red for red, _, blue in colors)


def test_a_row_without_a_picture_does_not_fail_the_others(made: Made) -> None:
    rows = table(6, 3)
    images, size = rows["image"].to_pylist(), tf.constant(rows["size"].to_numpy(), tf.float32)
    serve = made.loaded.signatures["serving_default"]
    whole = serve(image=tf.constant(images), size=size)
    images[1], images[4] = b"", b"\xff\xd8 no picture"
    some = serve(image=tf.constant(images), size=size)
    assert some["prediction"].numpy().tolist()[1::3] == [b"", b""]
    assert np.isnan(some["probabilities"].numpy()[[1, 4]]).all()
    for name in ("prediction", "probabilities"):
        np.testing.assert_array_equal(some[name].numpy()[[0, 2, 3, 5]], whole[name].numpy()[[0, 2, 3, 5]])
    none = {"image": tf.constant([], tf.string), "size": tf.constant([], tf.float32)}
    assert made.loaded.transform_features(none)[0].shape == (0, 8, 10, 3)


def test_tf_examples_carry_the_bytes(made: Made) -> None:
    rows = table(3, 4)
    serialized = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                    "size": tf.train.Feature(float_list=tf.train.FloatList(value=[size])),
                }
            )
        ).SerializeToString()
        for image, size in zip(rows["image"].to_pylist(), rows["size"].to_pylist(), strict=True)
    ]
    loaded = made.loaded
    by_example = loaded.signatures["serve_examples"](examples=tf.constant([*serialized, b""]))
    size = tf.constant(rows["size"].to_numpy(), tf.float32)
    plain = loaded.signatures["serving_default"](image=tf.constant(rows["image"].to_pylist()), size=size)
    np.testing.assert_array_equal(by_example["probabilities"][:3], plain["probabilities"])
    assert np.isnan(by_example["probabilities"][3]).all()


def _gate(made: Made, fitted: FittedTransform, folder: Path) -> ParityGate:
    network = load_network(made.model)
    feed = Feed(feed_of(made.model, fitted).kind, fitted.features)
    tasks = tasks_from_json(made.model.read_json("model.json"))
    inputs = serving_inputs(fitted)
    if not folder.exists():
        write_saved_model(folder, fitted, network, feed, tasks, inputs, folder.parent)
    return ParityGate(folder, fitted, forward(network, feed), feed, tasks, inputs, 64)


def _with(fitted: FittedTransform, **change: Any) -> FittedTransform:
    image, size = fitted.fitted
    return dataclasses.replace(fitted, fitted=(dataclasses.replace(image, **change), size))


def test_images_stored_as_floats_pass_to_the_bit(made: Made, tmp_path: Path) -> None:
    rows = table(12, 5)
    images = [*rows["image"].to_pylist()[:-2], None, b"no picture"]
    raw = rows.set_column(0, "image", pa.array(images, pa.binary())).combine_chunks().to_batches()[0]
    gate = _gate(made, _with(made.fitted, stored="dense"), tmp_path / "1")
    gate.check(raw)
    assert gate.parity.rows == 12
    assert gate.parity.jpeg is None
    assert np.isnan(gate._loaded.transform_features(_tensors(raw))[0].numpy()[-2:]).all()


def _tensors(raw: pa.RecordBatch) -> dict[str, tf.Tensor]:
    images = [image or b"" for image in raw["image"].to_pylist()]
    return {"image": tf.constant(images), "size": tf.constant(raw["size"].to_numpy(), tf.float32)}


def test_equal_exports_have_equal_digests(made: Made, tmp_path: Path) -> None:
    _gate(made, made.fitted, tmp_path / "1")
    assert graph_digest(tmp_path / "1") == made.exported.properties["graph"]


def test_another_way_to_resize_is_refused(made: Made) -> None:
    fitted = made.fitted
    branch = fitted.fitted[0].branches[0]
    stages = [
        Stage(Resize((8, 10), "area"), {}) if isinstance(stage.transform, Resize) else stage
        for stage in branch.stages
    ]
    other = _with(fitted, branches=(dataclasses.replace(branch, stages=tuple(stages)),))
    raw = table(6, 6).combine_chunks().to_batches()[0]
    with pytest.raises(GateError, match=r"image in row \d is \d+ in training, \d+ in the export, at \[\d"):
        _gate(made, other, made.exported.path / "1").check(raw)


def test_jpeg_of_too_low_a_quality_is_refused(made: Made) -> None:
    gate = _gate(made, dataclasses.replace(made.fitted, jpeg_quality=1), made.exported.path / "1")
    gate.check(table(6, 7).combine_chunks().to_batches()[0])
    with pytest.raises(GateError, match=r"JPEG of quality 1 changed by \d+\.?\d* levels"):
        gate.close()


def test_standardizing_while_images_are_encoded_or_before_gives_the_same(paths: Paths) -> None:
    raw = make_raw_examples(paths.ctx(), {"train": table(20, 10), "test": table(8, 11)}, rows_per_part=6)
    features = {"image": [*FEATURES["image"][:2], {"standardize": "channel"}]}
    made = {
        store: transform.function(paths.ctx(), raw, label="label", features=features, store=store)
        for store in ("uint8", "float32")
    }
    (later,), (before,) = (load_fitted(each.transform.path).features for each in made.values())
    assert later == dataclasses.replace(before, stored="pixels")
    assert Layout.from_json(made["uint8"].examples.properties).features == (later,)
    batches = [
        next(iter(dataset(each.examples, "train", batch_size=20)))[0]["image"] for each in made.values()
    ]
    np.testing.assert_allclose(batches[0], batches[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.mean(batches[1], axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(batches[1], axis=(0, 1, 2)), 1, atol=1e-5)


def test_images_that_cant_be_learned_from_are_told_by_path(paths: Paths) -> None:
    rows = table(8, 8)
    images = rows["image"].to_pylist()
    images[3], images[6] = None, images[6][:40]
    splits = {"train": table(8, 9), "test": rows.set_column(0, "image", pa.array(images, pa.binary()))}
    for wrong, told in ((splits, r"no image in 1 of 8 rows of test; .* part 1, row 1, with 'blue/3.png'"),):
        raw = make_raw_examples(paths.ctx(), wrong, rows_per_part=3)
        with pytest.raises(DataError, match=told):
            transform.function(paths.ctx(), raw, label="label", features=FEATURES)
    images[3] = images[2]
    splits["test"] = rows.set_column(0, "image", pa.array(images, pa.binary()))
    raw = make_raw_examples(paths.ctx(), splits, rows_per_part=3)
    told = r"can't decode .* in 1 of 8 rows of test; .* part 2, row 1, with 'red/6.png'"
    with pytest.raises(DataError, match=told):
        transform.function(paths.ctx(), raw, label="label", features=FEATURES)
