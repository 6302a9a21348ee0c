"""The same digits on disk in every layout, and what an artifact of images holds."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from headrace.pipelines.artifact import Examples


def digits(count: int) -> list[tuple[np.ndarray, int]]:
    """scikit-learn's first digits: uint8 [8, 8], and what each is."""
    from sklearn.datasets import load_digits

    table = load_digits()
    pixels = (table.images[:count] * (255 / 16)).round().astype(np.uint8)
    return list(zip(pixels, table.target[:count].tolist(), strict=True))


def png(pixels: np.ndarray) -> bytes:
    """Pixels as a PNG file."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def write(path: Path, content: bytes) -> Path:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def class_folders(root: Path, count: int = 60) -> Path:
    """`3/0003.png` and so on."""
    for number, (pixels, digit) in enumerate(digits(count)):
        write(root / str(digit) / f"{number:04d}.png", png(pixels))
    return root


def split_folders(root: Path, count: int = 60, test: str = "test") -> Path:
    """Every fourth digit in the folder `test`."""
    for number, (pixels, digit) in enumerate(digits(count)):
        write(root / ("train" if number % 4 else test) / str(digit) / f"{number:04d}.png", png(pixels))
    return root


def deep_folders(root: Path, count: int = 60) -> Path:
    """`odd/3/0003.png` and so on."""
    for number, (pixels, digit) in enumerate(digits(count)):
        write(root / ("odd" if digit % 2 else "even") / str(digit) / f"{number:04d}.png", png(pixels))
    return root


def flat_folder(root: Path, count: int = 60) -> Path:
    """`digit-3-0003.png` and so on."""
    for number, (pixels, digit) in enumerate(digits(count)):
        write(root / f"digit-{digit}-{number:04d}.png", png(pixels))
    return root


def path_rows(root: Path, count: int = 60) -> list[dict[str, Any]]:
    """Rows of a manifest in `root` for the images of `class_folders(root / "photos")`."""
    class_folders(root / "photos", count)
    return [
        {"file": f"photos/{digit}/{number:04d}.png", "label": str(digit), "weight": number / 4}
        for number, (_, digit) in enumerate(digits(count))
    ]


def pixel_rows(count: int = 60) -> list[dict[str, Any]]:
    """Rows of a manifest that holds the pixels."""
    return [{"pixels": pixels.tolist(), "label": str(digit)} for pixels, digit in digits(count)]


def base64_rows(count: int = 60) -> list[dict[str, Any]]:
    """Rows of a manifest that holds PNG files."""
    return [{"image": base64.b64encode(png(p)).decode(), "label": str(digit)} for p, digit in digits(count)]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as CSV; lists as JSON in a cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as one array, or one a line by the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.suffix == ".jsonl"
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=1)
    path.write_text(text, "utf-8")
    return path


def rows_of(made: Examples, split: str | None = None) -> list[dict[str, Any]]:
    """The rows of a split, or of all."""
    parts = [part for name in ([split] if split else made.splits) for part in made.parts(name)]
    return pa.concat_tables([pq.read_table(part) for part in parts]).to_pylist() if parts else []


def pixels_and_labels(made: Examples) -> list[tuple[bytes, str]]:
    """What every layout has to agree on."""
    rows = rows_of(made)
    return sorted(
        (np.asarray(Image.open(io.BytesIO(row["image"]))).tobytes(), str(row["label"])) for row in rows
    )


def rejects_of(made: Examples) -> list[dict[str, Any]]:
    """The lines of `rejects.jsonl`."""
    return [json.loads(line) for line in (made.path / "rejects.jsonl").read_text("utf-8").splitlines()]


def warnings_of(ctx: Any) -> list[str]:
    """What a context was warned of."""
    return [event["warn"] for event in ctx.events if "warn" in event]
