"""The same digits by seven routes: folders of three kinds, manifests of three kinds, TensorFlow Datasets."""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headrace.components import digits_images, image_examples, tfds_examples
from headrace.pipelines.artifact import Examples
from headrace.pipelines.context import Context

WHOLE = {"train": 1}
Digits = Counter[tuple[bytes, str]]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *told: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # with the usual 5 some connections wait for a second


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits in class folders."""
    staging = tmp_path_factory.mktemp("digits")
    made = digits_images.function(Context("source", staging))
    (made.path / "manifest.json").unlink(missing_ok=True)
    return made.path


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """Serves them on the loopback address."""
    serving = _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_address[1]}"
    serving.shutdown()
    serving.server_close()


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.png"))


def digits_of(examples: Examples, label: str = "label") -> Digits:
    """How often each image, as pixels, has each label."""
    found: Digits = Counter()
    for split in examples.splits:
        for part in examples.parts(split):
            table = pq.read_table(part, columns=["image", label])
            for encoded, name in zip(table["image"].to_pylist(), table[label].to_pylist(), strict=True):
                with Image.open(io.BytesIO(encoded)) as image:
                    found[np.asarray(image.convert("L")).tobytes(), name] += 1
    return found


@pytest.fixture(scope="module")
def expected(folder: Path) -> Digits:
    found: Digits = Counter()
    for file in files_of(folder):
        with Image.open(file) as image:
            found[np.asarray(image).tobytes(), file.parent.name] += 1
    assert found.total() == 1797
    return found


def test_class_folders(new_ctx: Any, folder: Path, expected: Digits) -> None:
    assert digits_of(image_examples.function(new_ctx(), path=str(folder))) == expected
    warned: list[str] = []
    ctx = new_ctx()
    ctx.warn = warned.append
    made = image_examples.function(ctx, path=digits_images.function(new_ctx()), splits=WHOLE)
    assert digits_of(made) == expected
    assert not [text for text in warned if "no images" in text]


def test_folders_by_split(ctx: Context, folder: Path, expected: Digits, tmp_path: Path) -> None:
    for place, file in enumerate(files_of(folder)):
        split = "test" if place % 5 == 0 else "train"
        (tmp_path / split / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / split / file.parent.name)
    split_up = {split: str(tmp_path / split) for split in ("train", "test")}
    made = image_examples.function(ctx, path=split_up)
    assert {split: told["rows"] for split, told in made.splits.items()} == {"train": 1437, "test": 360}
    assert digits_of(made) == expected


def test_labels_in_levels(ctx: Context, folder: Path, expected: Digits, tmp_path: Path) -> None:
    for file in files_of(folder):
        parity = "odd" if int(file.parent.name) % 2 else "even"
        (tmp_path / "all" / parity / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "all" / parity / file.parent.name)
    made = image_examples.function(ctx, path=str(tmp_path / "all"), labels=["parity", "label"], splits=WHOLE)
    assert digits_of(made) == expected
    assert {name: n for (_, name), n in _by_label(digits_of(made, "parity")).items()} == {
        "odd": 906,
        "even": 891,
    }


def _by_label(digits: Digits) -> Digits:
    found: Digits = Counter()
    for (_, name), count in digits.items():
        found[b"", name] += count
    return found


def test_a_csv_manifest_of_paths(ctx: Context, folder: Path, expected: Digits, tmp_path: Path) -> None:
    with (tmp_path / "paths.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image", "label"])
        rows.writerows([str(file), file.parent.name] for file in files_of(folder))
    made = image_examples.function(
        ctx, path=str(tmp_path / "paths.csv"), types={"label": "string"}, allow_outside=True, splits=WHOLE
    )
    assert digits_of(made) == expected


def test_a_json_manifest_of_addresses(
    ctx: Context, folder: Path, expected: Digits, server: str, tmp_path: Path
) -> None:
    files = files_of(folder)
    listed = [{"image": f"{server}/{f.parent.name}/{f.name}", "label": f.parent.name} for f in files]
    (tmp_path / "urls.json").write_text(json.dumps(listed))
    remote: Any = {"allow_private": True}
    made = image_examples.function(ctx, path=str(tmp_path / "urls.json"), remote=remote, splits=WHOLE)
    assert digits_of(made) == expected


def test_a_csv_manifest_of_pixels(ctx: Context, folder: Path, expected: Digits, tmp_path: Path) -> None:
    with (tmp_path / "pixels.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image", "label"])
        for file in files_of(folder):
            with Image.open(file) as image:
                rows.writerow([" ".join(map(str, np.asarray(image).ravel())), file.parent.name])
    made = image_examples.function(
        ctx, path=str(tmp_path / "pixels.csv"), image_as="pixels", shape=[8, 8], types={"label": "string"},
        splits=WHOLE,
    )  # fmt: skip
    assert digits_of(made) == expected


def test_tensorflow_datasets(ctx: Context, expected: Digits) -> None:
    builder: Any = "headrace.components.tfds.digits_builder:HandwrittenDigits"
    assert digits_of(tfds_examples.function(ctx, builder=builder)) == expected
