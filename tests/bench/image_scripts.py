"""What one writes by hand to make TFRecords of a folder of photographs: with OpenCV, and with `tf.data`.

    python tests/bench/image_scripts.py opencv|tf_data FOLDER OUT

Decode, resize to 224 by 224 bilinearly, write the raw pixels and the class as tf.Examples into eight files;
two threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIZE, FILES, THREADS = 224, 8, 2


def listed(folder: Path) -> list[tuple[str, int]]:
    """Path and class of each photograph."""
    classes = sorted(path.name for path in folder.iterdir())
    return [(str(path), classes.index(path.parent.name)) for path in sorted(folder.glob("*/*.jpg"))]


def by_opencv(files: list[tuple[str, int]]) -> Iterator[tuple[bytes, int]]:
    """Pixels and class of each."""
    import cv2

    cv2.setNumThreads(1)  # two threads of our own are faster

    def read(file: tuple[str, int]) -> tuple[bytes, int]:
        image = cv2.imread(file[0], cv2.IMREAD_COLOR)
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).tobytes(), file[1]

    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(files), 512):
            yield from pool.map(read, files[begin : begin + 512])


def by_tf_data(files: list[tuple[str, int]]) -> Iterator[tuple[bytes, int]]:
    """Pixels and class of each."""
    import tensorflow as tf

    def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.cast(tf.image.resize(image, (SIZE, SIZE)), tf.uint8), label

    paths, labels = zip(*files, strict=True)
    images = tf.data.Dataset.from_tensor_slices((list(paths), list(labels)))
    for image, label in images.map(read, num_parallel_calls=THREADS).prefetch(32).as_numpy_iterator():
        yield image.tobytes(), int(label)


def write(folder: Path, out: Path, how: str) -> None:
    """Writes the files."""
    import tensorflow as tf

    files = listed(folder)
    writers = [tf.io.TFRecordWriter(str(out / f"{number}.tfrecord")) for number in range(FILES)]
    made = by_opencv(files) if how == "opencv" else by_tf_data(files)
    for number, (pixels, label) in enumerate(made):
        image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels]))
        kind = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
        example = tf.train.Example(features=tf.train.Features(feature={"image": image, "label": kind}))
        writers[number % FILES].write(example.SerializeToString())
    for writer in writers:
        writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[1])
