"""The worst examples, top-k accuracy by any k, and how many images are taken at once."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn import metrics as sk

from headrace.components.evaluate import evaluate
from headrace.components.evaluation.answers import Answers, ValueAnswers
from headrace.components.evaluation.asking import bounded_batch
from headrace.components.evaluation.class_answers import ClassAnswers
from headrace.components.evaluation.label_answers import LabelAnswers
from headrace.components.evaluation.metric_names import metric_names
from headrace.components.evaluation.threshold_checks import Asked, threshold_problems
from headrace.components.evaluation.worst import Worst, WorstExamples
from headrace.components.evaluation.worst_files import write_worst
from headrace.components.ingestion.source_lines import write_lines
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.tasks import Task
from headrace.pipelines.component import Known

from .raw_examples import make_raw_examples

NAMES = ("a", "b", "c", "d", "e")


def answers(rows: int, seed: int = 0, weighted: bool = False) -> ClassAnswers:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(5), rows)
    p[rows // 2 :] = p[: rows - rows // 2]  # so that there are equal losses
    labels = np.tile(rng.integers(0, 5, rows // 2), 2)
    return ClassAnswers.reduce(labels, p, rng.integers(0, 2, rows) * 1.0 if weighted else None, top=(2, 4))


def shown(task: Task, parts: list[Answers], most: int, images: Any = None) -> list[Worst]:
    worst, first = WorstExamples({"": task}, most), 0
    for part in parts:
        rows = len(part.losses)
        worst.take(first, {"": part}, None if images is None else images[first : first + rows])
        first += rows
    return worst.found[""]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_worst_are_those_of_a_whole_sort_however_rows_come(weighted: bool) -> None:
    whole, task = answers(400, weighted=weighted), Task("multiclass", "kind", NAMES)
    images = np.arange(400, dtype=np.uint8).reshape(400, 1, 1, 1)
    counting = np.ones(400) if whole.weights is None else whole.weights
    order = sorted(np.flatnonzero(counting), key=lambda row: (-whole.loss[row], row))[:30]
    for cut in (1, 7, 400):
        parts = [whole.take(np.arange(i, min(i + cut, 400))) for i in range(0, 400, cut)]
        found = shown(task, parts, 30, images)
        assert [one.row for one in found] == order
        assert [int(one.image[0, 0, 0]) for one in found if one.image is not None] == [n % 256 for n in order]
    row, first = order[0], found[0]
    assert whole.scores is not None
    assert first.answer["label"] == NAMES[whole.labels[row]]
    assert first.answer["prediction"] == NAMES[whole.scores[row].argmax()]
    assert first.answer["probability"] == pytest.approx(whole.scores[row].max())
    assert first.answer["label_probability"] == pytest.approx(whole.scores[row, whole.labels[row]])
    assert shown(task, [whole], 0) == []


def test_each_kind_of_label_tells_what_was_predicted() -> None:
    binary = ClassAnswers.reduce(np.array([1, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    (worst,) = shown(Task("binary", "ok", ("no", "yes")), [binary], 1)
    assert worst.row == 0 and worst.loss == pytest.approx(-np.log(0.1))
    told = {"label": "yes", "prediction": "no", "probability": 0.9, "label_probability": 0.1}
    assert worst.answer == pytest.approx(told)
    several = LabelAnswers.reduce(np.array([[1, 0, 1]]), np.array([[0.75, 0.75, 0.25]]))
    (worst,) = shown(Task("multilabel", "tags", ("x", "y", "z")), [several], 3)
    told = {"label": ["x", "z"], "prediction": ["x", "y"], "probabilities": {"x": 0.75, "y": 0.75, "z": 0.25}}
    assert worst.answer == told
    values = ValueAnswers.reduce(np.array([1.0, 5.0]), np.array([2.0, 2.0]))
    (worst, _) = shown(Task("regression", "price"), [values], 2)
    assert (worst.row, worst.loss, worst.answer) == (1, 9.0, {"label": 5.0, "prediction": 2.0, "error": -3.0})


def test_files_say_where_the_rows_are(new_ctx: Any, tmp_path: Any) -> None:
    data = pa.table({"path": [f"cat/{i}.png" for i in range(10)], "width": range(10)})
    examples = make_raw_examples(new_ctx(), {"test": data}, rows_per_part=4)
    write_lines(examples.parts("test")[1], "list.csv", np.arange(10, 18, 2))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), np.uint8)
    answer = {"label": "a", "prediction": "b", "probability": 0.5, "label_probability": 0.25}
    worst = [Worst(6, 2.0, answer, images[0]), Worst(1, 1.0, {**answer, "label": ["x", "y"]}, images[1])]
    assert write_worst(tmp_path, examples, "test", {"": worst}) == [
        "worst_examples.json",
        "worst_examples.png",
    ]
    told = json.loads((tmp_path / "worst_examples.json").read_text())
    assert told["split"] == "test"
    one, other = told["examples"]
    assert one["path"] == "cat/6.png" and (one["file"], one["line"]) == ("list.csv", 14)
    assert (one["part"], one["part_row"], one["row"]) == ("test/part-00001.parquet", 2, 6)
    assert other["path"] == "cat/1.png" and "line" not in other and other["loss"] == 1.0
    with Image.open(io.BytesIO((tmp_path / "worst_examples.png").read_bytes())) as sheet:
        assert sheet.format == "PNG" and sheet.width > 200
    bare = {"kind": [Worst(0, 1.0, answer)], "price": []}
    (tmp_path / "bare").mkdir()
    assert write_worst(tmp_path / "bare", examples, "test", bare) == ["worst_examples.json"]
    assert set(json.loads((tmp_path / "bare/worst_examples.json").read_text())["examples"]) == {
        "kind",
        "price",
    }
    assert write_worst(tmp_path, examples, "test", {"": []}) == []


def test_top_k_is_given_of_labels_with_more_classes() -> None:
    found = answers(300)
    told = found.metrics()
    assert [name for name in told if name.startswith("top")] == ["top_2_accuracy", "top_4_accuracy"]
    expected = sk.top_k_accuracy_score(found.labels, found.scores, k=2)
    assert told["top_2_accuracy"] == pytest.approx(expected)
    assert "top_5_accuracy" not in ClassAnswers.reduce(found.labels, found.scores, top=(5,)).metrics()
    assert (
        metric_names("multiclass", (2,))[-1] == "top_2_accuracy"
        and len(metric_names("regression", (2,))) == 6
    )


def test_thresholds_on_a_k_that_is_not_asked_for_say_so() -> None:
    asked = Asked({"": "multiclass"}, (), False, top=(2,))
    assert not threshold_problems({"top_2_accuracy": 0.5, "slices": {}}, asked)
    (problem,) = threshold_problems({"top_5_accuracy": 0.5}, asked)
    assert "name 5 under `top_k`" in problem.remedy
    arguments = {"split": "test", "top_k": [7], "thresholds": {"top_7_accuracy": 0.9}}
    assert evaluate.checker(arguments, {"model": Known(), "examples": Known()})[0] == []


@pytest.mark.parametrize(
    ("shift", "divisor"), [((0.0,), (255.0,)), ((123.0, 117.0, 104.0), (58.0, 57.0, 57.5))]
)
def test_normalized_images_are_shown_as_they_were(shift: Any, divisor: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    feature = OutputFeature("x", "float32", 90, "dense", shape=(5, 6, 3), shift=shift, divisor=divisor)
    stored = (pixels.astype(np.float32) - np.array(shift, np.float32)) / np.array(divisor, np.float32)
    assert (feature.pixels(stored) == pixels).all()
    assert (replace(feature, stored="png").pixels(pixels) == pixels).all()


def test_few_large_images_are_taken_at_once() -> None:
    image = OutputFeature("x", "float32", 224 * 224 * 3, "pixels", shape=(224, 224, 3))
    number = OutputFeature("y", "float32", 5)
    assert bounded_batch((image, number), 4096) == 111 and bounded_batch((image, number), 7) == 7
    assert bounded_batch((number,), 4096) == 4096
    huge = OutputFeature("x", "float32", 3 * 10**8, "pixels", shape=(10_000, 10_000, 3))
    assert bounded_batch((huge,), 64) == 1
